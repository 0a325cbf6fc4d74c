"""The walker over a gzipped tar: bytes in order and within bounds. What archives may hold: test_archives.py."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from sandbox.tarballs import Unpacked, read_tar


def unpacked(data: bytes) -> Unpacked:
    return Unpacked(io.BytesIO(data), len(data))


def test_bytes_come_in_order_whether_read_or_passed_over() -> None:
    stream = unpacked(gzip.compress(bytes(range(200)) * 5000))
    stream.skip(500_100)
    assert stream.read(150) == bytes(range(100, 200)) + bytes(range(50))
    stream.skip(1_000_000 - 500_250 - 10)
    assert stream.read(100) == bytes(range(190, 200))
    with pytest.raises(ValueError, match="ends too early"):
        stream.skip(1)


def test_several_gzip_members_are_one_and_padding_is_none() -> None:
    assert unpacked(gzip.compress(b"one ") + gzip.compress(b"two") + bytes(512)).read(100) == b"one two"


@pytest.mark.parametrize("cut", [5, 12, 20])
def test_a_stream_that_is_cut_is_said(cut: int) -> None:
    with pytest.raises(ValueError, match="ends too early"):
        unpacked(gzip.compress(b"some words of a package")[:cut]).drain()


def test_only_what_is_wanted_is_kept() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in ("package/a.js", "package/package.json"):
            member = tarfile.TarInfo(name)
            member.size = 5
            tar.addfile(member, io.BytesIO(b"hello"))
    found = read_tar(unpacked(file.getvalue()), lambda name: name.endswith(".json"))
    assert found.names == ("package/a.js", "package/package.json")
    assert found.contents == {"package/package.json": b"hello"}
    assert found.unpacked == 10
