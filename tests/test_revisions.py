"""What stands in a git repository, and that a hostile one runs nothing and leads nowhere."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from git_repository import Repository

from sandbox import process, revisions
from sandbox.errors import TargetError, UsageError

LIMIT = 1000


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "work")
    made.commit({"a.txt": "one", "deep/b.txt": "two", "odd\nname": "x"})
    return made


def test_a_commit_has_the_files_that_it_was_made_of(repository: Repository) -> None:
    older = repository.git("rev-parse", "HEAD")
    repository.commit({"a.txt": "changed", "deep/b.txt": None})
    for name, content, paths in (
        ("HEAD~1", b"one", ["a.txt", "deep/b.txt", "odd\nname"]),
        ("main", b"changed", ["a.txt", "odd\nname"]),
    ):
        commit = revisions.commit(repository.root, name)
        assert commit.paths() == paths
        assert commit.read("a.txt", LIMIT) == content
        assert commit.read("odd\nname", LIMIT) == b"x"
        assert commit.read("nothing", LIMIT) is None
        assert commit.name == name
    assert revisions.commit(repository.root, "HEAD~1").id == older
    assert revisions.commit(repository.root, older[:12]).id == older


def test_the_working_tree_has_new_files_and_no_ignored_ones(repository: Repository) -> None:
    repository.write({".gitignore": "left/\n", "new.txt": "new", "left/out.txt": "", "a.txt": None})
    tree = revisions.WorkingTree(repository.root)
    assert sorted(tree.paths()) == [".gitignore", "deep/b.txt", "new.txt", "odd\nname"]
    assert tree.read("new.txt", LIMIT) == b"new"
    assert tree.read("a.txt", LIMIT) is None


def test_links_folders_and_large_files_are_refused_with_a_reason(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    (repository.root / "link.txt").symlink_to("/etc/passwd")
    (repository.root / "way").symlink_to(tmp_path / "outside")
    os.mkfifo(repository.root / "pipe")
    repository.commit({"large": b"x" * (LIMIT + 1)})
    tree, commit = revisions.WorkingTree(repository.root), revisions.commit(repository.root, "HEAD")
    assert "pipe" not in {*tree.paths(), *commit.paths()}
    for where in (tree, commit):
        with pytest.raises(ValueError, match="leads out of the repository"):
            where.read("link.txt", LIMIT)
        with pytest.raises(ValueError, match="has more than"):
            where.read("large", LIMIT)
    with pytest.raises(ValueError, match="leads out of the repository"):
        tree.read("way/secret.txt", LIMIT)
    assert commit.read("way/secret.txt", LIMIT) is None
    for path in ("pipe", "deep"):
        with pytest.raises(ValueError, match="is not a file"):
            tree.read(path, LIMIT)
    with pytest.raises(ValueError, match="leads out"):
        tree.read("../outside/secret.txt", LIMIT)


def test_links_within_the_repository_are_followed(repository: Repository) -> None:
    """As npm and pip follow them: what they lead to is what will be installed."""
    repository.write({"deep/real.txt": "content"})
    links = {"one.txt": "deep/real.txt", "deep/two.txt": "../one.txt", "lost.txt": "nowhere", "round.txt": "round.txt",
             "deep/out.txt": "../../x"}  # fmt: skip
    for name, target in links.items():
        (repository.root / name).symlink_to(target)
    repository.commit({})
    for tree in (revisions.WorkingTree(repository.root), revisions.commit(repository.root, "HEAD")):
        assert set(links) <= set(tree.paths())
        assert tree.read("one.txt", LIMIT) == tree.read("deep/two.txt", LIMIT) == b"content"
        refused = {"lost.txt": "leads to no file", "deep/out.txt": "leads out", "round.txt": "cannot be followed|link"}
        for name, why in refused.items():
            with pytest.raises(ValueError, match=why):
                tree.read(name, LIMIT)


@pytest.mark.parametrize(
    "name", ["", "-x", "--output=stolen", "--upload-pack=touch stolen", "a\nb", "a\0b", "x" * 2000]
)
def test_what_is_no_revision_is_never_given_to_git(repository: Repository, name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a revision"):
        revisions.commit(repository.root, name)
    assert not list(repository.root.glob("stolen*"))


def hint_for(root: Path, revision: str) -> str:
    with pytest.raises(UsageError, match="there is no revision") as error:
        revisions.commit(root, revision)
    return error.value.hint


def test_an_unknown_revision_is_told_with_what_to_do(repository: Repository) -> None:
    assert "git branch" in hint_for(repository.root, "nope")
    assert "git branch" in hint_for(repository.root, "origin/main")  # there is no such remote
    repository.git("remote", "add", "origin", "https://forge.test/words.git")
    fetch = "fetch it first: git fetch origin +main:refs/remotes/origin/main"
    assert hint_for(repository.root, "origin/main") == fetch
    assert hint_for(repository.root, "fix/it").endswith("+fix/it:refs/remotes/origin/fix/it, and name origin/fix/it")
    assert "git branch" in hint_for(repository.root, "HEAD~70")
    with pytest.raises(UsageError):
        revisions.commit(repository.root, "HEAD:a.txt")  # a file is no commit


def test_what_a_clone_of_one_branch_is_told_works(repository: Repository, tmp_path: Path) -> None:
    repository.git("branch", "release")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--single-branch", "--branch=main", f"file://{repository.root}", str(clone))
    for revision in ("release", "origin/release"):
        command = hint_for(clone, revision).partition(": git ")[2].partition(",")[0]
        assert command == "fetch origin +release:refs/remotes/origin/release"
    repository.git("-C", str(clone), *command.split())
    revisions.commit(clone, "origin/release")
    assert hint_for(clone, "release") == "there is origin/release: name that"


def test_a_shallow_clone_is_told_how_to_get_the_base(repository: Repository, tmp_path: Path) -> None:
    older = repository.commit({"a.txt": "2"})
    repository.commit({"a.txt": "3"})
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.root}", str(clone))
    hint = hint_for(clone, "origin/release")
    assert "shallow: git fetch origin +release:refs/remotes/origin/release" in hint
    assert "fetch-depth: 0" in hint
    assert "shallow: git fetch --unshallow origin '+refs/heads/*:refs/remotes/origin/*'" in hint_for(clone, older)
    repository.git("-C", str(clone), "fetch", "-q", "--unshallow", "origin", "+refs/heads/*:refs/remotes/origin/*")
    revisions.commit(clone, older)


def test_the_fork_point_is_where_the_change_left_the_base(repository: Repository) -> None:
    forked = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-b", "change")
    mine = repository.commit({"mine.txt": ""})
    repository.git("checkout", "-q", "main")
    repository.commit({"theirs.txt": ""})
    base = revisions.commit(repository.root, "main")
    assert revisions.fork_point(base, mine) == revisions.Commit(repository.root, forked, "main")
    repository.git("checkout", "-q", "--orphan", "stranger")
    stranger = repository.commit({"other.txt": ""})
    assert revisions.fork_point(base, stranger) == base


def test_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not in a git repository") as error:
        revisions.repository(tmp_path)
    assert "--before" in error.value.hint
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True)
    with pytest.raises(UsageError, match="is not in a git repository with files"):
        revisions.repository(tmp_path / "bare")


def test_a_folder_inside_a_repository_finds_its_top(repository: Repository) -> None:
    assert revisions.repository(repository.root / "deep") == repository.root.resolve()


def test_a_repository_of_another_user_is_told_with_what_to_do(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own tests use it for this
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    with pytest.raises(UsageError, match="another user owns it") as error:
        revisions.repository(repository.root)
    assert "safe.directory" in error.value.hint


def test_without_git(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not installed"):
        revisions.repository(repository.root)


def test_a_hostile_repository_runs_nothing(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    trap.chmod(0o755)
    # That the trap works: a plain git runs it.
    repository.git("config", "core.fsmonitor", str(trap))
    repository.git("status")
    assert ran.exists()
    ran.unlink()
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external",
                 "diff.t.textconv", "diff.t.command", "filter.t.smudge", "filter.t.clean", "pager.ls-tree",
                 "core.askPass", "core.gitProxy", "uploadpack.packObjectsHook", "alias.ls-tree"):  # fmt: skip
        repository.git("config", name, str(trap) if "alias" not in name else f"!{trap}")
    hooks = repository.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "post-checkout", "reference-transaction", "pre-commit"):
        (hooks / hook).write_bytes(trap.read_bytes())
        (hooks / hook).chmod(0o755)
    repository.write({".gitattributes": "* diff=t filter=t\n", "a.txt": "other"})
    root = revisions.repository(repository.root)
    commit = revisions.commit(root, "main")
    assert revisions.fork_point(commit, "HEAD").read("a.txt", LIMIT) == b"one"
    assert len(commit.paths()) == 3
    tree = revisions.WorkingTree(root)
    assert "a.txt" in tree.paths()
    assert tree.read("a.txt", LIMIT) == b"other"
    assert not ran.exists()


def test_a_partial_clone_asks_nobody_for_what_it_lacks(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    repository.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repository.root}", str(clone))
    for setting in ("core.sshCommand", "remote.origin.uploadpack"):
        subprocess.run(["git", "config", setting, f"touch {ran};"], cwd=clone, check=True)
    subprocess.run(["git", "config", "remote.origin.url", "ssh://nobody.invalid/x"], cwd=clone, check=True)
    commit = revisions.commit(clone, "origin/main")
    assert len(commit.paths()) == 3
    with pytest.raises(TargetError, match="git cannot give") as error:
        commit.read("a.txt", LIMIT)
    assert "--filter" in error.value.hint
    assert not ran.exists()


def test_objects_are_not_replaced(repository: Repository) -> None:
    blob = repository.git("rev-parse", "HEAD:a.txt")
    other = repository.git("rev-parse", "HEAD:deep/b.txt")
    repository.git("replace", blob, other)
    assert repository.git("show", "HEAD:a.txt") == "two"
    assert revisions.commit(repository.root, "HEAD").read("a.txt", LIMIT) == b"one"


def test_a_repository_whose_files_are_said_to_be_elsewhere(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    repository.git("config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match=r"says that its files are in|not in a git repository"):
        revisions.repository(repository.root)


def test_a_listing_that_is_far_too_long_is_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "MOST_LISTED", 10)
    for tree in (revisions.WorkingTree(repository.root), revisions.commit(repository.root, "HEAD")):
        with pytest.raises(TargetError, match="too many files"):
            tree.paths()


def test_git_that_does_not_answer(repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nsleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(revisions, "_SECONDS", 0.3)
    assert process.run(["git"], timeout=0.1).timed_out
    with pytest.raises(UsageError, match="no answer within"):
        revisions.repository(repository.root)
