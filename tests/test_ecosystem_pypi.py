"""PyPI's phases: what runs for real kinds of distributions, and that no archive can bend a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import process
from sandbox.ecosystems import pypi
from sandbox.ecosystems._pypi_rest import MOST_MAINS, MOST_REST, rest_phases
from sandbox.ecosystems.pypi import BUDGET, ECOSYSTEM, MOST_MODULES, MOST_SCRIPTS
from sandbox.errors import TargetError
from sandbox.events import ALL_TRIED
from sandbox.plan import Artifact, Ecosystem, Installed, Phase, Toolchain

PROJECT = "/home/dev/project"
SITE = f"{PROJECT}/.venv/lib/python3.11/site-packages"
BIN = f"{PROJECT}/.venv/bin"
TOOLS = Toolchain(
    node="/usr/bin/node",
    python="/opt/python/bin/python3.11",
    python_version="3.11.7",
    pip="/opt/pip/pip/__pip-runner__.py",
    environment={"LD_LIBRARY_PATH": "/opt/python/lib", "npm_config_nodedir": "/usr"},
)


def artifact(
    name: str, names: list[str], scripts: dict[str, Any] | None = None, kind: str = "wheel", **fields: Any
) -> Artifact:
    fields = {"spec": f"{name}==1.0", **fields}
    return Artifact(
        ecosystem="pypi",
        name=name,
        version="1.0",
        target=f"pypi:{name}",
        purl=f"pkg:pypi/{name}@1.0",
        digest="sha256:00",
        manifest={"names": names, "entry_points": scripts or {}},
        kind=kind,  # type: ignore[arg-type]
        **fields,
    )


def wheel(name: str, *names: str, scripts: dict[str, Any] | None = None) -> Artifact:
    info = f"{name}-1.0.dist-info"
    return artifact(name, [*names, f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"], scripts)


def exercise(item: Artifact, **listings: list[tuple[str, bool]]) -> tuple[list[Phase], list[str]]:
    folders = {"site": SITE, "bin": BIN}
    installed = Installed(listings={folders[key]: tuple(value) for key, value in listings.items()})
    return ECOSYSTEM.exercise(item, installed, TOOLS, PROJECT, 60.0)


def imports(phases: list[Phase]) -> dict[str, tuple[bool, bool]]:
    """Module: (must it import, is it of a group of which one must)."""
    return {
        phase.name.removeprefix("import:"): (phase.required, bool(phase.either))
        for phase in phases
        if phase.kind == "import"
    }


def test_a_single_module() -> None:
    phases, notes = exercise(wheel("six", "six.py"))
    assert [phase.name for phase in phases] == ["start", "import:six", "shell"]
    assert [phase.required for phase in phases] == [True, True, True]
    assert phases[0].argv == (f"{BIN}/python", "-c", pypi.WAIT)
    assert phases[1].argv[:2] == (f"{BIN}/python", "-c")
    assert "\n    import six\n" in phases[1].argv[2]
    assert phases[1].environment == {
        "VIRTUAL_ENV": f"{PROJECT}/.venv",
        "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin:/opt/python/bin",
        "LD_LIBRARY_PATH": "/opt/python/lib",
    }
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            wheel("black", "black/__init__.py", "blackd/__init__.py", "_black_version.py", "30f__mypyc.cpython-311.so"),
            {"black": (True, False), "_black_version": (True, False), "blackd": (True, False)},
        ),
        (
            wheel("PyYAML", "yaml/__init__.py", "_yaml/__init__.py"),
            {"_yaml": (True, False), "yaml": (True, False)},
        ),
        (
            wheel("cffi", "_cffi_backend.cpython-311-x86_64-linux-gnu.so", "cffi/__init__.py"),
            {"cffi": (True, False), "_cffi_backend": (True, False)},
        ),
        (
            wheel("google-cloud-storage", "google/cloud/storage/__init__.py", "google/cloud/_testing/__init__.py"),
            {"google.cloud.storage": (True, False), "google.cloud._testing": (True, False)},
        ),
        (
            wheel("numpy", "numpy/__init__.py", "numpy.libs/libopenblas.so", "numpy/core/__init__.py"),
            {"numpy": (True, False)},
        ),
        (
            wheel("proto", "proto-1.0.data/purelib/proto/__init__.py", "proto-1.0.data/headers/proto.h"),
            {"proto": (True, False)},
        ),
        (wheel("thing", "lib/__init__.py", "tests/__init__.py"), {"lib": (True, False), "tests": (False, False)}),
        (wheel("thing", "docs/__init__.py", "tests/__init__.py"), {"docs": (False, True), "tests": (False, True)}),
        (wheel("tests", "tests/__init__.py"), {"tests": (True, False)}),
        (
            wheel("thing", "lib/__init__.py", "_plug.py", scripts={"pytest11": {"thing": "_plug:hook"}}),
            {"lib": (True, False), "_plug": (True, False)},
        ),
        (
            wheel("plug", "plug/__init__.py", "more.py", scripts={"pytest11": {"a": "plug", "b": "more.sub"}}),
            {"plug": (True, False), "more": (True, False), "plug (others)": (True, False)},
        ),
        (wheel("ext", "ext.abi3.so"), {"ext": (True, False)}),
        (wheel("bare", "bare.pyc"), {"bare": (True, False)}),
        (wheel("types-requests", "requests-stubs/__init__.pyi"), {}),
        (wheel("pth", "pth.pth"), {}),
        (wheel("kw", "class.py", "import os.py", "a b/__init__.py", "x;y.py"), {}),
    ],
)
def test_the_modules_of_wheels(item: Artifact, expected: dict[str, tuple[bool, bool]]) -> None:
    phases, notes = exercise(item)
    assert imports(phases) == expected
    assert any("nothing is imported" in note for note in notes) is not bool(expected)


def test_what_a_build_left_is_imported_the_package_first() -> None:
    item = artifact("pandas", ["pandas-2.0/pandas/__init__.py", "pandas-2.0/setup.py"], kind="sdist")
    site = [
        ("dateutil", True),
        ("numpy", True),
        ("numpy-1.26.dist-info", True),
        ("pandas", True),
        ("six.py", False),
        ("__pycache__", True),
        ("distutils-precedence.pth", False),
    ]
    phases, notes = exercise(item, site=site)
    found = imports(phases)
    assert list(found) == ["pandas", "dateutil", "numpy", "six"]
    assert any("(dateutil, numpy, six): one that raises is not held against it" in note for note in notes)
    assert found["pandas"] == (True, False)
    assert found["numpy"] == (False, False)


def test_a_build_that_leaves_only_names_unlike_its_own_has_to_import_one() -> None:
    item = artifact("pyyaml", ["pyyaml-6/lib/yaml/__init__.py", "pyyaml-6/yaml/_yaml.pyx"], kind="sdist")
    assert imports(exercise(item, site=[("yaml", True), ("_yaml", True)])[0])["yaml"] == (True, False)
    unknown = artifact("made", ["made-1/setup.py"], kind="sdist")
    assert imports(exercise(unknown, site=[("built.py", False)])[0]) == {"built": (False, True)}


def test_too_many_modules_and_files_are_said() -> None:
    item = wheel("many", *(f"m{number}.py" for number in range(MOST_MODULES + MOST_REST + 7)))
    phases, notes = exercise(item)
    assert len([phase for phase in phases if phase.kind == "import"]) == MOST_MODULES + 1
    assert "7 more modules are not imported: there are limits." in notes
    phases, notes = exercise(wheel("few", *(f"m{number}.py" for number in range(MOST_MODULES))))
    assert "import:few (others)" not in [phase.name for phase in phases]
    item = artifact("huge", ["huge.py"] * (BUDGET + 1), kind="sdist")
    assert any("more than" in note for note in exercise(item)[1])


def test_plugins_of_other_programs_are_imported_in_one_process() -> None:
    groups = {
        "pytest11": {"tool": "tool.plugin", "again": "tool.plugin:x"},
        "flake8.extension": ["T1 = tool.lint:Check [all]"],
        "console_scripts": {"tool": "tool.cli:main"}, "bad": {"a": "../x", "b": "a b", "c": "tool", "d": ""},
    }  # fmt: skip
    phases, notes = exercise(wheel("tool", "tool/__init__.py", scripts=groups))
    (others,) = [phase for phase in phases if phase.name == "import:tool (others)"]
    assert "in ['tool.plugin', 'tool.lint']:" in others.argv[2]
    assert others.required and others.complete == ALL_TRIED
    assert any(note.startswith("2 more modules") for note in notes)


def test_one_of_the_others_that_fails_or_ends_keeps_none_from_being_imported(tmp_path: Path) -> None:
    for name, text in {"one": "raise ValueError", "two": "raise SystemExit(0)", "last": "print('last')"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    start = Phase(name="start", kind="start", argv=(sys.executable,))
    (phase,) = rest_phases("x", ["one", "two", "gone", "last"], start)
    done = process.run(list(phase.argv), cwd=str(tmp_path), timeout=30)
    assert (done.code, done.stdout) == (ALL_TRIED, b"last\n")


def test_packages_that_can_be_run_as_modules_are() -> None:
    item = wheel("tool", "tool/__init__.py", "tool/__main__.py", "n/s/__init__.py", "n/s/__main__.py", "other.py")
    phases, _notes = exercise(item)
    runs = [phase for phase in phases if phase.kind == "run"]
    assert [phase.name for phase in runs] == ["run:python -m n.s --help", "run:python -m tool --help"]
    assert runs[0].argv == (f"{BIN}/python", "-m", "n.s", "--help")
    assert all(phase.open_ended and not phase.required for phase in runs)
    many = wheel("many", *(f"m{number}/{end}.py" for number in range(9) for end in ("__init__", "__main__")))
    assert "3 packages are not run with `python -m`: at most 6 are." in exercise(many)[1]
    source = artifact("tool", ["tool-1/src/tool/__main__.py", "tool-1/setup.py"], kind="sdist")
    phases, _notes = exercise(source, site=[("tool", True), ("numpy", True)])
    assert [phase.name for phase in phases if phase.kind == "run"] == ["run:python -m tool --help"]


def test_scripts_run_with_help_and_without_arguments() -> None:
    scripts = {"console_scripts": {"black": "black:main", "blackd": "blackd:main"}, "gui_scripts": {"bl-gui": "x:y"}}
    item = wheel("black", "black/__init__.py", "black-1.0.data/scripts/black-prim", scripts=scripts)
    placed = [("python", False), ("black", False), ("black-prim", False), ("bl-gui", False)]
    phases, notes = exercise(item, bin=placed)
    runs = [phase for phase in phases if phase.kind == "run"]
    assert [phase.name for phase in runs] == [
        "run:black --help",
        "run:black",
        "run:bl-gui --help",
        "run:bl-gui",
        "run:black-prim --help",
        "run:black-prim",
    ]
    assert runs[0].argv == (f"{BIN}/black", "--help")
    assert all(phase.open_ended and not phase.required for phase in runs)
    assert any(note.startswith("1 of the package's scripts are not run") for note in notes)


def test_the_scripts_of_a_source_archive_are_those_that_appeared() -> None:
    item = artifact("tool", ["tool-1/setup.py"], kind="sdist")
    found = [("python3.11", False), ("activate", False), ("tool", False), ("__pycache__", True), ("../x", False)]
    phases, _notes = exercise(item, bin=found)
    assert {phase.argv[0] for phase in phases if phase.kind == "run"} == {f"{BIN}/tool"}


@pytest.mark.parametrize("name", ["../../bin/sh", "a/b", "..", ".", "", "-c", "a b", "a\nb", "x" * 200, "é"])
def test_script_names_never_leave_their_folder(name: str) -> None:
    phases, notes = exercise(wheel("six", "six.py", scripts={"console_scripts": {name: "six:main"}}))
    assert not [phase for phase in phases if phase.kind == "run"]
    assert any("scripts are not run" in note for note in notes)


def test_too_many_scripts_are_said() -> None:
    scripts = {"console_scripts": [f"s{number} = a:b" for number in range(20)]}
    phases, notes = exercise(wheel("six", "six.py", scripts=scripts))
    assert len([phase for phase in phases if phase.kind == "run"]) == 2 * MOST_SCRIPTS
    assert any(note.startswith(f"{20 - MOST_SCRIPTS} of") for note in notes)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "sdist"}, ["--no-binary=six", "six==1.16.0"]),
        ({"kind": "wheel"}, ["--only-binary=six", "six==1.16.0"]),
        ({"kind": "registry"}, ["six==1.16.0"]),
        ({"kind": "registry", "extras": ("security", "x")}, ["six[security,x]==1.16.0"]),
        ({"kind": "registry", "extras": ("bad extra", "--x")}, ["six==1.16.0"]),
        (
            {"kind": "wheel", "spec": "/home/dev/six.whl", "upload": (("/home/dev/six.whl", b""),), "extras": ("a",)},
            ["/home/dev/six.whl[a]"],
        ),
        (
            {"kind": "sdist", "spec": "/home/dev/six.tar.gz", "upload": (("/home/dev/six.tar.gz", b""),)},
            ["/home/dev/six.tar.gz"],
        ),
    ],
)
def test_pip_installs_the_very_file(fields: dict[str, Any], expected: list[str]) -> None:
    item = artifact("six", [], **{"spec": "six==1.16.0", **fields})
    [phase] = ECOSYSTEM.install(item, TOOLS, PROJECT, 90.0)
    assert phase.argv[:3] == (f"{BIN}/python", TOOLS.pip, "install")
    rest = phase.argv[phase.argv.index("--no-cache-dir") + 1 :]
    assert list(rest) == expected
    assert phase.required
    assert phase.seconds == 90.0


@pytest.mark.parametrize("spec", ["--index-url=http://x.test", "-r/etc/passwd", "six\n", "a\x00"])
def test_a_spec_that_would_be_an_option_is_refused(spec: str) -> None:
    with pytest.raises(TargetError):
        ECOSYSTEM.install(artifact("six", [], spec=spec), TOOLS, PROJECT, 90.0)


def test_the_listings_asked_for_include_this_version() -> None:
    ecosystem: Ecosystem = ECOSYSTEM
    directories, files = ecosystem.wanted(wheel("six", "six.py"), PROJECT)
    assert SITE in directories
    assert BIN in directories
    assert files == ()


def test_the_environment_that_is_planted_is_one_that_python_accepts(tmp_path: Path) -> None:
    base = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
    short = f"{sys.version_info[0]}.{sys.version_info[1]}"
    tools = Toolchain(python=base, python_version=f"{short}.0")
    item, project = wheel("six", "six.py"), str(tmp_path)
    for folder in ECOSYSTEM.directories(item, tools, "/home/dev", project):
        Path(folder).mkdir(parents=True)
    for path, content in ECOSYSTEM.prepare(item, tools, "/home/dev", project):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
    for path, target in ECOSYSTEM.links(item, tools, "/home/dev", project):
        Path(path).symlink_to(target)
    site = tmp_path / ".venv" / "lib" / f"python{short}" / "site-packages"
    (site / "six.py").write_text("found = True\n")
    code = "import six, sys; print(six.found, sys.prefix != sys.base_prefix, sys.prefix)"
    done = process.run([str(tmp_path / ".venv/bin/python3"), "-c", code], timeout=20, env={})
    assert done.stdout.decode().split() == ["True", "True", str(tmp_path / ".venv")], done.stderr
    script = '. "$0"; command -v python; deactivate; echo "$VIRTUAL_ENV-"'
    argv = ["/bin/sh", "-c", script, str(tmp_path / ".venv/bin/activate")]
    done = process.run(argv, timeout=20, env={"PATH": "/usr/bin:/bin"})
    assert done.stdout.decode().split() == [str(tmp_path / ".venv/bin/python"), "-"], done.stderr


def _check_sound(phases: list[Phase], notes: list[str]) -> None:
    for phase in phases:
        assert phase.name.isprintable()
        assert phase.argv[0].startswith("/")
        assert ".." not in phase.argv[0].split("/")
        for argument in phase.argv:
            assert "\x00" not in argument
            argument.encode()
    listed = [phase.name for phase in phases]
    assert len(listed) == len(set(listed))
    assert len(phases) <= 3 + MOST_MODULES + 2 * MOST_SCRIPTS + MOST_MAINS
    assert all(len(note) < 200 for note in notes)


texts = st.text(max_size=12) | st.sampled_from(
    ["a/__init__.py", "a.py", "x-1.dist-info/WHEEL", "x.data/purelib/y.py", "n/s/p/__init__.py", "a/", "/", "..", "a"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(
    manifest=st.fixed_dictionaries(
        {
            "names": st.lists(texts) | values,
            "entry_points": st.dictionaries(st.just("console_scripts"), values) | values,
        }
    ),
    listed=st.lists(st.tuples(texts, st.booleans())),
    kind=st.sampled_from(["wheel", "sdist", "registry", "folder"]),
)
def test_no_archive_makes_it_raise(manifest: dict[str, Any], listed: list[tuple[str, bool]], kind: str) -> None:
    item = Artifact(
        ecosystem="pypi",
        name="a",
        version="1",
        target="",
        purl="",
        digest="",
        spec="a==1",
        manifest=manifest,
        kind=kind,  # type: ignore[arg-type]
    )
    phases, notes = exercise(item, site=listed, bin=listed)
    _check_sound(phases, notes)
    for phase in phases:
        if phase.kind == "import" and not phase.complete:
            name = phase.argv[2].splitlines()[1].removeprefix("    import ")
            assert all(part.isidentifier() for part in name.split("."))


def test_deep_and_long_archives_end_soon() -> None:
    names = ["/".join(f"d{level}" for level in range(200)) + f"/{number}.py" for number in range(20_000)]
    names += [f"p{number}/x/y/z/w/v.py" for number in range(20_000)]
    item = wheel("deep", *names)
    phases, notes = exercise(item)
    _check_sound(phases, notes)
    assert len([phase for phase in phases if phase.kind == "import"]) == MOST_MODULES + 1
