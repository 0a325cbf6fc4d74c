"""Frames of a client are unmasked however they are cut."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.websocket import Frames, accept_key


def frame(payload: bytes, opcode: int = 2, masked: bool = True) -> bytes:
    size = len(payload)
    bit = 128 if masked else 0
    if size < 126:
        head = bytes((128 | opcode, bit | size))
    elif size < 65536:
        head = bytes((128 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((128 | opcode, bit | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(code ^ mask[place % 4] for place, code in enumerate(payload))


def test_the_key_of_the_standard() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("size", [0, 1, 5, 125, 126, 1000, 70000])
@pytest.mark.parametrize("masked", [True, False])
def test_frames(size: int, masked: bool) -> None:
    payload = os.urandom(size)
    assert Frames().receive(frame(payload, masked=masked) + frame(b"next")) == (payload + b"next", b"")


@given(st.lists(st.binary(max_size=300), max_size=6), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_frames_in_pieces(payloads: list[bytes], sizes: list[int]) -> None:
    data = b"".join(frame(payload) for payload in payloads)
    frames = Frames()
    said = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        turn += 1
        said.append(frames.receive(data[:size])[0])
        data = data[size:]
    assert b"".join(said) == b"".join(payloads)


def test_pings_are_answered_and_a_close_closes() -> None:
    frames = Frames()
    assert frames.receive(frame(b"hi", opcode=9)) == (b"hi", b"\x8a\x02hi")
    assert frames.receive(frame(b"", opcode=9)) == (b"", b"\x8a\x00")
    assert frames.receive(frame(b"\x03\xe8", opcode=8))[1] == b"\x88\x02\x03\xe8"
    assert frames.closed
    assert frames.receive(b"more") == (b"", b"")


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    frames = Frames()
    frames.receive(data)
    frames.receive(data)


def test_many_small_frames_are_quick() -> None:
    said, _ = Frames().receive(frame(b"x") * 30000)
    assert said == b"x" * 30000
