"""pip's requirements and constraints files, with hashes, markers, extras and includes.

What is not pinned to one version (`requests>=2`) cannot be looked at from the file alone: each is a note. A constraint
pins what is not pinned where it is asked for; one that nothing asks for by name is an entry that may not be installed.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sandbox.lockfiles import MOST_BYTES, MOST_ENTRIES, Include, Lock, Locked
from sandbox.lockfiles._digests import from_hex
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._pypi_places import digests_in, named_by, source_of
from sandbox.lockfiles._text import decoded, head, shown, without_login

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_PIN = re.compile(r"(?m)^[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]\n]*\])?\s*==\s*[0-9]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|[^=]*/)")
_PATH = re.compile(r"(?:\.{0,2}/|~/|[A-Za-z]:\\|\.\.?$)|[^\s;@]+(?:\.whl|\.tar\.gz|\.zip)(?:\[[^\]]*\])?(?:\s*;.*)?$")
_PACKAGE_OPTIONS = frozenset({"--hash", "--config-settings", "--config-setting", "--global-option", "-C"})
_HARMLESS = frozenset({
    "--require-hashes", "--prefer-binary", "--no-binary", "--only-binary", "--use-feature", "--pre", "--no-deps",
    "--use-pep517", "--no-use-pep517",
})  # fmt: skip
_INDEXES = frozenset({
    "-i", "--index-url", "--pypi-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host",
})  # fmt: skip
_LONGEST_REQUIREMENT = 8192
_LONGEST_OPTIONS = 1024 * 1024
_MOST_FILES = 100
_MOST_PINS = 3
"""Of one package: with more than one, pip installs nothing at all."""
_MOST_LINES = 2 * MOST_ENTRIES


class _Line(NamedTuple):
    """One logical line: the text without comments, where it starts, and the comments up to the next one."""

    text: str
    line: int
    comments: list[str]


class _Wanted(NamedTuple):
    """One requirement or constraint."""

    entry: Locked
    pinned: bool
    written: str
    only_constrains: bool
    via: tuple[str, ...] = ()


class Requirements:
    """Reads requirements files as pip does, without fetching what they include from elsewhere."""

    name = "requirements"
    ecosystem = "pypi"
    names = ("requirements*.txt", "*requirements.txt", "requirements/*.txt", "constraints*.txt", "*constraints.txt")

    def recognises(self, content: bytes) -> bool:
        """By a first line `name==1...` somewhere near the start, where nothing speaks of YAML, TOML or JSON."""
        start = head(content)
        return bool(_PIN.search(start)) and not start.lstrip().startswith(("{", "[", "lockfileVersion"))

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:
        """See `Lockfile.parse`."""
        reading = _Reading(path, include)
        reading.file(content, path, only_constrains="constraints" in posixpath.basename(path).lower())
        return reading.entries_of_all().lock(self.name)


LOCKFILE = Requirements()


class _Reading:
    """One requirements file and everything that it includes."""

    def __init__(self, path: str, include: Include | None) -> None:
        self.path = path
        self.include = include
        self.entries = Entries(path, "pypi")
        self.wanted: list[_Wanted] = []
        self.seen: set[tuple[str, bool]] = set()
        self.index = ""
        self.size = 0

    def file(self, content: bytes, path: str, *, only_constrains: bool) -> None:
        """Read one file, and what it includes after it: without recursion, so that no chain is too long."""
        pending = [(content, path, only_constrains)]
        self.seen.add((path, only_constrains))
        while pending:
            content, path, constrains = pending.pop()
            self.size += len(content)
            if self.size > MOST_BYTES:
                raise ValueError(f"{self.entries.name} and what it includes are larger than {MOST_BYTES} bytes")
            for line in _logical_lines(decoded(content, path)):
                included = self._line(line, path, constrains)
                if included is not None:
                    pending.append(included)

    def _line(self, line: _Line, path: str, constrains: bool) -> tuple[bytes, str, bool] | None:
        where = "" if path == self.path else path
        bare, options = self._split(line, path)
        if bare:
            self._requirement(bare, options, line, where, constrains)
            return None
        included: tuple[bytes, str, bool] | None = None
        for option, value in options:
            if option in ("-r", "--requirement", "-c", "--constraint"):
                included = self._included(value, line, path, constrains or option in ("-c", "--constraint"))
            elif option in ("-e", "--editable"):
                self._requirement(value, options, line, where, constrains)
            else:
                self._setting(option, value, line, where)
        return included

    def _split(self, line: _Line, path: str) -> tuple[str, list[tuple[str, str]]]:
        """The requirement in front of a line's options, and the options with their values."""
        words = line.text.split(" ")
        first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
        written = " ".join(words[first:])
        if len(written) > _LONGEST_OPTIONS:
            raise ValueError(f"{shown(path)} line {line.line}: its options are too long")
        try:
            tokens = written.split() if not re.search("[\"'\\\\]", written) else shlex.split(written)
        except ValueError:
            raise ValueError(f"{shown(path)} line {line.line}: a quotation is not closed") from None
        options: list[tuple[str, str]] = []
        position = 0
        while position < len(tokens):
            token = tokens[position]
            position += 1
            if token[:2] in ("-r", "-c", "-e", "-i", "-f", "-C") and len(token) > 2:
                options.append((token[:2], token[2:].lstrip("=")))
                continue
            option, equals, value = token.partition("=")
            if not equals and position < len(tokens) and not tokens[position].startswith("-"):
                value = tokens[position]
                position += 1
            options.append((option, value))
        return " ".join(words[:first]).strip(), options

    def _included(self, value: str, line: _Line, path: str, constrains: bool) -> tuple[bytes, str, bool] | None:
        where = f"{shown(path)} line {line.line}"
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
        told = shown(without_login(value))
        if _URL.match(value) or self.include is None or not value:
            why = "a URL" if _URL.match(value) else "not read here"
            text = f"{told} is included and is {why}: what it asks for is not known"
            self.entries.note(text, line.line, path, unseen=True)
            return None
        if (target, constrains) in self.seen:
            return None
        self.seen.add((target, constrains))
        if len(self.seen) > _MOST_FILES:
            raise ValueError(f"{self.entries.name} includes more than {_MOST_FILES} files")
        try:
            return self.include(target), target, constrains
        except (OSError, ValueError):
            raise ValueError(f"{where} includes {told}, which cannot be read") from None

    def _setting(self, option: str, value: str, line: _Line, where: str) -> None:
        told = shown(without_login(" ".join(filter(None, (option, value)))))
        if option in ("-i", "--index-url", "--pypi-url"):
            self.index = without_login(value)
        if option in _INDEXES:
            self.entries.note(f"{told} says where packages come from", line.line, where)
        elif option not in _HARMLESS:
            self.entries.note(f"{told} is an option that is not understood", line.line, where)

    def _requirement(
        self, text: str, options: list[tuple[str, str]], line: _Line, where: str, constrains: bool
    ) -> None:
        try:
            if len(text) > _LONGEST_REQUIREMENT:
                raise ValueError("overlong")
            hashes = [value for option, value in options if option == "--hash"]
            wanted = _wanted(text, hashes, line.line, where, constrains)
        except (ValueError, RecursionError):
            name = shown(where or self.path)
            raise ValueError(f"{name} line {line.line}: {shown(without_login(text))} is no requirement") from None
        if wanted is None:
            told = shown(without_login(text))
            text = f"{told} does not say which package it is, and is not looked at"
            self.entries.note(text, line.line, where, unseen=True)
            return
        for option, _ in options:
            if option not in _PACKAGE_OPTIONS and option not in ("-e", "--editable"):
                self.entries.note(f"{shown(option)} is an option that is not understood", line.line, where)
        self.wanted.append(wanted._replace(via=tuple(_asked_for_by(line.comments))))
        if len(self.wanted) > _MOST_LINES:
            raise ValueError(f"{self.entries.name} has more than {_MOST_LINES} requirements")

    def entries_of_all(self) -> Entries:
        """What is asked for, with what the constraints say about it."""
        pins: dict[str, list[Locked]] = {}
        for one in self.wanted:
            if one.only_constrains and one.pinned:
                pins.setdefault(str(canonicalize_name(one.entry.name)), []).append(one.entry)
        named = {str(canonicalize_name(one.entry.name)) for one in self.wanted if not one.only_constrains}
        for one in self.wanted:
            if one.only_constrains:
                continue
            name = str(canonicalize_name(one.entry.name))
            entry = msgspec.structs.replace(one.entry, direct=_is_direct(one.via, named))
            if one.pinned:
                self._add(entry)
            elif name in pins:
                for pin in pins[name][:_MOST_PINS]:
                    self._add(_pinned_by(entry, pin))
            else:
                self._not_pinned(one)
        for one in self.wanted:
            if one.only_constrains and str(canonicalize_name(one.entry.name)) not in named:
                if one.pinned:
                    self._add(msgspec.structs.replace(one.entry, optional=True))
                else:
                    self._not_pinned(one)
        return self.entries

    def _not_pinned(self, one: _Wanted) -> None:
        text = f"{shown(one.written)} is not pinned to one version, and is not looked at"
        self.entries.note(text, one.entry.line, one.entry.file, unseen=True)

    def _add(self, entry: Locked) -> None:
        if entry.source == "registry" and self.index:
            entry = msgspec.structs.replace(entry, location=self.index)
        self.entries.add(entry)


