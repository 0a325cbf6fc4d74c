"""Commands that have a file of their own: its name is the command, `COMMAND` its object; `sandbox.cli` finds them.

A command is a function like those in `sandbox.cli`, which parses, calls, and returns the exit code. What it shares
with the others it is given as `context.obj`, a `Shell`: so it need not import the command line that imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from sandbox.progress import Progress
    from sandbox.schedule import Outcome
    from sandbox.settings import Settings


class Command(msgspec.Struct, frozen=True):
    """One command: its line in the list of commands, and the function that typer calls, whose first parameter is
    `context: typer.Context`."""

    summary: str
    run: Callable[..., int]


class Shell(Protocol):
    """What the command line does for every command."""

    def settings(self, flags: Mapping[str, Any], pyproject: str | None = None) -> Settings:
        """The settings in force; `pyproject` is the text to read instead of ./pyproject.toml. Raises UsageError."""
        ...

    def judge(self, settings: Settings, work: Callable[[Settings, Progress], Outcome]) -> int:
        """Do the work with its progress shown, tell its errors, write the report, and return the exit code."""
        ...

    def emit(self, text: str) -> None:
        """Write data to stdout."""
        ...

    def tell(self, text: str) -> None:
        """Say something to the user, on stderr."""
        ...
