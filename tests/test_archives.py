"""Package archives from hostile hands: what is read from honest ones, and one sentence for everything else.
"""

from __future__ import annotations

import gzip
import io
import random
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.archive_index import FILE, MEMBERS, checked_name
from sandbox.archives import read_archive

Member = tuple[str, bytes] | tarfile.TarInfo


def tgz(*members: Member, format: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                entry = tarfile.TarInfo(member[0])
                entry.size = len(member[1])
                archive.addfile(entry, io.BytesIO(member[1]))
    return gzip.compress(file.getvalue(), 1)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def wheel(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_tgz_gives_names_and_wanted_files(tmp_path: Path, format: int) -> None:
    long = "package/" + "d" * 60 + "/" + "f" * 90
    archive = tgz(
        special("package/", tarfile.DIRTYPE),
        ("package/package.json", b"{}"),
        ("./package/./lib//a.js", b"x" * 1000),
        (long, b"long"),
        special("package/link", tarfile.SYMTYPE, "../package/lib"),
        special("package/hard", tarfile.LNKTYPE, "package/package.json"),
        format=format,
    )
    path = tmp_path / "x.tgz"
    path.write_bytes(archive)
    for source in (archive, path):
        index = read_archive(source, lambda name: name in ("package/package.json", long))
        assert index.names == ("package/package.json", "package/lib/a.js", long)
        assert index.contents == {"package/package.json": b"{}", long: b"long"}
        assert index.unpacked == 1006


def test_names_that_need_an_extension_header() -> None:
    for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        name = "package/ünï/" + "x" * 300
        assert read_archive(tgz((name, b"1"), format=format), everything).contents == {name: b"1"}


def test_a_wheel_gives_names_and_wanted_files() -> None:
    link = zipfile.ZipInfo("a/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = wheel(
        ("a/", b""), ("a/__init__.py", b"1"), ("a-1.dist-info/METADATA", b"Name: a\n"), (link, b"b/c")
    )
    index = read_archive(archive, lambda name: name.endswith("METADATA"))
    assert index.names == ("a/__init__.py", "a-1.dist-info/METADATA", "a/link")
    assert index.contents == {"a-1.dist-info/METADATA": b"Name: a\n"}


def test_several_gzip_members_and_padding_are_read_as_one() -> None:
    whole = tgz(("package/package.json", b"{}"), ("package/a", random.Random(1).randbytes(3000)))
    plain = gzip.decompress(whole)
    split = gzip.compress(plain[:700]) + gzip.compress(plain[700:]) + b"\0" * 100
    assert read_archive(split, nothing).names == read_archive(whole, nothing).names


def test_files_behind_an_empty_block_are_seen() -> None:
    plain = gzip.decompress(tgz(("package/a", b"1")))[:1024]
    more = gzip.decompress(tgz(("package/hidden", b"2")))
    assert read_archive(gzip.compress(plain + b"\0" * 512 + more), nothing).names == (
        "package/a",
        "package/hidden",
    )


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("package/../../evil", b""), "leads out"),
        (("../evil", b""), "leads out"),
        (("a/../b", b""), "leads out"),
        (("/etc/evil", b""), "absolute"),
        (("C:\\evil", b""), "absolute"),
        (("a\\..\\..\\evil", b""), "leads out"),
        (special("package/x", tarfile.SYMTYPE, "/etc/passwd"), "links out"),
        (special("package/x", tarfile.SYMTYPE, "../../etc/passwd"), "links out"),
        (special("package/x", tarfile.LNKTYPE, "../etc/passwd"), "links out"),
        (special("package/x", tarfile.CHRTYPE), "a device"),
        (special("package/x", tarfile.BLKTYPE), "a device"),
        (special("package/x", tarfile.FIFOTYPE), "a device"),
        (special("package/x", b"Q"), "unknown kind"),
        (("package/one", b"again"), "twice"),
        (("./package//one", b"again"), "twice"),
        (("", b"x"), "no name"),
        (("n" * 5000, b"x"), "more than 4096"),
    ],
)
def test_a_hostile_member_is_named(member: Member, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_archive(tgz(("package/one", b"1"), member), nothing)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("../evil", b"", "leads out"),
        ("/evil", b"", "absolute"),
        ("a\\..\\..\\evil", b"", "leads out"),
        ("one", b"again", "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_wheel_member_is_named(name: str, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_archive(wheel(("one", b"1"), (name, content)), nothing)


def test_a_wheel_link_out_is_named() -> None:
    link = zipfile.ZipInfo("a/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ValueError, match="links out"):
        read_archive(wheel((link, b"../../etc/passwd")), nothing)


def test_directories_may_be_given_twice() -> None:
    directory = special("package/", tarfile.DIRTYPE)
    assert read_archive(tgz(directory, directory, ("package/a", b"")), nothing).names == ("package/a",)


def test_an_early_end_and_damage_are_told() -> None:
    whole = tgz(("package/a", random.Random(1).randbytes(5000)))
    with pytest.raises(ValueError, match="ends too early"):
        read_archive(whole[:-400], nothing)
    with pytest.raises(ValueError, match="ends too early"):
        read_archive(gzip.compress(gzip.decompress(whole)[:3000]), nothing)
    with pytest.raises(ValueError, match="damaged"):
        read_archive(whole[:200] + b"\xff" * 50 + whole[250:], nothing)
    with pytest.raises(ValueError, match="neither"):
        read_archive(b"hello", nothing)
    with pytest.raises(ValueError, match="neither"):
        read_archive(b"", nothing)
    with pytest.raises(ValueError, match="damaged"):
        read_archive(wheel(("a", b"1"))[:-5], nothing)


def zeros(count: int, unit: bytes = b"\0" * 1024 * 1024) -> bytes:
    """A gzip of `count` units, made fast."""
    squeeze = zlib.compressobj(9, wbits=31)
    return b"".join(squeeze.compress(unit) for _ in range(count)) + squeeze.flush()


def test_a_tar_bomb_is_refused_soon() -> None:
    header = gzip.decompress(tgz(("package/a", b"")))[:512]
    entry = tarfile.TarInfo("package/a")
    entry.size = 1024**3
    header = entry.tobuf(tarfile.USTAR_FORMAT)
    started = time.process_time()
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_archive(gzip.compress(header) + zeros(400), nothing)
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_archive(tgz(("package/a", b"")) + zeros(400), nothing)  # behind the last member
    entry.size = 5 * 1024**3
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_archive(gzip.compress(entry.tobuf(tarfile.USTAR_FORMAT)), nothing)
    assert time.process_time() - started < 20


def test_too_many_members_are_refused() -> None:
    blocks = b"".join(tarfile.TarInfo(f"p/{number}").tobuf() for number in range(MEMBERS + 1))
    with pytest.raises(ValueError, match="members"):
        read_archive(gzip.compress(blocks, 1), nothing)


def test_a_zip_bomb_is_refused() -> None:
    bomb = wheel(*((f"{number}", b"\0" * 4 * 1024**2) for number in range(40)))
    with pytest.raises(ValueError, match="unpacks to more than"):
        read_archive(bomb, nothing)


def test_a_zip_with_an_endless_directory_is_refused() -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 2**30, 0, 0)
    path_like = b"PK\x03\x04" + b"\0" * 100
    with pytest.raises(ValueError, match=r"damaged|directory"):
        read_archive(path_like + end, nothing)


def test_a_wanted_file_is_bounded() -> None:
    for archive in (tgz(("package.json", b" " * (FILE + 1))), wheel(("package.json", b" " * (FILE + 1)))):
        with pytest.raises(ValueError, match="larger than 4 MiB"):
            read_archive(archive, everything)
        assert read_archive(archive, nothing).names == ("package.json",)


def test_an_endless_extension_header_is_refused() -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 1024**3
    with pytest.raises(ValueError, match="extension header"):
        read_archive(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT)) + zeros(2), nothing)


