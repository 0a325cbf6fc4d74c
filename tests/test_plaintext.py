"""Hostile text is safe to print: one line, nothing hidden, nothing that moves a cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.plaintext import command, escape, home_relative, shorten


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("größe", "größe"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("x\ufe0f\U000e0101", "x\\ufe0f\\U000e0101"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\x9b31m", "\\x9b31m"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, safe: str) -> None:
    assert escape(text) == safe


@given(st.text())
def test_every_text_becomes_printable_and_stays_so(text: str) -> None:
    safe = escape(text)
    assert safe.isprintable()
    assert escape(safe) == safe


@given(st.text(), st.integers(min_value=1, max_value=200))
def test_a_shortened_text_is_never_longer(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit


def test_a_shortened_text_keeps_both_ends() -> None:
    short = shorten("begin" + "x" * 10_000 + "end", 40)
    assert short.startswith("begin")
    assert short.endswith("end")
    assert "..." in short


def test_a_command_is_quoted() -> None:
    assert command(["sh", "-c", "a b", ""]) == "sh -c 'a b' ''"


def test_a_path_is_written_as_a_person_would() -> None:
    assert home_relative("/home/dev/project/x", "/home/dev", "/home/dev/project") == "./x"
    assert home_relative("/home/dev/.npmrc", "/home/dev", "/home/dev/project") == "~/.npmrc"
    assert home_relative("/home/developer", "/home/dev", "/home/dev/project") == "/home/developer"
