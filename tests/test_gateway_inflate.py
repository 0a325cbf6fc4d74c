"""Compressed data is found where it stands, expanded as far as it goes, and never further than allowed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.inflate import MAGICS, Allowance, compressed, inflate

TEXT = b"a plain sentence of some length, not repeated"


def expanded(data: bytes, size: int = 1_000_000) -> list[tuple[str, bytes]]:
    return list(compressed(data, [(0, len(data))], Allowance(size, 100)))


FORMATS = {
    "gzip": gzip.compress(TEXT), "zlib": zlib.compress(TEXT), "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT), "deflate": zlib.compress(TEXT)[2:-4],
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    data = FORMATS[name]
    assert (name, TEXT) in expanded(data)
    if name != "deflate":
        assert (name, TEXT) in expanded(b"\x00before" + data + b"after")


def test_gzip_headers_with_everything() -> None:
    plain = gzip.compress(TEXT)
    head = plain[:3] + bytes((4 | 8 | 16 | 2,)) + plain[4:10] + b"\x03\x00abcname\x00comment\x00\x12\x34"
    assert ("gzip", TEXT) in expanded(head + plain[10:])


def test_a_wrong_checksum_is_not_our_business() -> None:
    assert ("gzip", TEXT) in expanded(gzip.compress(TEXT)[:-8] + b"\xff" * 8)
    assert ("zlib", TEXT) in expanded(zlib.compress(TEXT)[:-4])


def test_a_bomb_stops_at_its_allowance() -> None:
    for bomb in (gzip.compress(bytes(40_000_000)), bz2.compress(bytes(40_000_000)), lzma.compress(bytes(40_000_000))):
        allowance = Allowance(100_000, 10)
        ((_, plain),) = compressed(bomb, (), allowance)
        assert len(plain) == 100_000
        assert "expands too far" in allowance.exceeded


def test_many_false_beginnings_are_said() -> None:
    allowance = Allowance(100_000, 10)
    list(compressed(b"PK\x03\x04" * 1000, (), allowance))
    assert allowance.exceeded


def test_an_allowance_is_spent() -> None:
    allowance = Allowance(10, 2)
    assert allowance.spend(5)
    assert not allowance.spend(6)
    assert allowance.exceeded
    assert allowance.spend(5)
    assert not allowance.spend(0)


@given(st.lists(st.one_of(st.sampled_from(MAGICS), st.binary(max_size=30)), max_size=20))
def test_any_bytes(pieces: list[bytes]) -> None:
    expanded(b"".join(pieces), 5000)


@given(st.binary(max_size=300))
def test_inflating_anything(data: bytes) -> None:
    inflate(memoryview(data), Allowance(1000, 1))
