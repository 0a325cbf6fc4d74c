"""Which distribution's installation wrote which file in site-packages. Facts of a recording, for rules about Python."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator

from sandbox.facts import Facts

_SITE = re.compile(r".*/(?:site|dist)-packages/")
_INFO = re.compile(r"(?P<name>[^/]+?)-[^/-]+\.dist-info/RECORD")
_CODE = (".py", ".so", ".pyd", ".pth")
_SHARED = frozenset({
    "test", "tests", "testing", "doc", "docs", "example", "examples", "benchmarks", "scripts", "tools",
})  # fmt: skip
"""Folders and modules that several distributions bring by mistake, since a build takes up all that it finds."""


def plain(name: str) -> str:
    """A distribution's or module's name, the same however it is spelt."""
    return re.sub(r"[-_.]+", "_", name).lower()


class Distributions:
    """What pip wrote for whom: one distribution after another, and of each the RECORD last of what its wheel holds."""

    def __init__(self, facts: Facts) -> None:
        self.of_file: dict[str, list[str]] = {}
        """The distributions that wrote a file, the first one first."""
        self._of_folder: dict[str, set[str]] = defaultdict(set)
        files: list[str] = []
        for _, path in sorted(_written(facts)):
            files.append(path)
            info = _INFO.fullmatch(path[_end(path) :])
            if info is not None:
                for file in files:
                    self._note(file, plain(info["name"]))
                files = []

    def _note(self, path: str, name: str) -> None:
        names = self.of_file.setdefault(path, [])
        if name not in names:
            names.append(name)
        folder, end = posixpath.dirname(path), _end(path)
        while len(folder) >= end:
            self._of_folder[folder].add(name)
            folder = posixpath.dirname(folder)

    def owners(self, path: str) -> set[str]:
        """Who wrote a file in site-packages, or else into the nearest folder of it that anybody wrote into."""
        if path in self.of_file:
            return set(self.of_file[path])
        folder, end = posixpath.dirname(path), _end(path)
        while len(folder) >= end > 0:
            if folder in self._of_folder:
                return self._of_folder[folder]
            folder = posixpath.dirname(folder)
        return set()

    def overwritten(self) -> Iterator[tuple[str, list[str]]]:
        """Files with code that more than one distribution wrote, each with these."""
        for path, names in self.of_file.items():
            top, _, below = path[_end(path) :].partition("/")
            if len(names) < 2 or not path.endswith(_CODE) or plain(top.partition(".")[0]) in _SHARED:
                continue
            family = plain(top.partition(".")[0])
            kin = all(name == family or name.startswith(f"{family}_") for name in names)
            # `a-b` and `a-c` both bring the `__init__.py` of the namespace `a`; and `a` itself, put over `a-slim`, is
            # what it was a part of. Nothing is put over `a`.
            if not kin or (below != "__init__.py" and names[-1] != family) or family in names[:-1]:
                yield path, names


def _written(facts: Facts) -> Iterator[tuple[int, str]]:
    """Every file that the installer opened for writing in site-packages, each time."""
    actors = {actor.process.serial for (_, _, actor, _) in facts.opened if actor.role == "installer"}
    for line, event in enumerate(facts.events, start=2):
        if getattr(event, "access", "read") in ("write", "readwrite") and event.process in actors:
            path: str = event.path  # type: ignore[union-attr]  # only openings of files have an access
            if _end(path):
                yield line, path


def _end(path: str) -> int:
    """Where in a path the part below site-packages begins; 0 where it is not below."""
    match = _SITE.match(path)
    return match.end() if match is not None else 0
