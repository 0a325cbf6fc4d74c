"""The documentation says what the program does: help, settings, exit codes, dependencies, links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sandbox import discovery, errors, listing
from tools import readme

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def words(text: str) -> str:
    """Text without its line breaks: versions of the help's formatter wrap it differently."""
    return " ".join(text.split())


@pytest.mark.parametrize("command", readme.COMMANDS)
def test_the_help_in_the_readme_is_the_help(command: tuple[str, ...]) -> None:
    told = readme.help_text(*command)
    options = told.partition("Options:")[2]
    assert options
    assert told.splitlines()[0] in readme.block(README, "help").splitlines(), "run `make readme`"
    assert words(options) in words(readme.block(README, "help")), "run `make readme`"


@pytest.mark.parametrize(
    ("command", "many"),
    [("check", "TARGET..."), ("gate", "[LOCKFILE]..."), ("scan", "[PATH]..."), ("learn", "TARGET|RECORDING...")],
)
def test_the_help_says_where_several_can_be_given(command: str, many: str) -> None:
    assert readme.help_text(command).splitlines()[0] == f"Usage: baitbox {command} [OPTIONS] {many}"


def test_the_settings_in_the_readme_are_the_settings() -> None:
    assert readme.block(README, "settings") == readme.settings_block(), "run `make readme`"


def test_the_exit_codes_in_the_readme_are_those_of_the_program() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", readme.block(README, "exits"), re.MULTILINE)}
    constants = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    classes = {one.exit_code for one in vars(errors).values() if isinstance(one, type)}
    assert documented == constants | classes
    meanings = dict(re.findall(r"^\| (\d+) \| (\w+)", readme.block(README, "exits"), re.MULTILINE))
    for verdict in ("clean", "suspicious", "malicious", "inconclusive", "interrupted"):
        assert meanings[str(getattr(errors, f"EXIT_{verdict.upper()}"))] == verdict


def test_the_help_names_the_same_exit_codes() -> None:
    text = words(readme.help_text())
    for code in (0, 10, 11, 5, 1, 2, 3, 4, 130):
        assert re.search(rf"\b{code} [a-z]", text), code


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ;]", requirement)[0].lower() for requirement in requirements}


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = requirement_names(project["project"]["dependencies"])
    wanted |= requirement_names(project["build-system"]["requires"])
    wanted |= requirement_names(project["dependency-groups"]["dev"])
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-z][a-z0-9-]*) \| ([^|]+)", text, re.MULTILINE))
    rows.pop("package")
    assert set(rows) == wanted
    assert all(len(reason.strip()) > 4 for reason in rows.values())


def test_every_rule_and_decoy_has_a_page_in_the_command_line() -> None:
    for folder, attribute in (("rules", "RULE"), ("decoys", "DECOY")):
        for name in discovery.load(folder, attribute):
            assert len(getattr(listing, folder)(name).splitlines()) > 2, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_linked_from_another() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        others = [other.read_text(encoding="utf-8") for other in PAGES if other != page]
        assert any(f"{page.name})" in text for text in others), page.name


def test_the_targets_that_the_pages_name_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        for line in re.findall(r"`make ([a-z -]+)`", page.read_text(encoding="utf-8")):
            assert set(line.split()) <= targets, f"{page.name}: make {line}"


def test_nobody_is_told_to_install_baitbox_from_an_index() -> None:
    """It is published nowhere: whoever took the name there would be run."""
    by_name = re.compile(r"\b(?:install|pipx run|uvx)\b(?: -\S+)* [\"']?baitbox(?![\w/.-])")
    assert by_name.search("pip install --no-deps baitbox")
    assert by_name.search("pip install 'baitbox[ssh]'")
    for file in [*PAGES, *(ROOT / "sandbox").rglob("*.py"), ROOT / "action.yml"]:
        found = by_name.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.name}: {found}"


def test_the_version_is_said_once() -> None:
    from sandbox import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == __version__


def test_the_commands_that_the_pages_show_exist() -> None:
    from sandbox.cli import app

    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    names |= {str(group.name) for group in app.registered_groups}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        code = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"`[^`\n]+`", text)
        for command in re.findall(r"(?:^|`|bin/|\$ )baitbox ([a-z]+)", "\n".join(code), re.MULTILINE):
            assert command in names, f"{page.name}: baitbox {command}"
