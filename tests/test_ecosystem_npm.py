"""npm's phases: what runs for real kinds of packages, and that no manifest can bend a command."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.ecosystems import _entry_points
from sandbox.ecosystems.npm import ECOSYSTEM, MOST_BINS, MOST_ENTRIES
from sandbox.errors import TargetError
from sandbox.plan import Artifact, Ecosystem, Installed, Phase, Toolchain

PROJECT = "/home/dev/project"
TOOLS = Toolchain(
    node="/usr/bin/node",
    node_version="20.18.0",
    npm_cli="/usr/lib/node_modules/npm/bin/npm-cli.js",
    npm_version="11.19.1",
    python="/usr/bin/python3.11",
    environment={"npm_config_nodedir": "/usr"},
)
CALLS = "What the package does only when its functions are called, with arguments, is not exercised."


def artifact(
    manifest: dict[str, Any], files: tuple[str, ...] = (), name: str = "pkg", **fields: Any
) -> Artifact:
    fields = {"spec": f"{name}@1.0.0", **fields}
    return Artifact(
        ecosystem="npm",
        name=name,
        version="1.0.0",
        target=f"npm:{name}",
        purl=f"pkg:npm/{name}@1.0.0",
        digest="sha512:00",
        manifest=manifest,
        files=files,
        **fields,
    )


def exercise(
    item: Artifact, tools: Toolchain = TOOLS, installed: Installed | None = None
) -> tuple[list[Phase], list[str]]:
    return ECOSYSTEM.exercise(item, installed or Installed(), tools, PROJECT, 60.0)


def names(phases: list[Phase]) -> list[str]:
    return [phase.name for phase in phases]


LEFT_PAD = ({"name": "left-pad", "main": "index.js"}, ("package/package.json", "package/index.js"))
CHALK = (
    {
        "name": "chalk",
        "type": "module",
        "main": "./source/index.js",
        "exports": "./source/index.js",
        "types": "./source/index.d.ts",
    },
    ("package.json", "source/index.js", "source/index.d.ts"),
)
REACT = (
    {
        "name": "react",
        "main": "index.js",
        "exports": {
            ".": {"react-server": "./react.react-server.js", "default": "./index.js"},
            "./package.json": "./package.json",
            "./jsx-runtime": {"react-server": "./jsx-runtime.react-server.js", "default": "./jsx-runtime.js"},
        },
    },
    ("package.json", "index.js", "jsx-runtime.js"),
)
DUAL = (
    {
        "exports": {
            ".": {"import": "./dist/index.mjs", "require": "./dist/index.cjs"},
            "./sub": {"import": "./dist/sub.mjs", "require": "./dist/sub.cjs"},
            "./style.css": "./dist/style.css",
            "./types": {"types": "./dist/types.d.ts"},
            "./web": {"browser": "./dist/web.js"},
        }
    },
    ("package.json", "dist/index.mjs", "dist/index.cjs"),
)
TYPES = ({"name": "@types/node", "main": "", "types": "index.d.ts"}, ("package.json", "index.d.ts"))


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        (LEFT_PAD, ["import:pkg (require)", "import:pkg (import)"]),
        (CHALK, ["import:pkg (import)"]),
        (REACT, ["import:pkg (require)", "import:pkg (import)", "import:pkg/jsx-runtime (require)"]),
        (
            DUAL,
            [
                "import:pkg (require)",
                "import:pkg (import)",
                "import:pkg/sub (require)",
                "import:pkg/sub (import)",
            ],
        ),
        (TYPES, []),
    ],
)
def test_entry_points_of_real_kinds_of_packages(
    package: tuple[dict[str, Any], tuple[str, ...]], expected: list[str]
) -> None:
    phases, _notes = exercise(artifact(*package))
    assert names(phases) == [*expected, "shell"]


def test_a_node_that_requires_modules_is_given_the_chance() -> None:
    tools = Toolchain(node="/usr/bin/node", node_version="22.12.0")
    phases, _notes = exercise(artifact(*CHALK), tools)
    assert names(phases)[:2] == ["import:pkg (require)", "import:pkg (import)"]


def needed(phases: list[Phase]) -> dict[str, tuple[bool, str]]:
    """Import: (must it load, the group of which one must)."""
    return {
        phase.name.removeprefix("import:pkg"): (phase.required, phase.either)
        for phase in phases
        if phase.kind == "import"
    }


def test_every_entry_point_has_to_load_and_one_way_is_enough_for_one_file() -> None:
    one_file = {"exports": {".": "./index.js", "./a": "./a.js"}}
    assert needed(exercise(artifact(one_file, ("package.json", "index.js", "a.js")))[0]) == {
        " (require)": (True, "import:pkg"),
        " (import)": (True, "import:pkg"),
        "/a (require)": (True, ""),
    }
    two_files = {"exports": {".": {"import": "./index.mjs", "require": "./index.cjs"}}}
    phases, _notes = exercise(artifact(two_files, ("package.json", "index.mjs", "index.cjs")))
    assert needed(phases) == {" (require)": (True, ""), " (import)": (True, "")}


PEERS = {
    "exports": {".": "./index.js", "./react": "./react.js", "./gone": "./gone.js"},
    "peerDependencies": {"react": "*", "@vue/core": "*", "needed": "*"},
    "peerDependenciesMeta": {
        "react": {"optional": True},
        "@vue/core": {"optional": True},
        "needed": {"optional": False},
    },
}
PEER_FILES = ("package.json", "index.js", "react.js")


def test_a_sub_path_may_want_an_optional_peer_that_nothing_brought() -> None:
    phases, notes = exercise(artifact(PEERS, PEER_FILES))
    assert needed(phases)["/react (require)"] == (False, "")
    assert needed(phases)[" (require)"] == (True, "import:pkg")
    (note,) = [note for note in notes if "held against" in note]
    assert note.startswith("2 entry points may want an optional peer that is not installed (react, @vue/core)")


def test_a_sub_path_whose_peers_are_there_has_to_load() -> None:
    directories, _files = ECOSYSTEM.wanted(artifact(PEERS, PEER_FILES), PROJECT)
    modules = f"{PROJECT}/node_modules"
    assert {modules, f"{modules}/@vue"} <= set(directories)
    there = Installed(listings={modules: (("react", True),), f"{modules}/@vue": (("core", True),)})
    phases, notes = exercise(artifact(PEERS, PEER_FILES), installed=there)
    assert needed(phases)["/react (require)"] == (True, "")
    assert needed(phases)["/gone (require)"] == (False, ""), "the archive has no such file"
    assert any(note.startswith("1 entry points name absent files") for note in notes)


@pytest.mark.parametrize(
    "meta",
    ["x", [], {"react": True}, {"react": {"optional": 1}}, {"../x": {"optional": True}}, {"": {"optional": True}}],
)
def test_a_peer_that_is_no_peer_excuses_nothing(meta: object) -> None:
    phases, _notes = exercise(artifact({**PEERS, "peerDependenciesMeta": meta}, PEER_FILES))
    assert needed(phases)["/react (require)"] == (True, "")


def test_without_a_main_entry_one_of_the_excused_has_to_load() -> None:
    manifest = {**PEERS, "exports": {"./a": "./a.js", "./b": "./b.js"}}
    phases, _notes = exercise(artifact(manifest, ("package.json", "a.js", "b.js")))
    assert needed(phases) == {"/a (require)": (False, "import:pkg"), "/b (require)": (False, "import:pkg")}
    plain, _notes = exercise(artifact({"exports": manifest["exports"]}, ("package.json", "a.js", "b.js")))
    assert needed(plain) == {"/a (require)": (True, ""), "/b (require)": (True, "")}


def test_what_is_loaded_is_quoted() -> None:
    manifest = {"exports": {".": "./index.js", "./it's \"q\"": "./q.js", "./a');process.exit(": "./z.js"}}
    phases, _notes = exercise(artifact(manifest, ("package.json", "index.js")))
    code = [phase.argv[-1] for phase in phases if phase.kind == "import"]
    assert code[0].startswith('process.execArgv = []; try { require("pkg") } catch (error) ')
    assert code[1].startswith('process.execArgv = []; await import("pkg").catch(')
    for text, subpath in zip(code[2:], ['/it\'s "q"', "/a');process.exit("], strict=True):
        inner = re.search(r"try \{ require\((.*)\) \} catch", text, re.DOTALL)
        assert inner is not None
        assert json.loads(inner[1]) == "pkg" + subpath


def test_import_phases_use_a_module_process() -> None:
    phases, _notes = exercise(artifact(*LEFT_PAD))
    assert phases[0].argv[:2] == ("/usr/bin/node", "-e")
    assert phases[1].argv[:3] == ("/usr/bin/node", "--input-type=module", "-e")
    assert phases[0].cwd == PROJECT
    assert phases[0].environment == {"PATH": "/usr/local/bin:/usr/bin:/bin", "npm_config_nodedir": "/usr"}


def test_a_package_named_like_a_module_of_node_is_loaded_by_its_path() -> None:
    phases, _notes = exercise(artifact({"main": "index"}, ("package.json", "index.js"), name="buffer"))
    assert 'require("./node_modules/buffer/index.js")' in phases[0].argv[-1]
    assert 'await import("./node_modules/buffer/index.js")' in phases[1].argv[-1]


def test_patterns_stand_for_the_files_that_are_there() -> None:
    manifest = {"exports": {"./*": "./lib/*.js", "./internal/*": None, "./a": "./lib/a.js"}}
    files = ("package.json", "lib/a.js", "lib/b.js", "lib/internal/x.js", "lib/c.css", "other.js")
    phases, _notes = exercise(artifact(manifest, files))
    assert names(phases) == ["import:pkg/a (require)", "import:pkg/b (require)", "shell"]


def test_patterns_do_not_crowd_out_time() -> None:
    manifest = {"exports": {".": "./i.js", "./*": "./*"}}
    files = ("package.json", "i.js", *(f"f{number}.js" for number in range(500)))
    phases, notes = exercise(artifact(manifest, files))
    assert len(phases) < MOST_ENTRIES
    assert any("more entry points are not imported" in note for note in notes)


def test_data_and_closed_entry_points_are_said() -> None:
    _phases, notes = exercise(artifact(*DUAL))
    assert any(note.startswith("1 entry points hold data") for note in notes)
    assert any(note.startswith("2 entry points are closed to Node") for note in notes)


@pytest.mark.parametrize(
    ("manifest", "files", "expected"),
    [
        ({"main": "lib"}, ("package.json", "lib/index.js"), ["require", "import"]),
        ({"main": "./lib/"}, ("package.json", "lib/index.js"), ["require", "import"]),
        ({"main": "lib/main"}, ("package.json", "lib/main.js"), ["require", "import"]),
        ({}, ("package.json", "index.js"), ["require", "import"]),
        ({"main": 7}, ("package.json", "index.js"), ["require", "import"]),
        ({"main": "gone.js"}, ("package.json", "cli.js"), []),
        ({"main": "gone.js"}, ("package.json", "index.js"), ["require", "import"]),
        ({"main": "data.json"}, ("package.json", "data.json"), ["require"]),
        ({"main": "../other/x.js"}, ("package.json",), ["require", "import"]),
        ({"main": "/tmp/x.js"}, ("package.json",), ["require", "import"]),
        ({"exports": 0, "main": "index.js"}, ("package.json", "index.js"), ["require", "import"]),
        ({"exports": {}, "main": "index.js"}, ("package.json", "index.js"), []),
        ({"exports": ["./x.js", "./y.js"]}, ("package.json", "x.js"), ["require", "import"]),
        ({"exports": {"node": {"import": "./x.mjs"}}}, ("package.json", "x.mjs"), ["import"]),
        ({"exports": {"require": None, "default": "./x.mjs"}}, ("package.json", "x.mjs"), ["import"]),
    ],
)
def test_where_main_leads(manifest: dict[str, Any], files: tuple[str, ...], expected: list[str]) -> None:
    phases, notes = exercise(artifact(manifest, files))
    assert names(phases) == [*(f"import:pkg ({mode})" for mode in expected), "shell"]
    assert any("nothing is imported" in note for note in notes) is not bool(expected)


def test_a_main_file_that_installing_makes_is_found_afterwards() -> None:
    item = artifact({"main": "build/Release/x.node"}, ("package/package.json", "package/binding.gyp"))
    directories, files = ECOSYSTEM.wanted(item, PROJECT)
    assert f"{PROJECT}/node_modules/pkg/build/Release" in directories
    assert files == ()
    made: tuple[tuple[str, bool], ...] = (("x.node", False), ("obj.target", True))
    listing = {f"{PROJECT}/node_modules/pkg/build/Release": made}
    phases, _notes = exercise(item, installed=Installed(listings=listing))
    assert names(phases) == ["import:pkg (require)", "import:pkg (import)", "shell"]


def test_a_style_package_is_tried_and_need_not_load() -> None:
    phases, _notes = exercise(artifact({"main": "normal.css"}, ("package.json", "normal.css")))
    assert needed(phases) == {" (require)": (False, "")}


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
    assert len([phase for phase in phases if phase.kind == "run"]) == 2 * MOST_BINS
    assert "run:b00" not in names(phases)
    assert any(note.startswith("8 of the package's programs") for note in notes)


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
        spec="/home/dev/tool.tgz",
        upload=(("/home/dev/tool.tgz", b""),),
    )
    phases = ECOSYSTEM.install(item, TOOLS, PROJECT, 90.0)
    assert names(phases) == ["install", "install:unpack", "install:folder"]
    assert phases[1].argv[:3] == ("tar", "-xzf", "/home/dev/tool.tgz")
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
    assert len(phases) <= 2 * MOST_ENTRIES + 1
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
    ("file", "expected"),
    [
        ("a.mjs", "module"),
        ("a.cjs", "commonjs"),
        ("a.node", "commonjs"),
        ("a.json", "data"),
        ("lib/a.js", "module"),
        ("dist/cjs/a.js", "unknown"),
        ("/".join("a" * 60) + "/x.js", "unknown"),
    ],
)
def test_the_format_of_a_file(file: str, expected: str) -> None:
    files = {"package.json", "dist/cjs/package.json"}
    assert _entry_points.file_format(file, {"type": "module"}, files) == expected


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
def test_what_is_for_another_system_is_forced_and_need_not_load(manifest: dict[str, Any], foreign: bool) -> None:
    item = artifact({"name": "pkg", "main": "index.js", **manifest}, ("package.json", "index.js"))
    (install,) = ECOSYSTEM.install(item, TOOLS, PROJECT, 60.0)
    assert ("--force" in install.argv) is foreign
    assert install.argv[-1] == "pkg@1.0.0"
    phases, notes = exercise(item)
    imports = [phase for phase in phases if phase.kind == "import"]
    assert len(imports) == 2  # tried all the same
    assert all(bool(phase.either) is not foreign for phase in imports)
    assert any("another system" in note for note in notes) is foreign
