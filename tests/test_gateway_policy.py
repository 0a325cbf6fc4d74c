"""Who answers, in order; and what a stream is from its first bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bait import Bait, Endpoint
from sandbox.gateway import policy
from sandbox.gateway.policy import Policy, Question, RegistryAnswer, classify
from sandbox.gateway.world import World


class Registry:
    """Serves one host, and only GET."""

    def serves(self, host: str, port: int) -> bool:
        return (host, port) == ("registry.test", 443)

    async def answer(
        self, method: str, host: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> RegistryAnswer | None:
        assert host == "registry.test"
        return RegistryAnswer(200, (), target.encode(), artifact="sha512:00") if method == "GET" else None


WORLD = World([Bait("forge", endpoints=(Endpoint(("api.test", "registry.test", "192.0.2.9"), r"/-/whoami", b"dev"),))])


def ask(hosts: tuple[str, ...], target: str = "/", method: str = "GET", port: int = 443, address: str = "192.0.2.1",
        live: bool = False) -> policy.Reply:  # fmt: skip
    rules = Policy(WORLD, None if live else Registry(), Registry() if live else None)
    return asyncio.run(rules.answer(Question(method, target, (), hosts, address, port)))


def test_the_registry_comes_first() -> None:
    reply = ask(("registry.test",), "/-/whoami")
    assert (reply.answered_by, reply.body, reply.artifact) == ("registry", b"/-/whoami", "sha512:00")


def test_what_a_registry_does_not_serve_falls_to_the_world() -> None:
    reply = ask(("registry.test",), "/-/whoami", method="PUT")
    assert (reply.answered_by, reply.decoy) == ("world", "forge")
    assert ask(("registry.test",), "/left-pad", method="PUT").answered_by == "empty"


@pytest.mark.parametrize("hosts", [("evil.test", "registry.test"), ("registry.test", "evil.test")])
def test_names_that_differ_are_no_registry(hosts: tuple[str, ...]) -> None:
    assert ask(hosts).answered_by == "empty"
    assert Policy(WORLD, Registry()).shown_host(hosts, 443) == "evil.test"


def test_other_ports_are_no_registry() -> None:
    assert ask(("registry.test",), port=80).answered_by == "empty"


def test_a_profile_may_let_through() -> None:
    assert ask(("registry.test",), live=True).answered_by == "profile"


@pytest.mark.parametrize(
    ("hosts", "target", "method", "port", "status", "by"),
    [
        (("files.test",), "/thing/v1/a.tar.gz", "GET", 443, 404, "absent"),
        (("files.test",), "/thing/v1/a.tar.gz", "HEAD", 443, 404, "absent"),
        (("files.test",), "/thing/v1/a.tar.gz", "POST", 443, 200, "empty"),
        (("files.test",), "/thing/v1/a.tar.gz?x=y", "GET", 443, 200, "empty"),
        (("files.test",), "/other/v1/a.tar.gz", "GET", 443, 200, "empty"),
        (("files.test",), "/thing/v1/a.tar.gz", "GET", 80, 200, "empty"),
        (("evil.test",), "/thing/v1/a.tar.gz", "GET", 443, 200, "empty"),
        (("evil.test", "files.test"), "/thing/v1/a.tar.gz", "GET", 443, 200, "empty"),
        (("registry.test",), "/thing/v1/a.tar.gz", "GET", 443, 200, "registry"),
        (("api.test",), "/-/whoami", "GET", 443, 200, "world"),
    ],
)
def test_only_what_a_profile_calls_absent_is_not_found(
    hosts: tuple[str, ...], target: str, method: str, port: int, status: int, by: str
) -> None:
    absent = [f"https://{host}/{rest}" for host in ("files.test", "registry.test") for rest in ("thing/v*/*.tar.gz",)]
    rules = Policy(WORLD, Registry(), absent=[*absent, "https://api.test/**"])
    reply = asyncio.run(rules.answer(Question(method, target, (), hosts, "192.0.2.1", port)))
    assert (reply.status, reply.answered_by) == (status, by)


def test_the_world_knows_any_name_and_the_address() -> None:
    assert ask(("cdn.test", "api.test"), "/-/whoami").decoy == "forge"
    assert ask(("other.test",), "/-/whoami", address="192.0.2.9").decoy == "forge"
    assert ask(("other.test",), "/-/whoami").answered_by == "empty"


@pytest.mark.parametrize(("looked_up", "sni", "header", "expected"), [
    ("a.test", "a.test", "A.test:443", ("a.test",)),
    ("a.test", "", "", ("a.test",)),
    ("", "", "192.0.2.1", ("192.0.2.1",)),
    ("", "a.test", "a.test", ("192.0.2.1", "a.test")),
    ("a.test", "b.test", "c.test", ("a.test", "b.test", "c.test")),
    ("a.test", "a.test", "192.0.2.1", ("a.test",)),
])  # fmt: skip
def test_hosts(looked_up: str, sni: str, header: str, expected: tuple[str, ...]) -> None:
    assert policy.hosts(looked_up, sni, header, "192.0.2.1") == expected


@pytest.mark.parametrize(("port", "data", "waited", "kind"), [
    (80, b"", False, None), (80, b"", True, None),
    (80, b"G", False, None), (80, b"GET / HT", False, None), (80, b"GET / HTTP/1.1\r\n", False, "http"),
    (4444, b"POST http://a.test/ HTTP/1.0\n", False, "http"),
    (80, b"GET", True, "raw"), (80, b"GET /\r\n", False, "raw"), (80, b"PRI * HTTP/2.0\r\n\r\n", False, "raw"),
    (25, b"EHLO me\r\n", False, "raw"), (21, b"USER dev\r\n", False, "raw"), (9, b"\x00\x01", False, "raw"),
    (80, b"A" * 40, False, "raw"), (80, b"GET /" + b"a" * 80_000, False, "raw"),
    (443, b"\x16", False, None), (443, b"\x16\x03\x01\x00", False, None), (443, b"\x16\x03\x01\x00", True, "raw"),
    (443, b"\x16\x04", False, "raw"), (443, b"\x16\x03\x01\x00\x00", False, "raw"),
    (53, b"\x00", False, "dns"), (853, b"\x00\x1d", False, "dns"), (53, b"GET / HTTP/1.1\r\n", False, "http"),
])  # fmt: skip
def test_first_bytes(port: int, data: bytes, waited: bool, kind: policy.Kind | None) -> None:
    assert classify(port, data, waited) == kind


@given(st.sampled_from([53, 80, 443, 853]), st.binary(max_size=200))
def test_any_first_bytes(port: int, data: bytes) -> None:
    assert classify(port, data) in (None, "tls", "http", "dns", "raw")
    assert not data or classify(port, data, waited=True) is not None
