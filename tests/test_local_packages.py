"""Archives and folders on this machine: what of them reaches a guest, and what is refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from loopback_registry import npm_package, sdist, tgz, wheel

from sandbox import local_packages
from sandbox.archives import read_archive
from sandbox.errors import TargetError
from sandbox.local_packages import purl, read_local
from sandbox.plan import Artifact
from sandbox.targets import Target


def read(path: Path | str, text: str = "") -> Artifact:
    return read_local(Target.parse(text or str(path)))


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_an_npm_archive(tmp_path: Path) -> None:
    content = npm_package("@scope/demo", "1.0.0", scripts={"postinstall": "node x.js"})
    artifact = read(write(tmp_path / "odd name.tgz", content))
    assert (artifact.name, artifact.version, artifact.kind) == ("@scope/demo", "1.0.0", "tarball")
    assert artifact.spec == "/home/dev/Downloads/scope-demo-1.0.0.tgz"
    assert artifact.upload == ((artifact.spec, content),)
    assert artifact.digest == f"sha512:{hashlib.sha512(content).hexdigest()}"
    assert artifact.purl == "pkg:npm/%40scope/demo@1.0.0"
    assert artifact.files == ("package.json", "index.js")


def test_a_wheel(tmp_path: Path) -> None:
    content = wheel("demo", "1.0", "[console_scripts]\ndemo = demo:main\n")
    path = write(tmp_path / "demo-1.0-py3-none-any.whl", content)
    artifact = read_local(Target.parse(f"{path}[fast,Small]"))
    assert (artifact.name, artifact.version, artifact.kind) == ("demo", "1.0", "wheel")
    assert artifact.spec == "/home/dev/Downloads/demo-1.0-py3-none-any.whl[fast,small]"
    assert artifact.upload[0][0] == "/home/dev/Downloads/demo-1.0-py3-none-any.whl"
    assert artifact.extras == ("fast", "small")
    assert artifact.manifest["entry_points"] == {"console_scripts": {"demo": "demo:main"}}


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        ("demo.whl", "not that of a wheel"),
        ("de mo-1.0-py3-none-any.whl", "not that of a wheel"),
        ("other-1.0-py3-none-any.whl", "says demo 1.0"),
        ("demo-2.0-py3-none-any.whl", "says demo 1.0"),
    ],
)
def test_a_wheel_by_another_name_is_refused(tmp_path: Path, filename: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        read(write(tmp_path / filename, wheel("demo", "1.0")))


def test_a_source_archive(tmp_path: Path) -> None:
    content = sdist("demo", "1.0")
    artifact = read(write(tmp_path / "whatever (1).tar.gz", content))
    assert (artifact.name, artifact.version, artifact.kind) == ("demo", "1.0", "sdist")
    assert artifact.spec == "/home/dev/Downloads/demo-1.0.tar.gz"
    assert artifact.digest.startswith("sha256:")
    unnamed = read(write(tmp_path / "my pkg!.tar.gz", tgz({"x/setup.py": ""})))
    assert (unnamed.name, unnamed.version, unnamed.purl) == ("my-pkg", "", "pkg:pypi/my-pkg")


def test_what_is_wrong_with_an_archive_is_one_clear_sentence(tmp_path: Path) -> None:
    cases = {
        "missing.tgz": (None, "no such file"),
        "empty.tgz": (b"", "neither"),
        "cut.tgz": (npm_package("a", "1.0.0")[:-20], "ends too early"),
        "evil.tgz": (tgz({"package/package.json": "{}", "../../evil": ""}), "leads out"),
        "foreign.tar.gz": (npm_package("a", "1.0.0"), "no PKG-INFO"),
        "foreign.whl": (sdist("a", "1.0"), "no METADATA"),
    }
    for name, (content, message) in cases.items():
        if content is not None:
            write(tmp_path / name, content)
        with pytest.raises(TargetError, match=message) as error:
            read(tmp_path / name)
        assert name in str(error.value)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tgz")
    with pytest.raises(TargetError, match="not a regular file"):
        read(tmp_path / "pipe.tgz")


def test_a_huge_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge.tgz").open("wb") as file:
        file.truncate(local_packages.LARGEST + 1)
    with pytest.raises(TargetError, match="larger than 512 MiB"):
        read(tmp_path / "huge.tgz")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_archive_is_told(tmp_path: Path) -> None:
    write(tmp_path / "secret.tgz", b"").chmod(0)
    with pytest.raises(TargetError, match="cannot be read"):
        read(tmp_path / "secret.tgz")


@pytest.fixture
def npm_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    write(folder / "package.json", '{"name":"@scope/demo","version":"1.0.0","scripts":{"prepare":"x"}}')
    write(folder / "lib/index.js", "1")
    write(folder / "lib/node_modules/inner/index.js", "2")
    write(folder / "bin/run", "#!/bin/sh\n").chmod(0o755)
    for left_out in ("node_modules/dep/index.js", ".git/config", ".npmrc", "env/pyvenv.cfg", "env/x"):
        write(folder / left_out, "no")
    return folder


def test_an_npm_folder_is_packed(npm_folder: Path) -> None:
    artifact = read(npm_folder)
    assert (artifact.name, artifact.version, artifact.kind) == ("@scope/demo", "1.0.0", "folder")
    assert artifact.spec == "/home/dev/Downloads/scope-demo-1.0.0.tgz"
    files = ("package.json", "bin/run", "lib/index.js", "lib/node_modules/inner/index.js")
    assert artifact.files == files
    index = read_archive(artifact.upload[0][1], lambda _: True)
    assert index.names == tuple(f"package/{name}" for name in files)
    assert index.contents["package/lib/index.js"] == b"1"
    os.utime(npm_folder / "lib/index.js", (1, 1))
    assert read(npm_folder).digest == artifact.digest


def test_bundled_dependencies_are_packed(npm_folder: Path) -> None:
    write(npm_folder / "package.json", '{"name":"demo","version":"1.0.0","bundleDependencies":["dep"]}')
    assert "node_modules/dep/index.js" in read(npm_folder).files


def test_a_python_folder_is_packed(tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    write(folder / "pyproject.toml", '[project]\nname="demo"\nversion="1.0"\n[project.scripts]\nd="demo:d"')
    write(folder / "demo.py", "")
    (folder / "link.py").symlink_to("demo.py")
    artifact = read(folder, f"pypi:{folder}[fast]")
    assert (artifact.name, artifact.version, artifact.kind) == ("demo", "1.0", "folder")
    assert artifact.spec == "/home/dev/Downloads/demo-1.0.tar.gz[fast]"
    assert artifact.files == ("demo-1.0/demo.py", "demo-1.0/pyproject.toml")
    assert artifact.manifest == {"names": list(artifact.files), "entry_points": {"console_scripts": {"d": "demo:d"}}}


def test_a_python_folder_that_only_a_build_can_name(tmp_path: Path) -> None:
    write(tmp_path / "my pkg!/setup.py", "")
    artifact = read(tmp_path / "my pkg!")
    assert (artifact.name, artifact.version) == ("my-pkg", "")
    assert artifact.purl == "pkg:pypi/my-pkg"
    assert artifact.spec == "/home/dev/Downloads/my-pkg-0.tar.gz"


def test_links_out_of_a_folder_are_refused(npm_folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret", "s")
    (npm_folder / "inside").symlink_to("lib")
    assert "inside" not in read(npm_folder).files
    for target in (str(tmp_path / "secret"), "../secret", "/etc/passwd", str(npm_folder / "lib")):
        (npm_folder / "out").symlink_to(target)
        with pytest.raises(TargetError, match="'out' in it links out"):
            read(npm_folder)
        (npm_folder / "out").unlink()
    (npm_folder / "package.json").unlink()
    (npm_folder / "package.json").symlink_to("../secret")
    with pytest.raises(TargetError):
        read(npm_folder, f"npm:{npm_folder}")


def test_strange_files_in_a_folder_are_refused(npm_folder: Path) -> None:
    os.mkfifo(npm_folder / "pipe")
    with pytest.raises(TargetError, match="'pipe' in it is not a regular file"):
        read(npm_folder)
    (npm_folder / "pipe").unlink()
    write(npm_folder / "a\x1bb", "")
    with pytest.raises(TargetError, match="not a name"):
        read(npm_folder)


def test_a_folder_is_bounded(npm_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_packages, "_FOLDER_FILES", 2)
    with pytest.raises(TargetError, match="more than 2 files"):
        read(npm_folder)


def test_a_folder_that_is_not_there_and_one_without_a_package(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no such file or folder"):
        read(tmp_path / "nothing")
    for text in (f"npm:{tmp_path}", f"pypi:{tmp_path}"):
        with pytest.raises(TargetError):
            read(tmp_path, text)


def test_package_urls_are_quoted() -> None:
    assert purl("npm", "@scope/a~b", "1.0.0+x") == "pkg:npm/%40scope/a~b@1.0.0%2Bx"
    assert purl("pypi", "Demo_Pkg", "1!2") == "pkg:pypi/demo-pkg@1%212"
