"""Lockfiles: one file a format, each defining `LOCKFILE`. Bytes in, entries out; nothing is fetched or run.

A lockfile is hostile input: a parser raises `ValueError` with one sentence and nothing else, always ends, and never
leaves an entry out: what cannot be run (git, URL, workspace, file) is an entry with its `source`, or a note.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from sandbox.report import Note

MOST_BYTES = 64 * 1024 * 1024
MOST_ENTRIES = 200_000

Source = Literal["registry", "git", "url", "file", "workspace"]


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """One package as a lockfile pins it. `version` is exact, and empty where the lock has none (a git checkout);
    `digests` are `sha512:HEX`, `sha256:HEX` and so on, of which the file must match one; empty where the lock holds
    none. `location` is the URL or path as written, empty for the default registry. `line` is 1-based, 0 unknown."""

    ecosystem: Literal["npm", "pypi"]
    name: str
    version: str = ""
    digests: tuple[str, ...] = ()
    source: Source = "registry"
    location: str = ""
    line: int = 0
    direct: bool = False
    development: bool = False
    optional: bool = False
    extras: tuple[str, ...] = ()
    marker: str = ""
    """PyPI: the environment marker under which it is installed (PEP 508), as written."""
    systems: tuple[str, ...] = ()
    """npm: the operating systems and processors that it is for (`os:darwin`, `cpu:arm64`, `libc:musl`)."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What a lockfile says. `format` is the parser's name, `version` the format's own; equal entries (name, version,
    source, location) stand once, with the line of the first."""

    path: str
    ecosystem: Literal["npm", "pypi"]
    format: str
    version: str = ""
    entries: tuple[Locked, ...] = ()
    notes: tuple[Note, ...] = ()


class Lockfile(Protocol):
    """One format. `names` are file-name globs (`requirements*.txt`), lower case."""

    name: str
    ecosystem: Literal["npm", "pypi"]
    names: tuple[str, ...]

    def parse(self, content: bytes, path: str) -> Lock:
        """Read `content`; `path` is for messages and included files only. Raises ValueError, one sentence."""
        ...
