"""The report as one JSON object, by the schema in docs/report.schema.json; keys in their order, lists as judged."""

from __future__ import annotations

import msgspec

from sandbox.report import Report
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._texts import well_formed


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,  # noqa: ARG001
) -> str:
    """The same report is always the same text."""
    try:
        encoded = msgspec.json.encode(report)
    except UnicodeEncodeError:  # a file of the user's whose name is not UTF-8
        encoded = msgspec.json.encode(well_formed(msgspec.to_builtins(report)))
    return msgspec.json.format(encoded, indent=2).decode().replace("##[", "#\\u0023[") + "\n"


REPORTER = Reporter("one JSON object, schema version 1", render, "application/json")
