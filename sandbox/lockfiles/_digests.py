"""Digests as lockfiles write them, in the one form `algorithm:HEX`."""

from __future__ import annotations

import base64
import binascii
import re

_BYTES = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
_HEX = re.compile(r"[0-9a-f]+")


def from_integrity(text: str) -> tuple[str, ...]:
    """The digests of a subresource-integrity string (`sha512-BASE64 sha1-BASE64`); the file must match one of the
    strongest that it has. Raises ValueError where one of them is none."""
    found: dict[str, list[str]] = {}
    for word in text.split():
        algorithm, _, encoded = word.partition("?")[0].partition("-")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if _BYTES.get(algorithm) != len(raw):
            raise ValueError("an integrity that is none")
        found.setdefault(algorithm, []).append(f"{algorithm}:{raw.hex()}")
    strongest = max(found, key=lambda name: _BYTES[name], default="")
    return tuple(dict.fromkeys(found.get(strongest, ())))


def from_hex(text: str) -> str:
    """One digest written `sha256:HEX` (or `sha256=HEX`). Raises ValueError where it is none."""
    algorithm, _, digits = text.strip().lower().replace("=", ":", 1).partition(":")
    if len(digits) != 2 * _BYTES.get(algorithm, -1) or not _HEX.fullmatch(digits):
        raise ValueError("a digest that is none")
    return f"{algorithm}:{digits}"
