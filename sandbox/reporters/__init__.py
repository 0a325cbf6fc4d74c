"""How a report is written. One file here is one format: its name is what users type, `REPORTER` its object.

Reporters are pure: whether the terminal has colour, and how wide it is, they are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from sandbox.events import Recording
from sandbox.report import Report

Recordings = Mapping[str, Recording]
"""What was recorded, by the paths in `PackageReport.recordings`. Each is read from disk when it is asked for, and only
the last one stays in memory (`sandbox.kept`): take what you need of one, then go on to the next. One that can no
longer be read is missing (`get` gives None, `[]` raises KeyError): say so in the report."""


class Render(Protocol):
    """Writes a report as text, ending in a newline. `recordings` is None unless the format asks
    for them (`Reporter.recorded`)."""

    def __call__(
        self, report: Report, *, width: int = 80, colour: bool = False, recordings: Recordings | None = None
    ) -> str: ...


class Reporter(msgspec.Struct, frozen=True):
    """A format: a title for lists, and the function that writes it. `media` is its media type. `recorded` formats
    show what was recorded, and are given the recordings; the others need nothing but the report."""

    title: str
    render: Render
    media: str = "text/plain"
    recorded: bool = False
