"""Which lockfiles are found, and which are not ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox import lock_search
from sandbox.errors import TargetError
from tests import locks

LOCK = locks.npm_lock({"left-pad": locks.package("1.3.0", b"x")}, {"left-pad": "1.3.0"})


def write(path: Path, text: str = LOCK) -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(*paths: Path) -> list[str]:
    """The lockfiles' paths, from the first folder on."""
    held, _ = lock_search.find([str(path) for path in paths])
    return [str(one.path.relative_to(paths[0].resolve())) for one in held]


def test_every_repository_below_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "one" / "package-lock.json")
    write(tmp_path / "two" / "web" / "package-lock.json")
    write(tmp_path / "two" / "requirements.txt", "six==1.17.0\n")
    write(tmp_path / "two" / "readme.md", "no lock")
    assert found(tmp_path) == ["one/package-lock.json", "two/requirements.txt", "two/web/package-lock.json"]


@pytest.mark.parametrize("folder", ["node_modules/x", ".git/x", ".venv", "deep/node_modules/y"])
def test_what_is_installed_is_not_scanned(tmp_path: Path, folder: str) -> None:
    write(tmp_path / "package-lock.json")
    write(tmp_path / folder / "package-lock.json")
    assert found(tmp_path) == ["package-lock.json"]


def test_an_environment_of_any_name_is_not_scanned(tmp_path: Path) -> None:
    write(tmp_path / "package-lock.json")
    write(tmp_path / "env" / "pyvenv.cfg", "")
    write(tmp_path / "env" / "requirements.txt", "six==1.17.0\n")
    assert found(tmp_path) == ["package-lock.json"]


def test_a_lockfile_named_twice_is_scanned_once(tmp_path: Path) -> None:
    lock = write(tmp_path / "package-lock.json")
    held, _ = lock_search.find([str(lock), str(tmp_path), str(lock)])
    assert len(held) == 1


def test_a_name_that_is_no_text_is_told_with_its_bytes(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff b"))
    folder.mkdir()
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    found, _ = lock_search.find([str(tmp_path)])
    assert [one.name.rpartition("/a")[2] for one in found] == ["\\xff b/requirements.txt"]
    assert found[0].lock is not None


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "package-lock.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert found(tmp_path) == ["package-lock.json"]


def test_what_is_not_there_and_where_nothing_is_are_said(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no such file"):
        lock_search.find([str(tmp_path / "no")])
    with pytest.raises(TargetError, match="no lockfile"):
        lock_search.find([str(tmp_path)])


def test_a_lockfile_that_cannot_be_read_keeps_its_place(tmp_path: Path) -> None:
    write(tmp_path / "package-lock.json", "{")
    held, _ = lock_search.find([str(tmp_path)])
    assert held[0].lock is None
    assert held[0].problem


def test_an_include_that_leads_out_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "secret.txt", "left-pad==1.0\n")
    write(tmp_path / "repository" / "requirements.txt", "-r ../secret.txt\nsix==1.17.0\n")
    held, _ = lock_search.find([str(tmp_path / "repository")])
    lock = held[0].lock
    assert lock is None or "left-pad" not in {entry.name for entry in lock.entries}
    assert lock is None or any("secret.txt" in note.text for note in lock.notes)


def test_a_device_is_no_lockfile(tmp_path: Path) -> None:
    (tmp_path / "package-lock.json").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="larger"):
        lock_search.read_bounded(Path("/dev/zero"))
