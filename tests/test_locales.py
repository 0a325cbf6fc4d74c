"""Locales: what the guest's programs know, and what the persona then says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sandbox import locales


@pytest.mark.parametrize(
    ("known", "spoken"),
    [
        (("C", "POSIX", "en_US.utf8"), "en_US.UTF-8"),
        (("en_US.UTF-8",), "en_US.UTF-8"),
        (("*",), "en_US.UTF-8"),
        (("C", "C.utf8", "POSIX"), "C.UTF-8"),
        (("en_US", "en_US.iso88591", "en_GB.utf8"), "C.UTF-8"),
        ((), "C.UTF-8"),
    ],
)
def test_the_persona_s_locale_only_where_it_is_known(known: tuple[str, ...], spoken: str) -> None:
    assert locales.usable("en_US.UTF-8", known) == spoken


def test_what_is_printed_is_read_once_each() -> None:
    assert locales.said_to_be("POSIX\nC\nC.utf8\nC\n") == ("C", "C.utf8", "POSIX")


def test_what_is_said_of_this_machine_works_here() -> None:
    chosen = locales.usable("en_US.UTF-8", locales.on_this_machine())
    program = "import locale; locale.setlocale(locale.LC_ALL, '')"
    environment = {"PATH": os.environ["PATH"], "LANG": chosen}
    done = subprocess.run([sys.executable, "-I", "-c", program], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_machine_that_does_not_say_has_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("sandbox.process.run", absent)
    assert locales.on_this_machine() == ()
