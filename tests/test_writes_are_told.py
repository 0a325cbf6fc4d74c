"""Wherever a package writes while it is imported, some rule says so; what is left out is its own, and named here."""

from __future__ import annotations

from functools import cache

import pytest

from sandbox import discovery, events, profiles
from sandbox.judge import judge
from sandbox.profiles import Profiles
from sandbox.rules import Rule
from tests.recording import HOME, NPM, PIP, PROJECT, Story

RULES: dict[str, Rule] = discovery.load("rules", "RULE")
SITE = f"{PROJECT}/.venv/lib/python3.11/site-packages"
EVERYWHERE = [
    f"{HOME}/.bash_logout", f"{HOME}/.thing", f"{HOME}/.config/other/settings.json", f"{HOME}/notes.txt",
    f"{HOME}/code/other/src/server.js", f"{HOME}/code/other/.git/hooks/post-checkout", f"{HOME}/code/other/AGENTS.md",
    f"{HOME}/code/thing.txt", f"{HOME}/Documents/letter.txt", f"{HOME}/.local/share/x", f"{HOME}/.aws/other",
    f"{HOME}/.cache/pip/wheels/six.whl", f"{HOME}/.cache/uv/x", f"{HOME}/.npm/_cacache/content-v2/x",
    f"{PROJECT}/src/server.js", f"{PROJECT}/package.json", f"{PROJECT}/conftest.py", f"{PROJECT}/.husky/pre-commit",
    f"{PROJECT}/.git/index", "/etc/thing.conf", "/usr/local/bin/thing", "/opt/thing/x", "/var/lib/thing", "/root/x",
]  # fmt: skip
INSTALLED = {
    "npm": [f"{PROJECT}/node_modules/other/index.js", f"{PROJECT}/node_modules/.bin/tsc"],
    "pypi": [
        f"{SITE}/other/__init__.py", f"{SITE}/six.py", f"{SITE}/x.pth", f"{SITE}/other-1.dist-info/RECORD",
        f"{SITE}/__pycache__/six.cpython-311.pyc", f"{PROJECT}/.venv/bin/ls", f"{PROJECT}/.venv/bin/python3",
        f"{PROJECT}/.venv/bin/activate", f"{PROJECT}/.venv/pyvenv.cfg", f"{PROJECT}/.venv/share/x",
        f"{PROJECT}/.venv/lib/python3.11/x.py", f"{PROJECT}/.venv/lib/x.so",
    ],
}  # fmt: skip
ALL = [(ecosystem, path) for ecosystem, paths in INSTALLED.items() for path in (*EVERYWHERE, *paths)]


@cache
def sheets(ecosystem: str) -> Profiles:
    return profiles.load([profiles.profile_folder()], ecosystem)


def told(ecosystem: str, path: str, change: str = "") -> list[str]:
    python = f"{PROJECT}/.venv/bin/python"
    story = Story(ecosystem=ecosystem, package="thing")
    story.end(story.begin("install", "install", NPM if ecosystem == "npm" else PIP))
    root = story.begin("import:thing", "import", ["/usr/bin/node" if ecosystem == "npm" else python, "-c", "x"])
    if change in ("renamed", "linked"):
        story.add(events.FileChanged, process=root, path="/tmp/x", target=path, change=change)
    elif change:
        target = "/tmp/x" if change == "symlinked" else ""
        story.add(events.FileChanged, process=root, path=path, target=target, change=change)
    else:
        story.read(root, path, "write", created=True)
    return [finding.rule for finding in judge(story.end(root).whole(), sheets(ecosystem), RULES).findings]


@pytest.mark.parametrize(("ecosystem", "path"), ALL)
@pytest.mark.parametrize("change", ["", "renamed", "linked", "symlinked"])
def test_what_an_import_writes_is_told(ecosystem: str, path: str, change: str) -> None:
    assert told(ecosystem, path, change)


@pytest.mark.parametrize(
    ("ecosystem", "path"),
    [
        ("npm", f"{PROJECT}/node_modules/thing/cache.json"),
        ("npm", f"{PROJECT}/node_modules/.cache/x"),
        ("pypi", f"{SITE}/thing/parsetab.py"),
        ("pypi", f"{SITE}/__pycache__/other.cpython-311.pyc.123"),
        ("pypi", f"{HOME}/.cache/thing/x"),
        ("pypi", "/tmp/x"),
    ],
)
def test_what_is_its_own_is_not(ecosystem: str, path: str) -> None:
    assert told(ecosystem, path) == []
