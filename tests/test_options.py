"""Command-line options are made from the declared settings, each exactly once."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sandbox import settings
from sandbox.options import offers


def command(*names: str) -> tuple[typer.Typer, list[dict[str, Any]]]:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    calls: list[dict[str, Any]] = []

    @app.command()
    @offers(*names)
    def act(target: str, **flags: Any) -> int:
        calls.append({"target": target, **flags})
        return 0

    return app, calls


def test_what_is_not_given_arrives_as_nothing() -> None:
    app, calls = command("timeout", "quiet", "personas")
    assert CliRunner().invoke(app, ["x"]).exit_code == 0
    assert calls[0]["target"] == "x"
    assert not any(calls[0][name] for name in ("timeout", "quiet", "personas"))


def test_what_is_given_arrives_as_it_was_written() -> None:
    app, calls = command("timeout", "quiet", "personas")
    arguments = ["x", "--timeout", "soon", "--quiet", "--persona", "a", "--persona", "b"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert calls == [{"target": "x", "timeout": "soon", "quiet": True, "personas": ["a", "b"]}]


def test_only_what_a_command_offers_is_an_option() -> None:
    app, _ = command("quiet")
    assert CliRunner().invoke(app, ["x", "--timeout", "3"]).exit_code == 2


@pytest.mark.parametrize("name", list(settings.options()))
def test_every_setting_can_be_an_option_with_its_help(name: str) -> None:
    option = settings.options()[name]
    app, _ = command(name)
    done = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}, terminal_width=200)
    assert option.flag in done.output
    assert option.help.split(";")[0] in " ".join(done.output.split())
