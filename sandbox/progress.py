"""What the user sees while a run goes on: one moving line on a terminal, a line now and then elsewhere.

All of it goes to stderr. Texts may hold names that a hostile package chose, so nothing is printed unescaped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from sandbox.plaintext import escape

if TYPE_CHECKING:
    from rich.status import Status


class Progress(Protocol):
    """Told what is being done now. Called from the thread of the run; must not block or raise."""

    def step(self, text: str) -> None:
        """`text` is being done from now on."""
        ...


class Silent:
    """Says nothing (`--quiet`)."""

    def step(self, text: str) -> None:
        """Ignored."""


class Lines:
    """Writes a plain line for each step, at most one in `every` seconds: logs stay short."""

    def __init__(self, file: TextIO, every: float = 0.5) -> None:
        self._file = file
        self._every = every
        self._last = -every
        self._said = ""

    def step(self, text: str) -> None:
        """Write the step unless it was just said or comes too soon after another."""
        now = time.monotonic()
        if text == self._said or now - self._last < self._every:
            return
        self._last, self._said = now, text
        self._file.write(f"baitbox: {escape(text)}\n")
        self._file.flush()


class Moving:
    """Shows the step on one moving line of a terminal."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def step(self, text: str) -> None:
        """Replace the line."""
        from rich.text import Text

        self._status.update(Text(escape(text)))


class Prefixed:
    """Passes steps on with `prefix: ` before them, for one of several targets."""

    def __init__(self, progress: Progress, prefix: str) -> None:
        self._progress = progress
        self._prefix = prefix

    def step(self, text: str) -> None:
        """Pass the step on."""
        self._progress.step(f"{self._prefix}: {text}")


@contextmanager
def shown(quiet: bool) -> Iterator[Progress]:
    """The progress display that suits stderr, for the time of the `with` block."""
    if quiet:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Lines(sys.stderr)
    else:
        from rich.console import Console

        with Console(stderr=True).status("starting") as status:
            yield Moving(status)
