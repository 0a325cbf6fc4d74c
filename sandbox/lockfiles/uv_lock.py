"""uv's `uv.lock`, version 1.

The project and the members of its workspace are packages in it, and the roots from which everything else is reached:
by dependencies, by extras (which an install may leave out), and by groups for development.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._members import strings, text
from sandbox.lockfiles._pypi_places import named_by
from sandbox.lockfiles._python import hashes, joined_markers, normalised, reach, table, tables
from sandbox.lockfiles._text import decoded, head, shown
from sandbox.lockfiles._toml import loaded

_MOST_FORKS = 20
"""Of one package; bounded, since each package that requires it is followed to all of them."""
_OWN = ("virtual", "editable")


class _Edge(NamedTuple):
    """That a package requires another: the numbers of what it may be, the extras of it, and under which marker."""

    numbers: tuple[int, ...]
    extras: tuple[str, ...]
    marker: str


class UvLock:
    """Reads uv's lockfiles."""

    name = "uv_lock"
    ecosystem = "pypi"
    names = ("uv.lock", "*.py.lock")

    def recognises(self, content: bytes) -> bool:
        """By its first keys, and its packages' sources."""
        start = head(content)
        return bool(re.search(r"(?m)^version = \d+$", start)) and "\nsource = { " in start

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # none
        """See `Lockfile.parse`."""
        entries = Entries(path, "pypi")
        document, packages, lines = loaded(decoded(content, path), entries.name, "package")
        version = document.get("version")
        if version != 1 or isinstance(version, bool):
            raise entries.wrong("only version 1 of uv's lockfile is known")
        _Reading(document, packages, lines, entries).read()
        return entries.lock(self.name, "1")


LOCKFILE = UvLock()


class _Reading:
    """One lockfile. Packages go by their number in it."""

    def __init__(
        self, document: dict[str, Any], packages: list[dict[str, Any]], lines: list[int], entries: Entries
    ) -> None:
        self.packages = packages
        self.lines = lines
        self.entries = entries
        self.by_name: dict[str, list[int]] = {}
        self.by_version: dict[tuple[str, str], list[int]] = {}
        self.extras: dict[int, dict[str, list[dict[str, Any]]]] = {}
        for number, package in enumerate(packages):
            name = normalised(text(package, "name"))
            self.by_name.setdefault(name, []).append(number)
            self.by_version.setdefault((name, text(package, "version")), []).append(number)
        manifest = table(document, "manifest")
        members = {normalised(name) for name in strings(manifest, "members")}
        self.asked = [*tables(manifest, "requirements")]
        groups = table(manifest, "dependency-groups")
        self.asked_for_development = [one for name in groups for one in tables(groups, name)]
        self.roots = [number for number, package in enumerate(packages)
                      if any(kind in table(package, "source") for kind in _OWN)
                      or normalised(text(package, "name")) in members]  # fmt: skip

    def read(self) -> None:
        """Everything in it."""
        markers: dict[int, list[str]] = {}
        extras: dict[int, set[str]] = {}
        for number in range(len(self.packages)):
            for edge in self._all_edges(number):
                for target in edge.numbers:
                    markers.setdefault(target, []).append(edge.marker)
                    extras.setdefault(target, set()).update(edge.extras)
        direct = {target for number in self.roots for edge in self._all_edges(number) for target in edge.numbers}
        direct |= {target for edge in self._edges(self.asked + self.asked_for_development) for target in edge.numbers}
        reached = self._reached(optional=True, development=True)
        needed = self._reached(optional=True, development=False)
        always = self._reached(optional=False, development=True)
        for number, package in enumerate(self.packages):
            if not any(table(package, "source").get(kind) == "." for kind in _OWN):
                self._package(
                    number,
                    direct=number in direct,
                    development=number in reached - needed if number in reached else False,
                    optional=number in reached and number not in always,
                    extras=tuple(sorted(extras.get(number, ()))),
                    marker=joined_markers(markers.get(number, ())),
                )

    def _edges(self, written: list[dict[str, Any]]) -> Iterator[_Edge]:
        for one in written:
            numbers = self.by_name.get(normalised(text(one, "name")), [])
            version = text(one, "version")
            if version:
                numbers = self.by_version.get((normalised(text(one, "name")), version), numbers)
            extras = tuple(map(normalised, strings(one, "extra") + strings(one, "extras")))
            yield _Edge(tuple(numbers[:_MOST_FORKS]), extras, text(one, "marker"))

    def _all_edges(self, number: int) -> Iterator[_Edge]:
        package = self.packages[number]
        yield from self._edges(tables(package, "dependencies"))
        for group in ("optional-dependencies", "dev-dependencies"):
            for name in table(package, group):
                yield from self._edges(tables(table(package, group), name))

    def _reached(self, *, optional: bool, development: bool) -> set[int]:
        """What the roots lead to: with or without their extras, with or without what is for development."""
        start = [f"{number}" for number in self.roots]
        for edge in self._edges(self.asked + (self.asked_for_development if development else [])):
            start += _nodes(edge)
        for number in self.roots:
            package = self.packages[number]
            groups = ["optional-dependencies"] * optional + ["dev-dependencies"] * development
            for group in groups:
                for name in table(package, group):
                    for edge in self._edges(tables(table(package, group), name)):
                        start += _nodes(edge)
        return {int(node.partition("[")[0]) for node in reach(start, self._from)}

    def _extras_of(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """What each extra of a package needs. Kept: a package may have very many."""
        if number not in self.extras:
            groups = table(self.packages[number], "optional-dependencies")
            found: dict[str, list[dict[str, Any]]] = {}
            for name in groups:
                found.setdefault(normalised(name), []).extend(tables(groups, name))
            self.extras[number] = found
        return self.extras[number]

    def _from(self, node: str) -> Iterator[str]:
        number, _, extra = node.partition("[")
        package = self.packages[int(number)]
        written = tables(package, "dependencies")
        if extra:
            written = self._extras_of(int(number)).get(extra, [])
        for edge in self._edges(written):
            yield from _nodes(edge)

    def _package(self, number: int, **fields: Any) -> None:
        package, line = self.packages[number], self.lines[number]
        name = text(package, "name")
        source, location = _place(table(package, "source"))
        files = tables(package, "sdist") + tables(package, "wheels")
        self.entries.add(
            Locked(
                ecosystem="pypi",
                name=name,
                version=text(package, "version") or (named_by(location)[1] if source != "git" else ""),
                digests=hashes(files, line, self.entries) if source in ("registry", "url", "file") else (),
                source=source,
                location=location,
                line=line,
                **fields,
            )
        )
        if source == "registry" and not files:
            self.entries.note(f"{shown(name)} has no file that could be installed", line)


def _nodes(edge: _Edge) -> list[str]:
    return [f"{number}" + (f"[{extra}" if extra else "") for number in edge.numbers for extra in ("", *edge.extras)]


def _place(source: dict[str, Any]) -> tuple[Source, str]:
    """Where a package comes from."""
    kinds: tuple[tuple[str, Source], ...] = (
        ("git", "git"), ("url", "url"), ("path", "file"), ("directory", "file"), ("editable", "workspace"),
        ("virtual", "workspace"), ("registry", "registry"),
    )  # fmt: skip
    for kind, meaning in kinds:
        if kind in source:
            return meaning, ("git+" if kind == "git" else "") + text(source, kind)
    return "registry", ""
