"""Tokens whose letters were exchanged: found under any table, quiet on everything else."""

from __future__ import annotations

import base64
import codecs
import os
import random
import string
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bait import Token
from sandbox.gateway.recognise import Recogniser
from sandbox.gateway.substituted import Substitutions, pattern

SECRET = "ujPeIxdGcBefB0hoO8Kzc2sjht0lLOxJednRBuL5"
BASE64 = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode()


def shuffled(letters: bytes, seed: int) -> bytes:
    """A table that exchanges these letters for one another."""
    others = list(letters)
    random.Random(seed).shuffle(others)
    return bytes.maketrans(letters, bytes(others))


EXCHANGES: dict[str, Callable[[bytes], bytes]] = {
    "plus seven": lambda data: bytes((code + 7) & 255 for code in data),
    "rot47": lambda data: bytes(33 + (code + 14) % 94 if 33 <= code < 127 else code for code in data),
    "any table": lambda data: data.translate(shuffled(bytes(range(256)), 5)),
    "letters": lambda data: data.translate(shuffled(string.ascii_letters.encode(), 9)),
}


def told(data: bytes) -> set[tuple[str, ...]]:
    scanner = Recogniser([Token("aws", "secret access key", SECRET)])
    return {match.encodings for match in scanner.feed("flow", "body", data)}


@pytest.mark.parametrize("name", list(EXCHANGES))
def test_any_exchange_of_letters(name: str) -> None:
    change = EXCHANGES[name]
    for text in (SECRET.encode(), b"{'KEY': '" + SECRET.encode() + b"', 'SHELL': '/bin/bash'}"):
        assert ("substituted",) in told(change(text))
        assert ("base64", "substituted") in told(base64.b64encode(change(text)))


@pytest.mark.parametrize("offset", range(3))
def test_base64_and_hexadecimal_with_letters_of_their_own(offset: int) -> None:
    text = b"k" * offset + SECRET.encode() + b" and so on"
    assert ("substituted", "base64") in told(base64.b64encode(text).translate(shuffled(BASE64, offset)))
    assert ("substituted", "base64") in told(codecs.encode(base64.b64encode(text).decode(), "rot13").encode())
    digits = text.hex().translate(str.maketrans("0123456789abcdef", "qrstuvwxyzghijkl"))
    assert ("substituted", "hex") in told(digits.encode())


def test_what_is_not_exchanged_is_not_said_to_be() -> None:
    assert told(f"key={SECRET}".encode()) == {()}
    assert told(SECRET[:-1].encode()) == set()
    other = SECRET.replace("u", "a", 1)
    assert told(EXCHANGES["plus seven"](other.encode())) == set(), "one letter is another, so it is another token"
    for quiet in (b"a" * 4000, bytes(4000), os.urandom(4000), bytes(range(256)) * 16, b"ab" * 2000):
        assert told(quiet) == set()


def test_a_token_that_chance_could_make_is_not_looked_for() -> None:
    for token in (string.ascii_letters[:40].encode(), b"short", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbb"):
        assert Substitutions([(0, token)]).search(EXCHANGES["plus seven"](token)) == {}


def test_random_letters_are_never_taken_for_a_token() -> None:
    draw = random.Random(3)
    letters_and_digits = (string.ascii_letters + string.digits).encode()
    known = Substitutions([(number, bytes(draw.choices(letters_and_digits, k=40))) for number in range(40)])
    for letters in (BASE64, b"0123456789abcdef", bytes(range(256)), b"etaoin shrdlu"):
        for _ in range(20):
            assert known.search(bytes(draw.choices(letters, k=8000))) == {}


def test_only_the_beginning_of_much_is_looked_at_and_soon() -> None:
    known = Substitutions([(0, SECRET.encode())])
    hidden = EXCHANGES["plus seven"](SECRET.encode())
    assert known.search(os.urandom(32_000) + hidden) == {0: ("substituted",)}
    assert known.search(os.urandom(40_000) + hidden) == {}
    many = Substitutions([(number, SECRET.encode()) for number in range(200)])
    for data in (b"ab" * 20_000, b"abcabd" * 6_000, b"aab" * 12_000):
        began = time.process_time()
        assert many.search(data) == {}
        assert time.process_time() - began < 2


@given(st.binary(max_size=400))
def test_anything_may_be_searched(data: bytes) -> None:
    assert Substitutions([(0, SECRET.encode()), (1, b"short"), (2, b"")]).search(data) == {}


@given(st.binary(max_size=64), st.randoms(use_true_random=False))
def test_a_pattern_survives_every_exchange(data: bytes, draw: random.Random) -> None:
    table = list(range(256))
    draw.shuffle(table)
    assert pattern(data) == pattern(data.translate(bytes(table)))
