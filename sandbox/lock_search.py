"""Finds lockfiles: those named, and those in the folders named, without the ones of installed packages. Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sandbox import lockfiles
from sandbox.errors import TargetError
from sandbox.lock_pairs import NOT_OURS
from sandbox.lockfiles import MOST_BYTES, Include, Lock
from sandbox.report import Note
from sandbox.targets import shown

MOST_FOLDERS = 200_000
MOST_LOCKFILES = 5_000
DEEPEST = 16
"""Folders below the one named; repositories in repositories are rarely deeper."""
_SKIPPED = NOT_OURS | {".git", ".hg", ".svn", ".tox", ".nox", "__pycache__", ".cache"}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One lockfile: how reports name it, where it is, the folder that nothing it names may lead out of, and what it
    says, or why it cannot be read."""

    name: str
    path: Path
    top: Path
    lock: Lock | None = None
    problem: str = ""


def find(paths: Sequence[str]) -> tuple[list[Found], list[Note]]:
    """The lockfiles that `paths` name or hold, each once; and what of the folders was not looked into. Raises
    TargetError where a path is not there, or where there is no lockfile at all."""
    found: dict[Path, Found] = {}
    notes: list[Note] = []
    for text in paths:
        place = Path(text).expanduser()
        if place.is_dir():
            inside, more = _walk(place)
            notes += more
        elif place.exists():
            inside = [(text, place)]
        else:
            raise TargetError(f"{shown(text)}: there is no such file or folder")
        for name, path in inside:
            real = path.resolve()
            if real not in found:
                found[real] = _read(plain(name), real, (place if place.is_dir() else place.parent).resolve())
    if not found:
        raise TargetError(
            f"there is no lockfile in {', '.join(shown(text) for text in paths[:3])}",
            "without one, what will be installed is not known",
        )
    return list(found.values()), notes


def plain(name: str) -> str:
    """A path as reports may hold it: what is not UTF-8 as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _walk(top: Path) -> tuple[list[tuple[str, Path]], list[Note]]:
    """(name, path) of every lockfile below a folder, in an order that does not depend on the disk. Links to folders
    are not followed."""
    found: list[tuple[str, Path]] = []
    notes: list[Note] = []
    walk = os.walk(top, onerror=lambda error: notes.append(_unread(error)))
    for seen, (where, folders, files) in enumerate(walk, start=1):
        here = Path(where)
        depth = len(here.relative_to(top).parts)
        folders[:] = sorted(name for name in folders if not _is_skipped(here, name))
        if depth >= DEEPEST and folders:
            notes.append(Note(text=f"folders below {shown(where)} are not looked into: too deep"))
            folders[:] = []
        named = [name for name in sorted(files) if lockfiles.by_name(os.path.join(os.path.basename(where), name))]
        found += [(os.path.join(where, name), here / name) for name in named]
        if seen >= MOST_FOLDERS or len(found) >= MOST_LOCKFILES:
            notes.append(Note(text=f"only the first {len(found)} lockfiles in {shown(str(top))} are scanned"))
            break
    return found, notes


def _is_skipped(here: Path, name: str) -> bool:
    return name in _SKIPPED or (here / name / "pyvenv.cfg").exists()


def _unread(error: OSError) -> Note:
    return Note(text=f"a folder cannot be looked into: {error.strerror}", file=shown(str(error.filename)))


def _read(name: str, path: Path, top: Path) -> Found:
    try:
        lock = lockfiles.read(read_bounded(path), name, _include(path.parent, top))
    except OSError as error:
        return Found(name=name, path=path, top=top, problem=error.strerror or "it cannot be read")
    except ValueError as error:
        return Found(name=name, path=path, top=top, problem=str(error))
    return Found(name=name, path=path, top=top, lock=lock)


def read_bounded(path: Path) -> bytes:
    """A regular file's content. Raises OSError, and ValueError where it is too large or something else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MOST_BYTES + 1) or b""
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024**2} MiB")
    return content


def _include(folder: Path, top: Path) -> Include:
    """Reads what a requirements file includes, within the folder that is scanned."""

    def read(name: str) -> bytes:
        path = (folder / name).resolve()
        if not path.is_relative_to(top):
            raise ValueError("it leads out of the folder that is scanned")
        return read_bounded(path)

    return read


def names(found: Sequence[Found]) -> Iterator[str]:
    """How reports name them."""
    return (one.name for one in found)
