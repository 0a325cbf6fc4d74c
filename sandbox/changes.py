"""What changed between two revisions of a lockfile: which packages must be looked at, and why. Nothing is read here."""

from __future__ import annotations

from collections.abc import Container
from itertools import islice
from typing import Any, Literal

import msgspec

from sandbox.lockfiles import Lock, Locked
from sandbox.report import Origin

Reason = Literal["new", "changed", "moved"]

_MOST_TOLD = 10
_MOST_COMPARED = 50
_LONGEST_VERSION = 256
_STRENGTH = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One package to look at. `previous` are the versions that it had (`1.0.0, 1.2.0`), empty for a new one; the same
    version where something else changed. `detail` says what, in words, where the reason alone does not. `earlier` is
    the one of the older lockfile to compare this one with, None for a new package."""

    entry: Locked
    reason: Reason
    previous: str = ""
    detail: str = ""
    earlier: Locked | None = None

    def origin(self, lock: Lock) -> Origin:
        """Where `lock`, the newer one, names it, and why it is looked at."""
        return Origin(
            file=self.entry.file or lock.path,
            line=self.entry.line,
            reason=self.reason,
            previous=self.previous,
            direct=self.entry.direct,
        )


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that changed, in the order of the newer lockfile; `removed` in that of the older. What is the same in
    both is `unchanged`, a number."""

    changes: tuple[Change, ...] = ()
    removed: tuple[Locked, ...] = ()
    unchanged: int = 0


def compare(before: Lock | None, after: Lock) -> Changes:
    """What changed from `before` to `after`; everything is new where there was no lockfile.

    A package is `new` where the older lock has none of its name, `changed` where it has only other versions of it (or
    the same version from another place), and `moved` where it pins this version to other content. A lost digest, and a
    further file that a Python package may be installed from, are `changed` too: what would be installed may differ.
    """
    earlier = _Earlier(before)
    same_format = before is not None and before.format == after.format
    changes: list[Change] = []
    kept = {(entry.ecosystem, entry.name, entry.version) for entry in after.entries}
    for entry in after.entries:
        change = _change(earlier, entry, same_format, kept)
        if change is not None:
            changes.append(change)
    gone = [
        entry
        for entry in (before.entries if before else ())
        if (entry.ecosystem, entry.name, entry.version) not in kept
    ]
    return Changes(changes=tuple(changes), removed=tuple(gone), unchanged=len(after.entries) - len(changes))


class _Earlier:
    """The older lockfile's entries, to be found quickly."""

    def __init__(self, lock: Lock | None) -> None:
        self.versions: dict[tuple[str, str], dict[str, Locked]] = {}
        self.same: dict[tuple[str, str, str], list[Locked]] = {}
        self.equal: dict[tuple[str, str, str, str, str], Locked] = {}
        for entry in lock.entries if lock else ():
            versions = self.versions.setdefault((entry.ecosystem, entry.name), {})
            versions.setdefault(entry.version or entry.location, entry)
            self.same.setdefault((entry.ecosystem, entry.name, entry.version), []).append(entry)
            self.equal[_identity(entry)] = entry

    def like(self, entry: Locked) -> list[Locked]:
        """The mentions of the same version, the one from the same place first. Bounded: there may be very many."""
        equal = self.equal.get(_identity(entry))
        same = self.same.get((entry.ecosystem, entry.name, entry.version), [])[:_MOST_COMPARED]
        return [equal, *same] if equal is not None else same


def _identity(entry: Locked) -> tuple[str, str, str, str, str]:
    return entry.ecosystem, entry.name, entry.version, entry.source, entry.location


def _change(
    earlier: _Earlier, entry: Locked, same_format: bool, kept: Container[tuple[str, str, str]]
) -> Change | None:
    versions = earlier.versions.get((entry.ecosystem, entry.name), {})
    if not versions:
        return Change(entry=entry, reason="new")
    same = earlier.like(entry)
    if not same:
        more = f" and {len(versions) - _MOST_TOLD} more" if len(versions) > _MOST_TOLD else ""
        told = ", ".join(islice(versions, _MOST_TOLD)) + more
        nearest = _nearest(entry, list(islice(versions.values(), _MOST_COMPARED)), kept)
        return Change(entry=entry, reason="changed", previous=told, earlier=nearest)
    # One earlier mention that says the same is enough; else the nearest one, from the same place, is spoken of.
    results = [_difference(one, entry, same_format) for one in same]
    if any(result is None for result in results):
        return None
    found = results[0]
    assert found is not None
    reason, detail = found
    return Change(
        entry=entry, reason=reason, previous=entry.version or same[0].location, detail=detail, earlier=same[0]
    )


def _nearest(entry: Locked, versions: list[Locked], kept: Container[tuple[str, str, str]]) -> Locked:
    """Of several versions the one that this one most likely takes the place of: gone, and the last before it."""
    gone = [one for one in versions if (one.ecosystem, one.name, one.version) not in kept] or versions
    lower = [one for one in gone if _order(one) <= _order(entry)]
    return max(lower, key=_order) if lower else min(gone, key=_order)


def _order(entry: Locked) -> Any:
    """A version by its ecosystem's own order; what is none, or is longer than any, comes first."""
    if entry.ecosystem == "npm":
        from semantic_version import Version
    else:
        from packaging.version import Version
    try:
        return Version(entry.version[:_LONGEST_VERSION])
    except ValueError:
        return Version("0.0.0")


def _difference(before: Locked, after: Locked, same_format: bool) -> tuple[Reason, str] | None:
    """What is different about the same version of the same package."""
    if before.digests and after.digests:
        found = _digests(before, after)
        if found is not None or before.source == after.source:
            return found  # one content by its digest is one artifact, wherever it lies
    elif before.digests and same_format:
        return "changed", "the lockfile no longer says which content it must have"
    if before.source != after.source:
        return "changed", f"it now comes from {_place(after)} and not from {_place(before)}"
    if before.location != after.location and same_format and not (before.digests or after.digests):
        return "changed", f"it now comes from {_place(after)} and not from {_place(before)}"
    return None


def _place(entry: Locked) -> str:
    return f"a {entry.source} ({entry.location})" if entry.location else f"a {entry.source}"


def _digests(before: Locked, after: Locked) -> tuple[Reason, str] | None:
    old, new = _by_algorithm(before.digests), _by_algorithm(after.digests)
    shared = old.keys() & new.keys()
    if not shared:
        if _strongest(new) < _strongest(old):
            return "moved", "its digest is of a weaker kind, so nothing shows that its content is the same"
        return "changed", "its digest is of another kind, so nothing shows that its content is the same"
    added = {algorithm for algorithm in shared if new[algorithm] - old[algorithm]}
    if not added:
        return None
    if after.ecosystem == "npm" or any(not new[algorithm] & old[algorithm] for algorithm in added):
        return "moved", "its digest changed and its version did not"
    # A PyPI release has several files, and may get more of them later.
    count = sum(len(new[algorithm] - old[algorithm]) for algorithm in added)
    return "changed", f"it may now be installed from {count} more file{'s' if count > 1 else ''} than before"


def _by_algorithm(digests: tuple[str, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for digest in digests:
        algorithm, _, value = digest.partition(":")
        found.setdefault(algorithm, set()).add(value)
    return found


def _strongest(digests: dict[str, set[str]]) -> int:
    return max((_STRENGTH.index(name) for name in digests if name in _STRENGTH), default=-1)
