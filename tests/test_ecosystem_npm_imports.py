"""Which files of an npm package are loaded, how, and which of them have to load."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox import persona
from sandbox.bait import Draw
from sandbox.ecosystems import _entry_points, npm
from sandbox.ecosystems._entry_points import MOST_REST
from sandbox.ecosystems._npm_ways import rest_code
from sandbox.ecosystems.npm import ECOSYSTEM, MOST_ENTRIES
from sandbox.events import ALL_TRIED
from sandbox.plan import Installed, Phase, Toolchain
from sandbox.profiles import profile_folder
from tests.npm_artifacts import CHALK, LEFT_PAD, PROJECT, artifact, exercise, names

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
        (
            REACT,
            [
                "import:pkg (require)",
                "import:pkg (import)",
                "import:pkg/jsx-runtime (require)",
                "import:pkg (others)",
            ],
        ),
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
    """Import: (must it load, the group of which one must; "" where that is itself)."""
    return {
        phase.name.removeprefix("import:pkg"): (phase.required, phase.either.replace(phase.name, ""))
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
    "exports": {".": "./index.js", "./hooks": "./react.js", "./gone": "./gone.js"},
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
    assert needed(phases)["/hooks (require)"] == (False, "")
    assert needed(phases)[" (require)"] == (True, "import:pkg")
    (note,) = [note for note in notes if "held against" in note]
    assert note.startswith("2 entry points may want an optional peer that is not installed (react, @vue/core)")


def test_a_sub_path_whose_peers_are_there_has_to_load() -> None:
    directories, _files = ECOSYSTEM.wanted(artifact(PEERS, PEER_FILES), PROJECT)
    modules = f"{PROJECT}/node_modules"
    assert {modules, f"{modules}/@vue"} <= set(directories)
    there = Installed(listings={modules: (("react", True),), f"{modules}/@vue": (("core", True),)})
    phases, notes = exercise(artifact(PEERS, PEER_FILES), installed=there)
    assert needed(phases)["/hooks (require)"] == (True, "")
    assert needed(phases)["/gone (require)"] == (False, ""), "the archive has no such file"
    assert any(note.startswith("1 entry points name absent files") for note in notes)


@pytest.mark.parametrize(
    "meta",
    ["x", [], {"react": True}, {"react": {"optional": 1}}, {"../x": {"optional": True}}, {"": {"optional": True}}],
)
def test_a_peer_that_is_no_peer_excuses_nothing(meta: object) -> None:
    phases, _notes = exercise(artifact({**PEERS, "peerDependenciesMeta": meta}, PEER_FILES))
    assert needed(phases)["/hooks (require)"] == (True, "")


def test_no_name_and_no_pattern_excuses_what_does_not_load() -> None:
    exports = {".": "./x.js", "./react": "./x.js", "./browser": "./y.js", "./lib/*": "./lib/*"}
    phases, _notes = exercise(artifact({"exports": exports, "browser": "./y.js"}, ("x.js", "y.js", "lib/a.js")))
    assert [name for name, (required, _) in needed(phases).items() if not required] == []
    assert {"/react (require)", "/browser (require)", "/lib/a.js (require)"} <= set(needed(phases))
    assert not any(phase.open_ended for phase in phases if phase.kind == "import"), "to wait is a way to hide"


def test_without_a_main_entry_one_of_the_excused_has_to_load() -> None:
    manifest = {**PEERS, "exports": {"./a": "./a.js", "./b": "./b.js"}}
    phases, _notes = exercise(artifact(manifest, ("package.json", "a.js", "b.js")))
    assert needed(phases) == {"/a (require)": (False, "import:pkg"), "/b (require)": (False, "import:pkg")}
    plain, _notes = exercise(artifact({"exports": manifest["exports"]}, ("package.json", "a.js", "b.js")))
    assert needed(plain) == {"/a (require)": (True, ""), "/b (require)": (True, "")}


def test_what_is_loaded_is_quoted() -> None:
    manifest = {"exports": {".": "./index.js", './it\'s "q"': "./q.js", "./a');process.exit(": "./z.js"}}
    phases, _notes = exercise(artifact(manifest, ("package.json", "index.js")))
    code = [phase.argv[-1] for phase in phases if phase.kind == "import"]
    assert code[0].startswith(npm.START + 'try { require("pkg") } catch (error) ')
    assert code[1].startswith(npm.START + 'await import("pkg").catch(')
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


def others(manifest: dict[str, Any], files: tuple[str, ...]) -> list[str]:
    """The files that the phase for what is left over loads."""
    code = [phase.argv[-1] for phase in exercise(artifact(manifest, files))[0] if phase.name == "import:pkg (others)"]
    found = re.search(r"for \(const file of (.*)\) \{", code[0]) if code else None
    return [file.removeprefix("./node_modules/pkg/") for file in json.loads(found[1])] if found else []


def test_what_is_beyond_the_limit_is_loaded_in_one_process() -> None:
    exports = {".": "./i.js", **{f"./m{number:02}": f"./m/{number:02}.js" for number in range(40)}}
    found = others({"exports": exports}, ("package.json", "i.js"))
    assert found == [f"m/{number:02}.js" for number in range(MOST_ENTRIES - 1, 40)]
    many = {".": "./i.js", **{f"./{number}": f"./{number}.js" for number in range(1000)}}
    assert len(others({"exports": many}, ("package.json",))) == MOST_REST
    _phases, notes = exercise(artifact({"exports": many}, ("package.json",)))
    assert f"{1001 - MOST_ENTRIES - MOST_REST} more entry points are not imported: there are limits." in notes


def test_files_behind_other_conditions_are_loaded_too() -> None:
    main = {
        "types": "./i.d.ts", "browser": "./web.js", "development": {"import": "./dev.mjs", "default": "./dev.js"},
        "default": "./i.js", "late": ["./late.cjs", "./never.js"],
    }  # fmt: skip
    exports = {".": main, "./p/*": {"deno": "./d/*.ts", "bun": "./b/*.js", "default": "./p/*.js"}, "./dir/": "./dir/"}
    files = ("package.json", "i.js", "dev.js", "dev.mjs", "late.cjs", "b/x.js", "b/x.test.js", "b/scripts/y.js")
    assert sorted(others({"exports": exports}, files)) == ["b/x.js", "dev.js", "dev.mjs", "late.cjs"]
    assert others({"exports": {".": {"import": "./i.js", "default": "./i.js"}}}, files) == []
    assert others({"main": "i.js"}, files) == []


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
def test_no_file_of_the_others_keeps_the_next_from_being_loaded(tmp_path: Path) -> None:
    texts = {
        "raises.js": "throw 1", "ends.js": "process.exit(0)", "later.js": "setTimeout(() => { throw 2 }, 1)",
        "rejects.mjs": "await Promise.reject(3)", "waits.mjs": "await new Promise(() => {})", "gone.js": "",
        "busy.js": "setInterval(() => {}, 100)",
        "last.cjs": "console.log('last', process.execArgv.length, process.argv[1])",
    }  # fmt: skip
    folder = tmp_path / "node_modules/@s/pkg"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        if text:
            (folder / name).write_text(text)
    code = rest_code("@s/pkg", list(texts))
    done = subprocess.run(["node", "-e", code], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (ALL_TRIED, f"last 0 {tmp_path}/src/cart.js\n".encode()), done.stderr


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


def test_the_file_that_bundlers_load_is_loaded_too() -> None:
    files = ("package.json", "index.js", "esm/index.mjs")
    phases, _notes = exercise(artifact({"main": "index.js", "module": "./esm/index.mjs"}, files))
    (others,) = [phase for phase in phases if phase.name.endswith("(others)")]
    assert "./node_modules/pkg/esm/index.mjs" in others.argv[-1]
    for manifest in ({"main": "esm/index.mjs", "module": "esm/index.mjs"}, {"module": "../x.mjs"}, {"module": 7}):
        phases, _notes = exercise(artifact(manifest, files))
        assert not [phase for phase in phases if phase.name.endswith("(others)")]


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("setTimeout(() => console.log('fired'), 700).unref()", True),
        ("setInterval(() => console.log('fired'), 700).unref()", False),
        ("setTimeout(() => console.log('fired'), 3600000).unref()", False),
        ("clearTimeout(setTimeout(() => console.log('fired'), 700).unref())", False),
    ],
)
def test_a_timer_that_lets_the_process_end_is_waited_for(body: str, fires: bool) -> None:
    code = npm.START + "require('node:fs');" + body
    ended = subprocess.run(["node", "-e", code], capture_output=True, text=True, timeout=30, check=True)
    assert ("fired" in ended.stdout) is fires


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
@pytest.mark.parametrize("mode", [[], ["--input-type=module"]])
def test_a_module_that_starts_its_program_anew_starts_the_projects(mode: list[str], tmp_path: Path) -> None:
    again = (
        "import('node:child_process').then(c => "
        "c.spawnSync(process.argv[0], process.argv.slice(1), {stdio: 'inherit'}))"
    )
    command = ["node", *mode, "-e", npm.START + again]
    for folder in ("src", "node_modules/pkg"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/cart.js").write_text("console.log('the project')")
    for place in (tmp_path, tmp_path / "node_modules/pkg"):
        text = b"console.log('what is fed')"
        ended = subprocess.run(command, cwd=place, input=text, capture_output=True, timeout=30, check=True)
        assert ended.stdout == b"the project\n"


def test_the_projects_file_is_planted_for_every_persona() -> None:
    known = persona.load_personas([profile_folder() / "personas"])
    assert len(known) > 1
    for one in known.values():
        assert "./src/cart.js" in {file.path for file in persona.furniture(one, Draw())}


def test_keys_that_are_no_subpaths_are_skipped_and_said() -> None:
    phases, notes = exercise(
        artifact({"exports": {"": "./a.js", ".": "./b.js", "node": "./c.js"}}, ("package.json", "b.js"))
    )
    found = names(phases)
    assert len(found) == len(set(found))
    assert any("2 more entry points are not imported" in note for note in notes)
