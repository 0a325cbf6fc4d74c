"""Which lockfiles there are, before and after, in real repositories and as two files."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_repository import Repository
from locks import integrity, npm_lock, package, requirements

from sandbox import revisions
from sandbox.errors import TargetError, UsageError
from sandbox.lock_pairs import Pair, of_files, of_trees

OLD = npm_lock({"left-words": package("1.0.0"), "right-words": package("1.0.0")})
NEW = npm_lock({"left-words": package("1.0.1"), "right-words": package("1.0.0")})


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "work")


def pairs(repository: Repository, *named: str, base: str = "HEAD") -> dict[str, Pair]:
    older = revisions.commit(repository.root, base)
    return {pair.path: pair for pair in of_trees(older, revisions.WorkingTree(repository.root), named)}


def versions(pair: Pair) -> tuple[list[str], list[str]]:
    return tuple(  # type: ignore[return-value]
        sorted(f"{one.name} {one.version}" for one in (lock.entries if lock else ()))
        for lock in (pair.before, pair.after)
    )


def test_every_lockfile_of_the_repository_is_found_and_nobody_elses(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD, "app/requirements.txt": "six==1.16.0\n", "README.md": ""})
    repository.write({
        "package-lock.json": NEW, "node_modules/x/package-lock.json": NEW, "new/package-lock.json": NEW,
        ".venv/lib/requirements.txt": "x==1\n",
    })  # fmt: skip
    found = pairs(repository)
    assert sorted(found) == ["app/requirements.txt", "new/package-lock.json", "package-lock.json"]
    assert versions(found["package-lock.json"]) == (
        ["left-words 1.0.0", "right-words 1.0.0"], ["left-words 1.0.1", "right-words 1.0.0"],
    )  # fmt: skip
    assert found["new/package-lock.json"].before is None
    assert not any(pair.notes or pair.open or pair.problem for pair in found.values())


def test_only_those_that_are_named(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD, "b/package-lock.json": OLD})
    assert list(pairs(repository, "b/package-lock.json")) == ["b/package-lock.json"]
    with pytest.raises(TargetError, match=r"there is no c/package-lock\.json in the working tree, nor in HEAD"):
        pairs(repository, "c/package-lock.json")


def test_a_repository_without_a_lockfile_is_an_error(repository: Repository) -> None:
    repository.commit({"README.md": ""})
    with pytest.raises(TargetError, match="there is no lockfile in the working tree, nor in HEAD") as error:
        pairs(repository)
    assert error.value.hint


def test_a_renamed_lockfile_is_compared_with_what_it_was(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD})
    repository.write({"package-lock.json": None, "web/npm-shrinkwrap.json": NEW})
    found = pairs(repository)
    assert list(found) == ["web/npm-shrinkwrap.json"]
    pair = found["web/npm-shrinkwrap.json"]
    assert versions(pair)[0] == ["left-words 1.0.0", "right-words 1.0.0"]
    assert "takes the place of package-lock.json" in pair.notes[0].text
    assert pair.open == ()


PNPM = f"""\
lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      left-words: {{specifier: ^1.0.0, version: 1.0.1}}
packages:
  left-words@1.0.1:
    resolution: {{integrity: {integrity(b'words')}}}
  right-words@1.0.0:
    resolution: {{integrity: {integrity(b'words')}}}
snapshots:
  left-words@1.0.1: {{}}
  right-words@1.0.0: {{}}
