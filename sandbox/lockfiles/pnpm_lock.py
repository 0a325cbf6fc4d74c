"""pnpm's `pnpm-lock.yaml`, lockfileVersion 5.x, 6.x and 9.0.

A package's key is its name and version, and what its peers are: `/a/1.0.0_b@2.0.0` in 5, `/a@1.0.0(b@2.0.0)` in 6,
`a@1.0.0` in 9, where `snapshots` has the peers. Since 9 nothing says what is for development: it is found here by
following what the importers ask for.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._digests import from_integrity
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._json import Table
from sandbox.lockfiles._members import names_of, strings, text
from sandbox.lockfiles._npm_sources import source_of
from sandbox.lockfiles._text import decoded, head, shown
from sandbox.lockfiles._yaml import documents

_GROUPS = ("dependencies", "devDependencies", "optionalDependencies", "configDependencies")
_HEAD = re.compile(r"(?m)^lockfileVersion: *'?([0-9][0-9.]*)")
_PEERS_5 = re.compile(r"_.*$")


class _Edge(NamedTuple):
    """That something is asked for: by the name `name`, as the package with the key `key`."""

    name: str
    key: str
    development: bool
    optional: bool


class PnpmLock:
    """Reads pnpm's lockfiles."""

    name = "pnpm_lock"
    ecosystem = "npm"
    names = ("pnpm-lock.yaml", "pnpm-lock.*.yaml")

    def recognises(self, content: bytes) -> bool:
        """By its first key, at the start of a line."""
        return bool(_HEAD.search(head(content)))

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # nothing is included
        """See `Lockfile.parse`."""
        entries = Entries(path, "npm")
        version = ""
        # Since pnpm 11 what it needs for itself (`configDependencies`) may stand before, in a document of its own.
        for table in documents(decoded(content, path), entries.name):
            version = text(table, "lockfileVersion")
            if version.partition(".")[0] not in ("5", "6", "9"):
                raise entries.wrong(f"lockfileVersion {shown(version) or 'none'} is not known, only 5, 6 and 9")
            _Reading(table, version.partition(".")[0], entries).read()
            for name in names_of(table, "patchedDependencies"):
                line = table["patchedDependencies"].lines[name]
                entries.note(f"{shown(name)} is patched by the project, and is looked at without the patch", line)
        return entries.lock(self.name, version)


LOCKFILE = PnpmLock()


