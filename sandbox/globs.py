"""Globs of profiles: parsed once, matched fast.

`*` stays within a path segment, `**` does not (and `/**/` may be a single `/`), `{a,b}` is either.
There is no `?`: in a URL it begins the query, and a profile that allows any query says `?**`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Generic, TypeVar

_MANY_ALTERNATIVES = 256
_LONG = 4096
"""No wildcard matches a longer text: a hostile one must not make matching slow."""
_WILD = re.compile(r"(?<=/)\*\*/|\*\*|\*")

T = TypeVar("T")


def alternatives(glob: str) -> list[str]:
    """`glob` with every `{a,b}` written out. Raises ValueError where braces do not match or are too many."""
    found = [""]
    rest = glob
    while rest:
        before, brace, rest = rest.partition("{")
        if "}" in before:
            raise ValueError(f"a brace is closed and never opened: {glob}")
        found = [start + before for start in found]
        if not brace:
            break
        inside, closed, rest = rest.partition("}")
        if not closed or "{" in inside:
            raise ValueError(f"braces must be closed and cannot be nested: {glob}")
        found = [start + choice for start in found for choice in inside.split(",")]
        if len(found) > _MANY_ALTERNATIVES:
            raise ValueError(f"more than {_MANY_ALTERNATIVES} alternatives: {glob}")
    return found


@lru_cache(maxsize=4096)
def pattern(glob: str, segmented: bool = True) -> re.Pattern[str]:
    """The regular expression of one glob without braces."""
    single = "[^/]*" if segmented else ".*"
    parts = []
    last = 0
    for wild in _WILD.finditer(glob):
        parts.append(re.escape(glob[last : wild.start()]))
        parts.append({"*": single, "**": ".*", "**/": "(?:.*/)?"}[wild[0]])
        last = wild.end()
    parts.append(re.escape(glob[last:]))
    return re.compile("".join(parts), re.DOTALL)


class Matcher(Generic[T]):
    """Many globs, each with a value; `find` gives the value of one that matches a text, exact ones first."""

    def __init__(self, pairs: Iterable[tuple[str, T]], segmented: bool = True) -> None:
        self._exact: dict[str, T] = {}
        self._folders: dict[str, T] = {}
        self._patterns: list[tuple[str, str, T]] = []
        self._segmented = segmented
        for glob, value in pairs:
            for plain in alternatives(glob):
                self._add(plain, value)
        self._prefixes = tuple(f"{folder}/" for folder in self._folders)

    def _add(self, glob: str, value: T) -> None:
        if "*" not in glob:
            self._exact.setdefault(glob, value)
        elif self._segmented and glob.endswith("/**") and "*" not in glob[:-3]:
            self._folders.setdefault(glob[:-3], value)
        else:
            self._patterns.append((glob, glob[: glob.index("*")], value))

    def exact(self, text: str) -> T | None:
        """The value of the glob without wildcards that is `text`."""
        return self._exact.get(text)

    def find(self, text: str) -> T | None:
        """The value of a glob that matches the whole of `text`; `x/**` matches `x` too."""
        found = self._exact.get(text)
        if found is None:
            found = self._folders.get(text)
        if found is None and self._prefixes and text.startswith(self._prefixes):
            for prefix in self._prefixes:
                if text.startswith(prefix):
                    found = self._folders[prefix[:-1]]
                    break
        if found is None and len(text) <= _LONG:
            for glob, literal, value in self._patterns:
                if text.startswith(literal) and pattern(glob, self._segmented).fullmatch(text):
                    return value
        return found

    def __bool__(self) -> bool:
        return bool(self._exact or self._folders or self._patterns)

    def __iter__(self) -> Iterator[str]:
        yield from self._exact
        yield from (f"{folder}/**" for folder in self._folders)
        yield from (glob for glob, _, _ in self._patterns)
