"""What stands in a git repository, at a commit or in its working tree: the paths, and one file's bytes.

git is asked for listings and blobs alone, by commit and blob ids, never for a diff. The repository is not trusted:
its configuration may name programs (`core.fsmonitor`, hooks, filters, a remote to fetch missing blobs from), its
refs may replace objects, its files may be links that lead out. All of that is switched off here.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from sandbox import process
from sandbox.errors import TargetError, UsageError
from sandbox.targets import shown

MOST_LISTED = 128 * 1024 * 1024
"""Bytes of a listing; about a million files."""
_SECONDS = 60.0
_FILE, _LINK = "100", "120"
"""How git's modes of them begin."""
_MOST_LINKS = 8
_MOST_TARGET = 4096
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_OFF = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "core.untrackedCache=false",
    "core.sshCommand=false", "protocol.allow=never", "submodule.recurse=false",
)  # fmt: skip
_VARIABLES = {
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone would ask its remote, by a command that its configuration names
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}


class Tree(Protocol):
    """Files of one repository at one moment. Paths are relative to its top, with `/`."""

    @property
    def name(self) -> str:
        """As messages name it: a revision, or `the working tree`."""
        ...

    def paths(self) -> list[str]:
        """Every regular file and link, in order. Raises TargetError where there are far too many."""
        ...

    def read(self, path: str, limit: int) -> bytes | None:
        """The file's bytes, or those of the file in the same repository that a link leads to; None where there is no
        such file. Raises ValueError, with a sentence that begins after the path, for a folder, a link that leads out or
        nowhere, or more than `limit` bytes."""
        ...


class Commit(msgspec.Struct, frozen=True):
    """The files of a commit, which is known by its id."""

    root: Path
    id: str
    name: str

    def paths(self) -> list[str]:
        """See `Tree`."""
        return [path for path, (mode, _) in self._listed().items() if mode.startswith((_FILE, _LINK))]

    def read(self, path: str, limit: int) -> bytes | None:
        """See `Tree`."""
        linked = False
        for _ in range(_MOST_LINKS):
            found = self._listed(path).get(path)
            if found is None and linked:
                raise ValueError("is a link that leads to no file of the repository")
            if found is None:
                return None
            mode, blob = found
            if not mode.startswith(_LINK):
                return self._content(path, blob, limit)
            target = self._content(path, blob, _MOST_TARGET).decode("utf-8", "surrogateescape")
            path, linked = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)), True
            if path.startswith(("/", "../")) or path in (".", ".."):
                raise ValueError("is a link that leads out of the repository")
        raise ValueError("is a link to a link to a link, and so on")

    def _content(self, path: str, blob: str, limit: int) -> bytes:
        done = _git(self.root, "cat-file", "blob", blob, limit=limit)
        if done.dropped:
            raise ValueError(f"has more than {limit // 1024**2} MiB")
        if done.code != 0:
            raise TargetError(
                f"git cannot give {shown(path)} of {self.name}: {_said(done)}",
                "a partial clone lacks it: git fetch, or clone without --filter",
            )
        return done.stdout

    def _listed(self, *paths: str) -> dict[str, tuple[str, str]]:
        """(mode, object id) by path. Not the sizes: a partial clone lacks them."""
        done = _git(self.root, "ls-tree", "-r", "-z", "--full-tree", self.id, "--", *paths, limit=MOST_LISTED)
        if done.code != 0:
            raise TargetError(f"git cannot list the files of {self.name}: {_said(done)}")
        found = {}
        for line in _lines(done, self.name):
            head, _, path = line.partition("\t")
            mode, kind, name = head.split()
            if kind == "blob":
                found[path] = (mode, name)
        return found


class WorkingTree(msgspec.Struct, frozen=True):
    """The files as they are on disk: those that git knows, and new ones that it would not ignore."""

    root: Path
    name: str = "the working tree"

    def paths(self) -> list[str]:
        """See `Tree`."""
        done = _git(
            self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", limit=MOST_LISTED
        )
        if done.code != 0:
            raise TargetError(f"git cannot list the files of {self.name}: {_said(done)}")
        found = dict.fromkeys(_lines(done, self.name))
        return [path for path in found if self._is_file(path)]

    def read(self, path: str, limit: int) -> bytes | None:
        """See `Tree`."""
        place = self.root / path
        try:
            real = place.resolve()
        except (OSError, RuntimeError):  # links in a circle
            raise ValueError("cannot be followed") from None
        if not real.is_relative_to(self.root):
            raise ValueError("leads out of the repository")
        content = read_file(real, limit)
        if content is None and place.is_symlink():
            raise ValueError("is a link that leads to no file of the repository")
        return content

    def _is_file(self, path: str) -> bool:
        try:
            mode = (self.root / path).lstat().st_mode
            return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
        except (OSError, ValueError):
            return False


