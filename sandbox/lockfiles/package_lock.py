"""npm's `package-lock.json` and `npm-shrinkwrap.json`, lockfileVersion 1, 2 and 3.

Version 3 has `packages`, by folder; version 1 has `dependencies`, nested; version 2 has both, for npm 6. In version 1
nothing says what the project itself asks for: what no other package requires is taken to be direct.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._digests import from_integrity
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._json import Table, located
from sandbox.lockfiles._members import names_of, strings, text
from sandbox.lockfiles._npm_sources import is_remote, source_of
from sandbox.lockfiles._text import decoded, head, shown

_FOLDER = "node_modules/"
_LONGEST_KEY = 4096
_BUN = re.compile(r'"lockfileVersion": *\d+,\s*(?:"configVersion": *\d+,\s*)?"workspaces": *\{')
_GROUPS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")


class PackageLock:
    """Reads npm's own lockfiles."""

    name = "package_lock"
    ecosystem = "npm"
    names = ("package-lock.json", "npm-shrinkwrap.json")

    def recognises(self, content: bytes) -> bool:
        """By `lockfileVersion` near the start; bun's has it too, and then goes on with its `workspaces`."""
        start = head(content).lstrip()
        return start.startswith("{") and '"lockfileVersion"' in start and not _BUN.search(start)

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # nothing is included
        """See `Lockfile.parse`."""
        entries = Entries(path, "npm")
        table = located(decoded(content, path), entries.name, _has_lines)
        version = table.get("lockfileVersion", 1)
        if type(version) is not int or version not in (1, 2, 3):
            raise entries.wrong(f"lockfileVersion {shown(version)} is not known, only 1, 2 and 3")
        if "packages" in table:
            _read_packages(_table(table, "packages", entries), entries)
            if "dependencies" in table:
                _read_for_npm_6(_table(table, "dependencies", entries), entries)
        elif version > 1:
            raise entries.wrong("it has no packages")
        elif "dependencies" in table:
            for entry in _nested(_table(table, "dependencies", entries), entries):
                entries.add(entry)
        return entries.lock(self.name, str(version))


LOCKFILE = PackageLock()


def _has_lines(place: tuple[str, ...]) -> bool:
    """`packages`, and in version 1 `dependencies`, each of its packages, their `dependencies`, and so on."""
    if place == ("packages",):
        return True
    return place[0] == "dependencies" and (len(place) % 2 == 0 or place[-1] == "dependencies")


def _table(parent: Table, key: str, entries: Entries) -> Table:
    found = parent[key]
    if not isinstance(found, Table):
        raise entries.wrong(f"{key} is no object", parent.lines[key])
    return found


def _read_packages(packages: Table, entries: Entries) -> None:
    for key, value in packages.items():
        if not isinstance(value, dict):
            raise entries.wrong("a package is no object", packages.lines[key])
        if len(key) > _LONGEST_KEY:
            raise entries.wrong("a folder's path is too long", packages.lines[key])
    direct = _asked_for(packages)
    targets = {text(value, "resolved") for value in packages.values() if value.get("link") is True}
    for key, value in packages.items():
        if key == "" or (_FOLDER not in key and key in targets):
            continue  # the project itself; and a folder whose link is the entry
        line = packages.lines[key]
        linked = value.get("link") is True
        target = packages.get(text(value, "resolved"), {}) if linked else value
        entry = _entry(_name_of(key), target, line, entries, link=text(value, "resolved") if linked else "")
        bundler = _bundler(key, packages) if value.get("inBundle") is True else ""
        if bundler and not entry.location and not entry.digests:
            entry = msgspec.structs.replace(entry, source="bundled", location=bundler)
        elif _FOLDER not in key:
            entry = msgspec.structs.replace(entry, source="file", location=key)
        entries.add(msgspec.structs.replace(entry, direct=key in direct))


