"""Undoes the encodings that are seldom met: base85 in its alphabets, base32hex, uuencode, and bytes as one number.

Pure, and written for hostile input: nothing here raises. Each function yields the name of an encoding with the pieces
that it made; `decode` calls them and pays for what they yield.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator, Sequence

Pieces = tuple[str, list[bytes]]

_DIGITS = b"0123456789"
_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()
_MOST_PIECES = 16
_SMALL = 256 * 1024


def _classes(members: bytes) -> bytes:
    return bytes(117 if code in members else 46 for code in range(256))


def _is_no_word(run: bytes) -> bool:
    """Whether letters and digits are mixed as chance mixes them: of what is encoded nearly a third are digits, or more
    than a tenth in the largest alphabets."""
    return len(run) - len(run.translate(None, _DIGITS)) >= 3


# base85 -----------------------------------------------------------------------------------------------------


_PYTHON85 = _DIGITS + _UPPER + _LOWER + b"!#$%&()*+-;<=>?@^_`{|}~"
_ZERO85 = _DIGITS + _LOWER + _UPPER + b".-:+=^!/*?&<>()[]{}@%$#"
_FROM_ZERO85 = bytes.maketrans(_ZERO85, _PYTHON85)
_ADOBE85 = bytes(range(33, 118)) + b"z"
_MANY85 = 25
_OF_ADDRESSES = _LOWER + _UPPER + _DIGITS + b"+/-_=.:?&@%~"
"""What whole addresses and names consist of: it is no base85 that hardly uses anything else."""
_FEW_SIGNS = 2
_ALPHABETS85 = tuple(
    (_classes(alphabet), re.compile(b"[" + re.escape(alphabet) + b"]{%d,}" % _MANY85), undo)
    for alphabet, undo in (
        (_PYTHON85, base64.b85decode),
        (_ADOBE85, base64.a85decode),
        (_ZERO85, lambda run: base64.b85decode(run.translate(_FROM_ZERO85))),
    )
)


def base85(data: bytes) -> Iterator[Pieces]:
    """Three alphabets; only stretches with signs beside the usual ones, from each of the five places to begin at."""
    if len(data) > _SMALL:
        return
    for classes, pattern, undo in _ALPHABETS85:
        if b"u" * _MANY85 not in data.translate(classes, b"\r\n"):
            continue
        found = pattern.findall(data.translate(None, b"\r\n"))
        runs = [run for run in found if len(set(run.translate(None, _OF_ADDRESSES))) >= _FEW_SIGNS]
        for shift in range(5):
            pieces = []
            for run in runs[:_MOST_PIECES]:
                with contextlib.suppress(ValueError):  # a group above 2**32: it does not begin here
                    pieces.append(undo(run[shift:]))
            if pieces:
                yield "base85", pieces


# base32hex --------------------------------------------------------------------------------------------------


_IS_UPPER32HEX = _classes(_DIGITS + _UPPER[:22])
_IS_LOWER32HEX = _classes(_DIGITS + _LOWER[:22])
_RUN32HEX = re.compile(rb"[0-9A-V]{20,}|[0-9a-v]{20,}")


def base32hex(joined: bytes) -> Iterator[Pieces]:
    """The alphabet that Python's own numbers of base 32 have; what could be hexadecimal is left to that, and words."""
    if b"u" * 20 not in joined.translate(_IS_UPPER32HEX) and b"u" * 20 not in joined.translate(_IS_LOWER32HEX):
        return
    found = [run for run in _RUN32HEX.findall(joined) if _is_no_word(run)][:_MOST_PIECES]
    runs = [run for run in found if run.translate(None, _DIGITS + b"abcdefABCDEF")]
    for shift in range(8 if runs else 0):
        pieces = []
        for run in runs:
            letters = run[shift:] + b"0" * (-len(run[shift:]) % 8)
            pieces.append(int(letters or b"0", 32).to_bytes(len(letters) * 5 // 8, "big"))
        yield "base32", pieces


# uuencode ---------------------------------------------------------------------------------------------------


_LINE_UU = re.compile(rb"^([#-M])([ -`]{15,60})\r?$", re.MULTILINE)


def uuencode(data: bytes) -> Iterator[Pieces]:
    """Lines that say their own length, with or without `begin` and `end`, joined."""
    if len(data) > _SMALL:
        return
    plain = []
    for length, text in _LINE_UU.findall(data):
        size = length[0] - 32
        # Blanks at the end get lost on the way.
        if (size + 2) // 3 * 4 - 4 < len(text) <= (size + 2) // 3 * 4 + 1:
            with contextlib.suppress(binascii.Error):
                plain.append(binascii.a2b_uu(length + text[: (size + 2) // 3 * 4]))
    if plain:
        yield "uuencode", [b"".join(plain)]


# Bytes as one number ----------------------------------------------------------------------------------------


_NUMERALS = {
    "base36": (_DIGITS + _LOWER, 36),
    "base58": (b"123456789" + b"ABCDEFGHJKLMNPQRSTUVWXYZ" + b"abcdefghijkmnopqrstuvwxyz", 58),
    "base62": (_DIGITS + _UPPER + _LOWER, 62),
    "base62, lower case first": (_DIGITS + _LOWER + _UPPER, 62),
}
_SHORTEST_NUMERAL, _LONGEST_NUMERAL = 18, 600
_LONGEST_TEXT = 8 * 1024
_ALPHANUMERIC = re.compile(rb"\b[0-9A-Za-z]{%d,%d}\b" % (_SHORTEST_NUMERAL, _LONGEST_NUMERAL))


def numerals(data: bytes) -> Iterator[Pieces]:
    """Stretches of letters and digits of a short text, each read as one number in the bases that are in use."""
    if len(data) > _LONGEST_TEXT:
        return
    runs = [run for run in _ALPHANUMERIC.findall(data) if _is_no_word(run)][:_MOST_PIECES]
    decimal = [run for run in runs if run.isdigit()]
    if decimal:
        yield "decimal", [_bytes(int(run)) for run in decimal]
    for name, (alphabet, base) in _NUMERALS.items():
        fitting = [run.lower() if base == 36 and run.isupper() else run for run in runs]
        pieces = [_bytes(_number(run, alphabet, base)) for run in fitting if not run.translate(None, alphabet)]
        if pieces:
            yield name, pieces


def _number(run: bytes, alphabet: bytes, base: int) -> int:
    value = 0
    for letter in run:
        value = value * base + alphabet.index(letter)
    return value


def _bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


# Letters with a sign between any two --------------------------------------------------------------------------


_IS_ALPHANUMERIC = _classes(_DIGITS + _LOWER + _UPPER)
_SPREAD = 8
"""So many letters, each alone, give it away; a token's other signs may stand on either side of them."""
_WIDEST, _MOST_TRIES = 4, 64


def spread(data: bytes) -> Iterator[Pieces]:
    """Letters between which the same one to three signs stand (`a b c`, `a, b, c`, `"a","b","c"`)."""
    marked = data.translate(_IS_ALPHANUMERIC)
    for step in range(2, _WIDEST + 1):
        pattern = (b"u" + b"." * (step - 1)) * _SPREAD
        pieces = []
        place = marked.find(pattern)
        for _ in range(_MOST_TRIES):
            if place < 0:
                break
            # From the middle: the first letter may belong to what stands before.
            letter = place + _SPREAD // 2 * step
            before, after = letter // step, _SMALL
            for sign in range(letter + 1, letter + step):
                after = min(after, _repeated(data[sign : sign + _SMALL : step]))
                before = min(before, _repeated(data[sign : max(0, sign - _SMALL) : -step]) - 1)
            end = letter + after * step + 1
            if before + after >= _SPREAD:
                pieces.append(data[letter - before * step : end : step])
            place = marked.find(pattern, max(place + step, end - step))
        if pieces:
            yield "spread", pieces


def _repeated(data: bytes) -> int:
    """How many bytes at the beginning are the same."""
    return len(data) - len(data.lstrip(data[:1]))


# Pieces that were encoded one by one -------------------------------------------------------------------------


_PIECES = (
    (re.compile(rb"[A-Z2-7]{2,}=*|[a-z2-7]{2,}=*"), lambda piece: base64.b32decode(piece, casefold=True), 8),
    (re.compile(rb"[A-Za-z0-9+/_-]{2,}=*"), base64.urlsafe_b64decode, 4),
)


def piecewise(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """What pieces hold that were cut first and each encoded then, in base64 or base32. Nothing where they do not look
    so: pieces of one long text fit together as they are."""
    for pattern, undo, group in _PIECES:
        apart = any(piece.endswith(b"=") or len(piece) % group for piece in pieces)
        if apart and all(pattern.fullmatch(piece) for piece in pieces):
            plain = []
            for piece in pieces:
                letters = piece.rstrip(b"=")
                with contextlib.suppress(ValueError):
                    plain.append(undo(letters + b"=" * (-len(letters) % group)))
            yield b"".join(plain)
