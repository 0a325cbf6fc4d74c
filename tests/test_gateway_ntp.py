"""The time of day is told in the form of RFC 5905."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway import ntp


def test_a_reply() -> None:
    query = bytes((0x23, 0, 6, 0xEC)) + bytes(36) + b"CLIENTTX"
    reply = ntp.answer(query, 1_700_000_000.5)
    assert reply is not None
    assert len(reply) == 48
    assert reply[0] & 7 == 4
    assert reply[24:32] == b"CLIENTTX"
    assert int.from_bytes(reply[40:44], "big") - 2_208_988_800 == 1_700_000_000
    assert reply[44] == 128


@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    reply = ntp.answer(data, 1e9)
    assert reply is None or len(reply) == 48