def _logical_lines(text: str) -> Iterator[_Line]:
    """The lines as pip joins them: a backslash at the end goes on, a comment never does."""
    current: _Line | None = None
    parts: list[str] = []
    start = 0
    for number, raw in enumerate(text.split("\n"), 1):
        comment = _COMMENT.search(raw)
        if not parts:
            start = number
        goes_on = raw.endswith("\\") and comment is None
        parts.append(raw[:-1] if goes_on else _COMMENT.sub("", raw))
        if goes_on:
            continue
        joined = "".join(parts).strip()
        parts = []
        if joined:
            if current is not None:
                yield current
            current = _Line(joined, start, [])
        if comment is not None and current is not None:
            current.comments.append(comment[0].strip())
    joined = "".join(parts).strip()
    if current is not None:
        yield current
    if joined:
        yield _Line(joined, start, [])


def _asked_for_by(comments: list[str]) -> list[str]:
    """What pip-compile and uv write under a requirement: `# via x`, or `# via` and a line for each."""
    found: list[str] = []
    listing = False
    for comment in comments:
        text = comment.lstrip("# ").strip()
        if text == "via" or text.startswith("via "):
            listing = True
            text = text[3:].strip()
        if listing and text:
            found.append(text)
    return found


def _is_direct(via: tuple[str, ...], named: set[str]) -> bool:
    """Whether the project itself asks for it: nothing says who does, or it is a file, or no package that is named."""
    return not via or any(
        one.startswith("-r") or " (" in one or str(canonicalize_name(one.partition("[")[0])) not in named for one in via
    )


