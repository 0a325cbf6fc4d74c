"""Reads package archives from hostile hands: names and a few small files, nothing ever written to disk.

`.tgz`/`.tar.gz` is read by a walker of our own over a streaming gunzip, because `tarfile` takes member names
and headers of any length into memory; `.whl`/`.zip` by `zipfile`, whose directory gives all sizes beforehand.
Whatever is wrong with an archive is one ValueError that names the member: a path out of the archive, a link
out of it, a device, a name given twice, too much of anything, an early end.
"""

from __future__ import annotations

import io
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

if TYPE_CHECKING:
    import zipfile

MEMBERS = 100_000
"""The largest honest packages (icon sets) have about 50,000 files."""
UNPACKED = 2 * 1024**3
FILE = 4 * 1024**2
_WANTED_TOGETHER = 16 * 1024**2
_NAME = 4096
_RATIO = 200
_RATIO_FROM = 128 * 1024**2
_CHUNK = 256 * 1024
_BLOCK = 512
_ZIP_DIRECTORY = 16 * 1024**2

Wanted = Callable[[str], bool]


class ArchiveIndex(msgspec.Struct, frozen=True):
    """What an archive holds: the names of its files (normalised, relative, in order), the bytes of the wanted
    ones, and its size when unpacked."""

    names: tuple[str, ...]
    contents: dict[str, bytes]
    unpacked: int


def read_archive(source: bytes | Path, wanted: Wanted) -> ArchiveIndex:
    """Index an archive, told apart by its first bytes, with the contents of the files that `wanted` picks by
    name.

    Raises ValueError for everything that is wrong with it, and OSError where the file itself cannot be read.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        magic = file.read(4)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if magic[:2] == b"\x1f\x8b":
            return _read_tar(_Unpacked(file, size), wanted)
        if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return _read_zip(file, size, wanted)
    raise ValueError("it is neither a gzipped tar nor a zip archive")


class _Listing:
    """Names seen so far, and the checks on each that both formats share."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.contents: dict[str, bytes] = {}
        self.members = 0
        self.unpacked = 0
        self._kept = 0

    def member(self, raw: str, size: int) -> str:
        """Count a member and return its normalised name; empty for the archive's own root."""
        self.members += 1
        self.unpacked += size
        if self.members > MEMBERS:
            raise ValueError(f"it has more than {MEMBERS} members")
        if self.unpacked > UNPACKED:
            raise ValueError(f"it unpacks to more than {UNPACKED // 1024**2} MiB")
        return checked_name(raw)

    def file(self, name: str) -> None:
        if not name or name in self.names:
            raise ValueError(f"it has {_show(name)} twice" if name else "a file in it has no name")
        self.names[name] = None

    def keep(self, name: str, size: int, read: Callable[[], bytes]) -> None:
        if size > FILE or self._kept + size > _WANTED_TOGETHER:
            raise ValueError(f"{_show(name)} in it is larger than {FILE // 1024**2} MiB")
        content = read()
        self._kept += len(content)
        self.contents[name] = content

    def link(self, name: str, target: str, *, hard: bool) -> None:
        base = "" if hard else posixpath.dirname(name)
        try:
            checked_name(
                posixpath.join(base, target) if not target.startswith(("/", "\\")) else target, within=True
            )
        except ValueError:
            raise ValueError(f"{_show(name)} in it links out of the archive") from None

    def index(self) -> ArchiveIndex:
        return ArchiveIndex(tuple(self.names), self.contents, self.unpacked)


def checked_name(raw: str, *, within: bool = False) -> str:
    """A member's name, normalised. Raises ValueError for one that is absolute, or goes up; with `within`,
    going up is fine as long as it stays inside."""
    if len(raw) > _NAME:
        raise ValueError(f"it has a name of more than {_NAME} characters")
    if raw.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", raw) or "\0" in raw:
        raise ValueError(f"{_show(raw)} in it is an absolute path")
    parts: list[str] = []
    for part in raw.replace("\\", "/").split("/"):
        if part == ".." and not (within and parts):
            raise ValueError(f"{_show(raw)} in it leads out of the archive")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _show(name: str) -> str:
    return ascii(name[:120])


# --- gzipped tar
# -------------------------------------------------------------------------------------------------


class _Unpacked:
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
                if total > UNPACKED or (total > _RATIO_FROM and total > _RATIO * size):
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


def _read_tar(stream: _Unpacked, wanted: Wanted) -> ArchiveIndex:
    listing = _Listing()
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
    stream: _Unpacked,
    header: bytes,
    kind: bytes,
    size: int,
    pending: _Pending,
    listing: _Listing,
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
            raise ValueError(f"{_show(raw)} in it is a link or directory with content")
        if kind in b"12":
            target = _text(header[157:257]) if pending.link is None else pending.link
            listing.link(name, target, hard=kind == b"1")
    else:
        what = "a device" if kind in b"346" else f"of the unknown kind {_show(kind.decode('latin-1'))}"
        raise ValueError(f"{_show(raw)} in it is {what}")


def _read_extension(stream: _Unpacked, kind: bytes, size: int, pending: _Pending, listing: _Listing) -> None:
    """A header that says more about the next member: GNU long names (L, K), pax records (x), global ones (g).
    """
    listing.member("", 0)
    if size > 64 * _NAME:
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


def _exactly(stream: _Unpacked, size: int) -> bytes:
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


# --- zip
# ---------------------------------------------------------------------------------------------------------


def _read_zip(file: BinaryIO, size: int, wanted: Wanted) -> ArchiveIndex:
    import zipfile  # 10 ms that npm packages do without

    try:
        with zipfile.ZipFile(_Bounded(file, size)) as archive:
            return _index_zip(archive, size, wanted)
    except ValueError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds for damaged bytes, several undocumented
        raise ValueError(f"its zip data are damaged ({type(error).__name__})") from None


class _Bounded(io.RawIOBase):
    """A file that refuses to read very much at once. `zipfile` reads the directory, whose size the archive
    itself says, in one piece before anyone can count its members; everything else it reads in small ones."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file, self._size = file, size

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(0, self._size - self._file.tell())
        if size > _ZIP_DIRECTORY:
            raise ValueError(f"it has a directory of more than {_ZIP_DIRECTORY // 1024**2} MiB")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _index_zip(archive: zipfile.ZipFile, size: int, wanted: Wanted) -> ArchiveIndex:
    listing = _Listing()
    for entry in archive.infolist():
        raw = entry.orig_filename
        name = listing.member(raw, entry.file_size)
        if listing.unpacked > _RATIO_FROM and listing.unpacked > _RATIO * size:
            raise ValueError(f"it unpacks to more than {_RATIO_FROM // 1024**2} MiB from {size // 1024} KiB")
        if raw.endswith(("/", "\\")):
            continue
        listing.file(name)
        if entry.external_attr >> 28 == 0o12:
            listing.keep(name, min(entry.file_size, FILE), partial(_zip_bytes, archive, entry))
            listing.link(name, listing.contents.pop(name).decode("utf-8", "backslashreplace"), hard=False)
        elif wanted(name):
            listing.keep(name, entry.file_size, partial(_zip_bytes, archive, entry))
    return listing.index()


def _zip_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as member:
        content = member.read(FILE + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"{_show(entry.filename)} in it has another size than it says")
    return content
