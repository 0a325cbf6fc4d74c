"""Reads package archives from hostile hands: names and a few small files, nothing ever written to disk.

`.tgz`/`.tar.gz` is read by a walker of our own over a streaming gunzip, because `tarfile` takes member names
and headers of any length into memory; `.whl`/`.zip` by `zipfile`, whose directory gives all sizes beforehand.
Whatever is wrong with an archive is one ValueError that names the member: a path out of the archive, a link
out of it, a device, a name given twice, too much of anything, an early end.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sandbox.archive_index import FILE, RATIO, RATIO_FROM, ArchiveIndex, Listing, Wanted, show
from sandbox.tarballs import Unpacked, read_tar

if TYPE_CHECKING:
    import zipfile

_ZIP_DIRECTORY = 16 * 1024**2


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
            return read_tar(Unpacked(file, size), wanted)
        if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return _read_zip(file, size, wanted)
    raise ValueError("it is neither a gzipped tar nor a zip archive")


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
    listing = Listing()
    for entry in archive.infolist():
        raw = entry.orig_filename
        name = listing.member(raw, entry.file_size)
        if listing.unpacked > RATIO_FROM and listing.unpacked > RATIO * size:
            raise ValueError(f"it unpacks to more than {RATIO_FROM // 1024**2} MiB from {size // 1024} KiB")
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
        raise ValueError(f"{show(entry.filename)} in it has another size than it says")
    return content
