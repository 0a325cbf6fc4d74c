"""Where a package.json lets others in: `exports`, `main`, and what `require` and `import` make of them.

The manifest is hostile: nested without end, a hundred thousand keys long, with any string as a name. Nothing
here raises, and the work is bounded by BUDGET; what the bounds cut off is counted in `EntryPoints.skipped`.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

import msgspec

BUDGET = 20_000
"""Nodes of `exports`, and files compared with its patterns, that are looked at before we give up."""
_DEEPEST = 32
_LONGEST = 200
_MOST_PATTERNS = 64
_RUNNABLE = (".js", ".mjs", ".cjs", ".node")
_COMMON = ("node", "node-addons", "default")
_NOT_FOR_NODE = ("types", "browser")
"""Conditions whose files are for compilers and browsers: not what a developer's machine runs."""
_BUNDLED = ("module", "jsnext:main", "es2015", "esnext")
"""Fields by which bundlers find a package's main file as a module; some of them run it in Node."""
_BESIDE = re.compile(
    r"(?:^|/)(?:__tests__|tests?|specs?|scripts?|bench(?:marks?)?|examples?|fixtures?|docs?|(?:grunt|gulp)file[^/]*)(?:/|$)"
    r"|\.(?:test|spec|config|bench)\.[cm]?js$",
    re.IGNORECASE,
)
"""Files of a pattern that stand in the archive by accident: to load a project's release script would be to run it."""
MOST_REST = 400
_REST_CHARACTERS = 60_000
"""What fits into one argument of a program."""

_ELSEWHERE = "../"

Format = Literal["module", "commonjs", "data", "unknown"]


class Entry(msgspec.Struct, frozen=True):
    """A way into a package: `.` or `./sub/path`, and the file that each kind of loading reaches (or none)."""

    subpath: str
    required: str | None
    imported: str | None


class EntryPoints(msgspec.Struct, frozen=True):
    """The ways in, the main one first. `skipped` counts those that the limits left out, `data` those that
    hold no program (styles, JSON, WebAssembly), `unreachable` those closed to Node (types, browser only). `rest`: the
    files of those beyond the limit, and those that only other conditions reach (`development`)."""

    entries: tuple[Entry, ...] = ()
    skipped: int = 0
    data: int = 0
    unreachable: int = 0
    rest: tuple[str, ...] = ()


def find(
    manifest: Mapping[str, object], files: Collection[str], limit: int, expanded: int
) -> EntryPoints:
    """At most `limit` entry points of a package, by its package.json and the files it is known to have; at
    most `expanded` of them by patterns, which often stand for every file there is."""
    exports = manifest.get("exports")
    if isinstance(exports, (str, list, Mapping)):
        return _Exports(exports, files).find(limit, expanded)
    # Node ignores any other value, so `"exports": 0` must not hide `main` from us.
    found = _from_main(manifest.get("main"), files)
    loaded = {file for entry in found.entries for file in (entry.required, entry.imported)}
    named = [_inside(file) for file in (manifest.get(field) for field in _BUNDLED) if isinstance(file, str)]
    rest = [file for file in dict.fromkeys(named) if file and file not in loaded and _is_program(file)]
    return msgspec.structs.replace(found, rest=tuple(rest))


def file_format(file: str, manifest: Mapping[str, object], files: Collection[str]) -> Format:
    """What Node takes a file for; `unknown` where a package.json nearer to it, not read here, decides."""
    extension = posixpath.splitext(file)[1]
    if extension in (".mjs", ".cjs"):
        return "module" if extension == ".mjs" else "commonjs"
    if extension in (".json", ".css", ".wasm"):
        return "data"
    if extension == ".node":
        return "commonjs"
    folder = posixpath.dirname(file)
    for _depth in range(_DEEPEST):
        if not folder:
            return "module" if manifest.get("type") == "module" else "commonjs"
        if f"{folder}/package.json" in files:
            return "unknown"
        folder = posixpath.dirname(folder)
    return "unknown"


def main_folders(manifest: Mapping[str, object]) -> tuple[str, ...]:
    """Folders inside the package whose listing tells whether its main file is there after installation."""
    exports = manifest.get("exports")
    if isinstance(exports, (str, list, Mapping)):
        main_entries = [entry for entry in _Exports(exports, ()).find(1, 0).entries if entry.subpath == "."]
        targets = {file for entry in main_entries for file in (entry.required, entry.imported) if file}
        return tuple(sorted({posixpath.dirname(file) for file in targets} - {""}))
    main = manifest.get("main")
    inside = _inside(main) if isinstance(main, str) else None
    if inside is None or inside == ".":
        return ()
    return tuple(folder for folder in (posixpath.dirname(inside), inside) if folder)