def _bundler(key: str, packages: Table) -> str:
    """The name of the package around `key` that bundles; empty where none says so. npm finds that out by itself, and
    fetches what only claims to be in a bundle: so does this."""
    parent = key.rpartition("/" + _FOLDER)[0]
    while _FOLDER in parent:
        value = packages.get(parent, {})
        if value.get("bundleDependencies") or value.get("bundledDependencies"):
            return _name_of(parent)
        parent = parent.rpartition("/" + _FOLDER)[0]
    return ""


def _name_of(folder: str) -> str:
    """The name under which a folder's package is installed: `a/node_modules/@b/c` is `@b/c`."""
    return folder.rpartition(_FOLDER)[2] if _FOLDER in folder else folder.rpartition("/")[2]


def _asked_for(packages: Table) -> set[str]:
    """The keys of what the project, or one of its own folders, depends on."""
    found: set[str] = set()
    for key, value in packages.items():
        if _FOLDER in key:
            continue
        wanted = {name for group in _GROUPS for name in names_of(value, group)}
        for name in wanted:
            own = f"{key}/{_FOLDER}{name}"
            found.add(own if key and own in packages else _FOLDER + name)
    return found


def _entry(installed_as: str, value: dict[str, Any], line: int, entries: Entries, link: str = "") -> Locked:
    name = text(value, "name") or installed_as
    version = text(value, "version")
    location = link or text(value, "resolved")
    systems = [f"{kind}:{one}" for kind in ("os", "cpu", "libc") for one in strings(value, kind)]
    return Locked(
        ecosystem="npm",
        name=name,
        version=version,
        digests=_digests(value, line, entries),
        source=_link_source(link) if link else source_of(location, name, version),
        location=location,
        line=line,
        development=value.get("dev") is True,
        optional=value.get("optional") is True or value.get("devOptional") is True,
        systems=tuple(systems),
        aliases=() if name == installed_as else (installed_as,),
    )


def _link_source(target: str) -> Source:
    """A link to a folder within the project is one of its workspaces (or as good as one)."""
    return "file" if target.startswith(("..", "/", "~")) else "workspace"


def _digests(value: dict[str, Any], line: int, entries: Entries) -> tuple[str, ...]:
    try:
        return from_integrity(text(value, "integrity"))
    except ValueError as error:
        raise entries.wrong(str(error), line) from None


def _nested(tree: Table, entries: Entries) -> Iterator[Locked]:
    """Version 1's entries, at any depth. The tree's depth was bounded when it was read."""
    pending: list[tuple[Table, str]] = [(tree, "")]
    required: set[str] = set()
    found: list[tuple[Locked, bool]] = []
    while pending:
        table, parent = pending.pop()
        for key, value in table.items():
            line = table.lines[key]
            if not isinstance(value, dict):
                raise entries.wrong("a package is no object", line)
            found.append((_nested_entry(key, value, line, parent, entries), table is tree))
            required.update(names_of(value, "requires"))
            if "dependencies" in value:
                if not isinstance(value["dependencies"], Table):
                    raise entries.wrong("dependencies is no object", line)
                pending.append((value["dependencies"], key))
    for entry, at_the_top in found:
        names = {entry.name, *entry.aliases}
        yield msgspec.structs.replace(entry, direct=at_the_top and not names & required)


def _nested_entry(key: str, value: dict[str, Any], line: int, parent: str, entries: Entries) -> Locked:
    version = text(value, "version")
    name = key
    if version.startswith("npm:"):
        name, _, version = version[4:].rpartition("@")
    place = version if is_remote(version) else ""
    written = {"resolved": place, "version": ""} if place else {"name": name, "version": version}
    entry = _entry(key, {**value, **written}, line, entries)
    if value.get("bundled") is True and parent and not entry.location and not entry.digests:
        return msgspec.structs.replace(entry, source="bundled", location=parent)
    return entry


def _read_for_npm_6(tree: Table, entries: Entries) -> None:
    """The second half, of version 2, which npm 6 installs from: what differs from the first must not hide there."""
    for entry in _nested(tree, entries):
        if entry.source == "registry" and not entries.has(entry):
            told = f"{shown(entry.name)} {shown(entry.version)}"
            entries.note(f"{told} stands, with this digest, only in the part that npm 6 reads", entry.line)
            entries.add(entry)
