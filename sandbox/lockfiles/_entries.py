"""Gathers what a parser finds: bounded, checked, and with equal entries merged."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sandbox.lockfiles import MOST_ENTRIES, Lock, Locked
from sandbox.lockfiles._text import shown, without_login
from sandbox.report import Note

_NPM_NAME = re.compile(r"(?:@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9~][A-Za-z0-9._~-]*")
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SEMVER = re.compile(r"\d{1,16}\.\d{1,16}\.\d{1,16}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_EXTRAS = re.compile(r"\b(?:extras?|dependency_groups)\b")
"""What depends on an extra or a group cannot be told from a machine; `optional` and `development` say that."""
_LONGEST_NAME = 214
_LONGEST_VERSION = 256
_LONGEST_TEXT = 4096
_MOST_OF_ONE = 2000


class Entries:
    """The entries and notes of one lockfile, as they are found. Every method raises ValueError, one sentence."""

    def __init__(self, path: str, ecosystem: Literal["npm", "pypi"]) -> None:
        self.path = path
        self.name = shown(path)
        self.ecosystem: Literal["npm", "pypi"] = ecosystem
        self._found: dict[tuple[str, str, str, str], Locked] = {}
        self._notes: dict[Note, None] = {}
        self._unseen: dict[Note, None] = {}

    def note(self, text: str, line: int = 0, file: str = "", *, unseen: bool = False) -> None:
        """Say something about the file that is no package's; `unseen` where it leaves something that nobody looks at.
        Pieces of the file must have gone through `shown`."""
        note = Note(text=text[:2000], file=file or self.path, line=line)
        self._notes[note] = None
        if unseen:
            self._unseen[note] = None
        self._bounded()

    def add(self, entry: Locked) -> None:
        """Take an entry. One that nothing could be done with (its name or version is none) becomes a note."""
        wrong = _wrong(entry)
        if wrong:
            what = " ".join(filter(None, (shown(entry.name), shown(entry.version))))
            self.note(f"{what or 'an entry'} cannot be looked at: {wrong}", entry.line, entry.file, unseen=True)
            return
        entry = _tidied(entry)
        key = (entry.name, entry.version, entry.source, entry.location)
        before = self._found.get(key)
        try:
            self._found[key] = entry if before is None else _merged(before, entry)
        except ValueError as error:
            raise self.wrong(str(error), entry.line) from None
        self._bounded()

    def has(self, entry: Locked) -> bool:
        """Whether an equal entry with all of its digests is there."""
        entry = _tidied(entry)
        found = self._found.get((entry.name, entry.version, entry.source, entry.location))
        return found is not None and set(entry.digests) <= set(found.digests)

    def wrong(self, text: str, line: int = 0) -> ValueError:
        """The error for a file that is not what it should be."""
        return ValueError(f"{self.name}{f' line {line}' if line else ''}: {text}")

    def lock(self, name: str, version: str = "") -> Lock:
        """What was found."""
        return Lock(
            path=self.path,
            ecosystem=self.ecosystem,
            format=name,
            version=shown(version),
            entries=tuple(self._found.values()),
            notes=tuple(self._notes),
            unseen=tuple(self._unseen),
        )

    def _bounded(self) -> None:
        if len(self._found) > MOST_ENTRIES or len(self._notes) > MOST_ENTRIES:
            raise ValueError(f"{self.name} has more than {MOST_ENTRIES} entries")


def _wrong(entry: Locked) -> str:
    pattern = _NPM_NAME if entry.ecosystem == "npm" else _PYPI_NAME
    if len(entry.name) > _LONGEST_NAME or not pattern.fullmatch(entry.name):
        return "its name is none that a registry could hold"
    texts = (entry.location, entry.marker, *entry.extras, *entry.systems, *entry.aliases)
    if not all(len(text) <= _LONGEST_TEXT and text.isprintable() for text in texts):
        return "it has an overlong text or control characters"
    if not entry.version:
        return "it has no version" if entry.source in ("registry", "bundled") else ""
    if len(entry.version) > _LONGEST_VERSION or not entry.version.isprintable():
        return "its version is overlong or has control characters"
    if entry.source == "registry" and not _exact(entry.ecosystem, entry.version):
        return "its version is none"
    return ""


def _exact(ecosystem: str, version: str) -> bool:
    return _SEMVER.fullmatch(version) is not None if ecosystem == "npm" else _pypi_version(version) != ""


@lru_cache(maxsize=4096)
def _pypi_version(version: str) -> str:
    """The version in its one form (`1.0-RC1` is `1.0rc1`); empty where it is none."""
    try:
        return str(Version(version))
    except (InvalidVersion, ValueError):
        return ""


def _tidied(entry: Locked) -> Locked:
    location = without_login(entry.location)
    if entry.ecosystem == "npm":
        return entry if location == entry.location else msgspec.structs.replace(entry, location=location)
    digests = tuple(dict.fromkeys(entry.digests))
    version = _pypi_version(entry.version) or entry.version
    name = str(canonicalize_name(entry.name))
    marker = "" if _EXTRAS.search(entry.marker) else entry.marker
    return msgspec.structs.replace(entry, name=name, version=version, location=location, digests=digests, marker=marker)


def _merged(first: Locked, other: Locked) -> Locked:
    """Two mentions of one package. What either needs counts: it is for development only where both are."""
    if first.marker == other.marker or not first.marker or not other.marker:
        marker = first.marker if first.marker == other.marker else ""
    else:
        marker = f"({first.marker}) or ({other.marker})"
    if len(marker) > _LONGEST_TEXT:
        marker = ""  # installed everywhere, rather than a condition cut short
    return msgspec.structs.replace(
        first,
        digests=_union(first.digests, other.digests),
        direct=first.direct or other.direct,
        development=first.development and other.development,
        optional=first.optional and other.optional,
        extras=_union(first.extras, other.extras),
        systems=first.systems if first.systems == other.systems else (),
        aliases=_union(first.aliases, other.aliases),
        marker=marker,
    )


def _union(first: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Both, each once. Bounded: a package that is mentioned a hundred thousand times, each time with another digest,
    would take quadratic time."""
    if all(one in first for one in other):
        return first
    if len(first) + len(other) > _MOST_OF_ONE:
        raise ValueError(f"one package has more than {_MOST_OF_ONE} digests, extras or other names")
    return tuple(dict.fromkeys(first + other))
