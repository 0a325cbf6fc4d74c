"""The `yarn.lock` of yarn 2 and later (Berry).

Its checksums are of the archives that yarn packs itself, so they say nothing about the registry's file: no entry has a
digest, and a note says so. Nothing says what is for development either.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._json import Table
from sandbox.lockfiles._members import names_of, text
from sandbox.lockfiles._npm_sources import source_of
from sandbox.lockfiles._text import decoded, head, shown
from sandbox.lockfiles._yaml import located

_MOST_KEYS = 50
_CONDITION = re.compile(r"(os|cpu|libc)=(!?[A-Za-z0-9_-]{1,40})")
_OWN_PATCH = re.compile(r"(?:optional!)?builtin<[^>]*>")


class _Resolution(NamedTuple):
    """What `resolution` says: the real name, the protocol, what follows it, and yarn's parameters."""

    name: str
    protocol: str
    selector: str
    parameters: str


class YarnBerry:
    """Reads the lockfiles of yarn 2, 3 and 4."""

    name = "yarn_berry"
    ecosystem = "npm"
    names = ("yarn.lock",)

    def recognises(self, content: bytes) -> bool:
        """By its first key."""
        return bool(re.search(r"(?m)^__metadata:", head(content)))

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # none
        """See `Lockfile.parse`."""
        entries = Entries(path, "npm")
        table = located(decoded(content, path), entries.name)
        metadata = table.get("__metadata")
        if not isinstance(metadata, Table):
            raise entries.wrong("it has no __metadata")
        for key, value in table.items():
            if not isinstance(value, Table):
                raise entries.wrong("a package is no mapping", table.lines[key])
        _read(table, entries)
        return entries.lock(self.name, text(metadata, "version"))


LOCKFILE = YarnBerry()


def _read(table: Table, entries: Entries) -> None:
    keys = _descriptors(table)
    projects = {key for key, value in table.items() if "@workspace:" in text(value, "resolution")}
    asked = {edge for key in projects for edge, _ in _asks(table[key], keys)}
    left_out = _reach(table, keys, projects, optional=True) - _reach(table, keys, projects, optional=False)
    checksums = 0
    for key, value in table.items():
        if key == "__metadata" or text(value, "resolution").endswith("@workspace:."):
            continue
        line = table.lines[key]
        resolution = _resolution(text(value, "resolution"))
        if resolution is None:
            raise entries.wrong(f"{shown(key)} has no resolution", line)
        checksums += "checksum" in value
        source, location = _place(resolution, _version(resolution, ""))
        if resolution.protocol == "patch:" and not _OWN_PATCH.search(unquote(resolution.selector)):
            entries.note(
                f"{shown(resolution.name)} is patched by the project, and is looked at without the patch", line
            )
        installed_as = {one.strip()[: one.strip().find("@", 1)] for one in key.split(",")}
        entries.add(
            Locked(
                ecosystem="npm",
                name=resolution.name,
                version=_version(resolution, text(value, "version")),
                source=source,
                location=location,
                line=line,
                direct=key in asked or key in projects,
                optional=key in left_out,
                systems=tuple(f"{kind}:{one}" for kind, one in _CONDITION.findall(text(value, "conditions")[:1000])),
                aliases=tuple(sorted(installed_as - {resolution.name})),
            )
        )
    if checksums:
        entries.note(
            "its checksums are of archives that yarn packs itself: the registry's files cannot be held to them"
        )


def _descriptors(table: Table) -> dict[str, list[str]]:
    """The keys under which what is asked for stands: as written, without yarn's binding (`::locator=`), and for a
    patch as what is patched."""
    found: dict[str, list[str]] = {}
    for key in table:
        for written in key.split(","):
            one = written.strip().partition("::")[0]
            _append(found, one, key)
            _, patch, inner = one.partition("@patch:")
            if patch:
                _append(found, unquote(inner.partition("#")[0]), key)
    return found


def _append(found: dict[str, list[str]], descriptor: str, key: str) -> None:
    """Bounded: each package that asks for a descriptor is followed to all of its keys."""
    keys = found.setdefault(descriptor, [])
    if len(keys) < _MOST_KEYS:
        keys.append(key)


def _asks(value: Table, keys: dict[str, list[str]]) -> Iterator[tuple[str, bool]]:
    """The keys of what a package asks for, and whether it can do without."""
    wanted = value.get("dependencies")
    meta = value.get("dependenciesMeta")
    for name in names_of(value, "dependencies"):
        asked = text(wanted, name).partition("::")[0] if isinstance(wanted, dict) else ""
        about = meta.get(name) if isinstance(meta, dict) else None
        optional = isinstance(about, dict) and about.get("optional") == "true"
        # yarn 2 and 3 leave out `npm:`.
        for key in keys.get(f"{name}@{asked}") or keys.get(f"{name}@npm:{asked}") or ():
            yield key, optional


def _reach(table: Table, keys: dict[str, list[str]], projects: set[str], *, optional: bool) -> set[str]:
    """The keys to which a way leads, of what cannot be left out only where `optional` is false."""
    found = set(projects)
    pending = list(projects)
    while pending:
        for key, can_do_without in _asks(table[pending.pop()], keys):
            if key not in found and (optional or not can_do_without):
                found.add(key)
                pending.append(key)
    return found


def _resolution(written: str) -> _Resolution | None:
    at = written.find("@", 1)
    if at < 0:
        return None
    bare, _, parameters = written[at + 1 :].partition("::")
    protocol, colon, selector = bare.partition(":")
    if not colon:
        protocol, selector = "", bare
    return _Resolution(written[:at], protocol + colon, selector, parameters)


def _version(resolution: _Resolution, written: str) -> str:
    """The version that yarn fetches, which is the resolution's; `written` is only told, and counts where there is no
    registry."""
    if resolution.protocol == "npm:":
        return resolution.selector
    if resolution.protocol == "patch:":
        inner = _resolution(unquote(resolution.selector.partition("#")[0]))
        return inner.selector if inner is not None and inner.protocol == "npm:" else written
    return "" if resolution.protocol == "workspace:" else written


def _from_lockfile(resolution: _Resolution) -> str:
    """A path, which yarn writes from the folder of the workspace that asks for it, from the lockfile's folder."""
    path = resolution.selector.partition("#")[0]
    locator = parse_qs(resolution.parameters, max_num_fields=20).get("locator", [""])[0]
    workspace = locator.partition("@workspace:")[2]
    return path if workspace in ("", ".") or path.startswith("/") else posixpath.normpath(f"{workspace}/{path}")


def _place(resolution: _Resolution, version: str) -> tuple[Source, str]:
    if resolution.protocol == "workspace:":
        return "workspace", resolution.selector
    if resolution.protocol in ("file:", "link:", "portal:", "exec:"):
        return "file", resolution.protocol + _from_lockfile(resolution)
    if resolution.protocol == "npm:":
        archive = parse_qs(resolution.parameters, max_num_fields=20).get("__archiveUrl", [""])[0]
        return source_of(archive, resolution.name, version), archive
    if resolution.protocol == "patch:":
        inner = _resolution(unquote(resolution.selector.partition("#")[0]))
        if inner is not None and inner.protocol != "patch:":
            return _place(inner, version)
        return "registry", ""
    place = resolution.protocol + resolution.selector
    return ("git" if "commit=" in place else source_of(place, resolution.name, version)), place
