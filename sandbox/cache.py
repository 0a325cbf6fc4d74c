"""What was fetched before: package files by digest, and registries' answers by address, on the user's disk.

    <root>/blobs/<algorithm>/<two digits>/<digest>      a file; its digest was checked before it got this name
    <root>/answers/<two digits>/<hash of the key>       one JSON line: what was answered, when; names its blob
    <root>/partial/                                     downloads under way; a crash's are removed after a day

The root is `$XDG_CACHE_HOME/baitbox` or `~/.cache/baitbox`, for its owner only. Everything appears by rename,
so any number of runs may share it, and a run that is killed leaves nothing half-written under a final name.
Blobs are hashed again when read, up to 8 MiB; a larger one is trusted as long as its modification time is as
many seconds after 1970 as it has bytes, which is how it was left here (any later write changes one of the
two). When the blobs exceed the limit, the least recently used go (access times are kept by us, so `noatime`
does not matter).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import msgspec

from sandbox.errors import BackendError

STRONG = ("sha512", "sha384", "sha256")
_HEX_SIZES = {"sha512": 128, "sha384": 96, "sha256": 64, "sha224": 56, "sha1": 40, "md5": 32}
_HEX = re.compile(r"[0-9a-f]+")
LIMIT = 5 * 1024**3
TTL = 300.0
"""Seconds for which a registry's answer is used without asking again."""
_HASHED_WHEN_READ = 8 * 1024**2
_SECOND = 1_000_000_000
_DAY = 86_400.0
_LARGEST_ANSWER = 64 * 1024


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry answered: which blob the body is (as sent: `encoding` is its Content-Encoding), from
    which address in the end, and when."""

    key: str
    stored: float
    blob: str
    url: str = ""
    etag: str = ""
    content_type: str = ""
    encoding: str = ""
    immutable: bool = False

    def fresh(self, now: float | None = None) -> bool:
        """True while it may be used without asking the registry again."""
        age = (time.time() if now is None else now) - self.stored
        return self.immutable or 0 <= age < TTL


def split_digest(digest: str) -> tuple[str, str]:
    """`algorithm:hex` in two parts, checked: both become parts of a path. Raises ValueError."""
    algorithm, _, value = digest.partition(":")
    if len(value) != _HEX_SIZES.get(algorithm) or not _HEX.fullmatch(value):
        raise ValueError(f"not a digest: {digest[:40]!r}")
    return algorithm, value


class Writer:
    """A blob on its way in. Use as a context manager: without `finish`, nothing stays."""

    def __init__(self, cache: Cache, algorithm: str) -> None:
        self.size = 0
        self._cache = cache
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        # A weak digest can be checked, but a file is never known by it.
        self._strong = self._hash if algorithm in STRONG else hashlib.sha512()
        self._path = cache.root / "partial" / os.urandom(12).hex()
        self._file = -1

    def __enter__(self) -> Writer:
        return self

    def _open(self) -> None:
        """Only inside the `with` block: an interrupt just before it would leave the file there."""
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Append. Raises BackendError where the disk is full."""
        self._hash.update(data)
        if self._strong is not self._hash:
            self._strong.update(data)
        self.size += len(data)
        view = memoryview(data)
        with self._cache.writing():
            self._open()
            while view:
                view = view[os.write(self._file, view) :]

    def finish(self, expected: str = "") -> str:
        """Check the digest and give the blob its name; returns the strong digest that it is known by. Raises
        ValueError where `expected` is another."""
        actual = f"{self._algorithm}:{self._hash.hexdigest()}"
        if expected and actual != expected:
            raise ValueError(f"{actual} instead of {expected}")
        name = "sha512" if self._algorithm not in STRONG else self._algorithm
        digest = f"{name}:{self._strong.hexdigest()}"
        with self._cache.writing():
            self._open()
            os.utime(self._file, ns=(time.time_ns(), self.size * _SECOND))
            os.close(self._file)
            self._file = -1
            self._cache.place(self._path, self._cache.blob_path(digest))
        return digest

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        with suppress(OSError):
            self._path.unlink()


