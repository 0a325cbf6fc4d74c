"""Finds compressed data in the midst of other data and expands it, whole, cut or damaged, within an allowance.

Pure, and written for hostile input: no function here raises, and a bomb costs no more than its allowance.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

SHORTEST = 12
"""No token is shorter, so nothing shorter is worth a look."""

_MOST_EXPANSION = 8 * 1024 * 1024


class Allowance:
    """How many more bytes may be produced, how often at most. `exceeded` says why something was left undone."""

    def __init__(self, size: int, steps: int) -> None:
        self.size = size
        self.steps = steps
        self.exceeded = ""

    def spend(self, size: int) -> bool:
        """Pay for one buffer of `size` bytes; False, and `exceeded`, where there is not enough left."""
        if self.steps <= 0 or size > self.size:
            self.exceeded = self.exceeded or "too many layers to undo"
            return False
        self.steps -= 1
        self.size -= size
        return True


_GZIP, _ZIP, _BZIP2, _XZ = b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00"
_ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda")
MAGICS = (_GZIP, _ZIP, _BZIP2, _XZ, *_ZLIB)
_NAMES = {_GZIP: "gzip", _ZIP: "zip", _BZIP2: "bzip2", _XZ: "xz"}


def compressed(
    data: bytes, spans: Iterable[tuple[int, int]], allowance: Allowance
) -> Iterator[tuple[str, bytes]]:
    """Everything compressed in `data`: wherever a format's magic stands, and raw deflate in the given `spans`."""
    most = 64 + len(data) // 8192
    for magic in MAGICS:
        place = data.find(magic)
        tries = 0
        while place >= 0:
            tries += 1
            if tries > most:
                allowance.exceeded = allowance.exceeded or "too many beginnings of compressed data"
                break
            plain = _expand(data, place, magic, allowance)
            if len(plain) >= SHORTEST:
                yield _NAMES.get(magic, "zlib"), plain
            place = data.find(magic, place + 1)
    for start, end in spans:
        plain = inflate(memoryview(data)[start:end], allowance, patient=False)
        if len(plain) >= SHORTEST:
            yield "deflate", plain


def _expand(data: bytes, place: int, magic: bytes, allowance: Allowance) -> bytes:
    view = memoryview(data)[place:]
    if magic == _GZIP:
        return inflate(view[_gzip_header(data, place) :], allowance)
    if magic == _ZIP:
        if len(view) < 30:
            return b""
        header = 30 + int.from_bytes(view[26:28], "little") + int.from_bytes(view[28:30], "little")
        return inflate(view[header:], allowance) if view[8] == 8 else b""
    if magic in _ZLIB:
        return inflate(view[2:], allowance)
    try:
        engine = bz2.BZ2Decompressor() if magic == _BZIP2 else lzma.LZMADecompressor(memlimit=128 * 1024 * 1024)
        return _limited(engine, view, allowance)
    except (OSError, lzma.LZMAError, ValueError, MemoryError):
        return b""


class _Engine(Protocol):
    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes | memoryview, max_length: int = ...) -> bytes: ...


def _limited(engine: _Engine, view: memoryview, allowance: Allowance) -> bytes:
    limit = max(1, min(allowance.size, _MOST_EXPANSION))
    plain = engine.decompress(view, limit)
    if not engine.eof and not engine.needs_input:
        allowance.exceeded = allowance.exceeded or "compressed data that expands too far"
    return plain


def _gzip_header(data: bytes, place: int) -> int:
    """The length of a gzip header; its checksum and length at the end are not our business."""
    if len(data) < place + 10:
        return 10
    flags = data[place + 3]
    at = place + 10
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            end = data.find(b"\x00", at)
            at = end + 1 if end >= 0 else len(data)
    return at + (2 if flags & 2 else 0) - place


def inflate(view: memoryview, allowance: Allowance, patient: bool = True) -> bytes:
    """What a raw deflate stream holds, as far as it goes: cut or damaged streams give what came before. With
    `patient` the bytes just before the damage are recovered too."""
    engine = zlib.decompressobj(-15)
    limit = max(1, min(allowance.size, _MOST_EXPANSION))
    found: list[bytes] = []
    size = place = 0
    step, largest = 256, 65536
    while place < len(view) and not engine.eof:
        saved = engine.copy() if patient else None
        try:
            plain = engine.decompress(view[place : place + step], limit - size)
        except zlib.error:
            if saved is None or step == 1:
                break
            engine, step, largest = saved, max(1, step // 8), max(1, step // 8)
            continue
        found.append(plain)
        size += len(plain)
        place += step
        step = min(step * 2, largest)
        if engine.unconsumed_tail or size >= limit:
            allowance.exceeded = allowance.exceeded or "compressed data that expands too far"
            break
    return b"".join(found)
