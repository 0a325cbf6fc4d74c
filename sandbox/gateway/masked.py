"""Finds tokens under a repeating XOR mask or a rotated alphabet, without knowing either.

Where bytes are masked with a key of `n` bytes, each byte XOR the one `n` places on is what it was before the mask. So
the token's own differences are searched for among the data's. Pure, bounded by what it is given to look at.
"""

from __future__ import annotations

import base64
import codecs
from collections.abc import Iterator, Sequence

_LONGEST_KEY = 16
_LONGEST_KEY_OVER_BASE64 = 8
_SURE = 10
"""Differences in a row that do not agree by chance."""
_MOST = 32 * 1024

_LETTERS = bytes(range(256))
ROT13 = bytes(ord(codecs.encode(chr(code), "rot13")) if code < 128 else code for code in _LETTERS)


def differences(data: bytes, distance: int) -> bytes:
    """Each byte XOR the one `distance` places on."""
    size = len(data) - distance
    if size <= 0:
        return b""
    return (int.from_bytes(data[:size], "big") ^ int.from_bytes(data[distance:], "big")).to_bytes(size, "big")


class Masks:
    """Knows the tokens' differences; `tokens` are their most irregular stretches, by number."""

    def __init__(self, tokens: Sequence[tuple[int, bytes]]) -> None:
        self._known: dict[int, list[tuple[int, str, bytes, bytes]]] = {}
        for distance in range(1, _LONGEST_KEY + 1):
            self._known[distance] = [
                (index, encoding, text, gaps)
                for index, token in tokens
                for encoding, text in _forms(token, distance)
                if len(gaps := differences(text, distance)) >= _SURE and len(set(gaps)) > _SURE // 2
            ]

    def search(self, data: bytes, longest: int = _LONGEST_KEY) -> dict[int, tuple[str, ...]]:
        """The tokens in the first 32 KiB of `data` under a key of at most `longest` bytes, with their encodings."""
        found: dict[int, tuple[str, ...]] = {}
        data = data[:_MOST]
        for distance in range(1, longest + 1):
            gaps = differences(data, distance)
            for index, encoding, text, token in self._known[distance]:
                if token in gaps and text not in data:  # a mask of zeros is none
                    found.setdefault(index, ("xor", encoding) if encoding else ("xor",))
        return found


def _forms(token: bytes, distance: int) -> Iterator[tuple[str, bytes]]:
    yield "", token
    if distance <= _LONGEST_KEY_OVER_BASE64:
        for shift in range(3):
            letters = base64.b64encode(b"\0" * shift + token)[4 if shift else 0 :].rstrip(b"=")[:-1]
            yield "base64", letters