class Cache:
    """The store. Cheap to make: nothing is read or written before it is needed. Safe from several threads and
    processes."""

    def __init__(self, root: Path | None = None, limit: int = LIMIT) -> None:
        self.root = default_root() if root is None else root
        self.limit = limit
        self._ready = False

    def blob_path(self, digest: str) -> Path:
        """Where a blob is or would be. Raises ValueError for what is no strong digest."""
        algorithm, value = split_digest(digest)
        if algorithm not in STRONG:
            raise ValueError(f"{algorithm} is too weak to know a file by")
        return self.root / "blobs" / algorithm / value[:2] / value

    def find(self, digest: str) -> Path | None:
        """The blob's path, checked as far as the module says; None where it is missing or damaged."""
        path = self.blob_path(digest)
        try:
            status = path.stat()
            if status.st_size > _HASHED_WHEN_READ and status.st_mtime_ns == status.st_size * _SECOND:
                self._used(path, status)
                return path
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, split_digest(digest)[0]).hexdigest()
        except OSError:
            return None
        if actual != split_digest(digest)[1]:
            self._discard(path)
            return None
        self._used(path, status)
        return path

    def read(self, digest: str) -> bytes | None:
        """The blob's bytes, always checked; None where it is missing or damaged."""
        path = self.blob_path(digest)
        try:
            status = path.stat()
            content = path.read_bytes()
        except OSError:
            return None
        algorithm, value = split_digest(digest)
        if hashlib.new(algorithm, content).hexdigest() != value:
            self._discard(path)
            return None
        self._used(path, status)
        return content

    def size(self, digest: str) -> int | None:
        """The blob's size without looking at it; None where it is missing."""
        try:
            return self.blob_path(digest).stat().st_size
        except OSError:
            return None

    def writer(self, algorithm: str = "sha256") -> Writer:
        """A blob to be written, hashed on the way. Raises BackendError where nothing can be written."""
        self._prepare()
        return Writer(self, algorithm)

    def answer(self, key: str) -> Answer | None:
        """What was answered for `key`, fresh or not; None where nothing readable is known."""
        try:
            with self._answer_path(key).open("rb") as file:
                found = msgspec.json.decode(file.read(_LARGEST_ANSWER), type=Answer)
            self.blob_path(found.blob)
        except (OSError, ValueError, msgspec.DecodeError):
            return None
        return found if found.key == key else None

    def remember(self, answer: Answer) -> None:
        """Keep an answer whose blob is already here. Raises BackendError where nothing can be written."""
        self._prepare()
        partial = self.root / "partial" / os.urandom(12).hex()
        with self.writing():
            try:
                partial.write_bytes(msgspec.json.encode(answer))
                self.place(partial, self._answer_path(answer.key))
            finally:
                partial.unlink(missing_ok=True)

    def prune(self, *, now: float | None = None) -> int:
        """Remove what crashed runs left and, over the limit, the least recently used blobs; returns the bytes
        freed. Answers whose blob is gone are simply asked again."""
        moment = time.time() if now is None else now
        freed = 0
        for path in _files(self.root / "partial"):
            with suppress(OSError):
                status = path.stat()
                if moment - max(status.st_mtime, status.st_ctime) > _DAY:
                    path.unlink()
                    freed += status.st_size
        blobs = []
        for path in _files(self.root / "blobs"):
            with suppress(OSError):
                status = path.stat()
                blobs.append((status.st_atime, status.st_size, path))
        total = sum(size for _, size, _ in blobs)
        if total > self.limit:
            for _, size, path in sorted(blobs):
                if total <= self.limit * 8 // 10:
                    break
                with suppress(OSError):
                    path.unlink()
                    total -= size
                    freed += size
        return freed

    def tend(self) -> None:
        """Prune, unless that was done within the last hour; for who has just added to the cache."""
        stamp = self.root / "pruned"
        with suppress(OSError):
            if time.time() - stamp.stat().st_mtime < _DAY / 24:
                return
        with suppress(OSError):
            stamp.touch()
            self.prune()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns a disk that cannot be written into a BackendError with a hint."""
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise BackendError(
                f"the cache {self.root} cannot be written: {error.strerror or error}",
                "free some disk space" if full else "choose a folder of your own with --cache or BAITBOX_CACHE",
            ) from error

    def place(self, partial: Path, final: Path) -> None:
        """Give a complete file its name."""
        try:
            partial.replace(final)
        except FileNotFoundError:
            final.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(final)

    def _prepare(self) -> None:
        if self._ready:
            return
        with self.writing():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.root.stat().st_mode & 0o077:
                self.root.chmod(0o700)
            (self.root / "partial").mkdir(exist_ok=True)
        self._ready = True

    def _answer_path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
        return self.root / "answers" / name[:2] / name

    @staticmethod
    def _used(path: Path, status: os.stat_result) -> None:
        with suppress(OSError):
            if time.time() - status.st_atime > _DAY / 24:
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))

    @staticmethod
    def _discard(path: Path) -> None:
        with suppress(OSError):
            path.unlink()


def default_root() -> Path:
    """The user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the XDG specification says to pass over relative paths
        base = os.path.expanduser("~/.cache")
    return Path(base) / "baitbox"


def _files(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        for name in names:
            yield Path(where) / name
