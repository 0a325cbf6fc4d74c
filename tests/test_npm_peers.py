"""A main entry that wants an optional peer: it is tried once more, with the peers that npm does not install."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.ecosystems import npm
from sandbox.ecosystems._npm_peers import MOST_INSTALLED, wanted_specs
from sandbox.plan import Installed, Phase
from tests.npm_artifacts import PROJECT, TOOLS, artifact


def manifest(**peers: str) -> dict[str, Any]:
    return {
        "main": "x.js", "peerDependencies": peers,
        "peerDependenciesMeta": {name: {"optional": True} for name in peers},
    }  # fmt: skip


def planned(about: dict[str, Any], *files: str, installed: Installed | None = None) -> list[Phase]:
    item = artifact(about, files or ("x.js",))
    return npm.ECOSYSTEM.exercise(item, installed or Installed(), TOOLS, PROJECT, 60.0)[0]


def test_the_peers_are_installed_only_where_no_way_to_the_main_entry_worked() -> None:
    phases = {phase.name: phase for phase in planned(manifest(react=">=18", immer="^10 || ^11"))}
    peers, again = phases["install:peers"], phases["import:pkg (require, with optional peers)"]
    assert peers.argv[-3:] == ("--force", "react@>=18", "immer@^10 || ^11")
    assert (peers.kind, peers.required, peers.either, peers.fallback) == ("install", False, "", "import:pkg")
    assert (again.either, again.fallback, again.required) == ("import:pkg", "import:pkg", True)
    assert list(phases).index("install:peers") > list(phases).index("import:pkg (import, as in a page)")
    assert again.argv == phases["import:pkg (require)"].argv


def test_one_that_cannot_be_had_does_not_spoil_the_rest() -> None:
    phases = planned(manifest(react=">=18", gone="^3"))
    last = [phase for phase in phases if phase.name.startswith("install:peers ")]
    assert [phase.argv[-2:] for phase in last] == [("--force", "react@>=18"), ("--force", "gone@^3")]
    assert {phase.fallback for phase in last} == {"import:pkg"}
    again = next(phase for phase in phases if phase.name == "import:pkg (require, with some optional peers)")
    assert phases.index(again) > phases.index(last[-1]) > phases.index(last[0])
    assert not [phase for phase in planned(manifest(react=">=18")) if phase.name.startswith("install:peers ")]


def test_nothing_is_planned_where_they_are_there_or_there_are_none() -> None:
    there = Installed(listings={f"{PROJECT}/node_modules": (("react", True),)})
    assert not [phase for phase in planned(manifest(react="*"), installed=there) if "peers" in phase.name]
    assert not [phase for phase in planned({"main": "x.js"}) if "peers" in phase.name]
    assert not [phase for phase in planned({**manifest(react="*"), "main": "gone.js"}, "y.js") if "peers" in phase.name]


def test_only_ranges_are_told_and_not_too_many() -> None:
    many = {f"p{number}": "*" for number in range(40)}
    assert wanted_specs(manifest(**many), list(many)) == [f"p{number}@*" for number in range(MOST_INSTALLED)]
    odd = {"a": "file:/etc", "b": "git+ssh://x.test/y", "c": "", "d": "-rf", "e": "1.x - 2", "f": "npm:x@1"}
    assert wanted_specs(manifest(**odd), list(odd)) == ["a", "b", "c", "d", "e@1.x - 2", "f"]
    assert wanted_specs(manifest(**{"@types/react": "*"}), ["@types/react"]) == []
    assert wanted_specs({"peerDependencies": 7}, ["react"]) == ["react"]


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=20) | st.integers(), max_size=6))
def test_no_peer_is_an_option_or_an_address(peers: dict[str, Any]) -> None:
    for phase in planned({**manifest(), "peerDependencies": peers, "peerDependenciesMeta": {
        name: {"optional": True} for name in peers
    }}):  # fmt: skip
        if phase.name == "install:peers":
            words = phase.argv[phase.argv.index("--force") + 1 :]
            assert words
            assert not any(word.startswith("-") or ":" in word or "\x00" in word for word in words)


@pytest.mark.parametrize("peer", ["-g", "../x", "a b", "x:y"])
def test_what_is_no_name_is_none(peer: str) -> None:
    assert not [phase for phase in planned(manifest(**{peer: "*"})) if phase.name == "install:peers"]
