"""Indicators as CSV: what the findings of a report give to look for elsewhere. A clean package gives none.

Columns: type (host, address, url, file, program, technique), value, package (its purl), phase, verdict, first_seen
(seconds since the guest began: a recording has no wall clock), what, confidence. A spreadsheet takes a cell that begins
with = + - @ or a tab for a formula: such a cell begins with an apostrophe here.
"""

from __future__ import annotations

import csv
import io

from sandbox.report import Report
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._signs import Sign, signs
from sandbox.reporters._texts import plain

COLUMNS = ("type", "value", "package", "phase", "verdict", "first_seen", "what", "confidence")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
_LONGEST = 2000


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,
) -> str:
    """A line for each indicator, worst first, under a line that names the columns."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sign in signs(report, recordings):
        writer.writerow(cell(text) for text in _row(sign))
    return file.getvalue()


def _row(sign: Sign) -> tuple[str, ...]:
    by = f" (by {sign.by})" if sign.by else ""
    what = f"{sign.rule}: {sign.what}{by}"
    return (
        sign.kind, sign.value, sign.package, sign.phase, sign.verdict, f"{sign.at:.3f}", what, sign.confidence,
    )  # fmt: skip


def cell(text: str) -> str:
    """A text on one line that no spreadsheet computes."""
    shown = plain(text, _LONGEST)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


REPORTER = Reporter("indicators of what was found, as CSV", render, "text/csv", recorded=True)
