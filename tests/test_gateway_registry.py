"""What a guest gets of its registries, and how little of what it says goes on."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback_registry import JSON, Page, npm_package

from sandbox import upstream
from sandbox.cache import Cache
from sandbox.gateway import registry as module
from sandbox.gateway.policy import RegistryAnswer, RegistryAnswerer
from sandbox.gateway.registry import Mirror
from sandbox.registries import Registries, Registry
from tests.registry_guest import (
    DEMO,
    HOST,
    LARGE,
    NPM_ACCEPT,
    PIP_ACCEPT,
    SCOPED,
    SDIST,
    WHEEL,
    Guest,
    a_pypi_guest,
    an_npm_guest,
    body,
    header,
    serving,
)

registry = pytest.fixture(serving)
npm, pypi = pytest.fixture(an_npm_guest), pytest.fixture(a_pypi_guest)


def test_it_is_what_the_gateway_wants(npm: Guest) -> None:
    answerer: RegistryAnswerer = npm.mirror
    assert answerer.serves(HOST, npm.registry.port)
    assert not answerer.serves(HOST, 1)
    assert not answerer.serves("registry.test", npm.registry.port)
    assert npm.mirror.hosts == [HOST]


@pytest.mark.parametrize(
    ("target", "upstream"),
    [
        ("/demo", "/demo"),
        ("/demo?write=true", "/demo"),
        ("/@scope%2fdemo", "/@scope%2Fdemo"),
        ("/@scope%2Fdemo", "/@scope%2Fdemo"),
        ("/@scope/demo", "/@scope%2Fdemo"),
        ("/%64emo", "/demo"),
    ],
)
def test_npm_metadata(npm: Guest, target: str, upstream: str) -> None:
    assert json.loads(body(npm.get(target, NPM_ACCEPT)))["dist-tags"]["latest"] == "1.0.0"
    assert npm.registry.asked == [upstream]
    assert npm.registry.headers[0]["accept"].startswith("application/vnd.npm.install-v1+json")
    assert npm.registry.headers[0]["authorization"] == "Bearer s3cret"


def test_full_metadata_are_another_document(npm: Guest) -> None:
    body(npm.get("/demo", NPM_ACCEPT))
    body(npm.get("/demo", "application/json"))
    assert [headers["accept"] for headers in npm.registry.headers] == [module.PACKUMENT_TYPES, "application/json"]


def test_metadata_stay_compressed_where_the_guest_takes_that(npm: Guest) -> None:
    npm.registry.pages["/demo"].compressed = True
    answer = npm.get("/demo", NPM_ACCEPT, **{"Accept-Encoding": "gzip, br"})
    assert header(answer, "content-encoding") == "gzip"
    plain = npm.get("/demo", NPM_ACCEPT)
    assert header(plain, "content-encoding") == ""
    assert gzip.decompress(body(answer)) == body(plain)
    assert len(npm.registry.asked) == 1


def test_parts_of_metadata_are_taken_from_the_whole(npm: Guest) -> None:
    assert json.loads(body(npm.get("/-/package/demo/dist-tags"))) == {"latest": "1.0.0", "next": "2.0.0"}
    assert json.loads(body(npm.get("/demo/latest")))["version"] == "1.0.0"
    assert json.loads(body(npm.get("/demo/2.0.0")))["version"] == "2.0.0"
    assert npm.status("/demo/9.9.9") == 404
    assert json.loads(body(npm.get("/@scope%2fdemo/latest")))["version"] == "1.0.0"
    assert set(npm.registry.asked) == {"/demo", "/@scope%2Fdemo"}


def test_an_npm_package_file_is_checked(npm: Guest) -> None:
    answer = npm.get("/demo/-/demo-1.0.0.tgz")
    assert body(answer) == DEMO
    digest = f"sha512:{hashlib.sha512(DEMO).hexdigest()}"
    assert answer is not None
    assert answer.artifact == digest
    assert npm.mirror.served == {digest: f"{npm.registry.url}demo/-/demo-1.0.0.tgz"}
    large = npm.get("/demo/-/demo-2.0.0.tgz")
    assert large is not None
    assert isinstance(large.body, Path)
    assert body(large) == LARGE
    assert body(npm.get("/@scope/demo/-/demo-1.0.0.tgz")) == SCOPED
    assert npm.mirror.problems == []


def test_another_run_needs_no_metadata_for_a_file(npm: Guest) -> None:
    body(npm.get("/demo/-/demo-1.0.0.tgz"))
    asked = len(npm.registry.asked)
    guest = npm.again()
    answer = guest.get("/demo/-/demo-1.0.0.tgz?x=y")
    assert body(answer) == DEMO
    assert list(guest.mirror.served.values()) == [f"{npm.registry.url}demo/-/demo-1.0.0.tgz"]
    assert len(npm.registry.asked) == asked
    for path in (npm.folder / "blobs").rglob("*/*/*"):
        path.unlink()
    assert body(npm.again().get("/demo/-/demo-1.0.0.tgz")) == DEMO
    assert len(npm.registry.asked) == asked + 1


def test_only_files_that_metadata_name_are_fetched(npm: Guest) -> None:
    npm.registry.pages["/demo/-/secret.tgz"] = Page(b"x")
    assert npm.status("/demo/-/secret.tgz") == 404
    assert npm.status("/demo/-/demo-1.0.0.tgz?secret=1") == 200
    assert all("secret" not in path for path in npm.registry.asked)


def test_files_on_another_host_are_learnt(npm: Guest) -> None:
    metadata = npm.registry.npm("far", {"1.0.0": DEMO}, latest="1.0.0")
    there = f"http://localhost:{npm.registry.port}/cdn/far.bin?v=1"
    metadata["versions"]["1.0.0"]["dist"]["tarball"] = there  # type: ignore[index]
    npm.registry.put_json("/far", metadata)
    npm.registry.pages["/cdn/far.bin?v=1"] = Page(DEMO)
    assert not npm.mirror.serves("localhost", npm.registry.port)
    body(npm.get("/far", NPM_ACCEPT))
    assert npm.mirror.serves("localhost", npm.registry.port)
    answer = asyncio.run(npm.mirror.answer("GET", "localhost", "/cdn/far.bin?v=1", []))
    assert body(answer) == DEMO
    assert asyncio.run(npm.mirror.answer("GET", "localhost", "/cdn/far.bin?v=2", [])) is None
    primed = npm.again().mirror
    primed.prime("far")
    assert primed.hosts == [HOST, "localhost"]


def test_the_originals_address_works_below_the_registry(npm: Guest) -> None:
    metadata = npm.registry.npm("far", {"1.0.0": DEMO}, latest="1.0.0")
    metadata["versions"]["1.0.0"]["dist"]["tarball"] = "https://original.test/far/-/far-1.0.0.tgz"  # type: ignore[index]
    npm.registry.put_json("/far", metadata)
    assert body(npm.get("/far/-/far-1.0.0.tgz")) == DEMO


@pytest.mark.parametrize("accept", [PIP_ACCEPT, "text/html", "*/*"])
def test_a_pypi_project(pypi: Guest, accept: str) -> None:
    links = "".join(
        f'<a href="../../files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
        for name, content in (("demo-1.0-py3-none-any.whl", WHEEL), ("demo-1.0.tar.gz", SDIST))
    )
    if accept != PIP_ACCEPT:
        pypi.registry.pages["/simple/demo/"] = Page(links.encode(), "text/html")
    answer = pypi.get("/simple/Demo/", accept)
    assert b"demo-1.0.tar.gz" in body(answer)
    assert header(answer, "content-type") == (JSON if accept == PIP_ACCEPT else "text/html")
    assert body(pypi.get("/files/demo-1.0-py3-none-any.whl")) == WHEEL
    file = pypi.get("/files/demo%2d1.0.tar.gz")
    assert body(file) == SDIST
    assert file is not None
    assert file.artifact == f"sha256:{hashlib.sha256(SDIST).hexdigest()}"
    assert pypi.registry.asked[0] == "/simple/demo/"


def test_metadata_apart_from_the_file_are_checked(pypi: Guest) -> None:
    metadata = b"Name: demo\nVersion: 1.0\n"
    for said, status in (
        ({"sha256": hashlib.sha256(metadata).hexdigest()}, 200),
        (True, 200),
        ({"sha256": "0" * 64}, 403),
    ):
        pypi.registry.pypi("demo", {"demo-1.0-py3-none-any.whl": WHEEL}, **{"core-metadata": said})
        pypi.registry.pages["/files/demo-1.0-py3-none-any.whl.metadata"] = Page(metadata)
        guest = Guest(pypi.registry, pypi.folder / str(status) / str(said)[:5], "pypi")
        body(guest.get("/simple/demo/", PIP_ACCEPT))
        answer = guest.get("/files/demo-1.0-py3-none-any.whl.metadata")
        assert answer is not None
        assert (answer.status, answer.artifact) == (status, "")
        assert guest.mirror.served == {}
        assert len(guest.mirror.problems) == (status == 403)


def test_a_file_needs_its_page_first(pypi: Guest) -> None:
    assert pypi.get("/files/demo-1.0.tar.gz") is None
    assert pypi.registry.asked == []


def test_a_file_without_a_digest_is_not_served(pypi: Guest) -> None:
    pypi.registry.pypi("demo", {"demo-1.0.tar.gz": SDIST}, hashes={})
    body(pypi.get("/simple/demo/", PIP_ACCEPT))
    assert pypi.status("/files/demo-1.0.tar.gz") == 403
    assert "publishes no digest" in pypi.mirror.problems[0]


def test_what_is_too_large_is_no_failure_of_the_registry(pypi: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    body(pypi.get("/simple/demo/", PIP_ACCEPT))
    monkeypatch.setattr(upstream, "LARGEST_FILE", len(WHEEL) - 1)
    assert pypi.status("/files/demo-1.0-py3-none-any.whl") == 403
    assert pypi.mirror.problems == []
    assert "demo-1.0-py3-none-any.whl" in pypi.mirror.too_large[0]


def test_the_known_hosts_of_files_are_served_from_the_start(tmp_path: Path) -> None:
    index = Registry(ecosystem="pypi", url="https://index.test/simple/", file_hosts=("files.test",))
    mirror = Mirror(Registries(pypi=(index,)), Cache(tmp_path), "pypi")
    assert mirror.hosts == ["files.test", "index.test"]
    assert mirror.serves("Files.Test", 443)
    assert not mirror.serves("files.test", 80)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("PUT", "/demo"),
        ("POST", "/demo"),
        ("DELETE", "/demo"),
        ("get", "/demo"),
        ("GET", "/-/whoami"),
        ("GET", "/-/npm/v1/tokens"),
        ("GET", "/-/v1/search?text=x"),
        ("PUT", "/-/npm/v1/security/advisories/bulk"),
        ("GET", "/-/ping"),
        ("GET", "/"),
        ("GET", "//demo"),
        ("GET", "/.."),
        ("GET", "/../demo"),
        ("GET", "/demo/../x"),
        ("GET", "/%2e%2e/x"),
        ("GET", "/demo%00"),
        ("GET", "/demo%0d%0aHost:%20x"),
        ("GET", "/demo/x/y"),
        ("GET", "/" + "a" * 215),
        ("GET", "/-/package/../dist-tags"),
        ("GET", "/demo/-/../../x.tgz"),
        ("GET", "http://127.0.0.1/demo"),
        ("GET", "*"),
        ("GET", "/demo/-/" + "a" * 5000 + ".tgz"),
    ],
)
def test_everything_else_is_not_ours_and_goes_nowhere(npm: Guest, method: str, target: str) -> None:
    answer = asyncio.run(npm.mirror.answer(method, HOST, target, []))
    assert answer is None or answer.status == 404
    assert all(path == "/demo" for path in npm.registry.asked)


def test_what_is_installed_is_told_to_nobody_and_npm_goes_on(npm: Guest) -> None:
    answer = asyncio.run(npm.mirror.answer("POST", HOST, "/-/npm/v1/security/advisories/bulk", []))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"{}")
    assert npm.registry.asked == []


def test_another_host_is_not_ours(npm: Guest) -> None:
    assert asyncio.run(npm.mirror.answer("GET", "other.test", "/demo", [])) is None
    assert npm.registry.asked == []


@pytest.mark.parametrize("faults", [[500] * 3, [401], [403], ["cut"] * 3])
def test_an_upstream_failure_is_told_apart(npm: Guest, faults: list[int | str]) -> None:
    npm.registry.pages["/demo"].faults = list(faults)
    assert npm.status("/demo") == 403
    assert len(npm.mirror.problems) == 1
    assert npm.status("/nothing") == 404
    assert len(npm.mirror.problems) == 1


def test_a_damaged_file_is_told(npm: Guest) -> None:
    npm.registry.pages["/demo/-/demo-1.0.0.tgz"].body = b"other"
    assert npm.status("/demo/-/demo-1.0.0.tgz") == 403
    assert "is not the file whose digest" in npm.mirror.problems[0]
    assert npm.mirror.served == {}


def test_damaged_metadata_are_told(npm: Guest) -> None:
    npm.registry.put_json("/demo", ["no"])
    assert npm.status("/demo/-/demo-1.0.0.tgz") == 403
    assert npm.status("/demo/latest") == 403
    assert npm.mirror.problems


def test_a_guest_without_registries_is_served_nothing(tmp_path: Path) -> None:
    mirror = Mirror(Registries(), Cache(tmp_path), "npm")
    assert mirror.hosts == []
    mirror.prime("demo")
    assert asyncio.run(mirror.answer("GET", HOST, "/demo", [])) is None


def test_equal_requests_are_one(npm: Guest) -> None:
    release, reply = threading.Event(), npm.registry.reply

    def slow(handler: object) -> None:
        release.wait(5)
        reply(handler)  # type: ignore[arg-type]

    npm.registry.reply = slow  # type: ignore[method-assign]

    async def many() -> list[RegistryAnswer | None]:
        asks = [npm.mirror.answer("GET", HOST, "/demo", []) for _ in range(50)]
        tasks = [asyncio.ensure_future(ask) for ask in asks]
        await asyncio.sleep(0.2)
        tasks[0].cancel()
        release.set()
        return await asyncio.gather(*tasks[1:])

    assert len({body(answer) for answer in asyncio.run(many())}) == 1
    assert npm.registry.asked == ["/demo"]


def test_after_closing_only_the_cache_answers(npm: Guest) -> None:
    body(npm.get("/demo", NPM_ACCEPT))
    npm.mirror.close()
    assert npm.status("/demo", NPM_ACCEPT) == 200
    assert npm.status("/@scope/demo") == 403


def test_a_warm_cache_answers_fast(npm: Guest) -> None:
    for number in range(170):
        name = f"pkg-{number}"
        npm.registry.npm(name, {"1.0.0": npm_package(name, "1.0.0")}, latest="1.0.0")
    targets = [f"/pkg-{number}/-/pkg-{number}-1.0.0.tgz" for number in range(170)]

    async def install(mirror: Mirror) -> float:
        started = time.process_time()
        for target in targets:
            assert await mirror.answer("GET", HOST, target, [("accept", "*/*")]) is not None
        return time.process_time() - started

    asyncio.run(install(npm.mirror))
    spent = min(asyncio.run(install(npm.again().mirror)) for _ in range(3))
    assert spent / 170 < 0.002  # 0.2 ms alone; generous for a busy machine


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(target=st.text() | st.builds("/{}".format, st.text()) | st.binary().map(lambda b: "/" + b.decode("latin-1")))
def test_no_target_is_too_strange(npm: Guest, pypi: Guest, target: str) -> None:
    for guest in (npm, pypi):
        guest.mirror.close()  # nothing is fetched: this is about reading the request
        answer = guest.get(target)
        assert answer is None or answer.status in (404, 403)
