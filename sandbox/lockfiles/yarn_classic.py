"""yarn 1's `yarn.lock`. Its format is yarn's own; no well-kept reader of it is at hand for Python.

An entry's keys are what is asked for (`name@range`). The project's own requests are not in the file: what no package
in it asks for in just these words is taken to be direct. Nothing says what is for development, and workspaces are not
in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec

from sandbox.lockfiles import Include, Lock, Locked
from sandbox.lockfiles._digests import from_hex, from_integrity
from sandbox.lockfiles._entries import Entries
from sandbox.lockfiles._npm_sources import source_of
from sandbox.lockfiles._text import decoded, head, shown

_MARK = "# yarn lockfile v1"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[^\s",:]+|[,:]')
_SHA1 = re.compile(r"[0-9a-f]{40}")
_GROUPS = ("dependencies", "optionalDependencies")


class _Package(msgspec.Struct):
    """One entry as it is read: what asks for it, its fields, and what it asks for (`name@range`: only optionally)."""

    line: int
    patterns: list[str]
    fields: dict[str, str] = {}
    asks: dict[str, bool] = {}


class YarnClassic:
    """Reads the lockfiles of yarn 1."""

    name = "yarn_classic"
    ecosystem = "npm"
    names = ("yarn.lock",)

    def recognises(self, content: bytes) -> bool:
        """By the comment at its start, or by an entry's `resolved` written without a colon."""
        start = head(content)
        return _MARK in start or bool(re.search(r'(?m)^  resolved "', start)) or not start.strip("\n ")

    def parse(self, content: bytes, path: str, include: Include | None = None) -> Lock:  # noqa: ARG002  # none
        """See `Lockfile.parse`."""
        entries = Entries(path, "npm")
        packages = list(_packages(decoded(content, path), entries))
        asked: dict[str, bool] = {}
        for package in packages:
            for pattern, optional in package.asks.items():
                asked[pattern] = optional and asked.get(pattern, True)
        for package in packages:
            for entry in _entries(package, asked, entries):
                entries.add(entry)
        return entries.lock(self.name, "1")


LOCKFILE = YarnClassic()


def _packages(text: str, entries: Entries) -> Iterator[_Package]:
    package: _Package | None = None
    group = ""
    seen: set[str] = set()
    for number, raw in enumerate(text.split("\n"), 1):
        bare = raw.strip(" ")
        if not bare or bare.startswith("#"):
            continue
        depth = len(raw) - len(raw.lstrip(" "))
        tokens = _tokens(bare, number, entries)
        if depth == 0:
            if package is not None:
                yield package
            package, group = _Package(number, _patterns(tokens, number, entries), {}, {}), ""
            if not seen.isdisjoint(package.patterns):
                raise entries.wrong("a key stands twice", number)
            seen.update(package.patterns)
        elif package is None or depth not in (2, 4) or (depth == 4 and not group):
            raise entries.wrong("it is not indented as yarn does", number)
        elif depth == 2 and len(tokens) == 2 and tokens[1] == ":":
            group = tokens[0]
        elif len(tokens) != 2 or tokens[1] in (":", ","):
            raise entries.wrong("it is no key with a value", number)
        elif depth == 2:
            group = ""
            if tokens[0] in package.fields:
                raise entries.wrong("a key stands twice", number)
            package.fields[tokens[0]] = tokens[1]
        elif group in _GROUPS:
            pattern = f"{tokens[0]}@{tokens[1]}"
            package.asks[pattern] = group == "optionalDependencies" and package.asks.get(pattern, True)
    if package is not None:
        yield package


def _tokens(text: str, number: int, entries: Entries) -> list[str]:
    """The words of one line, unquoted. A value without quotes may hold a colon: it is all that is left."""
    found: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise entries.wrong("a word is not closed", number)
        word = match[0]
        if word.startswith('"'):
            try:
                word = json.loads(word)
            except ValueError:
                raise entries.wrong("a word is not closed", number) from None
        found.append(word)
        position = match.end()
        while position < len(text) and text[position] == " ":
            position += 1
    return found


def _patterns(tokens: list[str], number: int, entries: Entries) -> list[str]:
    if len(tokens) % 2 or tokens[-1] != ":" or any(comma != "," for comma in tokens[1:-1:2]):
        raise entries.wrong("it is no list of keys with a colon", number)
    return tokens[0::2]


def _entries(package: _Package, asked: dict[str, bool], entries: Entries) -> Iterator[Locked]:
    """An entry for each real name among the keys; there is only one, save in a lockfile that is made to deceive."""
    version, location = package.fields.get("version", ""), package.fields.get("resolved", "")
    for pattern in package.patterns:
        at = pattern.find("@", 1)
        if at < 0:
            raise entries.wrong(f"{shown(pattern)} has no @", package.line)
        name, wanted = pattern[:at], pattern[at + 1 :]
        real = name
        if wanted.startswith("npm:"):
            at = wanted.find("@", 5)
            real = wanted[4:] if at < 0 else wanted[4:at]
        place = location.partition("#")[0] if _SHA1.fullmatch(location.rpartition("#")[2]) else location
        source = source_of(location or (wanted if wanted.startswith(("file:", "link:")) else ""), real, version)
        yield Locked(
            ecosystem="npm",
            name=real,
            version=version,
            digests=_digests(package, location, source, entries),
            source=source,
            location=location if source == "git" else (place or (wanted if source == "file" else "")),
            line=package.line,
            direct=pattern not in asked,
            optional=asked.get(pattern, False),
            aliases=(name,) if name != real else (),
        )


def _digests(package: _Package, location: str, source: str, entries: Entries) -> tuple[str, ...]:
    try:
        found = from_integrity(package.fields.get("integrity", ""))
    except ValueError as error:
        raise entries.wrong(str(error), package.line) from None
    fragment = location.rpartition("#")[2]
    if found or source == "git" or not _SHA1.fullmatch(fragment):
        return found
    return (from_hex(f"sha1:{fragment}"),)
