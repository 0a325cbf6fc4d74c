"""Writes the generated parts of README.md: the help of the command line, and the table of settings.

`make readme` runs it; tests/test_docs.py fails where README.md is not what it would write.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
COMMANDS: tuple[tuple[str, ...], ...] = ((), ("check",), ("gate",))
"""Whose help is shown."""


def help_text(*command: str) -> str:
    """What `baitbox COMMAND --help` prints on a terminal of 100 columns, without the braces that newer versions of
    typer put around what must be given."""
    from sandbox import cli

    os.environ["COLUMNS"] = "100"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        cli.run([*command, "--help"])
    usage, line, rest = out.getvalue().strip().partition("\n")
    return usage.translate({ord("{"): None, ord("}"): None}) + line + rest


def help_block() -> str:
    """The help of the program and of its main commands."""
    shown = [f"$ baitbox {' '.join([*command, '--help'])}\n{help_text(*command)}" for command in COMMANDS]
    return "```\n" + "\n\n".join(shown) + "\n```"


def settings_block() -> str:
    """Every setting: its flag, variable, key and default."""
    from sandbox.settings import options

    rows = ["| flag | variable | key in `[tool.baitbox]` | default |", "| --- | --- | --- | --- |"]
    for option in options().values():
        default = f"`{option.shown}`" if option.shown else "no" if option.type is bool else "none"
        key = f"`{option.key}`" if option.key else "none"
        rows.append(f"| `{option.flag}` | `{option.environment}` | {key} | {default} |")
    return "\n".join(rows)


def block(text: str, name: str) -> str:
    """What stands between the marks of a part of README.md."""
    found = re.search(rf"<!-- {name}:start[^>]*-->\n(.*?)\n?<!-- {name}:end -->", text, re.DOTALL)
    assert found is not None, f"README.md has no part called {name}"
    return found[1]


def main() -> None:
    """Write both parts."""
    text = README.read_text(encoding="utf-8")
    for name, content in (("help", help_block()), ("settings", settings_block())):
        marks = re.compile(rf"(<!-- {name}:start[^>]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        text = marks.sub(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)  # type: ignore[misc]
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
