"""How little of what a guest says goes on to its registries, and how much it may ask of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from loopback_registry import LoopbackRegistry

from sandbox.cache import Cache
from sandbox.gateway import registry as module
from sandbox.gateway.registry import Mirror
from sandbox.registries import Registries, Registry
from tests.registry_guest import (
    HOST,
    NPM_ACCEPT,
    Guest,
    a_pypi_guest,
    an_npm_guest,
    body,
    serving,
)

registry = pytest.fixture(serving)
npm, pypi = pytest.fixture(an_npm_guest), pytest.fixture(a_pypi_guest)


def test_nothing_of_the_guests_request_goes_on(npm: Guest) -> None:
    npm.get("/demo?token=planted", NPM_ACCEPT, Cookie="planted", **{"User-Agent": "planted", "X-A": "planted"})
    npm.get("/demo/-/demo-1.0.0.tgz?planted", "planted", Range="bytes=0-planted")
    assert len(npm.registry.asked) == 2
    assert "planted" not in repr(npm.registry.asked) + repr(npm.registry.headers)
    assert "of-the-guest" not in repr(npm.registry.headers)


def test_bait_in_a_name_is_refused(npm: Guest) -> None:
    npm.mirror = Mirror(npm.registry.registries(), Cache(npm.folder), "npm", refuse=lambda text: "ghp_" in text)
    for target in ("/ghp_secret", "/%67hp_secret", "/demo?x=ghp_secret", "/@ghp_secret%2fdemo"):
        assert npm.get(target) is None
    assert npm.registry.asked == []
    assert len(npm.mirror.refused) == 1
    assert "ghp_" not in npm.mirror.refused[0]
    assert npm.mirror.problems == []


def test_the_names_asked_for_are_bounded(npm: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES", 3)
    assert [npm.status(f"/{name}") for name in ("a", "b", "demo", "c", "demo", "a")] == [404, 404, 200, 0, 200, 404]
    assert npm.mirror.refused == ["more than 3 names of packages"]


def test_names_that_do_not_exist_are_bounded(npm: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MISSING", 2)
    assert [npm.status(f"/{name}") for name in ("a", "demo", "b", "c", "demo")] == [404, 200, 404, 0, 200]
    assert npm.mirror.problems == []


def test_the_files_asked_for_are_bounded(npm: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES", 1)
    assert npm.status("/demo/-/demo-1.0.0.tgz") == 200
    assert npm.status("/demo/-/demo-2.0.0.tgz") == 0
    assert npm.status("/demo/-/demo-1.0.0.tgz") == 200


def test_a_scope_is_asked_of_its_own_registry_only(registry: LoopbackRegistry, tmp_path: Path) -> None:
    public = Registry(ecosystem="npm", url=registry.url)
    private = Registry(ecosystem="npm", url=f"{registry.url}private/")
    settings = Registries(npm=public, npm_scopes={"@corp": private})
    registry.put_json("/private/@corp%2Fdemo", {"dist-tags": {}, "versions": {}})
    mirror = Mirror(settings, Cache(tmp_path), "npm")
    assert asyncio.run(mirror.answer("GET", HOST, "/@corp%2fdemo", [])) is None
    answer = asyncio.run(mirror.answer("GET", HOST, "/private/@corp%2fdemo", []))
    assert body(answer)
    assert registry.asked == ["/private/@corp%2Fdemo"]
