"""Finds tokens whose letters were exchanged for others, without knowing the table: a rotated or shuffled alphabet, a
number added to each byte, base64 or hexadecimal with letters of its own.

An exchange of letters keeps where the same letter stands again. So the token's own repetitions are searched for among
the data's, all places at once, as bits of one large number. Pure, bounded by what it is given to look at.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import msgspec

from sandbox.gateway.masked import differences

_REPEATED, _DIFFERENT, _SHORTEST = 6, 11, 30
"""A shape that does not come about by chance: random letters of base64 have one of these in 2**50 places, and text
has too few different letters. (A shape has to agree in what is the same and in what is not.)"""
_LONGEST = 64
_MOST = 32 * 1024
_MOST_PLACES = 32
_SAME = bytes((49, *([48] * 255)))
_OTHER = bytes((48, *([49] * 255)))


class _Shape(msgspec.Struct, frozen=True):
    """A token in one encoding: `same` are places with the distance to the next place that has the same letter, `unlike`
    is the first place whose neighbour has another."""

    index: int
    encoding: str
    text: bytes
    same: tuple[tuple[int, int], ...]
    unlike: int


class Substitutions:
    """Knows the tokens' repetitions; `tokens` are their most irregular stretches, by number."""

    def __init__(self, tokens: Sequence[tuple[int, bytes]]) -> None:
        self._shapes = [
            _Shape(index, encoding, text, tuple(same), _first_unlike(text))
            for index, token in tokens
            for encoding, text in _forms(token)
            if len(text) >= _SHORTEST and len(same := list(_repetitions(text))) >= _REPEATED
            and len(set(text)) >= _DIFFERENT
        ]

    def search(self, data: bytes) -> dict[int, tuple[str, ...]]:
        """The tokens in the first 32 KiB of `data` under any exchange of letters, with their encodings."""
        data = data[:_MOST]
        found: dict[int, tuple[str, ...]] = {}
        equal: dict[int, int] = {}
        for shape in self._shapes:
            if shape.index in found or len(data) < len(shape.text):
                continue
            for place in self._places(data, shape, equal):
                there = data[place : place + len(shape.text)]
                if pattern(there) == pattern(shape.text) and there != shape.text:  # an exchange for itself is none
                    found[shape.index] = ("substituted", shape.encoding) if shape.encoding else ("substituted",)
                    break
        return found

    @staticmethod
    def _places(data: bytes, shape: _Shape, equal: dict[int, int]) -> list[int]:
        """Where all the shape's repetitions are, at most so many."""
        # Data without variety repeats everything: two neighbours that differ come first.
        here = _marks(data, 0, equal) >> shape.unlike & (1 << (len(data) - len(shape.text) + 1)) - 1
        for place, distance in shape.same:
            here &= _marks(data, distance, equal) >> place
            if not here:
                return []
        places: list[int] = []
        while here and len(places) < _MOST_PLACES:
            lowest = here & -here
            places.append(lowest.bit_length() - 1)
            here ^= lowest
        return places


def _marks(data: bytes, distance: int, equal: dict[int, int]) -> int:
    """One bit a place, the first lowest: set where the byte stands again `distance` places on; for 0, where it differs
    from the next."""
    if distance not in equal:
        marks = differences(data, distance or 1).translate(_SAME if distance else _OTHER)
        equal[distance] = int(marks[::-1] or b"0", 2)
    return equal[distance]


def pattern(text: bytes) -> bytes:
    """Each letter as the number of the letter that it is, counted as they come: the same for every exchange."""
    known: dict[int, int] = {}
    return bytes(known.setdefault(code, len(known)) for code in text)


def _repetitions(text: bytes) -> Iterator[tuple[int, int]]:
    last: dict[int, int] = {}
    for place, code in enumerate(text):
        if code in last:
            yield last[code], place - last[code]
        last[code] = place


def _first_unlike(text: bytes) -> int:
    return next((place for place in range(len(text) - 1) if text[place] != text[place + 1]), 0)


def _forms(token: bytes) -> Iterator[tuple[str, bytes]]:
    """The token, what base64 makes of it wherever it begins in a group, and its digits."""
    yield "", token[:_LONGEST]
    for shift in range(3):
        letters = base64.b64encode(b"\0" * shift + token)[4 if shift else 0 :].rstrip(b"=")[:-1]
        yield "base64", letters[:_LONGEST]
    yield "hex", token.hex().encode()[:_LONGEST]
