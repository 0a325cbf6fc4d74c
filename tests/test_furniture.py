"""The lived-in home: of many ages, small, harmless to the programs that read it."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import pytest

from sandbox.bait import BaitFile, Draw
from sandbox.persona import Persona, furniture, load_personas


@pytest.fixture(scope="module")
def laptop() -> Persona:
    return load_personas([Path(__file__).parent.parent / "profiles" / "personas"])["laptop"]


@pytest.fixture(scope="module")
def pieces(laptop: Persona) -> list[BaitFile]:
    return furniture(laptop, Draw(1))


def test_ages_span_a_day_to_three_years(pieces: list[BaitFile]) -> None:
    ages = [each.age for each in pieces]
    assert min(ages) <= 1
    assert max(ages) > 1000
    assert len(set(ages)) > 40


def test_it_is_small_and_no_bait(pieces: list[BaitFile]) -> None:
    assert sum(len(each.content) for each in pieces) < 200_000
    assert {each.weight for each in pieces} == {"low"}


def test_it_leaves_package_managers_alone(pieces: list[BaitFile]) -> None:
    paths = {each.path for each in pieces}
    assert "./package.json" not in paths
    assert not [
        path
        for path in paths
        if path.startswith(("~/.npm", "~/.cache/pip", "~/.config/pip", "./node_modules"))
    ]


def test_pictures_are_pictures(pieces: list[BaitFile]) -> None:
    pictures = [each for each in pieces if each.path.endswith(".png")]
    assert len(pictures) > 5
    for each in pictures:
        assert each.content.startswith(b"\x89PNG\r\n\x1a\n")
        start = each.content.index(b"IDAT")
        size = int.from_bytes(each.content[start - 4 : start])
        assert len(zlib.decompress(each.content[start + 4 : start + 4 + size])) == 24 * 25


def test_git_reads_the_configuration(pieces: list[BaitFile], laptop: Persona, tmp_path: Path) -> None:
    content = next(each.content for each in pieces if each.path == "~/.gitconfig")
    (tmp_path / ".gitconfig").write_bytes(content)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}
    run = subprocess.run(
        ["git", "config", "user.email"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert run.stdout.strip() == laptop.email
    for command in (
        ["init", "-q", "r"],
        ["-C", "r", "commit", "-q", "--allow-empty", "-m", "x"],
        ["-C", "r", "st"],
    ):
        subprocess.run(["git", *command], env=environment, check=True, cwd=tmp_path, capture_output=True)


@pytest.mark.parametrize("place", ["./", "~/code/storefront/", "~/code/storefront-infra/"])
def test_projects_are_clean_repositories(pieces: list[BaitFile], tmp_path: Path, place: str) -> None:
    for each in pieces:
        if each.path.startswith(place):
            target = tmp_path / each.path.removeprefix(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(each.content)
    environment = {"HOME": str(tmp_path.parent), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> str:
        run = subprocess.run(
            ["git", *arguments], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return run.stdout

    assert git("status", "-sb") == "## main...origin/main\n"
    assert git("log", "--format=%an").strip() == "Jordan Avery"
    git("fsck", "--strict")
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "README.md").write_text("changed\n")
    expected = "README.md" if place != "~/code/storefront-infra/" else ".env"
    assert expected in git("status", "--porcelain")