def _wanted(text: str, hashes: list[str], line: int, where: str, constrains: bool) -> _Wanted | None:
    """One requirement; None for a path or URL that does not say which package it is. ValueError where it is none."""
    digests = [from_hex(one) for one in hashes]
    if _PATH.match(text) or (_URL.match(text) and not re.match(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\])?\s*@", text)):
        place, _, marker = text.partition(" ;") if " ;" in text else text.partition("; ")
        place = place.strip()
        bare, extras = _without_extras(place)
        name, version = named_by(bare)
        if not name:
            return None
        entry = Locked(
            ecosystem="pypi", name=name, version=version, source=source_of(bare), location=bare, line=line, file=where,
            digests=tuple(digests) or tuple(map(from_hex, digests_in(bare))), extras=extras, marker=marker.strip(),
        )  # fmt: skip
        return _Wanted(entry, True, text, constrains)
    requirement = Requirement(text)
    version = _pin(requirement)
    entry = Locked(
        ecosystem="pypi",
        name=requirement.name,
        version=version,
        digests=tuple(digests),
        line=line,
        file=where,
        extras=tuple(sorted(str(canonicalize_name(extra)) for extra in requirement.extras)),
        marker=str(requirement.marker or ""),
    )
    if requirement.url:
        place = requirement.url
        entry = msgspec.structs.replace(
            entry,
            source=source_of(place),
            location=place,
            version=named_by(place)[1],
            digests=tuple(digests) or tuple(map(from_hex, digests_in(place))),
        )
        return _Wanted(entry, True, text, constrains)
    return _Wanted(entry, bool(version), text, constrains)


def _without_extras(place: str) -> tuple[str, tuple[str, ...]]:
    match = re.fullmatch(r"(.+?)\[([^\[\]/]*)\]", place)
    if not match:
        return place, ()
    return match[1], tuple(sorted(str(canonicalize_name(one.strip())) for one in match[2].split(",") if one.strip()))


def _pin(requirement: Requirement) -> str:
    """The one version that a requirement allows; empty where it allows several."""
    exact = {one.version for one in requirement.specifier if one.operator in ("==", "===")}
    if len(exact) != 1:
        return ""
    version = exact.pop()
    try:
        return str(Version(version))
    except (InvalidVersion, ValueError):
        return ""  # a wildcard (`==1.*`), or a legacy version that nothing can look up


def _pinned_by(entry: Locked, pin: Locked) -> Locked:
    """What is asked for without a version, as a constraint pins it."""
    return msgspec.structs.replace(
        entry,
        version=pin.version,
        digests=entry.digests or pin.digests,
        source=pin.source,
        location=pin.location,
        line=pin.line,
        file=pin.file,
        marker=entry.marker or pin.marker,
    )
