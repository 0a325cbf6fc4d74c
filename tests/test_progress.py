"""Progress is talk: on stderr, short, and never a way for a package to write to the terminal."""

from __future__ import annotations

import io

import pytest

from sandbox import progress


def test_lines_are_rate_limited_and_not_repeated() -> None:
    file = io.StringIO()
    slow = progress.Lines(file, every=3600)
    slow.step("fetching")
    slow.step("installing")
    assert file.getvalue() == "baitbox: fetching\n"
    file = io.StringIO()
    eager = progress.Lines(file, every=0)
    for text in ("fetching", "fetching", "installing"):
        eager.step(text)
    assert file.getvalue() == "baitbox: fetching\nbaitbox: installing\n"


def test_a_name_from_a_package_cannot_move_the_cursor() -> None:
    file = io.StringIO()
    progress.Lines(file, every=0).step("import \x1b[2J\r\nbaitbox: clean")
    assert file.getvalue().count("\n") == 1
    assert "\x1b" not in file.getvalue()
    assert "\r" not in file.getvalue()


def test_steps_of_one_target_say_which() -> None:
    file = io.StringIO()
    progress.Prefixed(progress.Lines(file, every=0), "npm:left-pad").step("installing")
    assert file.getvalue() == "baitbox: npm:left-pad: installing\n"


def test_without_a_terminal_there_are_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown(quiet=False) as display:
        display.step("fetching")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "baitbox: fetching\n")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown(quiet=True) as display:
        display.step("fetching")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_line_moves_and_the_text_is_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.shown(quiet=False) as display:
        display.step("[red]installing[/nonsense]")
    assert capsys.readouterr().out == ""
