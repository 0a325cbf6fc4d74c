"""`pylock.toml`, the lockfile that Python standardised (PEP 751), lock-version 1.

What the project itself asks for is not in it. Where its packages say what they require (few tools write that), what
none of them requires is taken to be direct.
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.lockfiles import Include, Lock, Locked, Source
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._members import text
from sandbox.lockfiles._pypi_places import named_by
from sandbox.lockfiles._python import digest, normalised, table, tables
from sandbox.lockfiles._text import decoded, head, shown
from sandbox.lockfiles._toml import loaded


class Pylock:
    """Reads standard lockfiles."""

    name = "pylock"
    ecosystem = "pypi"
    names = ("pylock.toml", "pylock.*.toml")

    def recognises(self, content: bytes) -> bool:
        """By its first keys."""
        start = "\n" + head(content)
        return "\nlock-version = " in start and ("\ncreated-by = " in start or "\n[[packages]]" in start)

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # none
        """See `Lockfile.parse`."""
        entries = Entries(path, "pypi")
        document, packages, lines = loaded(decoded(content, path), entries.name, "packages")
        version = text(document, "lock-version")
        if version.partition(".")[0] != "1":
            raise entries.wrong(f"lock-version {shown(version) or 'none'} is not known, only 1")
        required = {normalised(text(one, "name")) for package in packages for one in tables(package, "dependencies")}
        for package, line in zip(packages, lines, strict=True):
            name = text(package, "name")
            source, location = _place(package)
            marker = text(package, "marker")
            entries.add(
                Locked(
                    ecosystem="pypi",
                    name=name,
                    version=_version(package, location),
                    digests=_digests(package, line, entries),
                    source=source,
                    location=location,
                    line=line,
                    direct=bool(required) and normalised(name) not in required,
                    development=bool(re.search(r"\bin dependency_groups\b", marker)),
                    optional=bool(re.search(r"\bin extras\b", marker)),
                    marker=marker,
                )
            )
        return entries.lock(self.name, version)


LOCKFILE = Pylock()


def _place(package: dict[str, Any]) -> tuple[Source, str]:
    checkout = table(package, "vcs")
    if checkout:
        place = text(checkout, "url") or text(checkout, "path")
        return "git", f"{text(checkout, 'type') or 'git'}+{place}@{text(checkout, 'commit-id')}"
    if table(package, "directory"):
        return "file", text(table(package, "directory"), "path")
    archive = table(package, "archive")
    if archive:
        return ("url", text(archive, "url")) if text(archive, "url") else ("file", text(archive, "path"))
    return "registry", text(package, "index")


def _version(package: dict[str, Any], location: str) -> str:
    """The version, which the standard lets stand in the names of the files alone."""
    if text(package, "version"):
        return text(package, "version")
    files = tables(package, "wheels") + tables(package, "sdist")
    names = [text(one, "name") or text(one, "url") or text(one, "path") for one in files]
    return next((found for name in [*names, location] if (found := named_by(name)[1])), "")


def _digests(package: dict[str, Any], line: int, entries: Entries) -> tuple[str, ...]:
    """The strongest digest of each file."""
    found: list[str] = []
    files = tables(package, "archive") + tables(package, "sdist") + tables(package, "wheels")
    for file in files:
        known = table(file, "hashes")
        best = next((name for name in ("sha512", "sha384", "sha256", "sha224", "sha1", "md5") if name in known), "")
        if not best:
            entries.note("a file without a hash that is known: it is not held to a digest", line)
            return ()
        found.append(digest(f"{best}:{text(known, best)}", line, entries))
    return tuple(dict.fromkeys(found))