class _Reading:
    """One lockfile."""

    def __init__(self, table: Table, major: str, entries: Entries) -> None:
        self.major = major
        self.entries = entries
        self.packages = self._table(table, "packages")
        self.snapshots = self._table(table, "snapshots") if major == "9" else self.packages
        importers = self._table(table, "importers")
        self.importers = importers if importers else {".": table}
        self.asked: list[_Edge] = []
        self.aliases: dict[str, set[str]] = {}

    def read(self) -> None:
        """Everything in it."""
        for place, importer in self.importers.items():
            if not isinstance(importer, Table):
                raise self.entries.wrong("an importer is no mapping")
            self._importer(place, importer)
        for edge in self.asked:
            self.aliases.setdefault(edge.key, set()).add(edge.name)
        for value in self.snapshots.values():
            for edge in self._edges(value):
                self.aliases.setdefault(edge.key, set()).add(edge.name)
        direct = {edge.key for edge in self.asked}
        development, optional = self._less_needed()
        for key, value in self.packages.items():
            self._package(key, value, key in direct, key in development, key in optional)

    def _table(self, parent: Table, key: str) -> Table:
        found = parent.get(key, "")
        if isinstance(found, Table):
            return found
        if found not in ("", "null", "~"):
            raise self.entries.wrong(f"{key} is no mapping", parent.lines[key])
        return Table()

    def _importer(self, place: str, importer: Table) -> None:
        for edge in self._edges(importer, at_the_top=True):
            if edge.key.startswith(("link:", "workspace:")):
                self._link(place, edge, importer)
            else:
                self.asked.append(edge)

    def _link(self, place: str, edge: _Edge, importer: Table) -> None:
        """A folder that is linked: another importer of the same workspace, or one outside."""
        lines = [
            table.lines[edge.name]
            for group in _GROUPS
            if isinstance(table := importer.get(group), Table) and edge.name in table
        ]
        # It is written from the importer's folder; told, as every path, from the lockfile's.
        target = posixpath.normpath(posixpath.join(place, edge.key.partition(":")[2]))
        inside = not target.startswith(("..", "/"))
        self.entries.add(
            Locked(
                ecosystem="npm",
                name=edge.name,
                source="workspace" if inside else "file",
                location=target,
                line=min(lines, default=0),
                direct=True,
                development=edge.development,
                optional=edge.optional,
            )
        )

    def _edges(self, value: Any, at_the_top: bool = False) -> Iterator[_Edge]:
        """What an importer or a package asks for, with the keys under which it stands in `packages`."""
        if not isinstance(value, Table):
            return
        for group in _GROUPS:
            table = value.get(group)
            for name in names_of(value, group):
                wanted = table[name]  # type: ignore[index]  # it is an object where it has names
                version = text(wanted, "version") if isinstance(wanted, dict) else wanted
                if isinstance(version, str):
                    key = self._key(name, version)
                    yield _Edge(name, key, at_the_top and group == "devDependencies", group == "optionalDependencies")

    def _key(self, name: str, version: str) -> str:
        """The key in `packages` of what is asked for as `name: version`; a link stays as it is."""
        if version.startswith("link:"):
            return version
        if self.major == "9":
            bare = version.partition("(")[0]
            # An alias has the whole key: its name, after a first @ perhaps, is followed by @ and the version.
            return bare if bare in self.packages and "@" in bare[1:] else f"{name}@{bare}"
        if version in self.packages:
            return version
        return f"/{name}/{version}" if self.major == "5" else f"/{name}@{version}"

    def _less_needed(self) -> tuple[set[str], set[str]]:
        """The keys of what only development needs, and of what an install may leave out."""
        for key, value in self.packages.items():
            if not isinstance(value, Table):
                raise self.entries.wrong("a package is no mapping", self.packages.lines[key])
        if self.major != "9":
            return (
                {key for key, value in self.packages.items() if text(value, "dev") == "true"},
                {key for key, value in self.packages.items() if text(value, "optional") == "true"},
            )
        edges: dict[str, list[_Edge]] = {}
        for key, value in self.snapshots.items():
            edges.setdefault(key.partition("(")[0], []).extend(self._edges(value))
        # What nothing asks for is neither: nothing shows that it may be left out.
        reached = _reach([edge.key for edge in self.asked], edges, optional=True)
        needed = _reach([edge.key for edge in self.asked if not edge.development], edges, optional=True)
        always = _reach([edge.key for edge in self.asked if not edge.optional], edges, optional=False)
        return reached - needed, reached - always

    def _package(self, key: str, value: Table, direct: bool, development: bool, optional: bool) -> None:
        line = self.packages.lines[key]
        resolution = value.get("resolution")
        resolution = resolution if isinstance(resolution, Table) else Table()
        name, version = self._name_and_version(key, value, resolution)
        aliases = sorted(self.aliases.get(key, set()) - {name})
        if not name and aliases:
            name = aliases.pop(0)
        location, source = _place(resolution, name, version)
        try:
            digests = from_integrity(text(resolution, "integrity"))
        except ValueError as error:
            raise self.entries.wrong(str(error), line) from None
        self.entries.add(
            Locked(
                ecosystem="npm", name=name, version=version, digests=digests, source=source, location=location,
                line=line, direct=direct, development=development, optional=optional, aliases=tuple(aliases),
                systems=tuple(f"{kind}:{one}" for kind in ("os", "cpu", "libc") for one in strings(value, kind)),
            )
        )  # fmt: skip
        if value.get("bundledDependencies", "false") not in ("false", "", []):
            told = ", ".join(shown(one) for one in strings(value, "bundledDependencies")[:20] if one != "true")
            self.entries.note(f"{shown(name)} brings further packages in its archive: {told or 'all it needs'}", line)

    def _name_and_version(self, key: str, value: Table, resolution: Table) -> tuple[str, str]:
        """What a key and the members beside it say. Both are empty where they do not."""
        name, version = text(value, "name"), text(value, "version")
        if self.major != "9" and ("repo" in resolution or "directory" in resolution):
            return name, version  # its key is a path
        if self.major == "5":
            if not name and key.startswith("/"):
                name, _, version = key[1:].rpartition("/")
                version = _PEERS_5.sub("", version)
            return name, version
        bare = key.partition("(")[0].removeprefix("/")
        at = bare.find("@", 1)
        if at > 0 and not name:
            name = bare[:at]
        if at > 0 and not version and ":" not in bare[at:] and "/" not in bare[at:]:
            version = bare[at + 1 :]
        return name, version


def _place(resolution: Table, name: str, version: str) -> tuple[str, Source]:
    """Where a package comes from."""
    kind = text(resolution, "type")
    if kind == "git" or "repo" in resolution:
        repository, commit = text(resolution, "repo"), text(resolution, "commit")
        return f"git+{repository}#{commit}" if "://" in repository else f"{repository}#{commit}", "git"
    if kind == "directory" or "directory" in resolution:
        return text(resolution, "directory"), "file"
    tarball = text(resolution, "tarball")
    return tarball, source_of(tarball, name, version)


def _reach(start: list[str], edges: dict[str, list[_Edge]], *, optional: bool) -> set[str]:
    found = set(start)
    pending = list(found)
    while pending:
        for edge in edges.get(pending.pop(), ()):
            if edge.key not in found and (optional or not edge.optional):
                found.add(edge.key)
                pending.append(edge.key)
    return found
