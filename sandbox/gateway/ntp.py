"""Answers the time of day over NTP, as any time server would. Pure: the time is given."""

from __future__ import annotations

_EPOCH = 2_208_988_800
"""Seconds from NTP's epoch (1900) to Unix's (1970)."""


def answer(query: bytes, now: float) -> bytes | None:
    """The reply to a client's query at Unix time `now`; None where it is not one."""
    if len(query) < 48 or query[0] & 7 != 3:
        return None
    version = query[0] & 0b00111000
    stamp = round((now + _EPOCH) * 2**32).to_bytes(12, "big")[-8:]
    reference = round((now + _EPOCH - 37.5) * 2**32).to_bytes(12, "big")[-8:]
    head = bytes((version | 4, 2, query[2], 0xE8)) + bytes.fromhex("00000a3c 00000c51 8efb63d2".replace(" ", ""))
    return head + reference + query[40:48] + stamp + stamp
