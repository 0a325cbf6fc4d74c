"""Commands that have a file of their own: each is found, listed, and gets what it shares with the others."""

from __future__ import annotations

import inspect

import pytest

from sandbox import cli, discovery
from sandbox.commands import Command

COMMANDS: dict[str, Command] = discovery.load("commands", "COMMAND")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_is_a_command_of_the_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    assert next(iter(inspect.signature(command.run).parameters)) == "context"
    assert inspect.getdoc(command.run)
    assert cli.run(["--help"]) == 0
    assert command.summary in capsys.readouterr().out
    assert cli.run([name, "--help"]) == 0


def test_the_shell_speaks_to_the_user_and_writes_data(capsys: pytest.CaptureFixture[str]) -> None:
    shell = cli._Shell()
    shell.tell("a \x1b[31mword")
    shell.emit("data")
    out, err = capsys.readouterr()
    assert out == "data\n"
    assert err.startswith("a ")
    assert "\x1b" not in err
    assert shell.settings({"jobs": "3"}, "[tool.baitbox]\ntimeout = 7\n").jobs == 3
