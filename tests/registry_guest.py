"""A mirror asked as a guest asks it, in front of a registry on the loopback.

`serving`, `an_npm_guest` and `a_pypi_guest` are for `pytest.fixture`, by the names `registry`, `npm` and `pypi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from loopback_registry import JSON, LoopbackRegistry, npm_package, running, sdist, wheel

from sandbox.cache import Cache
from sandbox.gateway.policy import RegistryAnswer
from sandbox.gateway.registry import Mirror
from sandbox.upstream import Upstream

HOST = "127.0.0.1"
DEMO = npm_package("demo", "1.0.0")
SCOPED = npm_package("@scope/demo", "1.0.0")
LARGE = b"x" * (300 * 1024)
WHEEL, SDIST = wheel("demo", "1.0"), sdist("demo", "1.0")
NPM_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
PIP_ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"


def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackRegistry]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(Upstream.__init__, "__defaults__", (None, 0.01))
    with running() as server:
        server.npm("demo", {"1.0.0": DEMO, "2.0.0": LARGE}, latest="1.0.0", next="2.0.0")
        server.npm("@scope/demo", {"1.0.0": SCOPED}, latest="1.0.0")
        server.pypi("demo", {"demo-1.0-py3-none-any.whl": WHEEL, "demo-1.0.tar.gz": SDIST})
        yield server


class Guest:
    """Asks a mirror as a guest would; every call is a run of its own event loop unless given together."""

    def __init__(self, registry: LoopbackRegistry, folder: Path, ecosystem: Literal["npm", "pypi"]) -> None:
        self.registry, self.folder = registry, folder
        self.mirror = Mirror(registry.registries(token="Bearer s3cret"), Cache(folder), ecosystem)

    def again(self) -> Guest:
        """Another run with the same cache."""
        return Guest(self.registry, self.folder, self.mirror._ecosystem)

    def get(self, target: str, accept: str = "*/*", **more: str) -> RegistryAnswer | None:
        headers = [("Accept", accept), ("Authorization", "Bearer of-the-guest"), *more.items()]
        return asyncio.run(self.mirror.answer("GET", HOST, target, headers))

    def status(self, target: str, accept: str = "*/*") -> int:
        found = self.get(target, accept)
        return 0 if found is None else found.status


def an_npm_guest(registry: LoopbackRegistry, tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(registry, tmp_path / "cache", "npm")
    yield guest
    guest.mirror.close()


def a_pypi_guest(registry: LoopbackRegistry, tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(registry, tmp_path / "cache", "pypi")
    yield guest
    guest.mirror.close()


def body(answer: RegistryAnswer | None) -> bytes:
    assert answer is not None
    assert answer.status == 200
    return answer.body if isinstance(answer.body, bytes) else answer.body.read_bytes()


def header(answer: RegistryAnswer | None, name: str) -> str:
    assert answer is not None
    return dict(answer.headers).get(name, "")
