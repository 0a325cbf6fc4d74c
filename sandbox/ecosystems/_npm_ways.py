"""The ways into an npm package: which of its entry points are loaded, how, and which of them have to load. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence

import msgspec

from sandbox.ecosystems import _entry_points
from sandbox.events import ALL_TRIED
from sandbox.plan import Artifact

MOST_ENTRIES = 24
MOST_EXPANDED = 8
_NAMES = """
assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain
events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl
stream string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib
"""
_BUILT_IN = frozenset(_NAMES.split())
"""Names under which Node loads a module of its own, so that a package of that name would never run."""
_LOADABLE = (".js", ".cjs", ".mjs", ".node", ".json")

START = """\
process.execArgv = []; process.argv[1] ??= process.cwd().split("/node_modules/")[0] + "/src/cart.js"; {
  const timer = setTimeout(() => 0), { unref } = Object.getPrototypeOf(timer); clearTimeout(timer); let last = 0;
  Object.getPrototypeOf(timer).unref = function () {
    if (this._repeat === null && this._idleTimeout <= 10000)
      last = Math.max(last, performance.now() + this._idleTimeout);
    return unref.call(this);
  };
  process.once("beforeExit", () => {
    if (last > performance.now()) setTimeout(() => 0, last + 500 - performance.now());
  });
} """
"""What stands before every program that loads a package. Children and workers take over how this one was told what to
run, and must not run it again. A program that starts itself anew (`argv.slice(1)`) must not become one that reads its
input: what uses the package is a file of the planted project, which does nothing by itself. A timer that does not keep
a program alive (`unref`) fires in the program that uses the package: it is waited for, where it is due within ten
seconds."""

_REST = """
process.execArgv = []; process.argv[1] ??= process.cwd().split("/node_modules/")[0] + "/src/cart.js";
const exit = process.reallyExit.bind(process), until = Date.now() + 30000;
process.exit = process.reallyExit = () => { throw new Error("not now") };
for (const kind of ["uncaughtException", "unhandledRejection"]) process.on(kind, () => {});
const load = async file => /\\.[cm]?js$/.test(file) ? await import(file) : require(file);
const soon = promise => {
  let timer;
  const late = new Promise(resolve => { timer = setTimeout(resolve, 3000) });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
(async () => {
  for (const file of %(files)s) {
    if (Date.now() > until) return exit(1);
    try { await soon(load(file)) } catch (error) { console.error(error) }
  }
  process.on("exit", () => exit(%(complete)d));
  setTimeout(() => exit(%(complete)d), 5000).unref();
})();
"""


class Way(msgspec.Struct, frozen=True):
    """One way into a package: what is loaded, as reports name it (`pkg/sub`) and as Node takes it, how, and which file
    that is, where it is known. It is `required`, or one of those with the same non-empty `either` is. `page`: as in a
    browser's page, where no other way of the same `either` loaded it."""

    shown: str
    specifier: str
    mode: str
    file: str
    required: bool
    either: str = ""
    page: bool = False


def ways_in(
    artifact: Artifact, files: frozenset[str], peers: list[str], node_version: str
) -> tuple[list[Way], tuple[str, ...], list[str]]:
    """Every way into a package that is to be tried, the main one first; files that are loaded in turn besides; and what
    is left out, one sentence each. `peers`: optional ones that are absent."""
    found = _entry_points.find(artifact.manifest, files, MOST_ENTRIES, MOST_EXPANDED)
    has_main = any(entry.subpath == "." for entry in found.entries)
    ways: list[Way] = []
    absent = may_raise = 0
    for entry in found.entries:
        if entry.subpath == "." and _is_absent(entry, files):
            absent += 1  # nobody can load it: Prisma's is for its types only
            continue
        # What raises has not been seen, and must not pass for clean, unless something that is known before it runs
        # says why. Without a main entry one of the others has to load, whatever is said of them.
        no_program = _is_no_program(entry)
        excused = no_program or (entry.subpath != "." and (bool(peers) or _is_absent(entry, files)))
        may_raise += excused and not no_program
        modes = _modes(entry, artifact.manifest, files, node_version)
        either = f"import:{artifact.name}" if excused and not has_main and not no_program else ""
        if not excused and len(modes) == 2 and entry.required == entry.imported:
            either = f"import:{artifact.name}{entry.subpath.removeprefix('.')}"
        found_ways = []
        for mode in modes:
            file = entry.required if mode == "require" else entry.imported
            specifier = _specifier(artifact.name, entry.subpath, file or "")
            found_ways.append(Way(*specifier, mode, file or "", not excused, either))
        ways += found_ways if excused else _or_in_a_page(found_ways)
    notes = []
    if not ways:
        kind = "only type declarations" if _is_types_only(artifact.manifest, files) else "no module to load"
        notes.append(f"The package has {kind}: nothing is imported.")
    if absent:
        notes.append("The main entry names a file that the package does not have: it cannot be loaded.")
    if may_raise:
        why = f"may want an optional peer that is not installed ({', '.join(peers)})" if peers else "name absent files"
        notes.append(f"{may_raise} entry points {why}: one that raises is not held against it.")
    if found.skipped:
        notes.append(f"{found.skipped} more entry points are not imported: there are limits.")
    if found.data:
        notes.append(f"{found.data} entry points hold data or styles, not programs, and are not loaded.")
    if found.unreachable:
        notes.append(f"{found.unreachable} entry points are closed to Node (types, browser): not loaded.")
    if found.rest:
        why = "beyond the first, or behind conditions that Node does not set"
        notes.append(f"{len(found.rest)} files of entry points ({why}) are loaded in one process, and need not load.")
    return ways, found.rest, notes


def _or_in_a_page(ways: list[Way]) -> list[Way]:
    """The ways to an entry point, and for each of its files one more that is tried where those do not load it: what is
    written for browsers wants a page."""
    named = [way.either or f"import:{way.shown} ({way.mode})" for way in ways]
    kept = [msgspec.structs.replace(way, either=either) for way, either in zip(ways, named, strict=True)]
    last = {way.either: way for way in kept}
    return kept + [msgspec.structs.replace(way, page=True) for way in last.values()]


def rest_code(name: str, files: Sequence[str]) -> str:
    """A program that loads files of an installed package in turn. Those that raise are passed over, and none ends the
    process: that it came to the last one, ALL_TRIED says. What they began has a while to go on."""
    listed = json.dumps([f"./node_modules/{name}/{file}" for file in files])
    return _REST % {"files": listed, "complete": ALL_TRIED}


def _is_no_program(entry: _entry_points.Entry) -> bool:
    """Whether an entry's file is nothing that Node loads (styles, TypeScript); `require` tries a file of any name."""
    extension = posixpath.splitext(entry.required or entry.imported or "")[1]
    return bool(extension) and extension not in _LOADABLE


def _is_absent(entry: _entry_points.Entry, files: frozenset[str]) -> bool:
    """Whether none of an entry's files is there: neither in the archive nor made by installing."""
    named = [file for file in (entry.required, entry.imported) if file and not file.startswith("..")]
    return bool(named) and bool(posixpath.splitext(named[0])[1]) and not any(file in files for file in named)


def _modes(entry: _entry_points.Entry, manifest: Mapping[str, object], files: frozenset[str], node: str) -> list[str]:
    """How an entry point is loaded: both ways where they can differ in what runs."""
    ways = {"require": entry.required, "import": entry.imported}
    modes = [mode for mode, file in ways.items() if file is not None]
    kinds = {file: _entry_points.file_format(file, manifest, files) for file in ways.values() if file}
    if "import" in modes and kinds.get(entry.required or "") == "module" and not _requires_modules(node):
        modes.remove("require")  # this Node refuses before it runs a line of it
    if entry.subpath != "." and entry.required == entry.imported and len(modes) == 2:
        # The same file: one way runs all that there is to run, and every process costs time.
        modes = ["import" if kinds.get(entry.imported or "") == "module" else "require"]
    if kinds.get(entry.imported or "") == "data" and "import" in modes and len(modes) == 2:
        modes.remove("import")  # import() of JSON wants an attribute; require() reads it
    return modes


def _requires_modules(version: str) -> bool:
    number = version_numbers(version)
    return (20, 19) <= number < (21,) or number >= (22, 12)


def _specifier(name: str, subpath: str, file: str) -> tuple[str, str]:
    """What is loaded, as reports name it and as Node takes it."""
    shown = name + subpath.removeprefix(".")
    if name not in _BUILT_IN:
        return shown, shown
    return shown, f"./node_modules/{name}" + (f"/{file}" if file and not file.startswith("..") else "")


def _is_types_only(manifest: Mapping[str, object], files: frozenset[str]) -> bool:
    return "types" in manifest or "typings" in manifest or any(file.endswith(".d.ts") for file in files)


def version_numbers(text: str) -> tuple[int, ...]:
    """The first three numbers of a version."""
    return tuple(int(part) for part in re.findall(r"[0-9]{1,9}", text)[:3])
