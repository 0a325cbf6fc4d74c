"""Recordings on disk: one gzip file each, named by the SHA-256 of its text, so that `zcat` shows it.

gzip and not zstd: on recordings of real packages (0.6 to 2.2 MB) zlib's level 6 makes 13 to 16 times smaller in 9 to
80 ms, beside runs of seconds; zstd saves 7 % more, which is not worth a dependency.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sandbox import events
from sandbox.store.rows import Served, StoredRecording

SUFFIX = ".jsonl.gz"
MOST_SERVED = 20_000
"""Files that one run notes as served: a hostile guest could ask for more than it needs."""

_LEVEL = 6
_CHUNK = 1024 * 1024
_LONGEST_LINE = 64 * 1024
_SERVED = b'"event":"artifact.served"'
_TROUBLE = b'"status":403,"answered_by":"registry"'
"""How the mirror of the registries tells the guest that one of them failed (`gateway.registry.Mirror.answer`)."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A recording ready to be kept: `content` is the compressed file. `troubled`: a registry failed meanwhile."""

    persona: str
    digest: str
    size: int
    content: bytes
    troubled: bool = False
    served: tuple[Served, ...] = ()

    @property
    def stored(self) -> StoredRecording:
        """What is written down about it."""
        return StoredRecording(
            persona=self.persona, digest=self.digest, size=self.size, stored=len(self.content)
        )


def pack(recording: Path, persona: str) -> Packed:
    """Compress a recording, and note what registries did in it. Raises OSError."""
    pressing = zlib.compressobj(_LEVEL, wbits=31)
    digest, size, pieces = hashlib.sha256(), 0, []
    served: dict[Served, None] = {}
    troubled = False
    with recording.open("rb") as file:
        while lines := file.readlines(_CHUNK):
            chunk = b"".join(lines)
            digest.update(chunk)
            size += len(chunk)
            pieces.append(pressing.compress(chunk))
            if _SERVED in chunk and len(served) < MOST_SERVED:
                served.update(dict.fromkeys(_served(lines)))
            troubled = troubled or (_TROUBLE in chunk and any(map(_is_trouble, lines)))
    pieces.append(pressing.flush())
    return Packed(
        persona=persona,
        digest=digest.hexdigest(),
        size=size,
        content=b"".join(pieces),
        troubled=troubled,
        served=tuple(sorted(served)[:MOST_SERVED]),
    )


def _is_trouble(line: bytes) -> bool:
    with suppress(ValueError):
        event = next(events.lines([line])) if _TROUBLE in line else None
        return isinstance(event, events.RequestSent) and event.status == 403 and event.answered_by == "registry"
    return False


def _served(lines: list[bytes]) -> Iterator[Served]:
    # A guest's own words may hold the mark as well: only what is such an event counts.
    for line in lines:
        if _SERVED in line and len(line) <= _LONGEST_LINE:
            with suppress(ValueError):
                event = next(events.lines([line]))
                if isinstance(event, events.ArtifactServed):
                    yield Served(event.url, event.digest)


class Recordings:
    """The folder of recordings. Raises OSError where it cannot be used, ValueError for what is damaged."""

    def __init__(self, root: Path) -> None:
        self.root = root / "recordings"
        self.partial = root / "partial"

    def path(self, digest: str) -> Path:
        """Where a recording is or would be. Raises ValueError for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is no digest of a recording")
        return self.root / digest[:2] / f"{digest}{SUFFIX}"

    def put(self, packed: Packed) -> None:
        """Write it so that it is there whole or not at all, also after a loss of power."""
        final = self.path(packed.digest)
        partial = self.partial / os.urandom(12).hex()
        self.partial.mkdir(exist_ok=True, mode=0o700)
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(packed.content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
            sync_folder(final.parent)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def opened(self, recording: StoredRecording) -> Iterator[Path]:
        """The recording's text, for the time of the block, checked against its digest, in a file without a name.
        Raises OSError where it is not there, ValueError where it is damaged."""
        with tempfile.TemporaryFile() as file:
            for chunk in self.chunks(recording):
                file.write(chunk)
            file.flush()
            yield Path(f"/proc/self/fd/{file.fileno()}")

    def chunks(self, recording: StoredRecording) -> Iterator[bytes]:
        """The recording's text in pieces; ValueError after the last one where its digest is another. Nothing may be
        made of it before the end."""
        digest, size = hashlib.sha256(), 0
        pressed = zlib.decompressobj(wbits=31)
        with self.path(recording.digest).open("rb") as file:
            try:
                while not pressed.eof and (raw := pressed.unconsumed_tail or file.read(_CHUNK)):
                    chunk = pressed.decompress(raw, _CHUNK)
                    digest.update(chunk)
                    size += len(chunk)
                    if size > recording.size:
                        break
                    yield chunk
                whole = pressed.eof and not pressed.unused_data and not file.read(1)
            except zlib.error as error:
                raise ValueError(f"the recording {recording.digest[:16]} is damaged: {error}") from None
        if not whole or size != recording.size or digest.hexdigest() != recording.digest:
            raise ValueError(f"the recording {recording.digest[:16]} is damaged: its digest is another")

    def files(self) -> Iterator[tuple[Path, str]]:
        """Every file in the folder with the digest that its name says; empty for what does not belong here."""
        for where, _, names in os.walk(self.root):
            for name in sorted(names):
                digest = name.removesuffix(SUFFIX)
                path = Path(where, name)
                known = _DIGEST.fullmatch(digest) and self.path(digest) == path
                yield path, digest if known else ""


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
