"""A repository written as files is one that git itself accepts."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.repository import repository

NAMES = st.text("abz-._0", min_size=1, max_size=6).filter(
    lambda name: name.strip(".") and not name.startswith(".git")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def no_folder_is_a_file(files: dict[str, bytes]) -> bool:
    folders = {str(parent) for path in files for parent in Path(path).parents}
    return not folders & set(files)


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(PATHS, st.binary(max_size=30), min_size=1, max_size=6).filter(no_folder_is_a_file))
def test_git_accepts_it(tmp_path_factory, files: dict[str, bytes]) -> None:  # type: ignore[no-untyped-def]
    place = tmp_path_factory.mktemp("repository")
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    for path, content in repository(
        files, "A B <a@b.test>", 1_700_000_000, "first", "git@h.test:r.git"
    ).items():
        target = place / ".git" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    environment = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}
    for command in (["fsck", "--strict"], ["diff", "--exit-code", "HEAD"]):
        subprocess.run(["git", *command], cwd=place, env=environment, check=True, capture_output=True)
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=place, env=environment, check=True, capture_output=True
    )
    assert status.stdout == b""
