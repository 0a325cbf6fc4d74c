"""The inert packages: they build, always the same, under valid names, and do nothing outside a guest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import yaml
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from sandbox import profiles
from sandbox.discovery import load
from sandbox.report import Finding, PackageReport, Verdict
from tests.packages import build
from tests.packages.catalogue import FIXTURES, HOSTILE, NEIGHBOURS, THIEVES
from tests.packages.fixture import Built, Expectation, Fixture
from tests.packages.registry import Fault, Registry

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")
every_fixture = pytest.mark.parametrize("fixture", FIXTURES.values(), ids=FIXTURES)

TELLING = re.compile(rb"baitbox|sandbox|\bfake|decoy|honey|canary|mock|example|dummy|test-token", re.IGNORECASE)
URLS = re.compile(rb"https?://([a-zA-Z0-9.-]+)")
PLAYED = {"api.github.com", "169.254.169.254", "127.0.0.1"}
"""Hosts that a guest plays without a reserved name; the check of where they are keeps fixtures from the real ones."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Every fixture, built once."""
    return {name: build.make(name, tmp_path_factory.mktemp(name)) for name in FIXTURES}


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files of an archive, or of a package folder."""
    if path.is_dir():
        found = sorted(item for item in path.rglob("*") if item.is_file())
        yield from ((str(item.relative_to(path)), item.read_bytes()) for item in found)
    elif path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    else:
        with tarfile.open(path) as packed:
            for member in packed.getmembers():
                file = packed.extractfile(member)
                yield member.name, file.read() if file is not None else b""


def everything(made: Built) -> Iterator[tuple[str, bytes]]:
    """All files that a fixture brings, wherever they go."""
    for path in (made.target, *made.archives):
        yield from contents(path)
    yield from made.uploads


@needs_gcc
@needs_git
@every_fixture
def test_builds_the_same_bytes_every_time(
    fixture: Fixture, built: dict[str, Built], tmp_path: Path
) -> None:
    again = build.make(fixture.name, tmp_path)
    assert list(everything(again)) == list(everything(built[fixture.name]))
    if again.target.is_file():
        assert again.target.read_bytes() == built[fixture.name].target.read_bytes()


@needs_gcc
@needs_git
@every_fixture
def test_has_a_valid_name_and_place(fixture: Fixture, built: dict[str, Built]) -> None:
    target = built[fixture.name].target
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", fixture.package), "the name must be valid in both ecosystems"
    if target.suffix == ".whl":
        assert parse_wheel_filename(target.name)[0] == fixture.package
    elif fixture.ecosystem == "pypi":
        assert parse_sdist_filename(target.name)[0] == fixture.package
    else:
        files = {name.removeprefix("package/"): content for name, content in contents(target)}
        assert json.loads(files["package.json"])["name"] == fixture.package
    assert all(path.startswith("/home/dev/") and ".." not in path for path, _ in built[fixture.name].uploads)


@needs_gcc
@needs_git
@every_fixture
def test_says_nothing_telling_and_reaches_reserved_names_only(
    fixture: Fixture, built: dict[str, Built]
) -> None:
    for path, content in everything(built[fixture.name]):
        assert not TELLING.search(path.encode()), path
        if content.startswith(b"\x7fELF"):
            continue  # libc's own strings
        assert not TELLING.search(content), path
        hosts = {host.decode() for host in URLS.findall(content)}
        assert all(host.endswith(".test") or host in PLAYED for host in hosts), hosts
    assert all(str(urlsplit(url).hostname).endswith(".test") for url in built[fixture.name].served)


@needs_gcc
@needs_git
@pytest.mark.parametrize("fixture", [*THIEVES, *HOSTILE], ids=lambda fixture: fixture.name)
def test_every_script_that_acts_asks_where_it_is(fixture: Fixture, built: dict[str, Built]) -> None:
    acting = re.compile(
        rb"fetch\(|https?\.request|readFileSync|urlopen|socket\.|curl |spawn|writeFile|openSync|Popen"
    )
    for path, content in everything(built[fixture.name]):
        if content.startswith(b"\x7fELF"):
            assert b"/proc/net/fib_trie" in content, path
        elif acting.search(content):
            assert b"/proc/net/fib_trie" in content, path
            assert b"settled()" in content or b"settled ||" in content, path


def copies(made: Built, folder: Path) -> list[Path]:
    """The fixture's files on disk under `folder`."""
    paths = []
    for name, content in everything(made):
        path = folder / name.removeprefix("package/").lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return paths


