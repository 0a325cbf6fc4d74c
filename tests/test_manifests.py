"""What packages say of themselves, read from honest and strange archives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import manifests
from sandbox.archive_index import ArchiveIndex

METADATA = b"Metadata-Version: 2.1\nName: Demo-Pkg\nVersion: 1.0\n\nName: other\n"


def archive(contents: dict[str, bytes], *more: str) -> ArchiveIndex:
    return ArchiveIndex((*contents, *more), contents, 0)


def test_an_npm_package() -> None:
    content = b'\xef\xbb\xbf{"name":"@scope/demo","version":" v1.0.0","scripts":{"postinstall":"x"}}'
    found = manifests.describe_npm(archive({"package/package.json": content}, "package/lib/a.js", "stray"))
    assert (found.name, found.version) == ("@scope/demo", "1.0.0")
    assert found.files == ("package.json", "lib/a.js")
    assert found.manifest["scripts"] == {"postinstall": "x"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "no valid name"),
        (b'{"name":"../x","version":"1.0.0"}', "no valid name"),
        (b'{"name":7,"version":"1.0.0"}', "no valid name"),
        (b'{"name":"x"}', "no valid version"),
        (b'{"name":"x","version":"1.0.0;id"}', "no valid version"),
        (b'{"name":"x","version":["1"]}', "no valid version"),
    ],
)
def test_a_strange_package_json_is_told(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manifests.describe_npm(archive({"package/package.json": content}))


def test_an_npm_package_needs_one_manifest() -> None:
    with pytest.raises(ValueError, match=r"no package\.json"):
        manifests.describe_npm(archive({}))
    with pytest.raises(ValueError, match="more than one"):
        manifests.describe_npm(archive({"a/package.json": b"{}", "b/package.json": b"{}"}))


def test_a_wheel() -> None:
    points = b"[console_scripts]\ndemo = demo:main\nDemo2=demo:two [extra]\n[other.group]\nx = y\n"
    folder = "Demo_Pkg-1.0.dist-info"
    found = manifests.describe_wheel(
        archive({f"{folder}/METADATA": METADATA, f"{folder}/entry_points.txt": points}, "demo.py")
    )
    assert (found.name, found.version) == ("Demo-Pkg", "1.0")
    assert found.manifest == {
        "names": [f"{folder}/METADATA", f"{folder}/entry_points.txt", "demo.py"],
        "entry_points": {
            "console_scripts": {"demo": "demo:main", "Demo2": "demo:two [extra]"},
            "other.group": {"x": "y"},
        },
        "requires": [],
    }
    assert manifests.same_release(found, "demo_pkg", "1.0.0")
    assert not manifests.same_release(found, "demo", "1.0")
    assert not manifests.same_release(found, "demo-pkg", "1.1")


@pytest.mark.parametrize(
    "metadata", [b"", b"Name: x\n", b"Version: 1\n", b"\nName: x\nVersion: 1\n", b"Name: ../x\nVersion: 1\n"]
)
def test_strange_metadata_are_told(metadata: bytes) -> None:
    with pytest.raises(ValueError, match="no valid name and version"):
        manifests.describe_wheel(archive({"a-1.dist-info/METADATA": metadata}))


def test_a_wheel_needs_one_metadata_file() -> None:
    with pytest.raises(ValueError, match="no METADATA"):
        manifests.describe_wheel(archive({}))
    with pytest.raises(ValueError, match="more than one METADATA"):
        manifests.describe_wheel(archive({"a.dist-info/METADATA": METADATA, "b.dist-info/METADATA": METADATA}))


def test_entry_points_that_pip_could_not_read_are_none() -> None:
    assert manifests.read_entry_points(b"no section = here") == {}
    assert manifests.read_entry_points(b"\xff\xfe") == {}


def test_a_source_archive() -> None:
    contents = {
        "demo-1.0/PKG-INFO": METADATA,
        "demo-1.0/pyproject.toml": b'[project]\nname="Demo-Pkg"\ndynamic=["version"]\n[project.scripts]\na="demo:a"\n',
        "demo-1.0/src/demo.egg-info/entry_points.txt": b"[gui_scripts]\nb = demo:b\n",
    }
    found = manifests.describe_sdist(archive(contents, "demo-1.0/demo.py"))
    assert (found.name, found.version) == ("Demo-Pkg", "1.0")
    assert found.manifest["entry_points"] == {"console_scripts": {"a": "demo:a"}, "gui_scripts": {"b": "demo:b"}}
    assert "demo-1.0/demo.py" in found.files


def test_a_source_archive_that_only_a_build_can_name() -> None:
    found = manifests.describe_sdist(archive({"demo-1.0/setup.py": b""}))
    assert (found.name, found.version) == ("", "")
    assert manifests.same_release(found, "demo", "1.0")


def test_a_setup_cfg_is_read_as_it_stands() -> None:
    cfg = b"[metadata]\nname = demo\nversion = attr: demo.__version__\n"
    cfg += b"[options.entry_points]\nconsole_scripts =\n  a = demo:a\n  b = demo:b\n"
    name, version, points = manifests.describe_source({"setup.cfg": cfg})
    assert (name, version) == ("demo", "")
    assert points == {"console_scripts": {"a": "demo:a", "b": "demo:b"}}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({}, "no PKG-INFO"),
        ({"a/setup.py": b"", "b/setup.py": b""}, "more than one folder"),
        ({"a/PKG-INFO": METADATA}, "nothing could build it"),
        ({"a/pyproject.toml": b"["}, "not TOML"),
        ({"a/pyproject.toml": b"\xff"}, "not TOML"),
        ({"a/setup.cfg": b"x"}, "cannot be read"),
        ({"a/pyproject.toml": b'[project]\nname="../x"'}, "no valid name"),
    ],
)
def test_a_strange_source_archive_is_told(contents: dict[str, bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manifests.describe_sdist(archive(contents))


@given(st.binary() | st.text().map(str.encode))
def test_only_value_errors(content: bytes) -> None:
    for describe, name in (
        (manifests.describe_npm, "package/package.json"),
        (manifests.describe_wheel, "a-1.dist-info/METADATA"),
        (manifests.describe_sdist, "a/PKG-INFO"),
        (manifests.describe_sdist, "a/pyproject.toml"),
        (manifests.describe_sdist, "a/setup.cfg"),
    ):
        try:
            describe(archive({name: content, "a/setup.py": b""} if name[:2] == "a/" else {name: content}))
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either way is right; anything else is a bug
    assert isinstance(manifests.read_entry_points(content), dict)


@pytest.mark.parametrize(
    ("name", "npm", "wheel", "sdist"),
    [
        ("package/package.json", True, False, False),
        ("package/lib/package.json", False, False, False),
        ("a-1.dist-info/METADATA", False, True, False),
        ("a-1.dist-info/entry_points.txt", False, True, False),
        ("a-1/PKG-INFO", False, False, True),
        ("a-1/sub/setup.py", False, False, False),
        ("a-1/src/a.egg-info/entry_points.txt", False, False, True),
        ("PKG-INFO", False, False, False),
    ],
)
def test_only_what_is_needed_is_read(name: str, npm: bool, wheel: bool, sdist: bool) -> None:
    assert manifests.wanted_of_npm(name) is npm
    assert manifests.wanted_of_wheel(name) is wheel
    assert manifests.wanted_of_sdist(name) is sdist
