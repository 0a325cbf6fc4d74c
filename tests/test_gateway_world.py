"""The fake world answers for its decoys, and says nothing plausibly for everyone else."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bait import Bait, Endpoint
from sandbox.gateway.world import World, nothing

WORLD = World([
    Bait("cloud", endpoints=(
        Endpoint(("169.254.169.254", "metadata.corp.test"), r"/latest/.*", b"role", method="GET"),
        Endpoint(("169.254.169.254",), r"/latest/api/token", b"token", method="PUT", headers=(("X-Ttl", "60"),)),
        Endpoint(("fd00:ec2::254",), r"/", b"six"),
    )),
    Bait("forge", endpoints=(
        Endpoint(("api.forge.test",), r"/user", b'{"login":"dev"}'),
        Endpoint(("api.forge.test",), r"/", b"{}", telling=False, status=404, ports=(8443,)),
    )),
])  # fmt: skip


def ask(host: str, method: str, target: str, port: int = 80, accept: str = "*/*") -> tuple[int, bytes, str]:
    answer = WORLD.answer(host, port, method, target, [("Accept", accept)])
    return answer.status, answer.body, answer.decoy


@pytest.mark.parametrize(("host", "method", "target", "body"), [
    ("169.254.169.254", "GET", "/latest/meta-data/?x=1", b"role"),
    ("METADATA.corp.test.", "GET", "/latest/", b"role"),
    ("metadata.corp.test", "HEAD", "/latest/", b"role"),
    ("169.254.169.254", "PUT", "/latest/api/token", b"token"),
    ("::ffff:169.254.169.254", "GET", "/latest/", b"role"),
    ("[fd00:0ec2::0254]", "POST", "/", b"six"),
])  # fmt: skip
def test_telling_endpoints(host: str, method: str, target: str, body: bytes) -> None:
    assert ask(host, method, target) == (200, body, "cloud")


def test_small_talk_and_ports() -> None:
    assert ask("api.forge.test", "GET", "/", 8443) == (404, b"{}", "")
    assert ask("api.forge.test", "GET", "/", 80)[0] == 200
    assert ask("api.forge.test", "DELETE", "/user")[2] == "forge"


def test_endpoint_headers() -> None:
    answer = WORLD.endpoint("169.254.169.254", 80, "PUT", "/latest/api/token")
    assert answer is not None
    assert answer.headers == (("Content-Type", "application/json"), ("X-Ttl", "60"))
    assert WORLD.endpoint("169.254.169.254", 80, "POST", "/latest/api/token") is None


@pytest.mark.parametrize(("method", "target", "accept", "status", "body"), [
    ("GET", "/", "*/*", 200, b"{}"),
    ("GET", "/", "application/json, text/plain", 200, b"{}"),
    ("GET", "/", "text/plain", 200, b""),
    ("POST", "/collect", "*/*", 200, b'{"ok":true}'),
    ("PUT", "/x", "*/*", 200, b"{}"),
    ("OPTIONS", "/x", "*/*", 204, b""),
    ("GET", "/install.sh?a=b", "*/*", 200, b"#!/bin/sh\nexit 0\n"),
])  # fmt: skip
def test_nothing(method: str, target: str, accept: str, status: int, body: bytes) -> None:
    assert ask("unknown.test", method, target, accept=accept) == (status, body, "")


def test_a_page_for_browsers() -> None:
    assert b"<html>" in nothing("GET", "/", [("accept", "text/html,application/xhtml+xml")]).body


def test_empty_archives_can_be_opened() -> None:
    assert zipfile.ZipFile(io.BytesIO(nothing("GET", "/a.zip", []).body)).namelist() == []
    body = nothing("GET", "/a.tar.gz", []).body
    assert gzip.decompress(body) == bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == []


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_any_text(host: str, target: str, accept: str) -> None:
    assert WORLD.answer(host, 80, "GET", target, [("accept", accept)]).status in (200, 404)