def _from_main(main: object, files: Collection[str]) -> EntryPoints:
    """Node's own search: the file named, with an extension, as a folder; then index."""
    candidates: list[str] = []
    inside = _inside(main) if isinstance(main, str) and main else "."
    if inside is None or str(main).startswith("/"):
        # Node follows a `main` that leads out of the package; whatever is there, it is loaded by `require`.
        return EntryPoints((Entry(".", _ELSEWHERE, _ELSEWHERE),))
    if inside != ".":
        candidates += [inside + end for end in ("", ".js", ".json", ".node")]
        candidates += [f"{inside}/index{end}" for end in (".js", ".json", ".node")]
    candidates += ["index.js", "index.json", "index.node"]
    known = files if isinstance(files, (set, frozenset)) else frozenset(files)
    for candidate in candidates:
        if candidate in known:
            return EntryPoints((Entry(".", candidate, candidate),))
    return EntryPoints()


def _inside(path: str) -> str | None:
    """A path as written in a manifest, relative to the package; None where it leaves it or is no path."""
    if len(path) > _LONGEST or not path.isprintable() or "\\" in path:
        return None
    normal = posixpath.normpath(path.lstrip("/") or ".")
    return None if normal == ".." or normal.startswith("../") else normal


class _Exports:
    """One reading of an `exports` field, with its budget."""

    def __init__(self, exports: object, files: Collection[str]) -> None:
        self._files = files
        self._budget = BUDGET
        self._over = 0
        self._map: dict[str, object] = {".": exports}
        if isinstance(exports, Mapping) and any(str(key).startswith(".") for key in list(exports)[:BUDGET]):
            # Node refuses a mixture with other keys, under none of which anything can be loaded.
            subpaths = [(str(key), value) for key, value in exports.items() if str(key).startswith(".")]
            self._over = max(0, len(subpaths) - BUDGET) + len(exports) - len(subpaths)
            self._map = dict(subpaths[:BUDGET])
        patterns = [(key, value) for key, value in self._map.items() if "*" in key]
        self._patterns = dict([item for item in patterns if _is_sound(item[0])][:_MOST_PATTERNS])
        self._over += len(patterns) - len(self._patterns)

    def find(self, limit: int, expanded: int) -> EntryPoints:
        """The entries in the manifest's order, `.` first, those behind patterns last."""
        entries: list[Entry] = []
        skipped, data, unreachable = self._over, 0, 0
        for subpath in sorted(self._map, key=lambda key: key != "."):
            if "*" in subpath or subpath.endswith("/") or subpath == "./package.json":
                continue
            if not _is_sound(subpath) or self._budget < 0:
                skipped += 1
                continue
            entry = self._entry(subpath, self._map[subpath], "")
            reached = entry.required or entry.imported
            if reached is None:
                unreachable += 1
            elif not _is_program(reached) and subpath != ".":
                data += 1
            else:
                entries.append(entry)
        entries, over = entries[:limit], entries[limit:]
        more = self._expanded({entry.subpath for entry in (*entries, *over)})
        kept = more[: min(limit - len(entries), expanded)]
        beside = [entry for entry in more[len(kept) :] if _BESIDE.search(entry.required or entry.imported or "")]
        over += [entry for entry in more[len(kept) :] if entry not in beside]
        entries += kept
        rest, left = self._rest(entries, over)
        return EntryPoints(tuple(entries), skipped + len(beside) + left, data, unreachable, rest)

    def _rest(self, kept: list[Entry], over: list[Entry]) -> tuple[tuple[str, ...], int]:
        """The files that `kept` does not reach, those that are there first, and how many are too many."""
        found = [file for entry in over for file in (entry.required, entry.imported)]
        self._budget = BUDGET
        for subpath, tree in self._map.items():
            if subpath == "./package.json" or self._budget < 0:
                continue
            for target in self._leaves(tree, 0):
                if "*" not in target:
                    found.append(_inside(target))
                elif target.count("*") == 1 and subpath in self._patterns:
                    stars = [star for star in self._stars(target) if self._best(subpath.replace("*", star)) == subpath]
                    files = [_inside(target.replace("*", star)) for star in stars]
                    found += [file for file in files if file and not _BESIDE.search(file)]
        loaded = {file for entry in kept for file in (entry.required, entry.imported)}
        loaded |= {main for file in loaded if file for main in (f"{file}.js", f"{file}/index.js")}
        wanted = [file for file in dict.fromkeys(found) if file and file not in loaded and _is_program(file)]
        known = self._files if isinstance(self._files, (set, frozenset)) else frozenset(self._files)
        wanted.sort(key=lambda file: file not in known)
        rest: list[str] = []
        room = _REST_CHARACTERS
        for file in wanted[:MOST_REST]:
            room -= len(json.dumps(file))
            if room < 0:
                break
            rest.append(file)
        return tuple(rest), len(wanted) - len(rest)

    def _leaves(self, tree: object, depth: int) -> Iterator[str]:
        """Every target of an entry, whatever its conditions, but for those that are not for Node."""
        self._budget -= 1
        if self._budget < 0 or depth > _DEEPEST:
            return
        if isinstance(tree, str):
            if tree.startswith("./") and not tree.endswith("/") and _is_sound(tree):
                yield tree
        elif isinstance(tree, Mapping):
            for key, value in tree.items():
                if not str(key).startswith(_NOT_FOR_NODE):
                    yield from self._leaves(value, depth + 1)
                elif self._budget < 0:
                    return
        elif isinstance(tree, list):
            for item in tree[:_DEEPEST]:
                yield from self._leaves(item, depth + 1)
                if isinstance(item, str):
                    return

    def _entry(self, subpath: str, tree: object, star: str) -> Entry:
        found = [self._resolve(tree, (kind, *_COMMON), 0) for kind in ("require", "import")]
        files = [_inside(target.replace("*", star)) if target else None for target in found]
        return Entry(subpath, files[0], files[1])

    def _resolve(self, tree: object, conditions: tuple[str, ...], depth: int) -> str | None:
        """The target under these conditions: a path, "" where the way is closed, None where none fits."""
        self._budget -= 1
        if self._budget < 0 or depth > _DEEPEST:
            return ""
        if isinstance(tree, str):
            return tree if tree.startswith("./") and _is_sound(tree) else ""
        if isinstance(tree, Mapping):
            for key, value in tree.items():
                if self._budget < 0:
                    break
                if key in conditions:
                    found = self._resolve(value, conditions, depth + 1)
                    if found is not None:
                        return found
                else:
                    self._budget -= 1
            return None
        if isinstance(tree, list):
            for item in tree[:_DEEPEST]:
                found = self._resolve(item, conditions, depth + 1)
                if found:
                    return found
            return ""
        return ""

    def _expanded(self, seen: set[str]) -> list[Entry]:
        """The entries that patterns stand for, by the files that the package is known to have."""
        entries: dict[str, Entry] = {}
        for pattern, tree in self._patterns.items():
            plain = [self._resolve(tree, (kind, *_COMMON), 0) for kind in ("require", "import")]
            for target in dict.fromkeys(target for target in plain if target and target.count("*") == 1):
                for star in self._stars(target):
                    subpath = pattern.replace("*", star)
                    if subpath in seen or subpath in entries or self._best(subpath) != pattern:
                        continue
                    entries[subpath] = self._entry(subpath, tree, star)
        return [entries[subpath] for subpath in sorted(entries)]

    def _stars(self, target: str) -> list[str]:
        """What the star of `./lib/*.js` can stand for."""
        before, _, after = target.removeprefix("./").partition("*")
        stars = []
        for file in self._files:
            self._budget -= 1
            if self._budget < 0:
                break
            fits = len(file) > len(before) + len(after) and file.startswith(before) and file.endswith(after)
            if fits and file.endswith(_RUNNABLE) and _is_sound(file):
                stars.append(file[len(before) : len(file) - len(after)])
        return stars

    def _best(self, subpath: str) -> str:
        """The pattern that Node would use: the one with the longest part before its star."""
        fitting = [
            pattern
            for pattern in self._patterns
            if subpath.startswith(pattern.partition("*")[0]) and subpath.endswith(pattern.partition("*")[2])
        ]
        return max(fitting, key=lambda pattern: len(pattern.partition("*")[0]), default="")


def _is_program(file: str) -> bool:
    return file.endswith(_RUNNABLE) or "." not in posixpath.basename(file)


def _is_sound(text: str) -> bool:
    """Short and printable, so that it may stand in a command and in a report; no way out of the package."""
    return len(text) <= _LONGEST and text.isprintable() and "\\" not in text and ".." not in text.split("/")
