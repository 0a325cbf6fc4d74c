"""npm: one `npm ci` of a lockfile that we write from the packages themselves, then each package in one process.

The lockfile holds exactly the versions and digests of the user's, whatever format that has, or any part of it. See
docs/scan.md for what is run, and what only a check of one package alone does.
"""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Mapping, Sequence

import msgspec

from sandbox.batches import Packed
from sandbox.batches._layout import Layout, Piece, arrange, closure, needs_of
from sandbox.ecosystems import npm
from sandbox.events import ALL_TRIED, NOT_LOADED, Member
from sandbox.plan import Artifact, Installed, Phase, Toolchain, shell_phase

ROOT = "storefront-tools"
_SCRIPTS = ("preinstall", "install", "postinstall")


class NpmBatch:
    """Several npm packages as one project; see `plan.Ecosystem` for what each method promises."""

    name = "npm"
    programs: tuple[str, ...] = ("node", "npm")

    def __init__(self, packed: Sequence[Packed]) -> None:
        self._packed = list(packed)
        self._layout = arrange(_pieces(self._packed))
        self._homes = _homes(self._packed, self._layout)
        self._names = {one.artifact.name for one in packed}

    def members(self) -> list[Member]:
        """The packages, as the recording's header lists them."""
        return [
            Member(
                name=one.name, version=one.version, purl=one.purl, target=one.target, digest=one.digest,
                place=self._homes[number],
            )
            for number, one in enumerate(packed.artifact for packed in self._packed)
        ]  # fmt: skip

    def words(self) -> frozenset[str]:
        """Where the files are, their digests, and both as npm says them to its registry."""
        found = set()
        for packed in self._packed:
            found |= {packed.url, _integrity(packed.artifact), f"remote:{packed.artifact.name}@{packed.url}"}
        return frozenset(found)

    def prepare(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, bytes]]:
        """The project: package.json and package-lock.json."""
        del artifact, tools, home
        manifest, lock = self._lock()
        written = [("package.json", manifest), ("package-lock.json", lock)]
        return [(f"{project}/{name}", json.dumps(held, indent=2).encode() + b"\n") for name, held in written]

    def directories(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[str]:
        """None."""
        del artifact, tools, home, project
        return []

    def links(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, str]]:
        """None."""
        del artifact, tools, home, project
        return []

    def install(self, artifact: Artifact, tools: Toolchain, project: str, seconds: float) -> list[Phase]:
        """`npm ci`, with every script on."""
        del artifact
        command = (tools.node, tools.npm_cli, "ci", *npm.npm_flags(tools.npm_version))
        environment = npm.tool_environment(tools)
        return [
            Phase(name="install", kind="install", argv=command, cwd=project, environment=environment, seconds=seconds)
        ]

    def wanted(self, artifact: Artifact, project: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Where programs are linked, and the folders of packages whose scripts may have made files."""
        del artifact
        folders = [f"{self._where(number, project)}/node_modules/.bin" for number in range(len(self._packed))]
        folders += [
            f"{project}/{self._homes[number]}"
            for number, packed in enumerate(self._packed)
            if _runs_scripts(packed.artifact)
        ]
        return tuple(dict.fromkeys(folders)), ()

    def exercise(
        self, artifact: Artifact, installed: Installed, tools: Toolchain, project: str, seconds: float
    ) -> tuple[list[Phase], list[str]]:
        """For each package one process that loads all of its entry points, and its programs; at last a shell."""
        del artifact
        base = Phase(name="", kind="import", argv=(), cwd=project, environment=npm.tool_environment(tools))
        phases: list[Phase] = []
        for number, packed in enumerate(self._packed):
            own = msgspec.structs.replace(base, package=packed.artifact.name, version=packed.artifact.version)
            peers = [one for one in npm.optional_peers(packed.artifact.manifest) if one not in self._names]
            phases += _exercise(packed.artifact, installed, tools, own, self._where(number, project), peers, seconds)
        return [*phases, shell_phase(tools.shell, base, min(seconds, npm.HELP_SECONDS))], []

    def _where(self, number: int, project: str) -> str:
        """The folder whose `node_modules` holds a package: from there it is found by its name."""
        return f"{project}/{self._homes[number]}".rpartition("/node_modules/")[0]

    def _lock(self) -> tuple[dict[str, object], dict[str, object]]:
        """The project's manifest, and the lockfile for it."""
        layout = self._layout
        top = {
            place.removeprefix("node_modules/"): self._packed[number].artifact
            for place, number in layout.places.items()
            if place.count("node_modules/") == 1
        }
        manifest = {
            "name": ROOT if ROOT not in top else "storefront-scripts",
            "version": "0.3.1",
            "private": True,
            "description": "Build and release scripts for the storefront",
            "license": "UNLICENSED",
            "dependencies": {name: _spec(name, one) for name, one in sorted(top.items())},
        }
        root = {key: manifest[key] for key in ("name", "version", "license", "dependencies")}
        packages: dict[str, object] = {"": root}
        for place, number in sorted(layout.places.items()):
            packages[place] = self._entry(place, number)
        lock = {key: manifest[key] for key in ("name", "version")}
        return manifest, {**lock, "lockfileVersion": 3, "requires": True, "packages": packages}

    def _entry(self, place: str, number: int) -> dict[str, object]:
        packed = self._packed[number]
        artifact = packed.artifact
        entry: dict[str, object] = {
            "version": artifact.version,
            "resolved": packed.url,
            "integrity": _integrity(artifact),
            # npm then reads the manifest that is in the archive, and runs what that says.
            "hasInstallScript": True,
        }
        if place.rpartition("node_modules/")[2] != artifact.name:
            entry["name"] = artifact.name
        bins = _bins(artifact)
        if bins:
            entry["bin"] = bins
        needs = {**self._layout.needs[number], **self._layout.aside.get(place, {})}
        if needs:
            entry["dependencies"] = {
                name: _spec(name, self._packed[one].artifact) for name, one in sorted(needs.items())
            }
        return entry


class _Batch:
    """See `batches.MakesBatch`."""

    def together(self, packed: Sequence[Packed]) -> tuple[list[Packed], list[Packed]]:
        """All but those whose name npm does not know, or that find no place of their own name in the tree."""
        sound = [one for one in packed if npm.is_name(one.artifact.name)]
        homes = _homes(sound, arrange(_pieces(sound)))
        placed = [one for number, one in enumerate(sound) if homes[number]]
        held = {one.key for one in placed}
        return placed, [one for one in packed if one.key not in held]

    def batch(self, packed: Sequence[Packed]) -> NpmBatch:
        """The plan of one batch."""
        return NpmBatch(packed)

    def needed(self, packed: Sequence[Packed], some: Sequence[Packed]) -> list[Packed]:
        """`some` and all that their manifests ask for, in the order of `packed`."""
        keys = {one.key for one in some}
        numbers = [number for number, one in enumerate(packed) if one.key in keys]
        held = closure(needs_of(_pieces(packed)), numbers)
        return [one for number, one in enumerate(packed) if number in held]


BATCH = _Batch()


def _pieces(packed: Sequence[Packed]) -> list[Piece]:
    return [Piece(one.artifact.name, one.artifact.version, one.artifact.manifest) for one in packed]


def _homes(packed: Sequence[Packed], layout: Layout) -> list[str]:
    """For each package the folder that it is used from: of its own name, the least deep one; empty where none is."""
    homes = [""] * len(packed)
    for place in sorted(layout.places, key=lambda place: (place.count("node_modules/"), place)):
        number = layout.places[place]
        if not homes[number] and place.rpartition("node_modules/")[2] == packed[number].artifact.name:
            homes[number] = place
    return homes


def _integrity(artifact: Artifact) -> str:
    algorithm, _, value = artifact.digest.partition(":")
    return f"{algorithm}-{base64.b64encode(bytes.fromhex(value)).decode()}"


def _spec(name: str, artifact: Artifact) -> str:
    return artifact.version if name == artifact.name else f"npm:{artifact.name}@{artifact.version}"


def _bins(artifact: Artifact) -> dict[str, str]:
    """The programs that npm is to link, as its own lockfiles name them."""
    declared = artifact.manifest.get("bin")
    if isinstance(declared, str):
        return {artifact.name.rpartition("/")[2]: declared}
    if isinstance(declared, dict):
        return {str(name): path for name, path in declared.items() if isinstance(path, str)}
    folder = artifact.manifest.get("directories")
    place = folder.get("bin") if isinstance(folder, dict) else None
    if not isinstance(place, str):
        return {}
    inside = posixpath.normpath(place)
    files = npm.package_files(artifact, Installed(), "")
    return {posixpath.basename(file): file for file in sorted(files) if posixpath.dirname(file) == inside}


def _runs_scripts(artifact: Artifact) -> bool:
    scripts = artifact.manifest.get("scripts")
    named = isinstance(scripts, Mapping) and any(name in scripts for name in _SCRIPTS)
    return named or any(posixpath.basename(file) == "binding.gyp" for file in artifact.files)


def _exercise(
    artifact: Artifact,
    installed: Installed,
    tools: Toolchain,
    base: Phase,
    where: str,
    peers: list[str],
    seconds: float,
) -> list[Phase]:
    """One package's phases: `where` is the folder whose `node_modules` holds it, `peers` are optional ones that are
    absent."""
    files = npm.package_files(artifact, installed, where)
    every, rest, _ = npm.ways_in(artifact, files, peers, tools.node_version)
    # What wants a page is run again alone, where it gets one: here all share one process.
    ways, programs = _apart([way for way in every if not way.page], artifact)
    label = f"{artifact.name}@{artifact.version}"
    load = msgspec.structs.replace(base, cwd=where, seconds=min(seconds, npm.IMPORT_SECONDS))
    phases = []
    if ways:
        argv = (tools.node, "-e", _load(ways))
        phases.append(msgspec.structs.replace(load, name=f"import:{label}", argv=argv, complete=ALL_TRIED))
    phases += [npm.import_phase(way, tools, load) for way in programs]
    phases += npm.rest_phases(artifact.name, rest, tools, load)
    names, _ = npm.linked_programs(artifact, files, installed, where)
    runs, _ = npm.run_phases(names, 0, base, where, seconds)
    phases += runs
    # A name of a phase stands for one package only.
    own = f"import:{label}"
    return [one if one.name == own else msgspec.structs.replace(one, name=f"{one.name} ({label})") for one in phases]


def _apart(ways: Sequence[npm.Way], artifact: Artifact) -> tuple[list[npm.Way], list[npm.Way]]:
    """(ways that one process can take in turn, those that need one of their own): a file that is a program of the
    package as well ends its process when it is done, as programs do. Each such file once."""
    programs = {posixpath.normpath(path) for path in _bins(artifact).values()}
    alone = {way.file: way for way in reversed(ways) if way.file in programs}
    return [way for way in ways if way.file not in alone], list(alone.values())[::-1]


def _load(ways: Sequence[npm.Way]) -> str:
    """A program that loads everything in turn, no file twice. It says that it came to the end, and that everything
    loaded that has to, by a code of its own, which it only sets: what the modules have begun goes on until it is
    done."""
    files = {way.file: number for number, way in enumerate(ways, start=1) if way.file}
    groups = list(dict.fromkeys(_group(way) for way in ways))
    listed = [
        [int(way.mode == "import"), way.specifier, files.get(way.file, -1), groups.index(_group(way))] for way in ways
    ]
    wanted = [number for number, group in enumerate(groups) if group]
    return (
        f"{npm.START}(async () => {{ const done = new Set(), loaded = new Set(); "
        f"for (const [module, name, file, group] of {json.dumps(listed)}) {{ "
        "if (done.has(file)) { loaded.add(group); continue } "
        "try { if (module) await import(name); else require(name); loaded.add(group); if (file > 0) done.add(file) } "
        "catch (error) { console.error(error) } } "
        f"process.exitCode = {json.dumps(wanted)}.every(group => loaded.has(group)) ? {ALL_TRIED} : {NOT_LOADED} }})()"
    )


def _group(way: npm.Way) -> str:
    """Of which one has to load: a way's own where it has to by itself, empty where none has to."""
    return way.either or (f"{way.mode} {way.specifier}" if way.required else "")
