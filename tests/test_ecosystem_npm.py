"""npm's phases: the commands, the programs, the shell, and that no manifest is too strange."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.ecosystems import npm
from sandbox.ecosystems.npm import ECOSYSTEM, MOST_BINS, MOST_ENTRIES, MOST_MORE_BINS
from sandbox.errors import TargetError
from sandbox.plan import ONLY_LOADED, Ecosystem, Installed, Phase, Toolchain
from tests.npm_artifacts import LEFT_PAD, PROJECT, TOOLS, artifact, exercise, names

CALLS = ONLY_LOADED


def test_bins_run_with_help_and_without_arguments() -> None:
    manifest = {"bin": {"tsc": "bin/tsc", "tsserver": "bin/tsserver"}}
    phases, notes = exercise(artifact(manifest, ("package.json", "bin/tsc"), name="typescript"))
    runs = [phase for phase in phases if phase.kind == "run"]
    assert names(runs) == ["run:tsc --help", "run:tsc", "run:tsserver --help", "run:tsserver"]
    assert runs[0].argv == (f"{PROJECT}/node_modules/.bin/tsc", "--help")
    assert runs[1].argv == (f"{PROJECT}/node_modules/.bin/tsc",)
    assert all(phase.open_ended and not phase.required and phase.seconds <= 10 for phase in runs)
    assert "The package has no module to load: nothing is imported." in notes


@pytest.mark.parametrize(
    ("manifest", "name", "expected"),
    [
        ({"bin": "cli.js"}, "@scope/tool", ["tool"]),
        ({"bin": {"@scope/tool": "cli.js"}}, "pkg", ["tool"]),
        ({"bin": {"../../../../bin/bash": "x"}}, "pkg", ["bash"]),
        ({"bin": {"..": "x", ".": "x", "": "x", "a/..": "x", "-rf": "x", "a b": "x", "a\nb": "x"}}, "pkg", []),
        ({"bin": {"c:\\windows\\cmd": "x"}}, "pkg", ["cmd"]),
        ({"bin": ["a", "b"]}, "pkg", []),
        ({"directories": {"bin": "./bin"}}, "pkg", ["one", "two"]),
    ],
)
def test_bin_names_never_leave_their_folder(manifest: dict[str, Any], name: str, expected: list[str]) -> None:
    files = ("package.json", "bin/one", "bin/two", "bin/deep/three")
    phases, _notes = exercise(artifact(manifest, files, name=name))
    runs = [phase for phase in phases if phase.kind == "run"]
    assert [phase.argv[0] for phase in runs[::2]] == [f"{PROJECT}/node_modules/.bin/{item}" for item in expected]


def test_bins_that_were_not_installed_or_are_too_many_are_said() -> None:
    manifest = {"bin": {f"b{number:02}": "x" for number in range(MOST_BINS + 8)}}
    listing = {f"{PROJECT}/node_modules/.bin": tuple((f"b{number:02}", False) for number in range(1, 40))}
    phases, notes = exercise(artifact(manifest), installed=Installed(listings=listing))
    assert len([phase for phase in phases if phase.kind == "run"]) == 2 * MOST_BINS + 7
    assert "run:b00" not in names(phases)
    assert names(phases)[-2] == "run:b19 --help" and "run:b19" not in names(phases)
    assert "7 of the package's programs (bin) are run with --help only." in notes
    assert any(note.startswith("1 of the package's programs (bin) are not run") for note in notes)
    many = {"bin": {f"b{number}": "x" for number in range(100)}}
    phases, notes = exercise(artifact(many))
    assert len([phase for phase in phases if phase.kind == "run"]) == 2 * MOST_BINS + MOST_MORE_BINS
    assert any(note.startswith(f"{100 - MOST_BINS - MOST_MORE_BINS} of the package's") for note in notes)


def test_the_limits_that_apply_are_said() -> None:
    _phases, notes = exercise(artifact({"os": ["darwin", "win32"], "browser": "x.js"}, ("binding.gyp",)))
    assert len([note for note in notes if "not for Linux" in note or "browser build" in note]) == 2
    assert not any("headers" in note for note in notes)
    _phases, notes = exercise(artifact({"os": ["!win32"]}, ("binding.gyp",)), Toolchain(node="/usr/bin/node"))
    assert any("headers" in note for note in notes)
    assert not any("not for Linux" in note for note in notes)
    assert CALLS in notes


@pytest.mark.parametrize(
    ("version", "forced"),
    [("6.14.18", False), ("10.9.4", False), ("11.19.1", False), ("12.0.0", True), ("13.1.0-pre", True), ("", True)],
)
def test_scripts_are_on_whatever_the_version(version: str, forced: bool) -> None:
    tools = Toolchain(node="/opt/node/bin/node", npm_cli="/opt/npm.js", npm_version=version, python="/opt/python/bin/p")
    [phase] = ECOSYSTEM.install(artifact({}), tools, PROJECT, 90.0)
    assert phase.argv[:3] == ("/opt/node/bin/node", "/opt/npm.js", "install")
    assert "--ignore-scripts=false" in phase.argv
    assert ("--dangerously-allow-all-scripts" in phase.argv) is forced
    assert ("--allow-git=all" in phase.argv) is forced
    assert phase.argv[-1] == "pkg@1.0.0"
    assert phase.required
    assert phase.seconds == 90.0
    assert phase.environment["PATH"] == "/usr/local/bin:/opt/node/bin:/usr/bin:/bin:/opt/python/bin"
    assert "CI" not in phase.environment


@pytest.mark.parametrize("spec", ["--prefix=/", "-g", "a\nb", "a\x00"])
def test_a_spec_that_would_be_an_option_is_refused(spec: str) -> None:
    with pytest.raises(TargetError):
        ECOSYSTEM.install(artifact({}, spec=spec), TOOLS, PROJECT, 90.0)


def test_a_folder_with_scripts_of_its_own_is_installed_in_place_as_well() -> None:
    item = artifact(
        {"scripts": {"prepare": "husky"}},
        name="@scope/tool",
        kind="folder",
        spec="/home/dev/Downloads/tool.tgz",
        upload=(("/home/dev/Downloads/tool.tgz", b""),),
    )
    phases = ECOSYSTEM.install(item, TOOLS, PROJECT, 90.0)
    assert names(phases) == ["install", "install:unpack", "install:folder"]
    assert phases[1].argv[:3] == ("tar", "-xzf", "/home/dev/Downloads/tool.tgz")
    assert phases[2].cwd == "/home/dev/code/tool"
    assert phases[2].argv[-1].startswith("--")
    assert ECOSYSTEM.directories(item, TOOLS, "/home/dev", PROJECT) == ["/home/dev/code/tool"]


def test_a_folder_without_scripts_and_a_tarball_are_installed_once() -> None:
    for kind, scripts in (("folder", {"test": "jest"}), ("tarball", {"prepare": "x"})):
        item = artifact({"scripts": scripts}, kind=kind, upload=(("/home/dev/t.tgz", b""),))
        assert names(ECOSYSTEM.install(item, TOOLS, PROJECT, 90.0)) == ["install"]
        assert ECOSYSTEM.directories(item, TOOLS, "/home/dev", PROJECT) == []


def test_the_project_is_a_valid_one_and_never_of_the_package_name() -> None:
    ecosystem: Ecosystem = ECOSYSTEM
    for name in ("left-pad", "storefront-tools"):
        [(path, content)] = ecosystem.prepare(artifact({}, name=name), TOOLS, "/home/dev", PROJECT)
        assert path == f"{PROJECT}/package.json"
        assert json.loads(content)["name"] != name
    assert ecosystem.links(artifact({}), TOOLS, "/home/dev", PROJECT) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "@a/../b", ".", "a\nb", "", "x" * 300, "@/x", "a b", "@a/.."])
def test_a_name_that_is_none_is_never_part_of_a_path(name: str) -> None:
    item = artifact({"bin": "x"}, name=name, kind="folder", upload=(("/u", b""),), spec="/u")
    assert ECOSYSTEM.wanted(item, PROJECT) == ((), ())
    phases, notes = exercise(item)
    assert phases == []
    assert len(notes) == 1
    assert ECOSYSTEM.directories(item, TOOLS, "/home/dev", PROJECT) == []


def test_the_shell_reads_both_rc_files() -> None:
    phases, _notes = exercise(artifact(*LEFT_PAD))
    assert phases[-1].kind == "shell"
    assert phases[-1].required
    assert phases[-1].argv == ("/bin/bash", "-l", "-i", "-c", "bash -i -c 'exit 0'")


def _nested(depth: int) -> object:
    tree: object = "./x.js"
    for _level in range(depth):
        tree = {"node": tree}
    return tree


@pytest.mark.parametrize(
    "exports",
    [
        _nested(900),
        {".": _nested(900), "./a": _nested(900)},
        {f"./{number}": "./x.js" for number in range(100_000)},
        {f"./{number}/*": "./lib/*.js" for number in range(100_000)},
        {f"c{number}": "./x.js" for number in range(100_000)},
        {".": {f"c{number}": "./x.js" for number in range(100_000)}},
        [["./x.js"] * 1000] * 1000,
        {"./" + "a" * 100_000: "./x.js", ".": "./" + "b" * 100_000},
        {"./\ud800": "./x.js", "./\n": "./x.js", "./\x1b[2J": "./x.js", "./../../x": "./x.js"},
    ],
)
def test_hostile_exports_end_soon_and_are_not_silent(exports: object) -> None:
    files = ("package.json", "x.js", *(f"lib/{number}.js" for number in range(3000)))
    began = time.monotonic()
    phases, notes = exercise(artifact({"exports": exports}, files))
    assert time.monotonic() - began < 5
    assert len(phases) <= 2 * MOST_ENTRIES + 2
    assert len(phases) > 1 or len(notes) > 1
    _check_sound(phases, notes)


def _check_sound(phases: list[Phase], notes: list[str]) -> None:
    for phase in phases:
        assert phase.name.isprintable()
        assert phase.argv[0].startswith("/")
        for argument in phase.argv:
            assert "\x00" not in argument
            argument.encode()
    assert len(names(phases)) == len(set(names(phases)))
    assert len(notes) < 12
    assert all(len(note) < 200 and note.isprintable() for note in notes)


texts = st.text(max_size=20) | st.sampled_from(["./a.js", "./*", "./lib/*.js", ".", "import", "default", "a/b", ".."])

values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)

manifests = st.dictionaries(
    st.sampled_from(["exports", "main", "bin", "type", "os", "browser", "directories", "scripts", "types"]), values
)


@settings(max_examples=300, deadline=None)
@given(manifest=manifests, files=st.lists(texts, max_size=8), listed=st.lists(st.tuples(texts, st.booleans())))
def test_no_manifest_makes_it_raise(
    manifest: dict[str, Any], files: list[str], listed: list[tuple[str, bool]]
) -> None:
    item = artifact(manifest, tuple(files), kind="folder", upload=(("/home/dev/x.tgz", b""),), spec="/home/dev/x.tgz")
    listing = {folder: tuple(listed) for folder in (f"{PROJECT}/node_modules/pkg", f"{PROJECT}/node_modules/.bin")}
    phases, notes = exercise(item, installed=Installed(listings=listing))
    _check_sound(phases, notes)
    _check_sound(ECOSYSTEM.install(item, TOOLS, PROJECT, 60.0)[:1], [])
    directories, _files = ECOSYSTEM.wanted(item, PROJECT)
    for path in directories:
        assert path.startswith(f"{PROJECT}/node_modules")
        assert ".." not in path.split("/")


@pytest.mark.parametrize(
    ("manifest", "foreign"),
    [
        ({}, False),
        ({"os": ["linux"], "cpu": ["x64", "arm64"]}, False),
        ({"os": ["darwin"]}, True),
        ({"os": "win32"}, True),
        ({"os": ["!linux"]}, True),
        ({"os": ["!win32"]}, False),
        ({"os": ["any"]}, False),
        ({"os": ["darwin", "linux"]}, False),
        ({"cpu": ["mips"]}, True),
        ({"libc": ["no-such-libc"]}, True),
        ({"os": [], "cpu": 7, "libc": [None, {}]}, False),
    ],
)
def test_what_is_for_another_system_is_forced_and_must_load(manifest: dict[str, Any], foreign: bool) -> None:
    item = artifact({"name": "pkg", "main": "index.js", **manifest}, ("package.json", "index.js"))
    (install,) = ECOSYSTEM.install(item, TOOLS, PROJECT, 60.0)
    assert ("--force" in install.argv) is foreign
    assert install.argv[-1] == "pkg@1.0.0"
    phases, notes = exercise(item)
    imports = [phase for phase in phases if phase.kind == "import"]
    assert len(imports) == 2  # tried all the same
    assert all(phase.required for phase in imports)
    assert any("another system" in note for note in notes) is foreign


@pytest.mark.parametrize("main", ["index.js", "index.node"])
def test_what_is_for_another_system_has_no_excuse_for_not_loading(main: str) -> None:
    """Its machine code least of all: nobody here has seen what it does."""
    phases, _ = exercise(artifact({"name": "pkg", "os": ["darwin"], "main": main}, ("package.json", main)))
    imports = [phase for phase in phases if phase.kind == "import"]
    assert imports
    assert all(phase.required or phase.either for phase in imports)


@pytest.mark.parametrize(
    ("engines", "asked"),
    [
        ({"node": ">=22.19"}, ">=22.19"),
        ({"node": ">= 20"}, ""),
        ({"node": ">=20.19.0"}, ">=20.19.0"),
        ({"node": "^18 || >=22"}, "^18 || >=22"),
        ({"node": "^18.0.0 || ^20.3.0"}, ""),
        ({"node": "*"}, ""),
        ({"node": "what"}, ""),
        ({"node": 7}, "7"),
        ({"node": ">=\x1b[2J99"}, ""),
        ({"npm": ">=99"}, ""),
        ([">=99"], ""),
    ],
)
def test_a_version_of_node_that_is_not_here_is_said(engines: object, asked: str) -> None:
    assert npm.wants_node({"engines": engines}, "20.3.1") == asked
    tools = msgspec.structs.replace(TOOLS, node_version="20.3.1")
    _phases, notes = exercise(artifact({"engines": engines, "main": "x.js"}, ("package.json", "x.js")), tools)
    assert (f"The package asks for Node {asked}, and the guest has 20.3.1: it may not load." in notes) is bool(asked)
