"""What a batch plants and runs, and where its packages stand."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.batches import Packed, _layout, npm, pypi
from sandbox.batches._layout import Piece, arrange
from sandbox.events import ALL_TRIED
from sandbox.plan import Artifact, Installed, Phase, Toolchain

PROJECT = "/home/dev/project"
TOOLS = Toolchain(
    node="/usr/bin/node", node_version="20.20.2", npm_cli="/usr/lib/npm-cli.js", npm_version="11.0.0",
    python="/usr/bin/python3", python_version="3.11.2", pip="/opt/pip/pip/__pip-runner__.py",
)  # fmt: skip


def package(name: str, version: str = "1.0.0", files: tuple[str, ...] = ("index.js",), **manifest: Any) -> Packed:
    """An npm package."""
    whole = {"name": name, "version": version, **manifest}
    artifact = Artifact(
        ecosystem="npm", name=name, version=version, target=f"npm:{name}@{version}", purl=f"pkg:npm/{name}@{version}",
        digest="sha512:" + "ab" * 64, spec=f"{name}@{version}", manifest=whole, files=("package.json", *files),
    )  # fmt: skip
    return Packed(artifact=artifact, url=f"https://packages.test/npm/{name}/-/{name}-{version}.tgz")


def wheel(name: str, names: tuple[str, ...], version: str = "1.0", **manifest: Any) -> Packed:
    """A wheel."""
    info = f"{name}-{version}.dist-info"
    artifact = Artifact(
        ecosystem="pypi", name=name, version=version, target=f"pypi:{name}=={version}",
        purl=f"pkg:pypi/{name}@{version}", digest="sha256:" + "cd" * 32, spec=f"{name}=={version}", kind="wheel",
        manifest={"names": [*names, f"{info}/WHEEL", f"{info}/METADATA"], "entry_points": {}, **manifest},
    )  # fmt: skip
    return Packed(artifact=artifact, url=f"https://packages.test/files/{name}.whl", filename=f"{name}.whl")


def planted(packed: list[Packed]) -> dict[str, Any]:
    """package-lock.json as it is planted."""
    batch = npm.BATCH.batch(packed)
    files = dict(batch.prepare(packed[0].artifact, TOOLS, "/home/dev", PROJECT))
    found: dict[str, Any] = json.loads(files[f"{PROJECT}/package-lock.json"])
    return found


def exercised(batch: Any, installed: Installed | None = None) -> list[Phase]:
    """The phases after the installation."""
    artifact = Artifact(ecosystem="npm", name="", version="", target="", purl="", digest="", spec="")
    phases: list[Phase] = batch.exercise(artifact, installed or Installed(), TOOLS, PROJECT, 60.0)[0]
    return phases


def places(*pieces: tuple[str, str, dict[str, str]]) -> dict[str, str]:
    """Where each stands: folder to version."""
    made = [Piece(name, version, {"dependencies": needs}) for name, version, needs in pieces]
    layout = arrange(made)
    assert not layout.left
    return {place.replace("node_modules/", ""): made[number].version for place, number in layout.places.items()}


def test_each_finds_the_version_that_it_asks_for() -> None:
    found = places(
        ("app", "1.0.0", {"text": "^2.0.0"}), ("old", "1.0.0", {"text": "^1.0.0"}), ("more", "1.0.0", {"text": "2.x"}),
        ("text", "1.4.0", {}), ("text", "2.1.0", {}),
    )  # fmt: skip
    assert found["text"] == "2.1.0"
    assert found["old/text"] == "1.4.0"
    assert set(found) == {"app", "old", "more", "text", "old/text"}


def test_a_version_that_nobody_asks_for_stands_aside() -> None:
    found = places(("debug", "1.0.0", {"ms": "^2.1.0"}), ("ms", "2.1.3", {}), ("ms", "2.0.0", {}), ("tap", "1.0.0", {}))
    assert found["ms"] == "2.1.3"
    assert found["tap/ms"] == "2.0.0"


def test_packages_that_need_each_other_come_to_an_end() -> None:
    found = places(
        ("a", "1.0.0", {"b": "1.0.0"}), ("a", "2.0.0", {"b": "2.0.0"}), ("b", "1.0.0", {"a": "1.0.0"}),
        ("b", "2.0.0", {"a": "2.0.0"}), ("x", "1.0.0", {}),
    )  # fmt: skip
    assert len(found) < 20


names = st.sampled_from(["a", "b", "c", "@s/d", "e"])
versions = st.sampled_from(["1.0.0", "1.2.0", "2.0.0", "3.0.0-rc.1"])
ranges = st.one_of(
    versions, st.sampled_from(["^1.0.0", "*", "", "latest", "npm:a@^1", "git+ssh://x", ">=1 <3"]), st.text()
)
kinds = st.sampled_from(["dependencies", "optionalDependencies", "peerDependencies"])
needs = st.one_of(st.dictionaries(st.one_of(names, st.text()), ranges, max_size=5), st.text(), st.none())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(names, versions), st.dictionaries(kinds, needs), max_size=14))
def test_any_set_is_laid_out_so_that_what_is_needed_is_found(found: dict[tuple[str, str], Any]) -> None:
    pieces = [Piece(name, version, manifest) for (name, version), manifest in found.items()]
    layout = arrange(pieces)
    assert set(layout.places.values()) | set(layout.left) == set(range(len(pieces)))
    for place, number in layout.places.items():
        if place.count("node_modules/") < _layout._DEEPEST and len(layout.places) < 8 * len(pieces) + 64:
            for name, wanted in layout.needs[number].items():
                assert _layout._found(layout.places, place, name) == wanted, place


def test_the_lockfile_holds_the_very_files() -> None:
    lock = planted([package("left-pad", scripts={"postinstall": "x"}, bin="cli.js"), package("@s/tool")])
    entry = lock["packages"]["node_modules/left-pad"]
    assert entry["integrity"].startswith("sha512-q6ur")
    assert entry["resolved"] == "https://packages.test/npm/left-pad/-/left-pad-1.0.0.tgz"
    assert entry["bin"] == {"left-pad": "cli.js"}
    assert lock["packages"][""]["dependencies"] == {"left-pad": "1.0.0", "@s/tool": "1.0.0"}


def test_every_script_may_run() -> None:
    batch = npm.BATCH.batch([package("a")])
    argv = batch.install(package("a").artifact, TOOLS, PROJECT, 60.0)[0].argv
    assert argv[1:4] == ("/usr/lib/npm-cli.js", "ci", "--ignore-scripts=false")
    assert all(entry["hasInstallScript"] for place, entry in planted([package("a")])["packages"].items() if place)


def test_a_package_is_loaded_in_one_process_of_its_own() -> None:
    phases = exercised(npm.BATCH.batch([package("a", exports={".": "./index.js", "./b": "./b.js"}), package("c")]))
    assert [(one.package, one.kind) for one in phases] == [("a", "import"), ("c", "import"), ("", "shell")]
    assert phases[0].complete == ALL_TRIED
    assert '"a/b"' in phases[0].argv[2]


def test_an_entry_point_that_is_a_program_as_well_has_a_process_of_its_own() -> None:
    entries = {".": "./main.js", "./bin/thing": "./bin/thing", "./last": "./last.js"}
    files = ("main.js", "bin/thing", "last.js")
    packed = package("thing", files=files, exports=entries, bin={"thing": "bin/thing"})
    batch = npm.BATCH.batch([packed, package("other")])
    phases = [phase for phase in exercised(batch) if phase.package == "thing"]
    loads = {phase.name: phase for phase in phases if phase.kind == "import"}
    assert list(loads) == ["import:thing@1.0.0", "import:thing/bin/thing (require) (thing@1.0.0)"]
    together, alone = loads.values()
    assert "bin/thing" not in together.argv[-1]
    assert "thing/last" in together.argv[-1]
    assert (together.complete, alone.complete) == (ALL_TRIED, 0)  # a program ends as it likes
    assert alone.required


def test_a_main_file_that_is_the_program_takes_one_process() -> None:
    batch = npm.BATCH.batch([package("thing", files=("cli.js",), main="./cli.js", bin="cli.js"), package("other")])
    loads = [phase for phase in exercised(batch) if phase.package == "thing" and phase.kind == "import"]
    assert [phase.name for phase in loads] == ["import:thing (require) (thing@1.0.0)"]


def test_a_nested_version_is_loaded_from_where_it_stands() -> None:
    packed = [
        package("old", dependencies={"text": "^1.0.0"}), package("a", dependencies={"text": "^2.0.0"}),
        package("b", dependencies={"text": "^2.0.0"}), package("text", "1.4.0"), package("text", "2.1.0"),
    ]  # fmt: skip
    phases = {one.name: one for one in exercised(npm.BATCH.batch(packed))}
    assert phases["import:text@1.4.0"].cwd == f"{PROJECT}/node_modules/old"
    assert phases["import:text@2.1.0"].cwd == PROJECT


def test_a_smaller_batch_has_what_its_packages_need() -> None:
    packed = [package("a", dependencies={"b": "*"}), package("b", dependencies={"c": "*"}), package("c"), package("d")]
    needed = npm.BATCH.needed(packed, [packed[0]])
    assert [one.artifact.name for one in needed] == ["a", "b", "c"]


def test_wheels_are_pinned_and_installed_without_a_look_at_what_they_need() -> None:
    batch = pypi.BATCH.batch([wheel("six", ("six.py",)), wheel("yaml", ("yaml/__init__.py",))])
    artifact = wheel("six", ("six.py",)).artifact
    text = dict(batch.prepare(artifact, TOOLS, "/home/dev", PROJECT))[f"{PROJECT}/requirements.txt"].decode()
    assert text.splitlines()[0] == f"six==1.0 --hash=sha256:{'cd' * 32}"
    argv = batch.install(artifact, TOOLS, PROJECT, 60.0)[0].argv
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(argv)


def test_one_version_of_a_project_and_no_source_archives_are_installed_together() -> None:
    source = wheel("built", ("built/__init__.py",))
    source = Packed(
        artifact=Artifact(
            ecosystem="pypi", name="built", version="1.0", target="", purl="pkg:pypi/built@1.0", digest="", spec="",
            kind="sdist", manifest={"names": ["built-1.0/setup.py"]},
        ),
        url="https://packages.test/built.tar.gz",
    )  # fmt: skip
    packed = [wheel("Six", ("six.py",)), wheel("six", ("six.py",), "2.0"), source]
    held, left = pypi.BATCH.together(packed)
    assert [one.artifact.version for one in held] == ["1.0"]
    assert [one.artifact.name for one in left] == ["six", "built"]


def test_python_starts_bare_before_anything_is_imported() -> None:
    phases = exercised(pypi.BATCH.batch([wheel("six", ("six.py",)), wheel("pyyaml", ("yaml/__init__.py", "_yaml.so"))]))
    assert [one.name for one in phases] == ["start", "import:six==1.0", "import:pyyaml==1.0", "shell"]
    assert "[('_yaml', 1), ('yaml', 2)]" in phases[2].argv[2]
    assert "loaded >= {1, 2}" in phases[2].argv[2]


def test_what_every_start_of_python_runs_is_listed() -> None:
    member = pypi.BATCH.batch(
        [wheel("x", ("x.pth", "x/__init__.py", "x/y.pth", "x-1.0.data/purelib/sitecustomize.py"))]
    )
    found = member.members()[0]
    assert found.starts == ("x.pth", "sitecustomize.py")
    assert {"x", "x.pth", "sitecustomize.py"} <= set(found.tops)


def test_a_hostile_manifest_is_planned_all_the_same() -> None:
    odd: list[dict[str, Any]] = [
        {"bin": {"a": 1, "": "x", "../../b": "../../etc/passwd"}},
        {"bin": 7},
        {"directories": {"bin": "../.."}},
        {"exports": {"./" + "x" * 500: 1}, "scripts": "no"},
        {"dependencies": {"x" * 5000: {}}, "peerDependencies": [1]},
    ]
    packed = [package(f"p{number}", **manifest) for number, manifest in enumerate(odd)]
    assert len(planted(packed)["packages"]) == len(packed) + 1
    assert exercised(npm.BATCH.batch(packed))[-1].kind == "shell"
