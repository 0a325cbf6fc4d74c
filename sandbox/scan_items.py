"""From lockfiles to the packages to scan: each once, with all the places that name it. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox import left_open, local_packages, locked_targets
from sandbox.errors import BaitboxError, TargetError
from sandbox.lock_search import Found
from sandbox.locked_targets import Unchecked
from sandbox.lockfiles import Locked
from sandbox.registries import Registries
from sandbox.report import Coverage, Note, Origin, PackageReport
from sandbox.targets import Target, normalised, shown


class Item(msgspec.Struct, kw_only=True):
    """One package: what checks it (None: nothing can, and `missing` says why), and where it is named."""

    text: str
    entry: Locked
    target: Target | None = None
    missing: list[str] = []
    origins: list[Origin] = []

    @property
    def is_registry(self) -> bool:
        """Whether it can be installed together with others."""
        return self.target is not None and self.target.kind == "registry"

    def report(self, missing: Sequence[str]) -> PackageReport:
        """The report on it where nothing was run."""
        entry = self.entry
        return PackageReport(
            purl=local_packages.purl(entry.ecosystem, entry.name, entry.version), target=self.text,
            digest=next(iter(entry.digests), ""), verdict="inconclusive", coverage=Coverage(missing=tuple(missing)),
        )  # fmt: skip


class Items(msgspec.Struct, kw_only=True):
    """All of them: `by_lock` are the items of each lockfile, by its name."""

    items: dict[tuple[Any, ...], Item] = {}
    by_lock: dict[str, list[Item]] = {}
    notes: list[Note] = []
    lockfiles: list[PackageReport] = []
    """Lockfiles that cannot be read, or that leave something open, as lines of the report."""
    errors: list[tuple[str, BaitboxError]] = []


def collect(found: Sequence[Found], registries: Registries) -> Items:
    """The items of some lockfiles."""
    items, places = Items(), locked_targets.places(registries, None)
    for one in found:
        if one.lock is None:
            text = f"{shown(one.name)} cannot be read as a lockfile: {one.problem}"
            items.errors.append((one.name, TargetError(text)))
            items.lockfiles.append(left_open.line(one.name, (), problem=one.problem))
            continue
        items.notes += [note for note in one.lock.notes if note not in one.lock.unseen]
        if one.lock.unseen:
            items.lockfiles.append(left_open.line(one.name, one.lock.unseen))
        by_digest = one.lock.format == "yarn_classic"
        where = msgspec.structs.replace(places, folder=one.path.parent, top=one.top, by_digest=by_digest)
        own: dict[int, Item] = {}
        for entry in one.lock.entries:
            item = _add(items, one.name, entry, locked_targets.target(entry, where))
            if item is not None:
                own[id(item)] = item
        items.by_lock[one.name] = list(own.values())
    return items


def _add(items: Items, name: str, entry: Locked, result: Target | Unchecked) -> Item | None:
    origin = Origin(file=entry.file or name, line=entry.line, direct=entry.direct)
    if isinstance(result, Unchecked) and result.weight == "covered":
        text = f"{shown(f'{entry.name} {entry.version}'.strip())}: {result.why}"
        items.notes.append(Note(text=text, file=origin.file, line=origin.line))
        return None
    joint = "@" if entry.ecosystem == "npm" else "=="
    text = f"{entry.ecosystem}:{entry.name}" + (f"{joint}{entry.version}" if entry.version else "")
    item = items.items.setdefault(_key(entry, result), Item(text=text, entry=entry))
    if origin not in item.origins:
        item.origins.append(origin)
    if isinstance(result, Target):
        item.target, item.text = result, result.text
    elif result.why not in item.missing:
        item.missing.append(result.why)
    return item


def _key(entry: Locked, result: Target | Unchecked) -> tuple[Any, ...]:
    """What makes entries of several lockfiles one package."""
    name = normalised(entry.name) if entry.ecosystem == "pypi" else entry.name
    where = () if isinstance(result, Target) and result.kind == "registry" else (entry.source, entry.location)
    return (entry.ecosystem, name, entry.version, frozenset(entry.digests), frozenset(entry.extras), where)
