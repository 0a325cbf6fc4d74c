"""What of a lockfile, or of a folder, nobody looks at: a line of the report of its own, since among
notes it would get lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sandbox.report import Coverage, Note, Origin, PackageReport

Reason = Literal["locked", "new", "changed"]


def line(name: str, notes: Sequence[Note], *, problem: str = "", reason: Reason = "locked") -> PackageReport:
    """The line on what is called `name`: `notes` say what is left open, `problem` why it cannot be read at all."""
    missing = [f"not checked: the lockfile cannot be read: {problem}"] if problem else []
    for note in notes:
        file = note.file if note.file != name else ""
        place = ", ".join(filter(None, (file, f"line {note.line}" if note.line else "")))
        missing.append(": ".join(filter(None, (place, note.text))))
    lines = [note.line for note in notes if note.file == name]
    origin = Origin(file=name, line=lines[0] if lines else 0, reason=reason)
    return PackageReport(
        purl="", target=name, digest="", verdict="inconclusive", coverage=Coverage(missing=tuple(missing)),
        origins=(origin,),
    )  # fmt: skip
