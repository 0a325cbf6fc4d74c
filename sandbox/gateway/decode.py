"""Undoes one layer of encoding, every way that fits: what `recognise` searches for bait, layer under layer.

Pure, and written for hostile input: no function here raises, and all work is paid for from an `Allowance`. Most
functions first ask a C-speed question (translate, find) and only then look closely, since nearly all that a guest
sends is innocent.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from sandbox.gateway import alphabets
from sandbox.gateway.inflate import MAGICS, SHORTEST, Allowance, compressed

_MOST_STARTS = 16
_SURROUNDINGS = 1024
_SMALL = 256 * 1024


class Part(msgspec.Struct, frozen=True):
    """Bytes at some depth. `spans` are where undelimited content may begin and end (raw deflate has no magic)."""

    data: bytes
    spans: tuple[tuple[int, int], ...] = ()


class Layer(NamedTuple):
    """What one decoding made: its name, and whether plain tokens pass through it unchanged."""

    encoding: str
    part: Part
    transparent: bool = False


def _classes(members: bytes, mark: bytes, other: bytes = b".") -> bytes:
    return bytes(mark[0] if code in members else other[0] for code in range(256))


_DIGITS = b"0123456789"
_HEX = _DIGITS + b"abcdefABCDEF"
_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_WORD = _LOWER + _LOWER.upper() + _DIGITS + b"+/-_"
_IS_WORD = _classes(_WORD, b"w")
_ONLY_WORD = bytes(code if code in _WORD else 32 for code in range(256))
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"
_IS_PRINTABLE = _classes(_PRINTABLE, b"p")
_IS_HEX = _classes(_HEX, b"h")
_ONLY_HEX = bytes(code if code in _HEX else 32 for code in range(256))
_IS_HEX_PAIRS = bytes(104 if code in _HEX else 115 if code in b" :-,." else 46 for code in range(256))
_IS_UPPER32 = _classes(_LOWER.upper() + b"234567", b"u")
_IS_LOWER32 = _classes(_LOWER + b"234567", b"u")
_IS_DIGIT = bytes(100 if code in _DIGITS else code for code in range(256))
_IS_WIDE = bytes(48 if code == 0 else 112 if 32 <= code < 127 else 46 for code in range(256))
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_FOLD = re.compile(rb"\n[ \t]+")


def long_runs(data: bytes) -> list[bytes]:
    """The stretches of at least `SHORTEST` letters of the base64 alphabets, standard and URL, line breaks left out."""
    if b"\n " in data or b"\n\t" in data:
        data = _FOLD.sub(b"", data)
    if b"w" * SHORTEST not in data.translate(_IS_WORD, b"\r\n"):
        return []
    return [run for run in data.translate(_ONLY_WORD, b"\r\n").split() if len(run) >= SHORTEST]


def layers(part: Part, runs: list[bytes], allowance: Allowance) -> Iterator[Layer]:
    """Every way to undo one layer of `part`. `runs` are its long runs that are new; yields lazily and never raises."""
    data = part.data
    legible = b"p" * SHORTEST in data.translate(_IS_PRINTABLE)
    if legible:
        yield from _transparent(data)
    if b"\x00" in data:
        yield from _wide(data)
    if runs:
        yield from _base64([run for run in runs if len(run) >= 16])
        joined = b" ".join(runs)
        yield from _hex(joined)
        yield from _base32(joined)
        yield from _named(alphabets.base32hex(joined))
    if legible:
        yield from _named(alphabets.spread(data))
        yield from _spaced_hex(data)
        yield from _numbers(data)
        for seldom in (alphabets.base85(data), alphabets.uuencode(data), alphabets.numerals(data)):
            yield from _named(seldom)
    for name, plain in compressed(data, [span for span in part.spans if not _is_all_text(data, span)], allowance):
        yield Layer(name, Part(plain, ((0, len(plain)),)))


def backwards(part: Part) -> Part:
    """The same bytes from last to first."""
    size = len(part.data)
    return Part(part.data[::-1], tuple((size - end, size - start) for start, end in part.spans))


def may_be_backwards(part: Part, runs: list[bytes]) -> bool:
    """Whether looking at `part` from its end can show anything."""
    data = part.data
    if runs or any(magic[::-1] in data for magic in MAGICS if len(magic) > 2):
        return True
    return is_text(data) or bool(part.spans and len(data) <= _SMALL)


def is_text(data: bytes) -> bool:
    """Whether nearly all of `data` is printable ASCII: escapes in anything else are there by chance."""
    sample = data[:: 1 + len(data) // 65536]
    return len(sample.translate(None, _PRINTABLE)) * 10 <= len(sample)


# Layers that leave most letters as they are -----------------------------------------------------------------


_PERCENT = re.compile(rb"%[0-9a-fA-F]{2}")
_ESCAPE = re.compile(
    rb"""\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|([nrtbf"'/\\]))"""
)
_ENTITY = re.compile(rb"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));?")
_QUOTED = re.compile(rb"(?:=[0-9a-fA-F]{2}){4}|=\r?\n")
_QUOTABLE = re.compile(rb"=(?:([0-9a-fA-F]{2})|\r?\n)")
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_SHORT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def _character(code: int) -> bytes:
    if code < 256:
        return bytes((code,))  # binary data in a string; tokens are ASCII anyway
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b""


def _unescape(match: re.Match[bytes]) -> bytes:
    braces, four, two, octal, short = match.groups()
    if short is not None:
        return _SHORT.get(short, short)
    if two is not None:
        return bytes((int(two, 16),))
    if octal is not None:
        return bytes((int(octal, 8),))
    return _character(int(braces or four, 16))


def _unentity(match: re.Match[bytes]) -> bytes:
    decimal, hexadecimal, named = match.groups()
    if named is not None:
        return _NAMED[named]
    return _character(int(decimal) if decimal is not None else int(hexadecimal, 16))


def _unquote(match: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(match.group(1) or b"")


def _is_all_text(data: bytes, span: tuple[int, int]) -> bool:
    """Whether what begins here is printable for a while, which nothing compressed is."""
    start, end = span
    return not data[start : min(end, start + 64)].translate(None, _PRINTABLE)


def _around(data: bytes, pattern: re.Pattern[bytes]) -> bytes:
    """Only what surrounds the matches: in binary data they are few, and nearly always chance."""
    pieces = []
    covered = 0
    for match in pattern.finditer(data):
        start, end = max(covered, match.start() - _SURROUNDINGS), match.end() + _SURROUNDINGS
        if start > covered:
            pieces.append(b" ")
        pieces.append(data[start:end])
        covered = max(covered, end)
    return b"".join(pieces)


def _transparent(data: bytes) -> Iterator[Layer]:
    changes: tuple[tuple[str, bytes, re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
        ("url", b"%", _PERCENT, unquote_to_bytes),
        ("escape", b"\\", _ESCAPE, lambda text: _ESCAPE.sub(_unescape, text)),
        ("html", b"&", _ENTITY, lambda text: _ENTITY.sub(_unentity, text)),
        ("quoted-printable", b"=", _QUOTED, lambda text: _QUOTABLE.sub(_unquote, text)),
    )
    for name, sign, pattern, undo in changes:
        if sign in data and pattern.search(data):
            plain = undo(data if is_text(data) else _around(data, pattern))
            yield Layer(name, whole(plain), transparent=True)


def _wide(data: bytes) -> Iterator[Layer]:
    """Characters of two bytes (or four, in two steps) of which one is zero."""
    if b"p0" * 8 in data.translate(_IS_WIDE):
        yield Layer("utf-16", whole(data.replace(b"\x00", b"")), transparent=True)
    for half in range(2):
        if data[half::2].count(b"\x00") * 10 > len(data) * 4:
            yield Layer("utf-16", whole(data[1 - half :: 2]), transparent=True)


def _value_spans(data: bytes) -> tuple[tuple[int, int], ...]:
    """Where values begin: after an empty line (multipart), after `=` (forms, queries), after a quote (JSON)."""
    spans = [(0, len(data))]
    for sign in (b"\r\n\r\n", b"=", b'"'):
        place = data.find(sign)
        for _ in range(_MOST_STARTS // 3):
            if place < 0:
                break
            spans.append((place + len(sign), len(data)))
            place = data.find(sign, place + len(sign))
    last = data.rfind(b'"')
    return (*spans, (0, last)) if last > 0 else tuple(spans)


def whole(data: bytes) -> Part:
    """What left the guest, as the part to begin with."""
    return Part(data, _value_spans(data))


# Alphabets --------------------------------------------------------------------------------------------------


def _base64(runs: list[bytes]) -> Iterator[Layer]:
    """All runs at once, at each of the four places where the first letter may stand in its group."""
    if not runs:
        return
    padded = [run + b"A" * (4 + -len(run) % 4) for run in runs]
    joined = b"".join(padded).translate(_TO_STANDARD)
    spans = []
    place = 0
    for run, letters in zip(runs, padded, strict=True):
        spans.append((place, place + len(run) * 3 // 4))
        place += len(letters) // 4 * 3
    likely = tuple(_likely(spans))
    for shift in range(4):
        data = binascii.a2b_base64(joined[shift:] + b"A" * shift)
        yield Layer("base64", Part(data, likely if shift == 0 else ()))


def _likely(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first spans and the longest: whole contents are rarely behind many short ones."""
    if len(spans) <= _MOST_STARTS:
        return spans
    longest = sorted(spans, key=lambda span: span[0] - span[1])[: _MOST_STARTS // 2]
    return list(dict.fromkeys(spans[: _MOST_STARTS // 2] + longest))


def _joined(pieces: list[bytes]) -> Part:
    spans = []
    place = 0
    for piece in pieces:
        spans.append((place, place + len(piece)))
        place += len(piece) + 1
    return Part(b" ".join(pieces), tuple(_likely(spans)))


def _named(found: Iterator[tuple[str, list[bytes]]]) -> Iterator[Layer]:
    """Without places where raw deflate may begin: of the many readings nearly all are wrong, and chance expands."""
    for name, pieces in found:
        yield Layer(name, Part(b" ".join(pieces)))


def _hex(joined: bytes) -> Iterator[Layer]:
    if b"h" * (2 * SHORTEST) not in joined.translate(_IS_HEX):
        return
    runs = [run for run in joined.translate(_ONLY_HEX).split() if len(run) >= 2 * SHORTEST]
    for shift in range(2):
        pieces = [binascii.unhexlify(run[shift : len(run) - (len(run) - shift) % 2]) for run in runs]
        yield Layer("hex", _joined(pieces))


_SPACED_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}[ :,.-]){11,}[0-9a-fA-F]{2}")
_PREFIXED_HEX = re.compile(rb"0[xX][0-9a-fA-F]{1,2}(?:[,;\s]{1,8}0[xX][0-9a-fA-F]{1,2}){11,}")


def _spaced_hex(data: bytes) -> Iterator[Layer]:
    if b"hhs" * 11 + b"hh" in data.translate(_IS_HEX_PAIRS):
        found = [match.group().translate(None, b" :,.-") for match in _SPACED_HEX.finditer(data)]
        if found:
            yield Layer("hex", _joined([binascii.unhexlify(run) for run in found]))
    if data.count(b"0x") + data.count(b"0X") >= SHORTEST:
        pieces = [
            bytes(int(number, 16) for number in re.findall(rb"0[xX]([0-9a-fA-F]{1,2})", match.group()))
            for match in _PREFIXED_HEX.finditer(data)
        ]
        if pieces:
            yield Layer("hex", _joined(pieces))


_NUMBERS = re.compile(rb"(?:[0-9]{1,3},[ \t\r\n]{0,8}){11,}[0-9]{1,3}")


def _numbers(data: bytes) -> Iterator[Layer]:
    """Byte values in decimal, as `JSON.stringify` writes a Buffer."""
    if data.count(b",") < SHORTEST - 1:
        return
    marked = data.translate(_IS_DIGIT, b" \t\r\n")
    if b"d,dd," not in marked and b"d,ddd," not in marked:
        return
    pieces = []
    for match in _NUMBERS.finditer(data):
        values = [int(number) for number in match.group().split(b",")]
        pieces.append(bytes(value & 255 for value in values))
    if pieces:
        yield Layer("decimal", _joined(pieces))


_TO_DIGITS32 = bytes.maketrans(_LOWER.upper() + b"234567", _DIGITS + _LOWER[:22])
_RUN32 = re.compile(rb"[A-Z2-7]{20,}|[a-z2-7]{20,}")


def _base32(joined: bytes) -> Iterator[Layer]:
    if b"u" * 20 not in joined.translate(_IS_UPPER32) and b"u" * 20 not in joined.translate(_IS_LOWER32):
        return
    runs = [run.upper() for run in _RUN32.findall(joined)]
    padded = [run + b"A" * (8 + -len(run) % 8) for run in runs]
    letters = b"".join(padded).translate(_TO_DIGITS32)
    spans = []
    place = 0
    for run, piece in zip(runs, padded, strict=True):
        spans.append((place, place + len(run) * 5 // 8))
        place += len(piece) // 8 * 5
    likely = tuple(_likely(spans))
    for shift in range(8):
        data = int(letters[shift:] + b"0" * shift, 32).to_bytes(len(letters) * 5 // 8, "big")
        yield Layer("base32", Part(data, likely if shift == 0 else ()))
