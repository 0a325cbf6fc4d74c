"""npm: install with scripts on, load every entry point, run every bin, open a shell. See docs/phases.md."""

from __future__ import annotations

import json
import os
import platform
import posixpath
import re
from collections.abc import Mapping, Sequence

import msgspec

from sandbox.ecosystems import _entry_points
from sandbox.ecosystems._npm_page import PAGE
from sandbox.ecosystems._npm_peers import absent_peers, wanted_specs
from sandbox.ecosystems._npm_peers import is_name as is_name
from sandbox.ecosystems._npm_peers import optional_peers as optional_peers
from sandbox.ecosystems._npm_ways import MOST_ENTRIES as MOST_ENTRIES
from sandbox.ecosystems._npm_ways import MOST_EXPANDED as MOST_EXPANDED
from sandbox.ecosystems._npm_ways import START as START
from sandbox.ecosystems._npm_ways import Way as Way
from sandbox.ecosystems._npm_ways import rest_code, version_numbers
from sandbox.ecosystems._npm_ways import ways_in as ways_in
from sandbox.errors import TargetError
from sandbox.events import ALL_TRIED, NOT_LOADED
from sandbox.plan import ONLY_LOADED, Artifact, Installed, Phase, Toolchain, shell_phase

MOST_BINS = 12
MOST_MORE_BINS = 48
"""Programs beyond the first, which are run with `--help` only."""
IMPORT_SECONDS = 45.0
HELP_SECONDS = 10.0
_RUN_SECONDS = 5.0

_BIN = re.compile(r"[\w@.~+][\w@.~+-]{0,99}", re.ASCII)
_ROOT_SCRIPTS = frozenset(
    ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
)


