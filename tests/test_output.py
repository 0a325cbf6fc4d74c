"""Data goes to stdout, ends in a newline, and a full disk is said (a reader who went away: tests/test_cli.py)."""

from __future__ import annotations

import sys

import pytest

from sandbox.errors import UsageError
from sandbox.output import emit


def test_text_ends_in_one_newline(capsys: pytest.CaptureFixture[str]) -> None:
    emit("a")
    emit("b\n")
    assert capsys.readouterr().out == "a\nb\n"


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(UsageError, match="the output cannot be written: No space left"):
            emit("x" * 100_000)
