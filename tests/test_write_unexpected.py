"""Where a command keeps its settings, and where nobody does."""

from __future__ import annotations

from functools import cache

import pytest

from sandbox import events, profiles
from sandbox.judge import judge
from sandbox.profiles import Profiles
from sandbox.rules import write_unexpected
from tests.recording import HOME, installed

RULES = {"write_unexpected": write_unexpected.RULE}


@cache
def sheets() -> Profiles:
    return profiles.load([profiles.profile_folder()], "npm")


def fires(package: str, path: str, kind: str = "run", change: str = "", mode: int = 0, planted: str = "") -> bool:
    story = installed(package=package, planted=[events.PlantedFile("aws", planted or f"{HOME}/.aws/credentials")])
    root = story.begin("it", kind, ["/usr/bin/node", f"{HOME}/project/node_modules/.bin/it"])
    if change:
        target = f"{HOME}/x" if change == "symlinked" else ""
        story.add(events.FileChanged, process=root, path=path, change=change, target=target, mode=mode)
    else:
        story.read(root, path, "write", created=True)
    return bool(judge(story.end(root).whole(), sheets(), RULES).findings)


@pytest.mark.parametrize(
    ("package", "path", "change"),
    [
        ("tile-press", "~/.tile-press", "made"),
        ("tile-press", "~/.tile-press/config.json", ""),
        ("tile-press", "~/.tile-press/config.json.1264192601", ""),
        ("tile-press", "~/.tile-press/config.json", "renamed"),
        ("tile-press", "~/.local", "made"),
        ("tile-press", "~/.local/state", "made"),
        ("tile-press", "~/.local/state/tile-press/log/a_12.log", ""),
        ("tile-press-cli", "~/.config/tile-press/settings.toml", ""),
        ("@tile-press/cli", "~/.tile-press/config.json", ""),
        ("@scope/tile-press", "~/.local/share/tile-press/state", ""),
        ("tile-press", "~/.tile-press/icons/tile-64.png", ""),
        ("tile-press", "~/.tile-pressrc", ""),
        ("@tx/press", "~/.tx/state.db", ""),
        ("tile-press", "~/.tile_press.log", ""),
    ],
)
def test_a_command_keeps_its_settings_in_a_folder_of_its_name(package: str, path: str, change: str) -> None:
    path = path.replace("~", HOME)
    assert not fires(package, path, change=change)
    assert not fires(package, path, "import", change)
    assert fires(package, path, "install", change), "nobody uses it then"
    above = path in (f"{HOME}/.local", f"{HOME}/.local/state")
    assert fires("other", path, change=change) is not above


@pytest.mark.parametrize(
    ("package", "path", "change"),
    [
        ("tile-press", "~/.tile-press", ""),
        ("tile-press", "~/.tile-press/next.js", ""),
        ("tile-press", "~/.tile-pressrc.js", ""),
        ("press", "~/.tile-pressrc", ""),
        ("tile-press", "~/.tile-press/next.py", ""),
        ("tile-press", "~/.tile-press/config.json.sh", ""),
        ("tile-press", "~/.tile-press/run.service", ""),
        ("tile-press", "~/.tile-press/state", "symlinked"),
        ("tile-press", "~/.tile-pressure/config.json", ""),
        ("tile-press", "~/.config/other/config.json", ""),
        ("tile-press", "~/tile-press/config.json", ""),
        ("@scope/cli", "~/.config/cli/config.json", ""),
        ("sh", "~/.sh/config.json", ""),
    ],
)
def test_what_is_no_setting_of_its_own_is_still_told(package: str, path: str, change: str) -> None:
    assert fires(package, path.replace("~", HOME), change=change)


@pytest.mark.parametrize(
    ("loaded", "path", "told"),
    [
        (".venv/lib/python3.11/site-packages/tilepress/__init__.py", "~/.config/tilepress/tilepressrc.json", False),
        (".venv/lib/python3.11/site-packages/tilepress.py", "~/.tilepress/settings.json", False),
        ("node_modules/@tile/press/index.js", "~/.config/tile/settings.json", False),
        ("node_modules/tile-press/index.js", "~/.config/tile_press/settings.json", False),
        ("node_modules/tile-press/index.js", "~/.config/tile_press/next.js", True),
        (".venv/lib/python3.11/site-packages/tile_core/paths.py", "~/.tile/migrated", False),
        ("src/tilepress.py", "~/.tilepress/settings.json", True),
        ("node_modules/git/index.js", "~/.config/git/settings.json", True),
    ],
)
@pytest.mark.parametrize("same", [True, False])
def test_a_dependency_that_was_loaded_keeps_settings_too(loaded: str, path: str, told: bool, same: bool) -> None:
    story = installed(package="other", planted=[events.PlantedFile("aws", f"{HOME}/.aws/credentials")])
    root = story.begin("import:other", "import", ["/usr/bin/node", "-e", "1"])
    story.read(root, f"{HOME}/project/{loaded}")
    story.read(root if same else story.fork(root), path.replace("~", HOME), "write", created=True)
    findings = judge(story.end(root).whole(), sheets(), RULES).findings
    assert bool(findings) is (told or not same)


def test_a_folder_that_may_be_entered_is_no_program() -> None:
    story = installed(package="tile")
    root = story.begin("it", "run", ["/usr/bin/node", "x"])
    for change in ("made", "mode"):
        story.add(events.FileChanged, process=root, path=f"{HOME}/.tile/icons", change=change, mode=0o755)
    assert not judge(story.end(root).whole(), sheets(), RULES).findings


def test_what_holds_planted_files_is_nobodys_settings() -> None:
    story = installed(package="tile", planted=[events.PlantedFile("tile", f"{HOME}/.tilerc/token")])
    root = story.begin("it", "run", ["/usr/bin/node", "x"])
    story.add(events.FileChanged, process=root, path=f"{HOME}/.tilerc", change="truncated")
    assert judge(story.end(root).whole(), sheets(), RULES).findings


def test_a_file_that_is_made_a_program_is_told() -> None:
    path = f"{HOME}/.tile-press/state"
    assert not fires("tile-press", path, change="mode", mode=0o600)
    assert fires("tile-press", path, change="mode", mode=0o755)


def test_a_folder_that_holds_planted_files_is_nobodys_own() -> None:
    path, planted = f"{HOME}/.tile-press/config.json", f"{HOME}/.tile-press/credentials"
    assert not fires("tile-press", path)
    assert fires("tile-press", path, planted=planted)
