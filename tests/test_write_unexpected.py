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


def test_a_file_that_is_made_a_program_is_told() -> None:
    path = f"{HOME}/.tile-press/state"
    assert not fires("tile-press", path, change="mode", mode=0o600)
    assert fires("tile-press", path, change="mode", mode=0o755)


def test_a_folder_that_holds_planted_files_is_nobodys_own() -> None:
    path, planted = f"{HOME}/.tile-press/config.json", f"{HOME}/.tile-press/credentials"
    assert not fires("tile-press", path)
    assert fires("tile-press", path, planted=planted)