def command(path: Path) -> list[str]:
    """How a file of a package is run as a program; empty where it is none."""
    if path.read_bytes().startswith(b"\x7fELF"):
        path.chmod(0o755)
        return [str(path)]
    runners = {".js": "node", ".mjs": "node", ".sh": "sh", ".py": sys.executable}
    return [runners[path.suffix], str(path)] if path.suffix in runners else []


@needs_gcc
@needs_git
@needs_node
@pytest.mark.parametrize("fixture", [*THIEVES, *HOSTILE], ids=lambda fixture: fixture.name)
def test_does_nothing_outside_a_guest(
    fixture: Fixture, built: dict[str, Built], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    secrets = [".ssh/id_ed25519", ".aws/credentials", ".npmrc", ".bashrc", ".netrc"]
    for name in secrets:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("planted\n")
    before = tree(home)
    accessed = {name: (home / name).stat().st_atime_ns for name in secrets}
    ran = 0
    for path in copies(built[fixture.name], tmp_path / "package"):
        words = command(path)
        if words and path.name != "setup.py":
            environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
            started = time.monotonic()
            done = subprocess.run(
                words, env=environment, cwd=tmp_path, capture_output=True, timeout=10, check=False
            )
            ran += 1
            assert time.monotonic() - started < 5
            # A module of a package that imports its neighbours cannot run alone; it must still do nothing.
            assert done.returncode == 0 or b"Cannot find module" in done.stderr or b"ImportError" in done.stderr \
                or b"ModuleNotFoundError" in done.stderr, done.stderr  # fmt: skip
    assert ran
    assert tree(home) == before
    assert {name: (home / name).stat().st_atime_ns for name in secrets} == accessed


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, read without a trace."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            times = path.stat()
            found[str(path.relative_to(folder))] = path.read_bytes()
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return found


def test_the_catalogue_covers_every_trigger_and_encoding() -> None:
    names = {fixture.name for fixture in THIEVES}
    triggers = """npm-preinstall npm-postinstall npm-binding-gyp npm-git-prepare npm-url-dependency npm-transitive
        npm-require npm-esm npm-bin npm-detached npm-shell-curl npm-static-program npm-python-stdin pypi-setup-py
        pypi-backend pypi-pth pypi-import pypi-console-script"""
    encodings = """npm-base64-twice npm-base64-thrice pypi-hex npm-gzip npm-aes npm-dns-query pypi-dns-names
        pypi-raw-tcp npm-header pypi-query npm-split npm-reversed"""
    assert names >= {*triggers.split(), *encodings.split()}
    assert len(FIXTURES) == len(THIEVES) + len(NEIGHBOURS) + len(HOSTILE), "a name stands twice"
    assert len({fixture.package for fixture in FIXTURES.values()}) == len(FIXTURES), "a package stands twice"


def test_expectations_name_rules_and_decoys_that_exist() -> None:
    known_rules, known_decoys = set(load("rules", "RULE")), set(load("decoys", "DECOY"))
    for fixture in FIXTURES.values():
        assert set(fixture.expect.rules) <= known_rules, fixture.name
        assert set(fixture.expect.decoys) <= known_decoys, fixture.name


def test_every_profile_of_a_neighbour_is_one(tmp_path: Path) -> None:
    for fixture in NEIGHBOURS:
        if fixture.profile:
            folder = tmp_path / fixture.name
            sheet = folder / "packages" / fixture.ecosystem / f"{fixture.package}.yaml"
            sheet.parent.mkdir(parents=True)
            sheet.write_text(fixture.profile)
            (folder / f"{fixture.ecosystem}.yaml").write_text("about: nothing\n")
            assert len(profiles.load([folder], fixture.ecosystem)) == len(yaml.safe_load(fixture.profile)["expect"])


def report(verdict: Verdict, *findings: Finding) -> PackageReport:
    return PackageReport(purl="pkg:npm/a@1", target="a", digest="sha512:0", verdict=verdict, findings=findings)


def test_an_expectation_wants_all_of_one_finding() -> None:
    sent = Finding(
        rule="decoy_sent", title="", severity="critical", confidence="high", verdict="malicious", package="a-b",
        phase="install", decoys=("aws", "ssh"), ways_out=("https to in.stats.test",),
    )  # fmt: skip
    wanted = Expectation(
        rules=("decoy_sent",), decoys=("aws",), ways_out=("in.stats.test",), package="a_b", phase="install"
    )
    assert wanted.complaint(report("malicious", sent)) == ""
    assert "no finding" in wanted.complaint(report("malicious"))
    assert "verdict suspicious" in wanted.complaint(report("suspicious", sent))
    for other in (
        Expectation(rules=("decoy_read",)),
        Expectation(decoys=("aws", "npm_token")),
        Expectation(ways_out=("other.test",)),
        Expectation(package="a"),
        Expectation(phase="import"),
    ):
        assert "no finding" in other.complaint(report("malicious", sent))


def get(url: str, accept: str = "*/*") -> bytes:
    with urlopen(Request(url, headers={"Accept": accept}), timeout=5) as answer:
        return bytes(answer.read())


def test_the_registry_serves_npm(tmp_path: Path) -> None:
    old = build.npm(tmp_path, "@own/pad-text", {"index.js": ""})
    new = build.npm(tmp_path, "@own/pad-text", {"binding.gyp": "{}"}, version="1.10.0")
    with Registry([old, new]) as registry:
        packument = json.loads(get(registry.npm_url + "@own%2fpad-text"))
        assert packument["dist-tags"] == {"latest": "1.10.0"}
        version = packument["versions"]["1.10.0"]
        assert version["hasInstallScript"]
        assert version["dist"]["integrity"].startswith("sha512-")
        assert get(version["dist"]["tarball"]) == new.read_bytes()
        assert registry.asked == ["/npm/@own%2fpad-text", "/npm/@own/pad-text/-/pad-text-1.10.0.tgz"]
        with pytest.raises(HTTPError, match="404") as caught:
            get(registry.npm_url + "nothing-here")
        caught.value.close()


def test_the_registry_serves_pypi(tmp_path: Path) -> None:
    wheel = build.wheel(tmp_path, "clock-skew", {"clock_skew.py": ""})
    sdist = build.sdist(tmp_path, "clock-skew", {"setup.py": ""})
    with Registry([wheel, sdist]) as registry:
        project = json.loads(get(registry.pypi_url + "clock_skew/", "application/vnd.pypi.simple.v1+json"))
        assert [file["filename"] for file in project["files"]] == [wheel.name, sdist.name]
        assert get(project["files"][0]["url"]) == wheel.read_bytes()
        assert b"Name: clock-skew" in get(project["files"][0]["url"] + ".metadata")
        assert b"#sha256=" in get(registry.pypi_url + "clock-skew/")


@pytest.mark.parametrize(("fault", "error"), [("missing", "404"), ("error", "500"), ("truncated", "Incomplete")])
def test_the_registry_misbehaves_when_asked_to(tmp_path: Path, fault: Fault, error: str) -> None:
    archive = build.npm(tmp_path, "pad-text", {"index.js": ""})
    with Registry([archive], {"pad-text-1.0.0.tgz": fault}) as registry:
        json.loads(get(registry.npm_url + "pad-text"))
        with pytest.raises(Exception, match=error) as caught:
            get(registry.npm_url + "pad-text/-/pad-text-1.0.0.tgz")
        if isinstance(caught.value, HTTPError):
            caught.value.close()
    with Registry([archive], {"pad-text-1.0.0.tgz": "corrupted"}) as registry:
        assert get(registry.npm_url + "pad-text/-/pad-text-1.0.0.tgz") != archive.read_bytes()


