"""Tokens under masks: found with any short key, quiet without one."""

from __future__ import annotations

import base64
import codecs
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bait import Token
from sandbox.gateway.masked import Masks, differences
from sandbox.gateway.recognise import Recogniser

SECRET = "ujPeIxdGcBefB0hoO8Kzc2sjht0lLOxJednRBuL5"


def masked(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[place % len(key)] for place, byte in enumerate(data))


def told(data: bytes) -> set[tuple[str, ...]]:
    scanner = Recogniser([Token("aws", "secret access key", SECRET)])
    return {match.encodings for match in scanner.feed("flow", "body", data)}


@pytest.mark.parametrize("length", [1, 2, 5, 8, 16])
def test_a_key_of_any_short_length(length: int) -> None:
    key = random.Random(length).randbytes(length)
    text = b"{'HOME': '/home/dev', 'KEY': '" + SECRET.encode() + b"', 'SHELL': '/bin/bash'}"
    assert ("xor",) in told(masked(text, key))
    assert ("base64", "xor") in told(base64.b64encode(masked(text, key)))


def test_base64_under_a_mask() -> None:
    text = base64.b64encode(b"environment: " + SECRET.encode() + b" and so on")
    assert ("xor", "base64") in told(masked(text, b"OrDeR_7"))


def test_a_rotated_alphabet() -> None:
    assert ("rot13",) in told(codecs.encode(f"key={SECRET}&x=1", "rot13").encode())


@pytest.mark.parametrize("encode", [base64.b85encode, base64.a85encode])
def test_base85(encode: object) -> None:
    assert callable(encode)
    text = encode(b"environment: " + SECRET.encode() + b" and so on")
    assert ("base85",) in told(text)
    assert ("base85",) in told(b'{"d":"' + text + b'"}') or b'"' in text or b"\\" in text


def test_what_is_not_masked_is_not_said_to_be() -> None:
    assert told(f"key={SECRET}".encode()) == {()}
    assert told(b"\x00\x01\x02" * 40 + SECRET[:-1].encode()) == set()
    assert told(b"a" * 4000) == told(bytes(4000)) == told(os.urandom(4000)) == set()


def test_only_the_beginning_of_much_is_looked_at() -> None:
    masks = Masks([(0, SECRET.encode())])
    assert masks.search(bytes(40_000) + masked(SECRET.encode(), b"k")) == {}


@given(st.binary(max_size=300), st.integers(1, 20))
def test_differences(data: bytes, distance: int) -> None:
    expected = bytes(a ^ b for a, b in zip(data, data[distance:], strict=False))
    assert differences(data, distance) == expected


@given(st.binary(max_size=400))
def test_anything_may_be_searched(data: bytes) -> None:
    assert Masks([(0, SECRET.encode()), (1, b"short")]).search(data) == {}
