"""Which lockfiles there are, before and after, and what each says. Renamed ones are compared with what they were."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from sandbox import lockfiles, revisions
from sandbox.errors import TargetError, UsageError
from sandbox.lockfiles import MOST_BYTES, Include, Lock
from sandbox.report import Note
from sandbox.revisions import Tree
from sandbox.targets import shown

NOT_OURS = frozenset({"node_modules", "site-packages", ".venv", "venv"})
"""Folders whose lockfiles belong to somebody else's package."""
_SAME_SHARE = 0.5


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One lockfile, as it was and as it is. `before` is None where there was none, `after` where there is none any
    more or where it cannot be read (`problem` says why). `notes` are about the comparison itself; those in `open`
    leave something unseen."""

    path: str
    before: Lock | None = None
    after: Lock | None = None
    notes: tuple[Note, ...] = ()
    open: tuple[Note, ...] = ()
    problem: str = ""


class _Side(msgspec.Struct, frozen=True):
    """A lockfile in one tree: `content` is None where it is not there."""

    content: bytes | None = None
    lock: Lock | None = None
    problem: str = ""


def of_trees(base: Tree, head: Tree, named: Sequence[str] = ()) -> list[Pair]:
    """The lockfiles of two trees: those `named`, or all. Raises UsageError for a name that is no lockfile's, and
    TargetError where there is none at all."""
    paths = list(dict.fromkeys(named)) or sorted({*_found(base.paths()), *_found(head.paths())})
    if not paths:
        raise TargetError(
            f"there is no lockfile in {head.name}, nor in {base.name}",
            "without one, what will be installed is not known; name one if it is called something else",
        )
    before = {path: _side(base, path) for path in paths}
    after = {path: _side(head, path, before[path]) for path in paths}
    for path in named:
        if before[path].content is None and after[path].content is None and not after[path].problem:
            raise TargetError(f"there is no {shown(path)} in {head.name}, nor in {base.name}")
    earlier = {path: path for path in paths if before[path].lock is not None and _is_there(after[path])}
    earlier |= _renamed(
        {path: side.lock for path, side in before.items() if side.lock and not _is_there(after[path])},
        {path: side.lock for path, side in after.items() if side.lock and not _is_there(before[path])},
    )
    gone = {path for path in paths if _is_there(before[path])} - set(earlier.values())
    return [
        _pair(path, before[earlier.get(path, path)], after[path], earlier.get(path))
        for path in paths
        if _is_there(after[path]) or path in gone
    ]


def of_files(before: Path | None, after: Path) -> Pair:
    """Two files. Raises TargetError where one cannot be read."""
    sides = []
    for path in (before, after):
        if path is None:
            sides.append(_Side())
            continue
        try:
            content = revisions.read_file(path.resolve(), MOST_BYTES)
        except ValueError as error:
            raise TargetError(f"{shown(str(path))} {error}") from None
        if content is None:
            raise TargetError(f"there is no file {shown(str(path))}")
        sides.append(_parsed(content, str(path), _beside(path)))
    for path, side in zip((before, after), sides, strict=True):
        if side.problem:
            raise TargetError(f"{shown(str(path))} cannot be read as a lockfile: {side.problem}")
    old, new = (side.lock for side in sides)
    if old is not None and new is not None and old.ecosystem != new.ecosystem:
        raise UsageError(f"{shown(str(before))} is of {old.ecosystem}, and {shown(str(after))} of {new.ecosystem}")
    return _pair(str(after), sides[0], sides[1], str(after))


def is_lockfile(path: str) -> bool:
    """Whether a path's name is one that lockfiles have."""
    return bool(lockfiles.by_name(path))


def _found(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if is_lockfile(path) and not NOT_OURS & set(path.split("/")[:-1])]


def _is_there(side: _Side) -> bool:
    return side.content is not None or bool(side.problem)


def _side(tree: Tree, path: str, other: _Side | None = None) -> _Side:
    try:
        content = tree.read(path, MOST_BYTES)
    except ValueError as error:
        return _Side(problem=str(error))
    if content is None:
        return _Side()
    if other is not None and other.content == content and other.lock is not None and other.lock.ecosystem == "npm":
        return other  # the same bytes, of formats that include nothing

    def include(wanted: str) -> bytes:
        if wanted.startswith(("/", "../")) or wanted == "..":
            raise ValueError("leads out of the repository")
        found = tree.read(wanted, MOST_BYTES)
        if found is None:
            raise FileNotFoundError(wanted)
        return found

    return _parsed(content, path, include)


def _parsed(content: bytes, path: str, include: Include) -> _Side:
    try:
        return _Side(content, lockfiles.read(content, path, include))
    except ValueError as error:
        return _Side(content, None, str(error))


def _beside(path: Path) -> Include:
    """Reads what a requirements file includes: from its own folder or the current one, and below."""
    tops = (path.resolve().parent, Path.cwd())

    def include(wanted: str) -> bytes:
        place = Path(wanted).resolve()
        if not any(place.is_relative_to(top) for top in tops):
            raise ValueError("leads out of the folder")
        found = revisions.read_file(place, MOST_BYTES)
        if found is None:
            raise FileNotFoundError(wanted)
        return found

    return include


def _renamed(gone: dict[str, Lock], new: dict[str, Lock]) -> dict[str, str]:
    """What each new lockfile was called before (or of which format it was): the vanished one that it shares most with,
    if that is at least half of the smaller. Each vanished one is taken once."""
    names = {path: {(entry.name, entry.version) for entry in lock.entries} for path, lock in (gone | new).items()}
    found: dict[str, str] = {}
    ranked = sorted(
        ((len(names[old] & names[path]), posixpath.basename(old) == posixpath.basename(path), old, path)
         for old, one in gone.items() for path, other in new.items() if one.ecosystem == other.ecosystem),
        reverse=True,
    )  # fmt: skip
    for shared, _, old, path in ranked:
        smaller = min(len(names[old]), len(names[path]))
        if shared >= max(1, smaller * _SAME_SHARE) and path not in found and old not in found.values():
            found[path] = old
    return found


def _pair(path: str, before: _Side, after: _Side, earlier: str | None) -> Pair:
    notes, left_open = [], []
    if earlier is not None and earlier != path:
        notes.append(Note(text=f"it takes the place of {shown(earlier)}, and is compared with that", file=path))
    if before.problem and _is_there(after):
        notes.append(Note(text=f"as it was before it cannot be read, so everything counts as new: {before.problem}",
                          file=path))  # fmt: skip
    if not _is_there(after):
        text = "it was removed, and no other lockfile takes its place: what will be installed is not pinned any more"
        left_open.append(Note(text=text, file=path))
    elif after.lock is not None:
        known = {note.text for note in (before.lock.notes if before.lock else ())}
        for note in after.lock.notes:
            (notes if note.text in known else left_open).append(note if note.file else _at(note, path))
    return Pair(
        path=path, before=before.lock, after=after.lock, notes=tuple(notes), open=tuple(left_open),
        problem=after.problem,
    )  # fmt: skip


def _at(note: Note, path: str) -> Note:
    return msgspec.structs.replace(note, file=path)
