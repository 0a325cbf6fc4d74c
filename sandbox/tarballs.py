"""Reads gzipped tars from hostile hands: a walker of our own over a streaming gunzip, because `tarfile` takes member
names and headers of any length into memory. Raises ValueError for whatever is wrong.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from sandbox.archive_index import NAME, RATIO, RATIO_FROM, UNPACKED, ArchiveIndex, Listing, Wanted, show

_CHUNK = 256 * 1024
_BLOCK = 512


class Unpacked:
    """The gunzipped bytes of a file, read or passed over in order, with bounds on how much there may be."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._chunks = self._gunzip(file, size)
        self._buffer = memoryview(b"")

    @staticmethod
    def _gunzip(file: BinaryIO, size: int) -> Iterator[bytes]:
        total = 0
        data = file.read(_CHUNK)
        while data[:2] == b"\x1f\x8b":  # gzip may be several members; what follows the last is padding
            gunzip = zlib.decompressobj(wbits=31)
            while not gunzip.eof:
                if not data and not (data := file.read(_CHUNK)):
                    raise ValueError("it ends too early")
                try:
                    chunk = gunzip.decompress(data, _CHUNK)
                except zlib.error:
                    raise ValueError("its gzip data are damaged") from None
                data = gunzip.unconsumed_tail
                total += len(chunk)
                if total > UNPACKED or (total > RATIO_FROM and total > RATIO * size):
                    raise ValueError(
                        f"it unpacks to more than {total // 1024**2} MiB from {size // 1024} KiB"
                    )
                if chunk:
                    yield chunk
            data = gunzip.unused_data
            if len(data) < 2:
                data += file.read(_CHUNK)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes (the callers bound it), or fewer at the end."""
        if len(self._buffer) >= count:
            found = bytes(self._buffer[:count])
            self._buffer = self._buffer[count:]
            return found
        parts = []
        while count:
            if not self._buffer and not self._refill():
                break
            part = self._buffer[:count]
            self._buffer = self._buffer[len(part) :]
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over `count` bytes. Raises ValueError where there are fewer."""
        while count:
            if not self._buffer and not self._refill():
                raise ValueError("it ends too early")
            passed = min(count, len(self._buffer))
            self._buffer = self._buffer[passed:]
            count -= passed

    def drain(self) -> None:
        """Read to the end, so that damage or a bomb behind the last member shows."""
        for _ in self._chunks:
            pass

    def _refill(self) -> bool:
        self._buffer = memoryview(next(self._chunks, b""))
        return bool(self._buffer)


class _Pending:
    """What extension headers say about the next member."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.link: str | None = None
        self.size: int | None = None


def read_tar(stream: Unpacked, wanted: Wanted) -> ArchiveIndex:
    """Index a tar to its last byte. Raises ValueError for everything that is wrong with it."""
    listing = Listing()
    pending = _Pending()
    ended = False
    while header := stream.read(_BLOCK):
        if not header.strip(b"\0"):
            if ended:
                break
            ended = True  # npm's reader goes on after a single empty block, so files could hide behind one
            continue
        ended = False
        if len(header) < _BLOCK:
            raise ValueError("it ends too early")
        _check_sum(header)
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in b"xgLK":
            _read_extension(stream, kind, size, pending, listing)
            continue
        _read_member(stream, header, kind, size, pending, listing, wanted)
        pending = _Pending()
    stream.drain()
    return listing.index()


def _read_member(
    stream: Unpacked,
    header: bytes,
    kind: bytes,
    size: int,
    pending: _Pending,
    listing: Listing,
    wanted: Wanted,
) -> None:
    raw = _header_name(header) if pending.name is None else pending.name
    size = size if pending.size is None else pending.size
    is_file = kind in (b"0", b"\0", b"7") and not raw.endswith("/")
    name = listing.member(raw, size if is_file else 0)
    if is_file:
        listing.file(name)
        if wanted(name):
            listing.keep(name, size, lambda: _exactly(stream, size))
        else:
            stream.skip(size)
        stream.skip(-size % _BLOCK)
    elif kind in b"125" or kind in (b"0", b"\0", b"7"):
        if size:  # readers differ on whether content follows, so one of them would be led astray
            raise ValueError(f"{show(raw)} in it is a link or directory with content")
        if kind in b"12":
            target = _text(header[157:257]) if pending.link is None else pending.link
            listing.link(name, target, hard=kind == b"1")
    else:
        what = "a device" if kind in b"346" else f"of the unknown kind {show(kind.decode('latin-1'))}"
        raise ValueError(f"{show(raw)} in it is {what}")


def _read_extension(stream: Unpacked, kind: bytes, size: int, pending: _Pending, listing: Listing) -> None:
    """A header that says more about the next member: GNU long names (L, K), pax records (x), global ones (g).
    """
    listing.member("", 0)
    if size > 64 * NAME:
        raise ValueError("it has an extension header of more than 256 KiB")
    content = _exactly(stream, size)
    stream.skip(-size % _BLOCK)
    if kind == b"L":
        pending.name = _text(content)
    elif kind == b"K":
        pending.link = _text(content)
    elif kind == b"x":
        for key, value in _pax_records(content):
            if key == b"path":
                pending.name = _text(value)
            elif key == b"linkpath":
                pending.link = _text(value)
            elif key == b"size":
                if not re.fullmatch(rb"[0-9]{1,15}", value):
                    raise ValueError("it has a damaged extension header")
                pending.size = int(value)
            elif key.startswith(b"GNU.sparse"):
                raise ValueError("it has sparse files, which are not supported")


def _pax_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        match = re.compile(rb"([0-9]{1,9}) ([^=]+)=").match(content, at)
        end = at + int(match[1]) if match else 0
        if match is None or end > len(content) or end <= match.end():
            raise ValueError("it has a damaged extension header")
        yield match[2], content[match.end() : end - 1]
        at = end


def _exactly(stream: Unpacked, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise ValueError("it ends too early")
    return content


def _check_sum(header: bytes) -> None:
    # Old tars summed signed bytes; both are the sum with the field itself read as spaces.
    said = _number(header[148:156])
    unsigned = sum(header) - sum(header[148:156]) + 8 * 32
    if said != unsigned and said != unsigned - 256 * sum(byte > 127 for byte in header):
        raise ValueError("it has a damaged tar header")


def _number(field: bytes) -> int:
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        if field[0] == 0xFF or value > UNPACKED:
            raise ValueError("it has a member of an impossible size")
        return value
    digits = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", digits):
        raise ValueError("it has a damaged tar header")
    return int(digits or b"0", 8)


def _header_name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
