"""What cannot be checked: one clear sentence, the right exit code, and nothing left behind."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.command_line import Machine
from tests.packages import build
from tests.packages.registry import Fault, Registry

native = pytest.mark.native
pytestmark = pytest.mark.together
PACKAGE_JSON = b'{"name": "some-words", "version": "1.0.0"}'
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("packages")
    return [
        build.npm(folder, "plain-words", {"index.js": "module.exports = 1\n"}),
        build.npm(folder, "plain-words", {"index.js": "module.exports = 2\n"}, version="1.2.0"),
        build.wheel(folder, "plain-words", {"plain_words.py": "x = 1\n"}),
        build.npm(folder, "broken-words", {"index.js": "module.exports = 1\n"}),
        build.wheel(folder, "broken-words", {"broken_words.py": "x = 1\n"}),
        build.npm(folder, "leaning-words", {"index.js": ""}, dependencies={"broken-words": "1.0.0"}),
    ]


@pytest.fixture
def registry(machine: Machine, archives: list[Path]) -> Iterator[Registry]:
    with Registry(archives, host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        yield serving


# Registries ---------------------------------------------------------------------------------------------------


@native
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("npm:no-such-words", "packages.test has no package no-such-words"),
        ("npm:@scope/words", "has no package @scope/words"),
        ("pypi:no-such-words", "packages.test has no project no-such-words"),
        ("npm:plain-words@9.9.9", "plain-words has no version 9.9.9 (the latest is 1.2.0)"),
        ("npm:plain-words@^2", "plain-words has no version ^2 (the latest is 1.2.0)"),
        ("npm:plain-words@nightly", "no version or tag nightly (the latest is 1.2.0)"),
        ("pypi:plain-words==9.9.9", "plain-words has no version ==9.9.9 (the latest is 1.0.0)"),
    ],
)
def test_what_a_registry_does_not_have(machine: Machine, registry: Registry, target: str, words: str) -> None:
    machine.run("check", target).failed(3, words, "hint: ")


@native
def test_a_network_that_is_down(machine: Machine) -> None:
    ended = machine.run("check", "npm:plain-words")
    ended.failed(3, "127.0.0.1 cannot be reached: Connection refused", "check the network")


@native
@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("npm:broken-words", "missing", "though packages.test lists it"),
        ("npm:broken-words", "error", "packages.test answered with the error 500"),
        ("npm:broken-words", "truncated", "packages.test broke off its answer too early"),
        ("npm:broken-words", "corrupted", "is not the file whose digest the registry published"),
        ("pypi:broken-words", "truncated", "packages.test broke off its answer too early"),
        ("pypi:broken-words", "corrupted", "is not the file whose digest the registry published"),
    ],
)
def test_a_file_that_a_registry_fails_to_give(
    machine: Machine, archives: list[Path], name: str, fault: Fault, words: str
) -> None:
    file = "broken-words-1.0.0.tgz" if name.startswith("npm") else "broken_words-1.0.0-py3-none-any.whl"
    with Registry(archives, {file: fault}, host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        machine.run("check", name).failed(3, words)
    kept = [path for path in (machine.cache / "baitbox").rglob("*") if path.is_file() and "blobs" in path.parts]
    assert len(kept) == 1, "only the metadata"


@native
@pytest.mark.parametrize("name", ["npm:broken-words", "pypi:broken-words"])
def test_metadata_that_are_damaged(machine: Machine, archives: list[Path], name: str) -> None:
    with Registry(archives, {"broken-words": "corrupted"}, host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        machine.run("check", name).failed(3, "packages.test answered for broken-words with what is not")


@native
@pytest.mark.parametrize("fault", ["error", "corrupted"])
def test_a_dependency_that_a_registry_fails_to_give(machine: Machine, archives: list[Path], fault: Fault) -> None:
    with Registry(archives, {"broken-words-1.0.0.tgz": fault}, host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        ended = machine.run("check", "npm:leaning-words", timeout=20)
        ended.failed(3, "a registry failed while npm:leaning-words was being installed")


# Files --------------------------------------------------------------------------------------------------------


def tar_gz(path: Path, *members: tuple[str, bytes, bytes, str]) -> Path:
    """An archive with members of (name, content, kind, link)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind, link in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, link, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def wheel(path: Path, name: str, content: bytes, mode: int = 0o100644) -> Path:
    """A wheel of `some-words` with one more member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("some_words-1.0.0.dist-info/METADATA", build.metadata("some-words", "1.0.0"))
        archive.writestr("some_words-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        entry = zipfile.ZipInfo(name)
        entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
        archive.writestr(entry, content)
    return path


def zeros(path: Path, first: str, mebibytes: int) -> Path:
    """A gzipped tar that says in a few MiB that its second file has so many."""
    head = io.BytesIO()
    with tarfile.open(fileobj=head, mode="w") as archive:
        entry = tarfile.TarInfo(first)
        entry.size = len(PACKAGE_JSON)
        archive.addfile(entry, io.BytesIO(PACKAGE_JSON))
        large = tarfile.TarInfo("package/large")
        large.size = (mebibytes - 16) << 20
        start = head.getvalue()[: archive.offset] + large.tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(gzip.compress(start) + gzip.compress(bytes(16 << 20)) * (mebibytes // 16))
    return path


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
FIRST = ("package/package.json", PACKAGE_JSON, FILE, "")
WHEEL = "some_words-1.0.0-py3-none-any.whl"
Make = Callable[[Path], object]
BAD_FILES: Mapping[str, tuple[str, Make, str]] = {
    "up": ("up.tgz", lambda p: tar_gz(p, FIRST, ("package/../../x", b"x", FILE, "")), "leads out of the archive"),
    "absolute": ("a.tgz", lambda p: tar_gz(p, FIRST, ("/etc/x", b"x", FILE, "")), "is an absolute path"),
    "link": ("l.tgz", lambda p: tar_gz(p, FIRST, ("package/l", b"", LINK, "/etc")), "links out of the archive"),
    "hard link": ("h.tgz", lambda p: tar_gz(p, FIRST, ("package/h", b"", HARD, "/etc/x")), "links out of the archive"),
    "sdist up": ("up-1.tar.gz", lambda p: tar_gz(p, ("../x", b"x", FILE, "")), "leads out of the archive"),
    "wheel up": (WHEEL, lambda p: wheel(p, "../x.py", b""), "leads out of the archive"),
    "wheel absolute": (WHEEL, lambda p: wheel(p, "/x.py", b""), "is an absolute path"),
    "wheel link": (WHEEL, lambda p: wheel(p, "l", b"/etc", 0o120777), "links out of the archive"),
    "tar bomb": ("bomb.tgz", lambda p: zeros(p, "package/package.json", 8192), "it unpacks to more than"),
    "sdist bomb": ("bomb-1.tar.gz", lambda p: zeros(p, "bomb-1/PKG-INFO", 8192), "it unpacks to more than"),
    "zip bomb": (WHEEL, lambda p: wheel(p, "large", bytes(256 << 20)), "it unpacks to more than"),
    "random": (WHEEL, lambda p: p.write_bytes(bytes(range(256)) * 9), "neither a gzipped tar nor a zip"),
    "picture": ("picture.tgz", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "neither a gzipped tar"),
    "empty": ("empty.tgz", lambda p: p.write_bytes(b""), "neither a gzipped tar nor a zip"),
    "cut": ("cut.tgz", lambda p: p.write_bytes(gzip.compress(bytes(range(99)))[:30]), "it ends too early"),
    "pipe": ("pipe.tgz", lambda p: os.mkfifo(p), "it is not a regular file"),
    "lost link": ("lost.tgz", lambda p: p.symlink_to("nowhere"), "there is no such file or folder"),
    "nothing": ("nothing.tgz", lambda p: None, "there is no such file or folder"),
}


@native
@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_good(machine: Machine, case: str) -> None:
    name, make, words = BAD_FILES[case]
    make(machine.root / name)
    ended = machine.run("check", f"./{name}", timeout=20)
    ended.failed(3, name, words)


@native
def test_a_bomb_from_a_registry(machine: Machine) -> None:
    files = [zeros(machine.root / "bomb.tgz", "package/package.json", 256)]
    files.append(wheel(machine.root / WHEEL, "large", bytes(256 << 20)))
    with Registry(files, host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        machine.run("check", "npm:some-words").failed(3, "some-words@1.0.0", "it unpacks to more than")
        machine.run("check", "pypi:some-words").failed(3, WHEEL, "it unpacks to more than")


@native
def test_a_traversing_archive_from_a_registry(machine: Machine) -> None:
    files = [tar_gz(machine.root / "up.tgz", FIRST, ("package/../../x", b"x", FILE, ""))]
    files.append(wheel(machine.root / WHEEL, "../x.py", b""))
    with Registry(files, host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        machine.run("check", "npm:some-words").failed(3, "leads out of the archive")
        machine.run("check", "pypi:some-words").failed(3, "leads out of the archive")


@native
@pytest.mark.parametrize("name", ["secret.tgz", "secret"])
def test_what_may_not_be_read(machine: Machine, archives: list[Path], name: str) -> None:
    path = machine.root / name
    if name.endswith(".tgz"):
        shutil.copy(archives[0], path)
        path.chmod(0)
    else:
        build.npm_folder(machine.root, name, {"index.js": ""})
        (path / "index.js").chmod(0)
    wrapped = UNPRIVILEGED if os.geteuid() == 0 else ()
    machine.run("check", f"./{name}", wrapped=wrapped).failed(3, f"{name} cannot be read: Permission denied")


@pytest.mark.parametrize("name", ["folder", "folder.tgz", "words.png"])
def test_what_is_no_package(machine: Machine, name: str) -> None:
    if name.endswith(".png"):
        (machine.root / name).write_bytes(b"\x89PNG")
    else:
        (machine.root / name).mkdir()
    machine.run("check", f"./{name}").failed(2, name)


@pytest.mark.parametrize(
    "target",
    [
        "npm:a;touch${IFS}x", "npm:$(id)", "npm:a\nb", "npm:a\x1b[31mb", "npm:-rf", "npm:a/../../b", "npm:x@`id`",
        "pypi:-rf", "pypi:a/../b", "pkg:npm/../x", "words", "", "npm:\udcff", "npm:" + "a" * 5000,
    ],
)  # fmt: skip
def test_a_name_that_is_none(machine: Machine, target: str) -> None:
    machine.run("check", target).failed(2)
    assert [path.name for path in machine.root.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", bytes(range(256)), b'{"name": "x"}\n', b"[]\n", b"[" * 100_000, b'{"baitbox": 99}\n', None],
    ids=["empty", "lines", "random", "object", "list", "deep", "newer", "folder"],
)
def test_what_is_no_recording(machine: Machine, content: bytes | None) -> None:
    path = machine.root / "words.jsonl"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    command = "show" if content and content.startswith(b"{") else "judge"
    machine.run(command, "words.jsonl").failed(3, "words.jsonl", "recording")


@pytest.mark.parametrize(("command", "words"), [("judge", "No such file"), ("show", "there is no recording")])
def test_a_recording_that_is_not_there(machine: Machine, command: str, words: str) -> None:
    machine.run(command, "nothing.jsonl").failed(3, "nothing.jsonl", words)


# Settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "xml"], "no report format 'xml'"),
        (["--persona", "nobody"], "no persona 'nobody'"),
        (["--backend", "lxc"], "'lxc'"),
        (["--timeout", "soon"], "--timeout"),
        (["--jobs", "-1"], "--jobs"),
        (["--nope"], "--nope"),
        (["--profile", "nowhere"], "nowhere is not a folder of profiles"),
        (["--output", "home"], "home: it is a folder"),
        (["--output", "nowhere/report"], "the report cannot be written to nowhere/report"),
        (["--keep", "file"], "recordings cannot be kept in file"),
        (["--keep", "/proc/nowhere"], "recordings cannot be kept in /proc/nowhere"),
    ],
)
def test_a_setting_that_cannot_be(machine: Machine, arguments: list[str], words: str) -> None:
    (machine.root / "file").write_bytes(b"")
    ended = machine.run("check", "npm:plain-words", *arguments)
    ended.failed(2, words)
    assert "fetching" not in ended.stderr, "said before anything is done"


@pytest.mark.parametrize("arguments", [["check"], ["judge"], ["nothing"], ["check", "--"]])
def test_a_command_line_that_is_none(machine: Machine, arguments: list[str]) -> None:
    machine.run(*arguments).failed(2, "hint: ")


@native
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_of_several_that_is_unknown(machine: Machine, registry: Registry, jobs: str) -> None:
    targets = ("npm:plain-words", "npm:no-such-words", "pypi:plain-words")
    ended = machine.run("check", *targets, "--jobs", jobs, "--format", "json")
    packages = json.loads(ended.stdout)["packages"]
    assert ended.code == 3
    assert [package["verdict"] for package in packages] == ["clean", "inconclusive", "clean"]
    assert [package["target"] for package in packages] == list(targets)
    said = "error: npm:no-such-words: packages.test has no package no-such-words"
    assert ended.talk == [said, "hint: check its name"]


@native
def test_two_runs_at_once_with_an_empty_cache(machine: Machine, registry: Registry) -> None:
    running = [machine.start("check", "npm:plain-words", "--format", "json", "--quiet") for _ in range(3)]
    for command in running:
        ended = machine.wait(command)
        assert (ended.code, ended.talk) == (0, [])
        assert json.loads(ended.stdout)["verdict"] == "clean"


@native
def test_an_output_that_cannot_be_written(machine: Machine, registry: Registry) -> None:
    full = ("sh", "-c", 'exec "$@" > /dev/full', "sh")
    machine.run("check", "npm:plain-words", wrapped=full).failed(2, "the output cannot be written: No space left")
    machine.run("rules", wrapped=full).failed(2, "the output cannot be written: No space left")


def test_standard_streams_that_are_closed(machine: Machine) -> None:
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    assert machine.run("rules", wrapped=closed).code == 0
    assert machine.run("check", "npm:...", wrapped=closed).code == 2


# Machines -----------------------------------------------------------------------------------------------------


def test_a_port_that_is_closed_is_closed() -> None:
    """What the tests above take for a network that is down."""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 9)) != 0
