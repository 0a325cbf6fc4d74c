"""From a target to an artifact, against a registry on the loopback interface and, marked, against the real ones."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from loopback_registry import JSON, LoopbackRegistry, npm_package, running, sdist, tgz, wheel

from sandbox import upstream
from sandbox.cache import Cache
from sandbox.errors import RegistryError, TargetError, UnfitError
from sandbox.fetch import fetchable, resolve
from sandbox.plan import Artifact
from sandbox.registries import Registries, Registry, registry_settings
from sandbox.targets import Target

DEMO = {version: npm_package("demo", version, bin="x.js") for version in ("1.0.0", "1.1.0", "2.0.0")}
SCOPED = npm_package("@scope/demo", "1.0.0")
WHEEL, OLD, SDIST = wheel("demo", "1.1"), wheel("demo", "1.0"), sdist("demo", "1.1")
TAGS = ("cp311-cp311-linux_x86_64", "py3-none-any")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackRegistry]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(upstream.Upstream.__init__, "__defaults__", (None, 0.01))
    with running() as server:
        server.npm("demo", DEMO, latest="1.1.0", next="2.0.0")
        server.npm("@scope/demo", {"1.0.0": SCOPED}, latest="1.0.0")
        server.pypi(
            "demo",
            {
                "demo-1.1-py3-none-any.whl": WHEEL,
                "demo-1.0-py3-none-any.whl": OLD,
                "demo-1.1.tar.gz": SDIST,
            },
        )
        yield server


class Resolver:
    """`resolve` with a cache of its own."""

    def __init__(self, registry: LoopbackRegistry, folder: Path) -> None:
        self.registries = registry.registries()
        self.cache = Cache(folder)

    def __call__(self, text: str, *, sdist: bool = False) -> Artifact:
        return resolve(
            Target.parse(text, sdist=sdist), self.registries, self.cache, tags=TAGS, python_version="3.11.2"
        )


@pytest.fixture
def ask(registry: LoopbackRegistry, tmp_path: Path) -> Resolver:
    return Resolver(registry, tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("npm:demo", "1.1.0"),
        ("npm:demo@latest", "1.1.0"),
        ("npm:demo@next", "2.0.0"),
        ("npm:demo@1.0.0", "1.0.0"),
        ("npm:demo@^1.0", "1.1.0"),
        ("npm:demo@>1", "2.0.0"),
        ("pkg:npm/demo@2.0.0", "2.0.0"),
    ],
)
def test_an_npm_package(ask: Resolver, text: str, version: str) -> None:
    artifact = ask(text)
    assert artifact == Artifact(
        ecosystem="npm", name="demo", version=version, target=text, purl=f"pkg:npm/demo@{version}",
        digest=f"sha512:{hashlib.sha512(DEMO[version]).hexdigest()}", spec=f"demo@{version}",
        manifest={"name": "demo", "version": version, "bin": "x.js"}, files=("package.json", "index.js"),
        kind="registry",
    )  # fmt: skip


def test_a_scoped_npm_package(ask: Resolver, registry: LoopbackRegistry) -> None:
    artifact = ask("npm:@scope/demo")
    assert (artifact.spec, artifact.purl) == ("@scope/demo@1.0.0", "pkg:npm/%40scope/demo@1.0.0")
    assert registry.asked == ["/@scope%2Fdemo", "/@scope/demo/-/demo-1.0.0.tgz"]


@pytest.mark.parametrize(
    ("text", "source", "spec", "kind", "content"),
    [
        ("pypi:demo", False, "demo==1.1", "wheel", WHEEL),
        ("pypi:Demo==1.0", False, "Demo==1.0", "wheel", OLD),
        ("pypi:demo<1.1", False, "demo==1.0", "wheel", OLD),
        ("pypi:demo[fast,x]>=1", False, "demo[fast,x]==1.1", "wheel", WHEEL),
        ("pypi:demo", True, "demo==1.1", "sdist", SDIST),
        ("pkg:pypi/demo@1.1?file_name=demo-1.1.tar.gz", False, "demo==1.1", "sdist", SDIST),
    ],
)
def test_a_pypi_package(ask: Resolver, text: str, source: bool, spec: str, kind: str, content: bytes) -> None:
    artifact = ask(text, sdist=source)
    assert (artifact.spec, artifact.kind, artifact.upload) == (spec, kind, ())
    assert artifact.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert artifact.purl == f"pkg:pypi/demo@{artifact.version}"
    assert artifact.manifest["names"] == list(artifact.files)
    assert any(name.endswith("demo.py") for name in artifact.files)


def test_the_cache_answers_the_second_time(ask: Resolver, registry: LoopbackRegistry) -> None:
    first = [ask("npm:demo@1.0.0"), ask("pypi:demo")]
    asked = len(registry.asked)
    started = time.perf_counter()
    assert [ask("npm:demo@1.0.0"), ask("pypi:demo")] == first
    assert time.perf_counter() - started < 0.5  # 3 ms alone; generous for a busy machine
    assert len(registry.asked) == asked


def test_several_indexes_are_one(ask: Resolver, registry: LoopbackRegistry) -> None:
    ask.registries = Registries(
        pypi=tuple(Registry(ecosystem="pypi", url=f"{registry.url}{name}/") for name in ("empty", "simple"))
    )
    assert ask("pypi:demo").version == "1.1"
    registry.put_json("/empty/demo/", {"files": []}, JSON).faults = [500] * 9
    with pytest.raises(RegistryError, match="error 500"):
        ask("pypi:demo")  # never by guess from the one that answers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("npm:nothing", "has no package nothing"),
        ("npm:demo@9.9.9", r"demo has no version 9\.9\.9 \(the latest is 1\.1\.0\)"),
        ("npm:demo@nope", r"demo has no version or tag nope"),
        ("pypi:nothing", "has no project nothing"),
        ("pypi:demo==9", r"demo has no version ==9 \(the latest is 1\.1\)"),
    ],
)
def test_what_does_not_exist_is_told(ask: Resolver, text: str, message: str) -> None:
    with pytest.raises(TargetError, match=message) as error:
        ask(text)
    assert error.value.exit_code == 3
    assert error.value.hint


def test_another_file_than_published_is_refused(ask: Resolver, registry: LoopbackRegistry) -> None:
    registry.pages["/demo/-/demo-1.1.0.tgz"].body = DEMO["1.0.0"]
    with pytest.raises(TargetError, match=r"demo@1\.1\.0 from .* is not the file whose digest"):
        ask("npm:demo")
    registry.pages["/files/demo-1.1-py3-none-any.whl"].body = OLD
    with pytest.raises(TargetError, match="is not the file whose digest"):
        ask("pypi:demo")


def test_a_package_with_only_a_weak_digest_is_taken(ask: Resolver, registry: LoopbackRegistry) -> None:
    registry.npm("old", {"1.0.0": npm_package("old", "1.0.0")}, weak=True, latest="1.0.0")
    assert ask("npm:old").digest.startswith("sha512:")


def test_a_package_without_a_digest_is_refused(ask: Resolver, registry: LoopbackRegistry) -> None:
    dist = {"tarball": f"{registry.url}demo/-/demo-1.0.0.tgz"}
    registry.put_json("/bare", {"dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"dist": dist}}})
    with pytest.raises(TargetError, match="publishes no digest"):
        ask("npm:bare")


def test_a_file_that_is_listed_and_not_there(ask: Resolver, registry: LoopbackRegistry) -> None:
    del registry.pages["/demo/-/demo-1.1.0.tgz"]
    with pytest.raises(TargetError, match=r"does not have demo@1\.1\.0"):
        ask("npm:demo")


@pytest.mark.parametrize("tarball", ["", "file:///etc/passwd", "https://u:p@x.test/a.tgz", "https://x.test/\n"])
def test_strange_addresses_are_not_followed(ask: Resolver, registry: LoopbackRegistry, tarball: str) -> None:
    dist = {"tarball": tarball, "shasum": "0" * 40}
    registry.put_json("/odd", {"dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"dist": dist}}})
    with pytest.raises(RegistryError, match="no usable address"):
        ask("npm:odd")
    assert not fetchable(tarball)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tgz({"package/package.json": "{}", "package/../../evil": ""}), "leads out"),
        (tgz({"package/index.js": ""}), r"no package\.json"),
        (npm_package("demo", "1.1.0")[:-9], "ends too early"),
        (b"hello", "neither"),
    ],
)
def test_a_package_that_cannot_be_run_is_refused(
    ask: Resolver, registry: LoopbackRegistry, content: bytes, message: str
) -> None:
    registry.npm("demo", {"1.1.0": content}, latest="1.1.0")
    with pytest.raises(TargetError, match=message) as error:
        ask("npm:demo")
    assert str(error.value).startswith("demo@1.1.0 is not a package")


def test_a_wheel_that_says_that_it_is_another(ask: Resolver, registry: LoopbackRegistry) -> None:
    registry.pypi("demo", {"demo-3.0-py3-none-any.whl": wheel("demo", "2.0")})
    with pytest.raises(TargetError, match=r"says that it is demo 2\.0"):
        ask("pypi:demo")


def test_a_registry_that_answers_something_else(ask: Resolver, registry: LoopbackRegistry) -> None:
    registry.put_json("/demo", ["no"])
    with pytest.raises(RegistryError, match="not npm package metadata"):
        ask("npm:demo")
    registry.put_json("/simple/demo/", {}, "application/zip")
    with pytest.raises(RegistryError, match="not a simple index page"):
        ask("pypi:demo")


def test_no_registry_is_needed_for_a_local_package(tmp_path: Path) -> None:
    (tmp_path / "demo.tgz").write_bytes(DEMO["1.0.0"])
    target = Target.parse(str(tmp_path / "demo.tgz"))
    assert resolve(target, Registries(), Cache(tmp_path / "cache")).kind == "tarball"
    for text in ("npm:demo", "pypi:demo"):
        with pytest.raises(RegistryError, match="is known here"):
            resolve(Target.parse(text), Registries(), Cache(tmp_path / "cache"))


@pytest.mark.registry
def test_the_real_registries(tmp_path: Path) -> None:
    settings, cache = registry_settings(), Cache(tmp_path)
    artifact = resolve(Target.parse("npm:left-pad@1.3.0"), settings, cache)
    assert artifact.digest.startswith("sha512:5c8e4c3f354d")
    assert resolve(Target.parse("npm:@babel/core@^7"), settings, cache).version.startswith("7.")
    for source in (False, True):
        artifact = resolve(Target.parse("pypi:six==1.17.0", sdist=source), settings, cache)
        assert artifact.kind == ("sdist" if source else "wheel")
    assert resolve(Target.parse("pypi:numpy<2.1"), settings, cache, tags=(), python_version="").version == "2.0.2"


# What a lockfile pins -------------------------------------------------------------------------------------------


def hexed(content: bytes, algorithm: str = "sha512") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class Pinning(Resolver):
    """`resolve` for what a lockfile pins."""

    def pinned(self, text: str, *digests: str) -> Artifact:
        target = msgspec.structs.replace(Target.parse(text), digests=digests)
        return resolve(target, self.registries, self.cache, tags=TAGS, python_version="3.11.2")


@pytest.fixture
def lock(registry: LoopbackRegistry, tmp_path: Path) -> Pinning:
    return Pinning(registry, tmp_path / "cache")


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", "sha1"])
def test_npm_a_file_that_the_lockfile_pins_is_taken_and_another_is_not(
    lock: Pinning, registry: LoopbackRegistry, algorithm: str
) -> None:
    right, wrong = hexed(DEMO["1.0.0"], algorithm), hexed(DEMO["2.0.0"], algorithm)
    assert lock.pinned("npm:demo@1.0.0", wrong, right).digest == hexed(DEMO["1.0.0"])
    with pytest.raises(TargetError, match=r"demo@1\.0\.0 is not what the lockfile says") as error:
        lock.pinned("npm:demo@1.0.0", wrong)
    assert error.value.exit_code == 3


def test_npm_nothing_is_fetched_where_the_metadata_tell_it(lock: Pinning, registry: LoopbackRegistry) -> None:
    with pytest.raises(TargetError, match="is not what the lockfile says"):
        lock.pinned("npm:demo@1.0.0", hexed(b"another"))
    assert registry.asked == ["/demo"]


def test_npm_a_lockfiles_digest_serves_where_the_registry_has_none(lock: Pinning, registry: LoopbackRegistry) -> None:
    dist = {"tarball": f"{registry.url}demo/-/demo-1.0.0.tgz"}
    registry.put_json("/bare", {"versions": {"1.0.0": {"dist": dist}}})
    content = npm_package("bare", "1.0.0")
    registry.pages["/demo/-/demo-1.0.0.tgz"].body = content
    assert lock.pinned("npm:bare@1.0.0", hexed(content)).digest == hexed(content)
    with pytest.raises(TargetError, match="is not the file whose digest"):
        lock.pinned("npm:bare@1.0.0", hexed(b"another"))


def test_npm_old_metadata_serve_where_they_have_the_file_that_is_pinned(
    lock: Pinning, registry: LoopbackRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.pinned("npm:demo@1.0.0", hexed(DEMO["1.0.0"]))
    monkeypatch.setattr("sandbox.cache.TTL", -1.0)
    asked = list(registry.asked)
    assert lock.pinned("npm:demo@1.0.0", hexed(DEMO["1.0.0"])).version == "1.0.0"
    assert registry.asked == asked
    lock("npm:demo@1.0.0")  # not pinned: asked again
    with pytest.raises(TargetError):
        lock.pinned("npm:demo@1.0.0", hexed(b"another"))
    assert registry.asked == [*asked, "/demo", "/demo"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5"])
def test_pypi_the_file_is_one_of_those_that_are_pinned(lock: Pinning, algorithm: str) -> None:
    wheel_digest, sdist_digest = hexed(WHEEL, algorithm), hexed(SDIST, algorithm)
    both = lock.pinned("pypi:demo==1.1", sdist_digest, wheel_digest)
    assert (both.kind, both.spec) == ("wheel", "demo==1.1")
    assert lock.pinned("pypi:demo==1.1", wheel_digest).spec == "demo==1.1"
    with pytest.raises(TargetError, match="is not what the lockfile says") as error:
        lock.pinned("pypi:demo==1.1", hexed(b"another", algorithm))
    assert type(error.value) is TargetError


def test_pypi_pip_is_told_which_file_where_it_would_take_another(lock: Pinning, registry: LoopbackRegistry) -> None:
    artifact = lock.pinned("pypi:demo[x]==1.1", hexed(SDIST, "sha256"))
    assert artifact.kind == "sdist"
    url = f"{registry.url}files/demo-1.1.tar.gz#sha256={hashlib.sha256(SDIST).hexdigest()}"
    assert artifact.spec == f"demo[x] @ {url}"


def test_pypi_pinned_files_that_are_all_for_other_machines(lock: Pinning, registry: LoopbackRegistry) -> None:
    foreign = wheel("demo", "1.2")
    registry.pypi("demo", {"demo-1.2-cp311-cp311-win_amd64.whl": foreign, "demo-1.2.tar.gz": SDIST})
    with pytest.raises(UnfitError, match="among the files that the lockfile has"):
        lock.pinned("pypi:demo==1.2", hexed(foreign, "sha256"))
    registry.pypi("demo", {"demo-1.3-cp311-cp311-win_amd64.whl": foreign})
    lock.cache = Cache(lock.cache.root / "other")
    with pytest.raises(UnfitError, match="has neither a wheel for this machine"):
        lock.pinned("pypi:demo==1.3")


def test_pypi_an_old_page_serves_where_it_has_all_that_is_pinned(
    lock: Pinning, registry: LoopbackRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.pinned("pypi:demo==1.1", hexed(WHEEL, "sha256"))
    monkeypatch.setattr("sandbox.cache.TTL", -1.0)
    asked = list(registry.asked)
    lock.pinned("pypi:demo==1.1", hexed(WHEEL, "sha256"), hexed(SDIST, "sha256"))
    assert registry.asked == asked
    with pytest.raises(TargetError):
        lock.pinned("pypi:demo==1.1", hexed(b"another", "sha256"))
    assert registry.asked == [*asked, "/simple/demo/"]


def test_a_local_archive_is_checked_against_the_lockfile(lock: Pinning, tmp_path: Path) -> None:
    path = tmp_path / "demo.tgz"
    path.write_bytes(DEMO["1.0.0"])
    assert lock.pinned(str(path), hexed(DEMO["1.0.0"], "sha1")).version == "1.0.0"
    with pytest.raises(TargetError, match="is not what the lockfile says"):
        lock.pinned(str(path), hexed(DEMO["2.0.0"]))
