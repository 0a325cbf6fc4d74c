"""Texts of a report on their way into other formats: nothing invisible, nothing that a reader takes for a command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from sandbox.plaintext import shorten
from sandbox.report import PackageReport

_COMMAND = re.compile(
    "::(?=add-|debug|echo|endgroup|error|group|internal-|notice|remove-|save-|set-|stop-|warning)", re.IGNORECASE
)

LONG = 300
"""Characters of a hostile text that a reader may want; the JSON report has it whole."""
MOST_SECONDS = 1e11
"""Since 1970: the year has four digits until then."""


def plain(text: str, limit: int = LONG) -> str:
    """`text` on one line, at most about `limit` long; what does not show is written as an escape."""
    return shorten(text, limit)


def as_json(document: Any) -> str:
    """A JSON document in ASCII: whatever is invisible in a string shows as an escape, and is the same when read. So is
    `##[`, where the log of a GitHub runner looks for commands."""
    # In two steps: the standard library's encoder is slow where it indents.
    text = msgspec.json.format(json.dumps(well_formed(document), ensure_ascii=True, allow_nan=False), indent=2)
    return text.replace("##[", "#\\u0023[") + "\n"


def moment(seconds: float) -> str:
    """Seconds since 1970 as the formats want them, such as 2026-05-11T08:15:30.250Z."""
    when = datetime.fromtimestamp(min(max(seconds, 0.0), MOST_SECONDS), UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clean_words(packages: Iterable[PackageReport]) -> str:
    """What `clean` means for these packages, without a full stop: not every import need have succeeded."""
    phases = [phase for one in packages if one.verdict == "clean" for phase in one.coverage.phases]
    raised = sum(phase.status == "failed" and phase.name.startswith("import:") for phase in phases)
    if not raised:
        return "everything ran, everything was watched, nothing was unexpected"
    imports = "1 import raised, as it may" if raised == 1 else f"{raised} imports raised, as they may"
    return f"everything was tried, everything was watched, nothing was unexpected; {imports}"


def percent_encoded(path: str) -> str:
    """A path as a URI reference; slashes are kept."""
    try:
        raw = path.encode("utf-8", "surrogateescape")  # as Python reads names that are not UTF-8
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "backslashreplace")
    return quote(raw, safe="/")


def commandless(text: str) -> str:
    """`text` without the workflow commands of a GitHub runner, which reads them at the start of any line of a log."""
    return _COMMAND.sub(r":\\x3a", text) if "::" in text else text


def well_formed(value: Any) -> Any:
    """Texts, also within lists and dictionaries, with lone surrogates, which no encoding can carry, as escapes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {well_formed(key): well_formed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed(one) for one in value]
    return value
