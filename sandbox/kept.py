"""Keeps recordings until the report is written, for the formats that show what was recorded (`Reporter.recorded`).

Where the user keeps them (`--keep`), that folder serves. Else they stand in a private temporary folder, which is gone
with the report, and on an interrupt too; one whose owner was killed goes with the next run's. Memory is bounded: one
recording at a time is read, when it is asked for.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sandbox import events, signals
from sandbox.errors import BackendError
from sandbox.events import Recording
from sandbox.report import Report

_PREFIX = "baitbox-recordings-"
_YOUNG = 60.0
"""Seconds in which a folder may be made and not yet locked."""


class Kept(Mapping[str, Recording]):
    """The recordings of a report, by the paths that it names. Each is read when it is asked for and only the last one
    stays in memory. One that cannot be read is a KeyError, and from then on a sentence in `problems`."""

    def __init__(self, paths: Mapping[str, Path], read: Callable[[Path], Recording] = events.read) -> None:
        self._paths = dict(paths)
        self._read = read
        self._last: tuple[str, Recording] | None = None
        self.problems: dict[str, str] = {}

    def __getitem__(self, name: str) -> Recording:
        if self._last is not None and self._last[0] == name:
            return self._last[1]
        self._last = None  # before the next is read: never two at once
        if name in self.problems:
            raise KeyError(name)
        try:
            recording = self._read(self._paths[name])
        except OSError as error:
            self.problems[name] = f"the recording {name} cannot be read: {error.strerror or error}"
            raise KeyError(name) from None
        except ValueError as error:
            self.problems[name] = f"the recording {name} can no longer be read: {error}"
            raise KeyError(name) from None
        self._last = (name, recording)
        return recording

    def __iter__(self) -> Iterator[str]:
        """Those that can be read; each is, and is then at hand for `[]`."""
        return (name for name in self._paths if self.get(name) is not None)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, name: object) -> bool:
        return name in self._paths


@contextmanager
def folder(keep: Path | None, wanted: bool) -> Iterator[Path | None]:
    """Where recordings go while the block runs: the folder that the user keeps them in, else a private one where they
    are `wanted`, which is removed at the end. Raises BackendError where none can be made."""
    if keep is not None or not wanted:
        yield keep
        return
    _sweep()
    # A signal between the making and the `try` would leave the folder behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.LISTENED)
    try:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX))  # readable by its owner alone
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.LISTENED)
        hint = "free some disk space, or name another temporary folder with TMPDIR"
        raise BackendError(f"the recordings cannot be written: {error.strerror}", hint) from None
    try:
        with signals.at_the_latest(lambda: shutil.rmtree(made, ignore_errors=True)):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.LISTENED)
            yield made
    finally:
        os.close(lock)


def _sweep() -> None:
    """Remove what runs of ours that were killed have left: folders that nobody holds locked any more."""
    try:
        folders = list(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))
    except OSError:  # there is no temporary folder; who makes one says so
        return
    for old in folders:
        with suppress(OSError):
            found = old.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < _YOUNG:
                continue
            held = os.open(old, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old, ignore_errors=True)
            finally:
                os.close(held)


def recordings(report: Report, private: Path | None = None) -> tuple[Report, Kept]:
    """The report, and what it names recorded. Of recordings in a `private` folder the report says the name alone:
    the folder will be gone when somebody reads that."""
    paths = {path: Path(path) for package in report.packages for path in package.recordings}
    if private is None:
        return report, Kept(paths)
    packages = tuple(
        msgspec.structs.replace(one, recordings=tuple(Path(path).name for path in one.recordings))
        for one in report.packages
    )
    names = {path.name: path for path in paths.values()}
    return msgspec.structs.replace(report, packages=packages), Kept(names)