class Npm:
    """The npm ecosystem; see `plan.Ecosystem` for what each method promises."""

    name = "npm"
    programs: tuple[str, ...] = ("node", "npm")

    def prepare(
        self, artifact: Artifact, tools: Toolchain, home: str, project: str
    ) -> list[tuple[str, bytes]]:
        """The project that the package is installed into."""
        del tools, home
        manifest = {
            # npm refuses to install a package into a project of its own name.
            "name": "storefront-tools" if artifact.name != "storefront-tools" else "storefront-scripts",
            "version": "0.3.1",
            "private": True,
            "description": "Build and release scripts for the storefront",
            "license": "UNLICENSED",
        }
        return [(f"{project}/package.json", json.dumps(manifest, indent=2).encode() + b"\n")]

    def directories(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[str]:
        """The folder that a package folder is unpacked into."""
        del tools, home, project
        return [_checkout(artifact)] if _has_own_scripts(artifact) else []

    def links(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, str]]:
        """None."""
        del artifact, tools, home, project
        return []

    def install(self, artifact: Artifact, tools: Toolchain, project: str, seconds: float) -> list[Phase]:
        """`npm install SPEC`; for a folder with scripts of its own, `npm install` in a copy of it as well."""
        if artifact.spec.startswith("-") or not artifact.spec.isprintable():
            raise TargetError(f"npm cannot be told to install {artifact.spec!r}")
        command = (tools.node, tools.npm_cli, "install", *npm_flags(tools.npm_version))
        if is_foreign(artifact.manifest):
            # Without it npm refuses what is for another system (fsevents, @esbuild/darwin-arm64); its scripts would
            # run there, and run here too.
            command = (*command, "--force")
        environment = tool_environment(tools)
        phases = [
            Phase(
                name="install",
                kind="install",
                argv=(*command, artifact.spec),
                cwd=project,
                environment=environment,
                seconds=seconds,
            )
        ]
        if _has_own_scripts(artifact):
            # `prepare` of the package itself runs for whoever clones it, not for who installs its tarball.
            folder = _checkout(artifact)
            unpack = ("tar", "-xzf", artifact.upload[0][0], "-C", folder, "--strip-components=1")
            steps = {"install:unpack": (unpack, project), "install:folder": (command, folder)}
            phases += [
                Phase(name=name, kind="install", argv=argv, cwd=cwd, environment=environment, seconds=seconds)
                for name, (argv, cwd) in steps.items()
            ]
        return phases

    def wanted(self, artifact: Artifact, project: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The package's folder, the folder of its main file, and the bins: scripts may have made them."""
        if not is_name(artifact.name):
            return (), ()
        package = f"{project}/node_modules/{artifact.name}"
        inside = [f"{package}/{folder}" for folder in _entry_points.main_folders(artifact.manifest)]
        modules = f"{project}/node_modules"
        scopes = {posixpath.dirname(f"{modules}/{peer}") for peer in optional_peers(artifact.manifest)}
        return (package, *inside, f"{modules}/.bin", *sorted(scopes)), ()

    def exercise(
        self, artifact: Artifact, installed: Installed, tools: Toolchain, project: str, seconds: float
    ) -> tuple[list[Phase], list[str]]:
        """Load the entry points, run the bins, open a shell."""
        if not is_name(artifact.name):
            return [], ["The package's name is not one that npm knows: nothing of it is loaded."]
        files = package_files(artifact, installed, project)
        base = Phase(name="", kind="import", argv=(), cwd=project, environment=tool_environment(tools))
        peers = absent_peers(artifact.manifest, installed, project)
        imports, notes = _imports(artifact, files, peers, tools, base, seconds)
        if is_foreign(artifact.manifest):
            # What raises here has not been seen: no excuse, unless the package's own sheet has one.
            notes.insert(0, "The package is for another system than the guest's: what it does there is not seen.")
        names, left_out = linked_programs(artifact, files, installed, project)
        runs, more = run_phases(names, left_out, base, project, seconds)
        notes += more + known_limits(artifact.manifest, files, tools)
        return [*imports, *runs, shell_phase(tools.shell, base, min(seconds, HELP_SECONDS))], notes


ECOSYSTEM = Npm()


def npm_flags(version: str) -> list[str]:
    """What makes this npm run every script, whatever its defaults, and ask and say little."""
    flags = [
        "--ignore-scripts=false",
        "--foreground-scripts",
        "--no-audit",
        "--no-fund",
        "--no-progress",
        "--no-update-notifier",
        "--loglevel=warn",
    ]
    number = version_numbers(version)
    if not number or number >= (12,):
        # npm 12 turned scripts, git and URL dependencies off. Older ones have them on, and not all know these
        # flags; a script sees them in its environment, so they are given only where they are needed. A version
        # that cannot be read counts as new: npm would refuse the flags aloud, but skips scripts in silence.
        flags += [f"--allow-{kind}=all" for kind in ("git", "remote", "file", "directory")]
        flags.append("--dangerously-allow-all-scripts")
    return flags


def is_foreign(manifest: Mapping[str, object]) -> bool:
    """Whether npm refuses to install the package on this machine: by `os`, `cpu` and `libc`, as npm reads them."""
    machine = platform.machine().lower()
    own = {
        "os": "linux",
        "cpu": {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(machine, machine),
        "libc": "glibc" if "CS_GNU_LIBC_VERSION" in os.confstr_names else "musl",
    }
    return not all(_admits(manifest.get(key), name) for key, name in own.items())


def _admits(listed: object, own: str) -> bool:
    names = [listed] if isinstance(listed, str) else listed
    if not isinstance(names, list) or not names or names == ["any"]:
        return True
    wanted = {name for name in names if isinstance(name, str) and not name.startswith("!")}
    return f"!{own}" not in names and (not wanted or own in wanted)


def tool_environment(tools: Toolchain) -> dict[str, str]:
    folders = ["/usr/local/bin", "/usr/bin", "/bin"]
    node, python = posixpath.dirname(tools.node), posixpath.dirname(tools.python)
    if node and node not in folders:
        folders.insert(1, node)
    if python and python not in folders:
        folders.append(python)
    return {"PATH": ":".join(folders), **tools.environment}


def _has_own_scripts(artifact: Artifact) -> bool:
    if artifact.kind != "folder" or not artifact.upload or not is_name(artifact.name):
        return False
    scripts = artifact.manifest.get("scripts")
    named = _ROOT_SCRIPTS & scripts.keys() if isinstance(scripts, dict) else frozenset()
    return bool(named) or any(posixpath.basename(file) == "binding.gyp" for file in artifact.files)


def _checkout(artifact: Artifact) -> str:
    """Beside the downloads, in which the packed folder is."""
    home = posixpath.dirname(posixpath.dirname(artifact.upload[0][0]))
    return f"{home}/code/{artifact.name.rpartition('/')[2]}"


def package_files(artifact: Artifact, installed: Installed, project: str) -> frozenset[str]:
    """The package's files by their path inside it: those of the archive, and those that installing made."""
    files = set(artifact.files)
    if "package.json" not in files:
        # An archive's files stand in one folder, usually `package/`.
        manifests = [file for file in files if file.endswith("/package.json") and file.count("/") == 1]
        top = min(manifests, default="").removesuffix("package.json")
        files = {file.removeprefix(top) for file in files if file.startswith(top)}
    package = f"{project}/node_modules/{artifact.name}"
    for folder, entries in installed.listings.items():
        if folder == package or folder.startswith(f"{package}/"):
            inside = posixpath.relpath(folder, package)
            files |= {posixpath.normpath(f"{inside}/{name}") for name, is_folder in entries if not is_folder}
    return frozenset(files)


def _imports(
    artifact: Artifact,
    files: frozenset[str],
    peers: list[str],
    tools: Toolchain,
    base: Phase,
    seconds: float,
) -> tuple[list[Phase], list[str]]:
    """`require` and `import()` of each entry point, each in a fresh process."""
    ways, rest, notes = ways_in(artifact, files, peers, tools.node_version)
    base = msgspec.structs.replace(base, seconds=min(seconds, IMPORT_SECONDS))
    phases = [import_phase(way, tools, base) for way in ways]
    main = [way for way in ways if way.shown == artifact.name and way.required and not way.page]
    more = _with_peers(main, wanted_specs(artifact.manifest, peers), tools, base, seconds)
    return phases + more + rest_phases(artifact.name, rest, tools, base), notes


def _with_peers(
    ways: list[Way], specs: list[str], tools: Toolchain, base: Phase, seconds: float
) -> list[Phase]:
    """Where the main entry loads in no way, its optional peers may be what it wants: they are installed, and it is
    tried again. All at once, and where that does not help one by one: one that cannot be had spoils the rest."""
    if not ways or not specs:
        return []
    command = (tools.node, tools.npm_cli, "install", *npm_flags(tools.npm_version), "--force")
    rounds = [("with optional peers", {"install:peers": specs})]
    if len(specs) > 1:
        rounds.append(("with some optional peers", {f"install:peers {spec}": [spec] for spec in specs}))
    phases = []
    for how, installs in rounds:
        phases += [
            msgspec.structs.replace(
                base, name=name, kind="install", argv=(*command, *wanted), seconds=seconds, required=False,
                fallback=ways[0].either,
            )
            for name, wanted in installs.items()
        ]  # fmt: skip
        phases += [import_phase(way, tools, base, f", {how}", way.either) for way in ways]
    return phases


def rest_phases(name: str, files: Sequence[str], tools: Toolchain, base: Phase) -> list[Phase]:
    """The files of the other entry points, in one process; none where there are none."""
    if not files:
        return []
    argv = (tools.node, "-e", rest_code(name, files))
    return [msgspec.structs.replace(base, name=f"import:{name} (others)", argv=argv, complete=ALL_TRIED)]


def import_phase(way: Way, tools: Toolchain, base: Phase, how: str = "", fallback: str = "") -> Phase:
    """One way into a package, tried in a fresh process. `how` is said in its name."""
    code = _load(way)
    argv = (tools.node, "-e", code) if way.mode == "require" else (tools.node, "--input-type=module", "-e", code)
    if way.page:
        how, fallback = ", as in a page", way.either
    name = f"import:{way.shown} ({way.mode}{how})"
    return msgspec.structs.replace(
        base, name=name, argv=argv, either=way.either, required=way.required, fallback=fallback
    )


def _load(way: Way) -> str:
    """The program that loads it."""
    quoted = json.dumps(way.specifier)
    # A module that ends the process has been loaded; one that raises says so by a code of its own.
    failed = f"{{ console.error(error); process.exit({NOT_LOADED}) }}"
    start = START + PAGE if way.page else START
    if way.mode == "require":
        return f"{start}try {{ require({quoted}) }} catch (error) {failed}"
    return f"{start}await import({quoted}).catch(error => {failed})"


def linked_programs(
    artifact: Artifact, files: frozenset[str], installed: Installed, project: str
) -> tuple[list[str], int]:
    """The names under which npm links the package's programs, and how many were refused or left out."""
    declared = artifact.manifest.get("bin")
    names: list[str] = []
    if isinstance(declared, str):
        names = [artifact.name]
    elif isinstance(declared, dict):
        names = [str(name) for name in declared]
    folder = artifact.manifest.get("directories")
    place = folder.get("bin") if isinstance(folder, dict) else None
    if declared is None and isinstance(place, str):
        inside = posixpath.normpath(place)
        names = sorted(posixpath.basename(file) for file in files if posixpath.dirname(file) == inside)
    # npm links only the last part of a name, wherever the rest of it points; so that is what runs.
    linked = dict.fromkeys(re.split(r"[/\\:]", name)[-1] for name in names)
    sound = [name for name in linked if _BIN.fullmatch(name) and name not in (".", "..")]
    present = {name for name, _ in installed.listings.get(f"{project}/node_modules/.bin", ())}
    kept = [name for name in sound if not present or name in present][: MOST_BINS + MOST_MORE_BINS]
    return kept, len(linked) - len(kept)


def run_phases(
    names: list[str], left_out: int, base: Phase, project: str, seconds: float
) -> tuple[list[Phase], list[str]]:
    """Each bin with `--help`, then the first ones without arguments; either may go on for as long as it is let."""
    phases = []
    for number, name in enumerate(names):
        program = f"{project}/node_modules/.bin/{name}"
        ways: tuple[tuple[tuple[str, ...], float], ...] = ((("--help",), HELP_SECONDS), ((), _RUN_SECONDS))
        for arguments, limit in ways if number < MOST_BINS else ways[:1]:
            phases.append(
                msgspec.structs.replace(
                    base,
                    name=" ".join((f"run:{name}", *arguments)),
                    kind="run",
                    argv=(program, *arguments),
                    seconds=min(seconds, limit),
                    required=False,
                    open_ended=True,
                )
            )
    notes = []
    if len(names) > MOST_BINS:
        notes.append(f"{len(names) - MOST_BINS} of the package's programs (bin) are run with --help only.")
    if left_out:
        why = f"beyond the first {MOST_BINS + MOST_MORE_BINS}, not installed, or of an unusual name"
        notes.append(f"{left_out} of the package's programs (bin) are not run: {why}.")
    return phases, notes


def known_limits(manifest: Mapping[str, object], files: frozenset[str], tools: Toolchain) -> list[str]:
    """What no phase shows, for this package."""
    notes = [
        "Files that no entry point loads are not exercised.",
        ONLY_LOADED,
    ]
    systems = manifest.get("os")
    names = [systems] if isinstance(systems, str) else systems if isinstance(systems, list) else []
    allowed = [name for name in names if isinstance(name, str) and not name.startswith("!")]
    if (allowed and "linux" not in allowed) or "!linux" in names:
        notes.append("The package says that it is not for Linux: what it does elsewhere is not exercised.")
    if "browser" in manifest:
        notes.append("The package has a browser build, which is not exercised.")
    wanted = wants_node(manifest, tools.node_version)
    if wanted:
        notes.append(f"The package asks for Node {wanted}, and the guest has {tools.node_version}: it may not load.")
    if "binding.gyp" in files and "npm_config_nodedir" not in tools.environment:
        notes.append("Node's headers are not installed here, so the package's native addon cannot be built.")
    return notes


def wants_node(manifest: Mapping[str, object], version: str) -> str:
    """The range of Node's versions that the package asks for (`engines`), where `version` is none of them; else ""."""
    engines = manifest.get("engines")
    wanted = str(engines.get("node") or "").strip() if isinstance(engines, Mapping) else ""
    if not version or not wanted or len(wanted) > 60 or not wanted.isprintable():
        return ""
    least = re.fullmatch(r">=\s*v?(\d{1,4}(?:\.\d{1,4}){0,2})", wanted)
    if least is not None:
        return wanted if version_numbers(version) < version_numbers(least[1]) else ""
    from semantic_version import NpmSpec, Version  # 50 ms that most packages do without

    try:
        return "" if Version(version) in NpmSpec(wanted) else wanted
    except ValueError:
        return ""
