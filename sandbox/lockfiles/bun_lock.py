"""bun's `bun.lock`, JSON with trailing commas. The older `bun.lockb` is binary, and refused with what to do.

A package is a list: what it is (`name@version`), for a registry's package the registry (empty: the default one), its
fields, and its integrity. Its key is the path at which it is installed, so `a/b` is what `a` alone has as `b`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._digests import from_integrity
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._json import Table, located
from sandbox.lockfiles._members import names_of, strings, text
from sandbox.lockfiles._npm_sources import source_of
from sandbox.lockfiles._text import decoded, head, shown

_MAGIC = b"#!/usr/bin/env bun\nbun-lockfile-format-"
_STRING_OR_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|//[^\n]*|/\*(?:.*?\*/|.*)', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|,(?=\s*[}\]])', re.DOTALL)
_LONGEST_KEY = 1024
_DEEPEST = 20
_GROUPS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")


class _Edge(NamedTuple):
    name: str
    development: bool
    optional: bool


class BunLock:
    """Reads bun's text lockfiles."""

    name = "bun_lock"
    ecosystem = "npm"
    names = ("bun.lock", "bun.lockb")

    def recognises(self, content: bytes) -> bool:
        """By the binary form's first line, or by the first keys of the text form."""
        start = head(content)
        return content.startswith(_MAGIC) or bool(
            re.match(r'\s*\{\s*"lockfileVersion":\s*\d+,\s*("configVersion":\s*\d+,\s*)?"workspaces":\s*\{', start)
        )

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # none
        """See `Lockfile.parse`."""
        entries = Entries(path, "npm")
        if content.startswith(_MAGIC) or path.lower().endswith(".lockb"):
            raise ValueError(
                f"{entries.name} is bun's binary lockfile, which is not read: "
                "`bun install --save-text-lockfile --frozen-lockfile --lockfile-only` writes bun.lock from it"
            )
        table = located(_as_json(decoded(content, path)), entries.name, lambda place: place in _WITH_LINES)
        version = table.get("lockfileVersion")
        if type(version) is not int or version not in (0, 1):
            raise entries.wrong(f"lockfileVersion {shown(version)} is not known, only 0 and 1")
        packages, workspaces = table.get("packages", Table()), table.get("workspaces", Table())
        if not isinstance(packages, Table) or not isinstance(workspaces, Table):
            raise entries.wrong("packages or workspaces is no object")
        _read(packages, workspaces, entries)
        patched = table.get("patchedDependencies")
        for name in names_of(table, "patchedDependencies") if isinstance(patched, dict) else ():
            line = table.lines["patchedDependencies"]
            entries.note(f"{shown(name)} is patched by the project, and is looked at without the patch", line)
        return entries.lock(self.name, str(version))


LOCKFILE = BunLock()
_WITH_LINES = (("packages",), ("workspaces",))


def _as_json(text: str) -> str:
    """Without comments and trailing commas, and with every line where it was."""
    without = _STRING_OR_COMMENT.sub(lambda match: match[1] or "\n" * match[0].count("\n"), text)
    return _STRING_OR_COMMA.sub(lambda match: match[1] or "", without)


def _read(packages: Table, workspaces: Table, entries: Entries) -> None:
    for key, value in packages.items():
        if not isinstance(value, list) or not value or not isinstance(value[0], str):
            raise entries.wrong("a package is no list with its name", packages.lines[key])
        if len(key) > _LONGEST_KEY:
            raise entries.wrong("a key is too long", packages.lines[key])
    direct: set[str] = set()
    roots: list[tuple[str, _Edge]] = []
    for place, value in workspaces.items():
        if not isinstance(value, dict):
            raise entries.wrong("a workspace is no object", workspaces.lines[place])
        own = text(value, "name") if place else ""
        for edge in _edges(value):
            key = _key([own] if own else [], edge.name, packages)
            direct.add(key)
            roots.append((key, edge))
    reached = _reach([key for key, _ in roots], packages, optional=True)
    needed = _reach([key for key, edge in roots if not edge.development], packages, optional=True)
    always = _reach([key for key, edge in roots if not edge.optional], packages, optional=False)
    for key, value in packages.items():
        line = packages.lines[key]
        entry = _entry(key, value, line, entries)
        if entry is not None:
            development, optional = key in reached - needed, key in reached - always
            entry = msgspec.structs.replace(entry, direct=key in direct, development=development, optional=optional)
            entries.add(entry)


def _edges(value: dict[str, Any]) -> Iterator[_Edge]:
    for group in _GROUPS:
        for name in names_of(value, group):
            yield _Edge(name, group == "devDependencies", group == "optionalDependencies")


def _fields(value: list[Any]) -> dict[str, Any]:
    """The fields of a package, at the second or third place."""
    return next((one for one in value[1:3] if isinstance(one, dict)), {})


def _parts(key: str) -> list[str]:
    """The names in a key: `@a/b/c` has two."""
    found: list[str] = []
    for part in key.split("/"):
        if found and found[-1].startswith("@") and "/" not in found[-1]:
            found[-1] += "/" + part
        else:
            found.append(part)
    return found


def _key(parts: list[str], name: str, packages: Table) -> str:
    """The key of what a package asks for as `name`: the nearest, from inside out. Bounded by a real tree's depth."""
    for depth in range(min(len(parts), _DEEPEST), 0, -1):
        key = "/".join([*parts[:depth], name])
        if key in packages:
            return key
    return name


def _reach(start: list[str], packages: Table, *, optional: bool) -> set[str]:
    found = set(start)
    pending = list(found)
    while pending:
        parent = pending.pop()
        value = packages.get(parent)
        if not isinstance(value, list):
            continue
        parts = _parts(parent)
        for edge in _edges(_fields(value)):
            key = _key(parts, edge.name, packages)
            if key not in found and (optional or not edge.optional):
                found.add(key)
                pending.append(key)
    return found


def _entry(key: str, value: list[Any], line: int, entries: Entries) -> Locked | None:
    """One package; None for the project itself."""
    at = value[0].find("@", 1)
    name, rest = (value[0][:at], value[0][at + 1 :]) if at > 0 else (value[0], "")
    if rest == "root:":
        return None
    fields = _fields(value)
    version, source, location = _what(rest, value)
    if source == "registry":
        source = source_of(location, name, version) if location.endswith(".tgz") else "registry"
    last = value[-1] if len(value) > 1 and isinstance(value[-1], str) and source in ("registry", "url", "file") else ""
    try:
        digests = from_integrity(last if last.startswith("sha") else "")
    except ValueError as error:
        raise entries.wrong(str(error), line) from None
    parts = _parts(key)
    if fields.get("bundled") is True and len(parts) > 1 and not digests:
        source, location = "bundled", parts[-2]
    return Locked(
        ecosystem="npm",
        name=name,
        version=version,
        digests=digests,
        source=source,
        location=location,
        line=line,
        systems=tuple(f"{kind}:{one}" for kind in ("os", "cpu", "libc") for one in strings(fields, kind)),
        aliases=(parts[-1],) if parts[-1] != name else (),
    )


def _what(rest: str, value: list[Any]) -> tuple[str, Source, str]:
    """The version, source and location that `name@REST` means."""
    if rest.startswith("workspace:"):
        return "", "workspace", rest.removeprefix("workspace:")
    source = source_of(rest, "", "") if re.match(r"[A-Za-z+.]*[:/]", rest) or rest.endswith((".tgz", ".tar.gz")) else ""
    if source:
        return "", "file" if source == "url" and ":" not in rest else source, rest
    registry = value[1] if len(value) > 1 and isinstance(value[1], str) else ""
    return rest, "registry", registry