"""


def test_a_lockfile_of_another_format_takes_the_place_of_the_old_one(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD})
    repository.write({"package-lock.json": None, "pnpm-lock.yaml": PNPM})
    found = pairs(repository)
    assert list(found) == ["pnpm-lock.yaml"]
    assert versions(found["pnpm-lock.yaml"]) == (
        ["left-words 1.0.0", "right-words 1.0.0"], ["left-words 1.0.1", "right-words 1.0.0"],
    )  # fmt: skip
    assert "takes the place of package-lock.json" in found["pnpm-lock.yaml"].notes[0].text


def test_a_lockfile_that_is_removed_leaves_the_question_open(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD, "requirements.txt": "six==1.16.0\n"})
    repository.write({"package-lock.json": None, "other/package-lock.json": npm_lock({"strange": package("1.0.0")})})
    found = pairs(repository)
    assert sorted(found) == ["other/package-lock.json", "package-lock.json", "requirements.txt"]
    gone = found["package-lock.json"]
    assert gone.after is None
    assert "not pinned any more" in gone.open[0].text
    assert found["other/package-lock.json"].before is None  # it shares nothing with the one that went


def test_one_of_another_ecosystem_takes_no_place(repository: Repository) -> None:
    repository.commit({"package-lock.json": npm_lock({"six": package("1.16.0")})})
    repository.write({"package-lock.json": None, "requirements.txt": "six==1.16.0\n"})
    found = pairs(repository)
    assert found["package-lock.json"].open
    assert found["requirements.txt"].before is None


def test_what_cannot_be_read_now_is_a_problem_and_before_it_makes_everything_new(repository: Repository) -> None:
    repository.commit({"package-lock.json": "{", "b/package-lock.json": OLD})
    repository.write({"package-lock.json": NEW, "b/package-lock.json": "no"})
    found = pairs(repository)
    assert found["package-lock.json"].before is None
    assert "everything counts as new" in found["package-lock.json"].notes[0].text
    assert found["b/package-lock.json"].problem
    assert found["b/package-lock.json"].after is None


def test_a_lockfile_that_becomes_a_link_is_a_problem_and_not_gone(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD})
    repository.write({"package-lock.json": None})
    (repository.root / "package-lock.json").symlink_to("/etc/passwd")
    pair = pairs(repository)["package-lock.json"]
    assert (pair.after, pair.problem) == (None, "leads out of the repository")


def test_a_lockfile_that_is_a_link_says_what_it_leads_to(repository: Repository) -> None:
    repository.commit({"data/list.dat": OLD})
    (repository.root / "web").mkdir()
    (repository.root / "web/package-lock.json").symlink_to("../data/list.dat")
    repository.commit({})
    pair = pairs(repository)["web/package-lock.json"]
    assert (pair.before, pair.problem) == (pair.after, "")
    repository.write({"data/list.dat": NEW})
    changed = pairs(repository)["web/package-lock.json"]
    assert changed.before == pair.before
    assert changed.after != pair.after


def test_of_two_files_too_what_is_not_pinned_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six==1.17.0\nflask>=2\n")
    pair = of_files(None, tmp_path / "requirements.txt")
    assert ["flask" in note.text for note in pair.open] == [True]


def test_included_files_are_those_of_their_own_revision(repository: Repository) -> None:
    repository.commit({"requirements.txt": "-r requirements/base.in\n", "requirements/base.in": "six==1.15.0\n"})
    repository.write({"requirements/base.in": "six==1.16.0\n"})
    pair = pairs(repository)["requirements.txt"]
    assert versions(pair) == (["six 1.15.0"], ["six 1.16.0"])
    assert pair.after is not None
    assert pair.after.entries[0].file == "requirements/base.in"


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/passwd", "link.txt", "requirements/../../outside.txt"])
def test_nothing_is_included_from_outside(repository: Repository, path: str) -> None:
    (repository.root.parent / "outside.txt").write_text("secret==1.0\n")
    repository.commit({"requirements.txt": "six==1.16.0\n"})
    (repository.root / "link.txt").symlink_to("../outside.txt")
    repository.write({"requirements.txt": f"-r {path}\n"})
    pair = pairs(repository)["requirements.txt"]
    assert "cannot be read" in pair.problem
    assert "secret" not in pair.problem


def test_a_new_note_leaves_the_question_open_and_an_old_one_does_not(repository: Repository) -> None:
    repository.commit({"requirements.txt": "six>=1\n"})
    repository.write({"requirements.txt": "# moved down\nsix>=1\nattrs>2\n"})
    pair = pairs(repository)["requirements.txt"]
    assert [note.text.split()[0] for note in pair.notes] == ["six>=1"]
    assert [(note.text.split()[0], note.file, note.line) for note in pair.open] == [("attrs>2", "requirements.txt", 3)]


def test_a_lockfile_of_a_commit_of_the_head(repository: Repository) -> None:
    repository.commit({"package-lock.json": OLD})
    repository.commit({"package-lock.json": NEW})
    repository.write({"package-lock.json": None})
    base, head = (revisions.commit(repository.root, name) for name in ("HEAD~1", "HEAD"))
    (pair,) = of_trees(base, head)
    assert versions(pair)[1][0] == "left-words 1.0.1"


def test_two_files(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(OLD)
    (tmp_path / "package-lock.json").write_text(NEW)
    pair = of_files(tmp_path / "old.json", tmp_path / "package-lock.json")
    assert versions(pair)[0] == ["left-words 1.0.0", "right-words 1.0.0"]
    assert of_files(None, tmp_path / "package-lock.json").before is None
    (tmp_path / "requirements.txt").write_text(requirements({"six==1.16.0": None}) + "-r more.txt\n")
    (tmp_path / "more.txt").write_text("attrs==25.1.0\n")
    pair = of_files(None, tmp_path / "requirements.txt")
    assert versions(pair)[1] == ["attrs 25.1.0", "six 1.16.0"]
    with pytest.raises(UsageError, match="is of npm, and"):
        of_files(tmp_path / "package-lock.json", tmp_path / "requirements.txt")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("gone.json", "package-lock.json", r"there is no file .*gone\.json"),
        ("package-lock.json", "gone.json", r"there is no file .*gone\.json"),
        ("gone.json", "gone.json", "there is no file"),
        ("package-lock.json", "bad/package-lock.json", "cannot be read as a lockfile"),
        ("package-lock.json", ".", "is not a file"),
    ],
)
def test_files_that_cannot_be_compared(tmp_path: Path, before: str, after: str, message: str) -> None:
    (tmp_path / "package-lock.json").write_text(OLD)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "package-lock.json").write_text("{")
    with pytest.raises(TargetError, match=message):
        of_files(tmp_path / before, tmp_path / after)