@pytest.mark.parametrize("records", [b"5 a=b\n", b"99 path=x\n", b"0 a=b\n", b"x", b"12 size=-99\n"])
def test_damaged_pax_records_are_refused(records: bytes) -> None:
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, len(records)
    blocks = entry.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0")
    with pytest.raises(ValueError, match="damaged"):
        read_archive(gzip.compress(blocks), nothing)


@given(st.binary())
def test_only_value_errors_from_random_bytes(data: bytes) -> None:
    for archive in (data, gzip.compress(data), b"\x1f\x8b\x08" + data, b"PK\x03\x04" + data):
        try:
            read_archive(archive, everything)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either way is right; anything else is a bug


_SEEDS = (
    gzip.decompress(
        tgz(("package/package.json", b"{}"), ("n" * 200, b"x" * 700), special("l", tarfile.SYMTYPE, "a"))
    ),
    gzip.decompress(tgz(("package/package.json", b"{}"), ("n" * 200, b"1"), format=tarfile.GNU_FORMAT)),
    wheel(("a/__init__.py", b"x" * 500), ("a-1.dist-info/METADATA", b"Name: a\n")),
)


@settings(max_examples=300)
@given(
    st.sampled_from(_SEEDS), st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=12)), max_size=6)
)
def test_only_value_errors_from_mutated_archives(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(seed)
    for at, new in changes:
        data[at % len(data) : at % len(data) + len(new)] = new
    archive = bytes(data) if data[:2] == b"PK" else gzip.compress(bytes(data), 1)
    try:
        index = read_archive(archive, everything)
    except ValueError:
        return
    for name in index.names:
        assert checked_name(name) == name


@given(st.text())
def test_a_checked_name_stays_inside(raw: str) -> None:
    try:
        name = checked_name(raw)
    except ValueError:
        return
    assert not name.startswith("/")
    assert ".." not in name.split("/")
