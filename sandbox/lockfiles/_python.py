"""What the lockfiles of Python's tools have in common: hashes of several files, groups, who requires whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from packaging.utils import canonicalize_name

from sandbox.lockfiles._digests import from_hex
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._members import text

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def normalised(name: str) -> str:
    """A project's name in the form in which names are compared."""
    return str(canonicalize_name(name))


def requirement_name(written: str) -> str:
    """The name at the start of a requirement, normalised; empty where there is none."""
    match = _NAME.match(written)
    return normalised(match[1]) if match else ""


def tables(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A member that is a list of tables, or one table."""
    found = value.get(key)
    if isinstance(found, dict):
        return [found]
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def table(value: dict[str, Any], key: str) -> dict[str, Any]:
    """A member that is a table; an empty one for anything else."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def hashes(files: Iterable[Any], line: int, entries: Entries) -> tuple[str, ...]:
    """The digests of files, each a `sha256:HEX` text or a table with one as its `hash`. A file without one has none:
    then any file would do, so no digest is enforced and a note says so."""
    found: list[str] = []
    missing = False
    for file in files:
        written = text(file, "hash") if isinstance(file, dict) else file
        if not isinstance(written, str) or not written:
            missing = True
            continue
        found.append(digest(written, line, entries))
    if missing:
        entries.note("a file without a hash: it is not held to a digest", line)
    return () if missing else tuple(dict.fromkeys(found))


def digest(written: str, line: int, entries: Entries) -> str:
    """One digest. Raises ValueError, one sentence, where it is none."""
    try:
        return from_hex(written)
    except ValueError as error:
        raise entries.wrong(str(error), line) from None


def joined_markers(markers: Iterable[str]) -> str:
    """The marker under which any of `markers` holds; none where one of them is none."""
    each = list(dict.fromkeys(markers))
    if not each or "" in each:
        return ""
    return each[0] if len(each) == 1 else " or ".join(f"({one})" for one in each)


def reach(start: Iterable[str], edges: Callable[[str], Iterable[str]]) -> set[str]:
    """Everything that `start` leads to, with itself."""
    found = set(start)
    pending = list(found)
    while pending:
        for one in edges(pending.pop()):
            if one not in found:
                found.add(one)
                pending.append(one)
    return found
