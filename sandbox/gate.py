"""The gate of a change: what two revisions of the lockfiles differ in is run and judged, and nothing else.

Every entry that is new or changed ends in the report: checked, or with the reason why it could not be. The change under
test has no say in how it is judged: settings come from the base where it touches them.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from sandbox import (
    changes,
    digest_moved,
    left_open,
    local_packages,
    lock_pairs,
    locked_targets,
    report,
    revisions,
    schedule,
)
from sandbox.errors import BaitboxError, TargetError, UnfitError, UsageError
from sandbox.lock_pairs import Pair
from sandbox.locked_targets import Places, Unchecked
from sandbox.lockfiles import MOST_BYTES, Lock, Locked
from sandbox.progress import Progress
from sandbox.registries import registry_settings
from sandbox.report import Coverage, Note, Origin, PackageReport
from sandbox.settings import Settings
from sandbox.targets import Target, normalised, shown

MOST_REMOVED = 200
"""Removed packages that are noted one by one, for each lockfile."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared: the lockfiles, and how the older revision is called. `folder` is the repository's top where
    the newer lockfiles are those on disk, `pyproject` the settings file's text at the base where the change touches
    its settings, and `npmrc` whether it touches the `.npmrc` here."""

    pairs: tuple[Pair, ...]
    base: str
    folder: Path | None = None
    pyproject: str | None = None
    npmrc: bool = False


class _Item(msgspec.Struct, kw_only=True):
    """One package to report on, and all the places that name it."""

    text: str
    entry: Locked
    target: Target | None = None
    earlier: locked_targets.Earlier | None = None
    missing: list[str] = []
    origins: list[Origin] = []
    findings: list[report.Finding] = []


def compare(
    named: Sequence[str] = (), base: str = "", head: str = "", before: Path | None = None, after: Path | None = None
) -> Compared:
    """What the command line names: two revisions, of which `head` may be empty for the working tree, or two files.
    Raises UsageError or TargetError."""
    if before is not None or after is not None:
        if base or head or named or after is None:
            raise UsageError(
                "two files are compared by --before FILE and --after FILE alone",
                "leave out --before where everything counts as new",
            )
        pair = lock_pairs.of_files(before, after)
        return Compared(pairs=(pair,), base=str(before or "nothing"))
    if not base:
        raise UsageError(
            "there is nothing to compare with",
            "--base REV names the revision before the change, such as --base origin/main; or two files: "
            "--before FILE --after FILE",
        )
    here = Path.cwd()
    root = revisions.repository(here)
    newer = revisions.commit(root, head or "HEAD")
    older = revisions.fork_point(revisions.commit(root, base), newer.id)
    tree: revisions.Tree = newer if head else revisions.WorkingTree(root)
    pairs = lock_pairs.of_trees(older, tree, [_in_repository(name, here, root) for name in named])
    place = here.resolve().relative_to(root)
    return Compared(
        pairs=tuple(pairs),
        base=base,
        folder=None if head else root,
        pyproject=_settings_at(older, newer, f"{place}/pyproject.toml".removeprefix("./")),
        npmrc=_bytes_at(older, f"{place}/.npmrc".removeprefix("./"))
        != _bytes_at(newer, f"{place}/.npmrc".removeprefix("./")),
    )


def check(compared: Compared, settings: Settings, progress: Progress) -> schedule.Outcome:
    """Run what changed, and report on all of it. Raises BaitboxError only where nothing at all can be done."""
    began = time.monotonic()
    found = _collect(compared)
    items = list(found.items.values())
    wanted = [item.target for item in items if item.target is not None]
    progress.step(f"{len(wanted)} packages to check, {found.unchanged} are as they were in {compared.base}")
    outcome = schedule.check_all(wanted, settings, progress, keep_error=True) if wanted else None
    checked = iter(_beside_the_previous(items, outcome.report.packages, settings, progress) if outcome else ())
    packages = [_reported(item, next(checked) if item.target else None) for item in items]
    packages += [
        left_open.line(pair.path, pair.open, problem=pair.problem, reason="changed" if pair.before else "new")
        for pair in compared.pairs
        if pair.open or pair.problem
    ]
    notes, errors = found.notes, found.errors
    if outcome:
        # What is not for this machine is inconclusive, and no mistake of anybody's.
        errors += [(text, error) for text, error in outcome.errors if not isinstance(error, UnfitError)]
    if not packages:
        files = ", ".join(shown(pair.path) for pair in compared.pairs[:5])
        same = f"all {found.unchanged} are as they were" if found.unchanged else "there is none"
        notes.insert(0, Note(text=f"no package is new or changed since {shown(compared.base)}: {same} in {files}"))
    backend = outcome.report.tool.backend if outcome else ""
    whole = schedule.assemble(packages, time.monotonic() - began, backend)
    verdict = whole.verdict if packages else "clean"
    return schedule.Outcome(msgspec.structs.replace(whole, notes=tuple(notes), verdict=verdict), tuple(errors))


def _beside_the_previous(
    items: Sequence[_Item], checked: Sequence[PackageReport], settings: Settings, progress: Progress
) -> list[PackageReport]:
    """The reports of all that was asked for, with what of it the version before the change did too."""
    asked = [item for item in items if item.target is not None]
    if all(one.verdict == "clean" for one in checked):
        return list(checked)
    from sandbox import previous  # 0.15 s that a clean change does without

    subjects = [
        previous.Subject(report=one, target=item.target, earlier=item.earlier)
        for item, one in zip(asked, checked, strict=True)
    ]
    return previous.compare(subjects, settings, progress)


class _Found(msgspec.Struct, kw_only=True):
    """What changed in all lockfiles together."""

    items: dict[tuple[Any, ...], _Item] = {}
    notes: list[Note] = []
    errors: list[tuple[str, BaitboxError]] = []
    unchanged: int = 0


def _collect(compared: Compared) -> _Found:
    found = _Found()
    where = locked_targets.places(registry_settings(project=None if compared.npmrc else Path()), compared.folder)
    for pair in compared.pairs:
        found.notes += pair.notes
        if pair.problem:
            name = shown(pair.path)  # which most problems begin with
            text = pair.problem if pair.problem.startswith(name) else f"{name} cannot be read: {pair.problem}"
            found.errors.append((pair.path, TargetError(text)))
        if pair.after is not None:
            _add(found, pair, pair.after, _beside(where, pair, pair.after))
    if compared.npmrc:
        text = "this change touches .npmrc, so which registry is asked is not read from it"
        found.notes.append(Note(text=text, file=".npmrc"))
        for item in found.items.values():
            if item.target is not None:
                item.target = msgspec.structs.replace(item.target, project_settings=False)
            if item.earlier is not None:
                item.earlier = item.earlier.without_project_settings()
    return found


def _add(found: _Found, pair: Pair, after: Lock, where: Places) -> None:
    """Add what changed in one lockfile."""
    compared = changes.compare(pair.before, after)
    earlier: dict[tuple[str, str], list[str]] = {}
    for entry in pair.before.entries if pair.before else ():
        earlier.setdefault((entry.name, entry.version), []).extend(entry.digests)
    for change in compared.changes:
        entry, origin = change.entry, change.origin(after)
        result = locked_targets.target(entry, where)
        if isinstance(result, Unchecked) and result.weight == "covered":
            found.notes.append(Note(text=f"{_named(entry)}: {result.why}", file=origin.file, line=origin.line))
            continue
        item = found.items.setdefault(_key(entry, result), _Item(text=_text(entry), entry=entry))
        if origin not in item.origins:
            item.origins.append(origin)
        if change.earlier is not None and (item.earlier is None or not item.earlier.can_run):
            item.earlier = locked_targets.earlier(change.earlier, entry, _beside(where, pair, pair.before or after))
        if isinstance(result, Target):
            item.target, item.text = result, result.text
        elif result.why not in item.missing:
            item.missing.append(result.why)
        if change.reason == "moved":
            place = f"{origin.file}, line {origin.line}" if origin.line else origin.file
            before = dict.fromkeys(earlier.get((entry.name, entry.version), ()))
            item.findings.append(
                digest_moved.finding(entry.name, entry.version, change.detail, before, entry.digests, place)
            )
    # What is now another version is told as that.
    other = {change.entry.name for change in compared.changes if change.previous}
    found.notes += _removed(after, [entry for entry in compared.removed if entry.name not in other])
    found.unchanged += compared.unchanged


def _key(entry: Locked, result: Target | Unchecked) -> tuple[Any, ...]:
    """What makes two entries of several lockfiles one check."""
    name = normalised(entry.name) if entry.ecosystem == "pypi" else entry.name
    where = () if isinstance(result, Target) and result.kind == "registry" else (entry.source, entry.location)
    return (entry.ecosystem, name, entry.version, frozenset(entry.digests), frozenset(entry.extras), where)


def _removed(lock: Lock, removed: Sequence[Locked]) -> list[Note]:
    notes = [Note(text=f"{_named(entry)} was removed", file=lock.path) for entry in removed[:MOST_REMOVED]]
    if len(removed) > MOST_REMOVED:
        notes.append(Note(text=f"{len(removed) - MOST_REMOVED} more were removed", file=lock.path))
    return notes


def _reported(item: _Item, checked: PackageReport | None) -> PackageReport:
    """The report on one package: what its run showed, what its lockfile shows, and where it is named.

    What the version before the change did too stands in `checked`, and changes nothing here.
    """
    entry = item.entry
    if checked is None or not checked.purl:
        purl = local_packages.purl(entry.ecosystem, entry.name, entry.version)
        missing = checked.coverage.missing if checked else tuple(f"not checked: {why}" for why in item.missing)
        checked = PackageReport(
            purl=purl, target=item.text, digest=next(iter(entry.digests), ""), verdict="inconclusive",
            coverage=Coverage(missing=missing),
        )  # fmt: skip
    moved: list[report.Verdict] = [finding.verdict for finding in item.findings]
    return msgspec.structs.replace(
        checked,
        findings=(*item.findings, *checked.findings),
        verdict=report.worst([checked.verdict, *moved]),
        origins=tuple(item.origins),
    )


def _named(entry: Locked) -> str:
    return shown(f"{entry.name} {entry.version}".strip())


def _text(entry: Locked) -> str:
    joint = "@" if entry.ecosystem == "npm" else "=="
    return f"{entry.ecosystem}:{entry.name}" + (f"{joint}{entry.version}" if entry.version else "")


def _beside(where: Places, pair: Pair, lock: Lock) -> Places:
    """The places as one lockfile means them: local paths start from its own folder."""
    folder = None if where.top is None else (where.top / pair.path).parent
    return msgspec.structs.replace(where, folder=folder, by_digest=lock.format == "yarn_classic")


def _in_repository(name: str, here: Path, root: Path) -> str:
    """A path on the command line as the repository knows it. Raises UsageError where it lies outside, or where no
    lockfile is called so."""
    place = Path(os.path.abspath(here / name))
    path = place.parent.resolve() / place.name
    if not path.is_relative_to(root):
        raise UsageError(f"{shown(name)} is not in the repository {root}", "compare files with --before and --after")
    if not lock_pairs.is_lockfile(str(path.relative_to(root))):
        raise UsageError(f"{shown(name)} has no name that a lockfile has", "compare files with --before and --after")
    return str(path.relative_to(root))


def _bytes_at(tree: revisions.Tree, path: str) -> bytes | None:
    try:
        return tree.read(path, MOST_BYTES)
    except ValueError:
        return b""


def _settings_at(base: revisions.Tree, head: revisions.Tree, path: str) -> str | None:
    """The settings file's text at the base, where the change touches `[tool.baitbox]`; else None."""
    texts = [(_bytes_at(tree, path) or b"").decode("utf-8", "replace") for tree in (base, head)]
    older, newer = map(_table, texts)
    return texts[0] if older != newer else None


def _table(text: str) -> object:
    try:
        return tomllib.loads(text).get("tool", {}).get("baitbox")
    except (ValueError, AttributeError, RecursionError):
        return text  # what cannot be read is as good as changed
