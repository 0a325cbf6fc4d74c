"""Mail and FTP as a client sees them, with Python's own clients, and with anything at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.greeted import Dialogue, speaks_first


def talk(port: int, *lines: bytes, address: str = "203.0.113.9") -> list[bytes]:
    dialogue = Dialogue(port, address, 7)
    return [dialogue.answer(line + b"\r\n")[:3] for line in lines]


def test_which_ports() -> None:
    assert [port for port in (21, 22, 25, 80, 443, 465, 587) if speaks_first(port)] == [21, 25, 465, 587]


def test_a_letter_is_taken() -> None:
    said = talk(25, b"EHLO x", b"MAIL FROM:<a@x>", b"RCPT TO:<b@x>", b"DATA", b"Subject: a", b"..", b".", b"QUIT")
    assert said == [b"250", b"250", b"250", b"354", b"", b"", b"250", b"221"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((b"AUTH PLAIN AGEAYg==",), [b"235"]),
        ((b"AUTH PLAIN", b"AGEAYg=="), [b"334", b"235"]),
        ((b"AUTH LOGIN", b"YQ==", b"Yg=="), [b"334", b"334", b"235"]),
        ((b"auth login YQ==", b"Yg==", b"NOOP"), [b"334", b"235", b"250"]),
    ],
)
def test_logging_in(lines: tuple[bytes, ...], said: list[bytes]) -> None:
    assert talk(587, *lines) == said


def test_tls_begins_where_it_is_asked_for() -> None:
    dialogue = Dialogue(587, "203.0.113.9")
    assert dialogue.answer(b"EHLO x\r\nSTARTTLS\r\n").endswith(b"220 go ahead\r\n")
    assert dialogue.starts_tls


def test_a_file_is_taken() -> None:
    said = talk(21, b"USER a", b"PASS b", b"TYPE I", b"STOR k", b"RETR k", b"QUIT")
    assert said == [b"331", b"230", b"200", b"150", b"550", b"221"]


def test_where_the_file_goes() -> None:
    dialogue = Dialogue(21, "203.0.113.9", 7)
    assert dialogue.answer(b"PASV\r\n") == b"227 Entering Passive Mode (203,0,113,9,195,87).\r\n"
    assert dialogue.answer(b"EPSV\r\n") == b"229 Entering Extended Passive Mode (|||50007|)\r\n"
    assert talk(21, b"PASV", address="2001:db8::1") == [b"502"]


@given(st.sampled_from([21, 25, 465]), st.lists(st.binary(max_size=60), max_size=20))
def test_anything_may_be_said(port: int, pieces: list[bytes]) -> None:
    dialogue = Dialogue(port, "203.0.113.9")
    for piece in pieces:
        assert isinstance(dialogue.answer(piece), bytes)
