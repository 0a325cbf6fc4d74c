"""Lockfiles: one file a format, each defining `LOCKFILE`. Bytes in, entries out; nothing is fetched or run.

A lockfile is hostile input: a parser raises `ValueError` with one sentence and nothing else, always ends, and never
leaves an entry out: what cannot be run (git, URL, workspace, file) is an entry with its `source`, or a note.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Literal, Protocol

import msgspec

from sandbox import discovery
from sandbox.report import Note

MOST_BYTES = 64 * 1024 * 1024
MOST_ENTRIES = 200_000

Source = Literal["registry", "git", "url", "file", "workspace", "bundled"]
"""Where a package comes from. `bundled`: it lies inside another package's archive (`location` is that package's name)
and has none of its own."""

Include = Callable[[str], bytes]
"""Reads a file that a requirements file includes. The path is `path`'s folder joined with what the file says, with
`.` and `..` resolved; it may be absolute or start with `..`, and it is the reader's business to refuse that. Whatever
cannot be read raises OSError or ValueError."""


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """One package as a lockfile pins it. `version` is exact, and empty where the lock has none (a git checkout);
    `digests` are `sha512:HEX`, `sha256:HEX` and so on, of which the file must match one; empty where the lock holds
    none. `location` is the URL or index as written, without a login, or the path, from the lockfile's folder (perhaps
    with `file:` before it); empty where the lock has none. A parser knows no registry, so it cannot say which of them
    is the default. `line` is 1-based, 0 unknown."""

    ecosystem: Literal["npm", "pypi"]
    name: str
    version: str = ""
    digests: tuple[str, ...] = ()
    source: Source = "registry"
    location: str = ""
    line: int = 0
    file: str = ""
    """The included file in which `line` is; empty for the lockfile itself."""
    direct: bool = False
    """The project itself asks for it. Best knowledge: not every format says so (docs/lockfiles.md)."""
    development: bool = False
    """Needed for development only."""
    optional: bool = False
    """An install may leave it out: an optional dependency, an extra's, or a constraint that nothing may need."""
    extras: tuple[str, ...] = ()
    marker: str = ""
    """PyPI: the environment marker under which it is installed (PEP 508), about the machine and the interpreter alone;
    empty where it would ask for an extra or a group. What only leads there through another package is not in it."""
    systems: tuple[str, ...] = ()
    """npm: the operating systems and processors that it is for (`os:darwin`, `cpu:arm64`, `libc:musl`); one that is
    excluded has a `!` (`os:!win32`)."""
    aliases: tuple[str, ...] = ()
    """npm: the other names under which it is installed (`npm:other@1` makes `name` the other)."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What a lockfile says. `format` is the parser's name, `version` the format's own; equal entries (name, version,
    source, location) stand once, with the line of the first. `unseen` are those of the notes by which something is
    installed that nobody looks at."""

    path: str
    ecosystem: Literal["npm", "pypi"]
    format: str
    version: str = ""
    entries: tuple[Locked, ...] = ()
    notes: tuple[Note, ...] = ()
    unseen: tuple[Note, ...] = ()


class Lockfile(Protocol):
    """One format. `names` are file-name globs (`requirements*.txt`), lower case; one with a slash is for the last two
    parts of a path."""

    name: str
    ecosystem: Literal["npm", "pypi"]
    names: tuple[str, ...]

    def recognises(self, content: bytes) -> bool:
        """Whether the content looks like this format's. Never raises; looks at a bounded part only."""
        ...

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:
        """Read `content`; `path` is for messages and included files only. Raises ValueError, one sentence."""
        ...


def formats() -> dict[str, Lockfile]:
    """Every format, by name."""
    return discovery.load("lockfiles", "LOCKFILE")


def by_name(path_name: str) -> tuple[Lockfile, ...]:
    """The formats of which a file of this name (or path) may be. Nothing is read."""
    parts = path_name.replace("\\", "/").lower().split("/")
    ends = (parts[-1], "/".join(parts[-2:]))
    return tuple(one for one in formats().values() if any(fnmatchcase(ends["/" in name], name) for name in one.names))


def identify(path_name: str, content: bytes) -> Lockfile:
    """The format of a lockfile: by its name, and by its content where formats share the name or none has it.

    Raises ValueError, one sentence, where it is none that is known.
    """
    named = by_name(path_name)
    if len(named) == 1:
        return named[0]
    for one in named or tuple(formats().values()):
        if one.recognises(content):
            return one
    raise ValueError(f"{ascii(path_name[:200])[1:-1]} is no lockfile of a format that is known")


def read(content: bytes, path: str, include: Include | None = None) -> Lock:
    """What the lockfile `content` says. `path` names it, in messages and in the result; `include` reads what a
    requirements file includes (without it, an include is a note). Raises ValueError, one sentence, and nothing else."""
    return identify(path, content).parse(content, path, include)
