"""How a report is written. One file here is one format: its name is what users type, `REPORTER` its object.

Reporters are pure: whether the terminal has colour, and how wide it is, they are told.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from sandbox.report import Report


class Render(Protocol):
    """Writes a report as text, ending in a newline."""

    def __call__(self, report: Report, *, width: int = 80, colour: bool = False) -> str: ...


class Reporter(msgspec.Struct, frozen=True):
    """A format: a title for lists, and the function that writes it. `media` is its media type."""

    title: str
    render: Render
    media: str = "text/plain"
