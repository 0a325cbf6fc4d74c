"""pipenv's `Pipfile.lock`, pipfile-spec 6: `default`, `develop`, and a section for every other category.

What the Pipfile asks for has the `index` that it is to come from, or a place of its own: that is taken to be direct.
"""

from __future__ import annotations

from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._json import Table, located
from sandbox.lockfiles._members import strings, text
from sandbox.lockfiles._pypi_places import named_by, source_of
from sandbox.lockfiles._python import hashes, normalised, table, tables
from sandbox.lockfiles._text import decoded, head, shown

_PLACES = ("git", "hg", "svn", "bzr", "path", "file", "url")


class PipfileLock:
    """Reads pipenv's lockfiles."""

    name = "pipfile_lock"
    ecosystem = "pypi"
    names = ("pipfile.lock",)

    def recognises(self, content: bytes) -> bool:
        """By its first keys."""
        start = head(content)
        return '"_meta"' in start and '"pipfile-spec"' in start

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # none
        """See `Lockfile.parse`."""
        entries = Entries(path, "pypi")
        document = located(decoded(content, path), entries.name, lambda place: len(place) == 1)
        meta = table(document, "_meta")
        spec = meta.get("pipfile-spec")
        if type(spec) is not int or spec != 6:
            raise entries.wrong(f"pipfile-spec {shown(spec) if isinstance(spec, str) else ''} is not known, only 6")
        indexes = {text(one, "name"): text(one, "url") for one in tables(meta, "sources")}
        for section, packages in document.items():
            if section == "_meta":
                continue
            if not isinstance(packages, Table):
                raise entries.wrong("a section is no object", document.lines[section])
            for name, value in packages.items():
                if not isinstance(value, dict):
                    raise entries.wrong("a package is no object", packages.lines[name])
                _package(name, value, packages.lines[name], section, indexes, entries)
        return entries.lock(self.name, str(spec))


LOCKFILE = PipfileLock()


def _package(
    name: str, value: dict[str, Any], line: int, section: str, indexes: dict[str, str], entries: Entries
) -> None:
    source, location = _place(value)
    version = _version(text(value, "version"))
    if source == "registry" and not version:
        told = f"{shown(name)}{shown(text(value, 'version'))}"
        entries.note(f"{told} is not pinned to one version, and is not looked at", line, unseen=True)
        return
    if source == "registry":
        index = text(value, "index")
        location = indexes.get(index, index) or (next(iter(indexes.values())) if len(indexes) == 1 else "")
    entries.add(
        Locked(
            ecosystem="pypi",
            name=name,
            version=version or named_by(location)[1],
            digests=hashes(strings(value, "hashes"), line, entries) if source != "git" else (),
            source=source,
            location=location,
            line=line,
            direct="index" in value or source != "registry",
            development=section == "develop",
            optional=section not in ("default", "develop"),
            extras=tuple(sorted(map(normalised, strings(value, "extras")))),
            marker=text(value, "markers"),
        )
    )


def _place(value: dict[str, Any]) -> tuple[Source, str]:
    for kind in _PLACES:
        place = text(value, kind)
        if place and kind in ("git", "hg", "svn", "bzr"):
            commit = text(value, "ref")
            return "git", f"{kind}+{place}" + (f"@{commit}" if commit else "")
        if place:
            return ("file" if kind == "path" else source_of(place)), place
    return "registry", ""


def _version(written: str) -> str:
    """The version of `==1.2`; empty for anything that is not one version."""
    try:
        specifiers = list(SpecifierSet(written)) if len(written) < 1000 else []
    except (InvalidSpecifier, ValueError):
        return ""
    if len(specifiers) == 1 and specifiers[0].operator in ("==", "===") and "*" not in specifiers[0].version:
        return specifiers[0].version
    return ""
