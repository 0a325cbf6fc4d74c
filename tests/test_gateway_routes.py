"""What the paths of registries ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.routes import Ask, address_key, below, file_key, npm_ask, pypi_ask
from sandbox.registries import Registry


@pytest.mark.parametrize(
    ("rest", "ask"),
    [
        ("demo", Ask("packument", "demo")),
        ("@scope/demo", Ask("packument", "@scope/demo")),
        ("demo/1.0.0", Ask("version", "demo", "1.0.0")),
        ("@scope/demo/latest", Ask("version", "@scope/demo", "latest")),
        ("demo/-/demo-1.0.0.tgz", Ask("tarball", "demo")),
        ("@scope/demo/-/demo-1.0.0.tgz", Ask("tarball", "@scope/demo")),
        ("-/package/@scope/demo/dist-tags", Ask("tags", "@scope/demo")),
        ("-/whoami", None),
        ("-/package/demo/collaborators", None),
        ("demo/-/demo-1.0.0.exe", None),
        ("demo/-rev/1-x", None),
        ("", None),
        ("/", None),
        ("demo/", None),
        ("@scope", None),
    ],
)
def test_npm_paths(rest: str, ask: Ask | None) -> None:
    assert npm_ask(rest) == ask


@pytest.mark.parametrize(
    ("rest", "ask"),
    [
        ("demo/", Ask("page", "demo")),
        ("Demo_Pkg", Ask("page", "demo-pkg")),
        ("", None),
        ("a/b/", None),
        ("a//", None),
        ("../x/", None),
    ],
)
def test_pypi_paths(rest: str, ask: Ask | None) -> None:
    assert pypi_ask(rest) == ask


def test_a_registry_below_a_path() -> None:
    registry = Registry(ecosystem="npm", url="https://art.test/api/npm/")
    assert below(registry, "art.test", "/api/npm/demo") == "demo"
    assert below(registry, "art.test", "/api/demo") is None
    assert below(registry, "other.test", "/api/npm/demo") is None


def test_addresses_are_compared_without_scheme_port_and_quoting() -> None:
    assert address_key("https://H.test:443/a%2Bb?x=%41#f") == file_key("h.test", "/a+b?x=A")


@given(st.text())
def test_only_valid_names_are_asked_for(rest: str) -> None:
    for ask in (npm_ask(rest), pypi_ask(rest)):
        assert ask is None or (ask.name.isascii() and ask.name.isprintable() and ".." not in ask.name.split("/"))
