"""The report as one JSON object, by the schema in docs/report.schema.json; keys in their order, lists as judged."""

from __future__ import annotations

import msgspec

from sandbox.report import Report
from sandbox.reporters import Recordings, Reporter


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,  # noqa: ARG001
) -> str:
    """The same report is always the same text."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


REPORTER = Reporter("one JSON object, schema version 1", render, "application/json")