def read_file(place: Path, limit: int) -> bytes | None:
    """A regular file's bytes; None where nothing is there. Raises ValueError, with a sentence that begins after the
    path, for anything else, and for more than `limit` bytes."""
    try:
        # Not blocking: a pipe would wait for a writer for ever.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        link = place.is_symlink()
        raise ValueError("is a link, not a file" if link else f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("is not a file")
    with open(descriptor, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"has more than {limit // 1024**2} MiB")
    return content


def repository(folder: Path) -> Path:
    """The top of the repository that `folder` is in. Raises UsageError, with what to do."""
    done = _git(folder, "rev-parse", "--show-toplevel")
    said = _said(done)
    if done.code == 0 and done.stdout.strip():
        root = Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
        # `core.worktree` may name any folder of this machine.
        if folder.resolve().is_relative_to(root.resolve()):
            return root.resolve()
        raise UsageError(f"the git repository here says that its files are in {shown(str(root))}")
    if "dubious ownership" in said:
        raise UsageError(
            f"git does not read this repository, because another user owns it: {folder}",
            f"if you trust it: git config --global --add safe.directory {folder}",
        )
    if "not a git repository" in said or "must be run in a work tree" in said:
        raise UsageError(
            f"{folder} is not in a git repository with files",
            "run it in one, or compare two files with --before FILE --after FILE",
        )
    raise UsageError(f"git cannot read the repository at {folder}: {said}")


def commit(root: Path, revision: str) -> Commit:
    """The commit that `revision` (a branch, tag or id) names. Raises UsageError, with what to do."""
    if not revision or revision.startswith("-") or not revision.isprintable() or len(revision) > 1000:
        raise UsageError(f"“{shown(revision)}” is not the name of a revision")
    done = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    found = done.stdout.decode("ascii", "replace").strip()
    if done.code == 0 and _COMMIT.fullmatch(found):
        return Commit(root, found, revision)
    raise UsageError(f"there is no revision {shown(revision)} in {root}", _how_to_fetch(root, revision))


def fork_point(base: Commit, head: str) -> Commit:
    """Where `head` (a commit's id, or HEAD) left `base`, as `git diff base...head` takes it: what came into `base`
    after that is no change of `head`'s. `base` itself where no common ancestor is known (a shallow clone)."""
    done = _git(base.root, "merge-base", base.id, head)
    found = done.stdout.decode("ascii", "replace").strip()
    if done.code == 0 and _COMMIT.fullmatch(found):
        return Commit(base.root, found, base.name)
    return base


def _how_to_fetch(root: Path, revision: str) -> str:
    """What to do about a revision that is not here. A plain `git fetch origin main` puts it under no name in a clone of
    one branch, so the command says where to."""
    shallow = _git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    why = "this clone is shallow" if shallow else "fetch it first"
    actions = " (on GitHub Actions: checkout with fetch-depth: 0)" if shallow else ""
    remotes = _git(root, "remote").stdout.decode("utf-8", "replace").split()
    if not remotes or not re.fullmatch(r"[A-Za-z0-9._/-]+", revision):
        return "see what there is with git branch --all"
    remote = next((one for one in remotes if revision.startswith(f"{one}/")), "")
    source = remote or ("origin" if "origin" in remotes else remotes[0])
    if not remote and re.fullmatch(r"[0-9a-f]{7,64}", revision):
        deepen = " --unshallow" if shallow else ""
        every = f"'+refs/heads/*:refs/remotes/{source}/*'"
        return f"{why}: git fetch{deepen} {source} {every}{actions}"
    branch = revision.removeprefix(f"{source}/")
    other = "" if remote else f"{source}/{branch}"
    if other and _git(root, "rev-parse", "--verify", "--quiet", f"{other}^{{commit}}").code == 0:
        return f"there is {other}: name that"
    fetch = f"git fetch {source} +{branch}:refs/remotes/{source}/{branch}"
    return f"{why}: {fetch}{f', and name {other}' if other else ''}{actions}"


def _git(folder: Path, *arguments: str, limit: int = 64 * 1024) -> process.Completed:
    settings = [part for setting in _OFF for part in ("-c", setting)]
    command = ["git", "--no-pager", *settings, *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_TRACE")}
    try:
        return process.run(command, timeout=_SECONDS, env=environment | _VARIABLES, limit=limit, cwd=folder)
    except FileNotFoundError:
        hint = "sudo apt-get install git, or compare two files with --before FILE --after FILE"
        raise UsageError("git is not installed", hint) from None
    except OSError as error:
        raise UsageError(f"git cannot be started in {folder}: {error.strerror}") from None


def _lines(done: process.Completed, name: str) -> list[str]:
    if done.dropped or done.timed_out:
        raise TargetError(
            f"{name} has too many files to look through", "name the lockfiles: baitbox gate LOCKFILE --base REV"
        )
    return [os.fsdecode(line) for line in done.stdout.split(b"\0") if line]


def _said(done: process.Completed) -> str:
    if done.timed_out:
        return f"no answer within {_SECONDS:.0f} s"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    words: Callable[[str], str] = lambda text: re.sub(r"^(?:fatal|error): ", "", text)  # noqa: E731
    return shown(words(lines[0])) if lines else f"it ended with {done.code}"
