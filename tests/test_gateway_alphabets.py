"""The seldom encodings, one layer at a time; no bytes upset any of them."""

from __future__ import annotations

import base64
import binascii
import random
import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bait import Token
from sandbox.gateway import alphabets
from sandbox.gateway.recognise import Recogniser

SECRET = "ujPeIxdGcBefB0hoO8Kzc2sjht0lLOxJednRBuL5"
TEXT = b"npm_" + SECRET.encode()
PYTHON85 = string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~"
ZERO85 = string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#"
BASES = {
    "decimal": string.digits,
    "base36": string.digits + string.ascii_lowercase,
    "base58": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    "base62": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "base62, lower case first": string.digits + string.ascii_lowercase + string.ascii_uppercase,
}


def made(found: Iterator[alphabets.Pieces]) -> list[tuple[str, bytes]]:
    return [(name, b" ".join(pieces)) for name, pieces in found]


def numeral(data: bytes, letters: str) -> str:
    value, text = int.from_bytes(data, "big"), ""
    while value:
        value, digit = divmod(value, len(letters))
        text = letters[digit] + text
    return text


def uuencoded(data: bytes) -> bytes:
    return b"".join(binascii.b2a_uu(data[place : place + 45]) for place in range(0, len(data), 45))


def told(data: bytes) -> set[tuple[str, ...]]:
    scanner = Recogniser([Token("npm", "token", SECRET)])
    return {match.encodings for match in scanner.feed("flow", "body", data)}


@pytest.mark.parametrize("encoded", [
    base64.b85encode(TEXT), base64.a85encode(TEXT),
    base64.b85encode(TEXT).translate(bytes.maketrans(PYTHON85.encode(), ZERO85.encode())),
], ids=["Python's", "Adobe's", "ZeroMQ's"])  # fmt: skip
def test_base85_in_three_alphabets(encoded: bytes) -> None:
    assert any(name == "base85" and TEXT in plain for name, plain in made(alphabets.base85(b"x: " + encoded)))


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abcd"])
def test_base32hex_wherever_it_begins(before: bytes) -> None:
    for encoded in (base64.b32hexencode(before + TEXT), base64.b32hexencode(before + TEXT).lower().rstrip(b"=")):
        assert any(TEXT in plain for _, plain in made(alphabets.base32hex(encoded.rstrip(b"=")))), encoded
        assert ("base32",) in told(b"id=" + encoded)


def test_what_could_be_hexadecimal_is_left_to_that() -> None:
    assert made(alphabets.base32hex(TEXT.hex().encode())) == []


def test_words_and_addresses_are_neither() -> None:
    words = b"https://registry.test/@authenticationcompat/componentinternals/-/componentinternals-1.2.3.tgz?write=true"
    for found in (alphabets.base85(words), alphabets.base32hex(words), alphabets.numerals(words)):
        assert made(found) == []


def test_uuencode_with_and_without_its_frame() -> None:
    lines = uuencoded(TEXT * 3)
    assert ("uuencode", TEXT * 3) in made(alphabets.uuencode(lines))
    framed = b"begin 644 notes\r\n" + lines.replace(b"\n", b"\r\n") + b"`\r\nend\r\n"
    assert ("uuencode", TEXT * 3) in made(alphabets.uuencode(framed))
    assert ("uuencode",) in told(lines)
    assert made(alphabets.uuencode(b"M NOT SO LONG AS IT SAYS\n")) == []


@pytest.mark.parametrize("name", list(BASES))
def test_bytes_as_one_number(name: str) -> None:
    text = numeral(TEXT, BASES[name])
    assert (name, TEXT) in made(alphabets.numerals(f'{{"id":"{text}"}}'.encode()))
    assert any(encodings[0] == name for encodings in told(f"https://evil.test/?id={text}".encode()))


def test_only_short_texts_are_read_as_numbers() -> None:
    assert made(alphabets.numerals(numeral(TEXT, BASES["base58"]).encode() + b" " * 9000)) == []
    assert made(alphabets.numerals(b"7" * 601)) == made(alphabets.numerals(b"seventeen letters")) == []


def test_quoted_printable() -> None:
    assert ("quoted-printable",) in told(b"".join(b"=%02X" % code for code in TEXT))
    assert ("quoted-printable",) in told(TEXT[:20] + b"=\r\n" + TEXT[20:])


@pytest.mark.parametrize("size", [2, 4, 5, 7])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.b32encode])
def test_pieces_that_were_encoded_one_by_one(size: int, encode: object) -> None:
    assert callable(encode)
    pieces = [encode(TEXT[place : place + size]) for place in range(0, len(TEXT), size)]
    assert TEXT in list(alphabets.piecewise(pieces))
    bare = [piece.rstrip(b"=") for piece in pieces]
    assert TEXT in list(alphabets.piecewise(bare))
    scanner = Recogniser([Token("npm", "token", SECRET)])
    matches = [match for piece in pieces for match in scanner.feed("flow", "body", piece)]
    assert matches + [match for _, match in scanner.flush()]


def test_pieces_of_one_text_are_left_as_they_are() -> None:
    assert list(alphabets.piecewise([b"abcdabcd", b"efghefgh"])) == []
    assert list(alphabets.piecewise([b"a piece", b"and one"])) == []


def test_innocent_text_is_quiet() -> None:
    draw = random.Random(2)
    for letters in (BASES["base36"], BASES["base62"], ZERO85, string.printable):
        text = "".join(draw.choices(letters, k=8000)).encode()
        assert told(text) == set()


LETTERS = st.text(alphabet="MN#`=0123456789ABCVabcv \r\n!*", max_size=200)


@given(st.one_of(st.binary(max_size=300), LETTERS.map(str.encode)))
def test_any_bytes(data: bytes) -> None:
    made(alphabets.base85(data))
    made(alphabets.base32hex(data))
    made(alphabets.uuencode(data))
    made(alphabets.numerals(data))
    list(alphabets.piecewise([data, data[1:], data[:3]]))


@pytest.mark.parametrize(("data", "pieces"), [
    (b"a b c d e f g h i j k l", [b"abcdefghijkl"]),
    (b"__a_b_c_d_e_f_g_h_+_+x", [b"_abcdefgh++"]),
    (b'["a","b","c","d","e","f","g","h","i"]', [b"abcdefghi"]),
    (b"a.b.c.d.e|f|g|h|i|j", []),
    (b"0 a.b.c.d.e.f.g.h.i", [b"abcdefghi"]),
    (b"a.b.c.d.e.f.g.h.|1-2-3-4-5-6-7-8-9", [b"abcdefgh|", b"123456789"]),
    (b"a b c", []),
])  # fmt: skip
def test_spread_letters(data: bytes, pieces: list[bytes]) -> None:
    assert [piece for _, made in alphabets.spread(data) for piece in made] == pieces


@given(st.lists(st.sampled_from([b"a.", b"b.", b"c, ", b"d|", b"ee", b"\0", b"f.g.h.i.j.k.l.m."]), max_size=60))
def test_spread_takes_anything(pieces: list[bytes]) -> None:
    for _, made in alphabets.spread(b"".join(pieces)):
        assert all(len(piece) <= sum(map(len, pieces)) for piece in made)
