"""What is built in is listed from the folders themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import discovery, listing
from sandbox.errors import UsageError
from sandbox.profiles import profile_folder


def test_every_rule_has_a_line_and_a_manual_page() -> None:
    found = discovery.load("rules", "RULE")
    lines = listing.rules().splitlines()
    assert [line.split()[0] for line in lines] == [*sorted(found), "digest_moved"]
    assert "other content than before" in listing.rules("digest_moved")
    for name, rule in found.items():
        page = listing.rules(name)
        assert page.startswith(f"{name}: {rule.title}\n")
        assert "What" in page


def test_every_decoy_has_a_line_and_shows_what_it_plants_but_no_token() -> None:
    found = discovery.load("decoys", "DECOY")
    assert [line.split()[0] for line in listing.decoys().splitlines()] == sorted(found)
    for name, decoy in found.items():
        assert decoy.summary in listing.decoys(name)
    assert "~/.aws/credentials" in listing.decoys("aws")


def test_every_profile_is_listed_and_shown_with_its_reasons(tmp_path: Path) -> None:
    (tmp_path / "packages" / "npm").mkdir(parents=True)
    (tmp_path / "packages" / "npm" / "tile-press.yaml").write_text(
        "about: a test\nexpect:\n- why: it asks for tiles\n  request: ['https://tiles.test/*']\n  phases: [install]\n"
        "  absent: true\n"
    )
    folders = [profile_folder(), tmp_path]
    names = [line.split()[0] for line in listing.profiles(folders).splitlines()]
    assert {"base", "npm", "pypi", "npm/tile-press"} <= set(names)
    page = listing.profiles(folders, "npm/tile-press")
    assert "why: it asks for tiles" in page
    assert "request: https://tiles.test/*" in page
    assert "phases: install" in page
    assert "absent: the guest is told that it is not there" in page
    assert listing.profiles(folders, "packages/npm/tile-press").count("why:") == 1


@pytest.mark.parametrize("kind", ["rule", "decoy"])
def test_what_is_not_there_is_a_usage_error_with_the_way_to_the_list(kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        getattr(listing, f"{kind}s")("nothing")
    assert str(caught.value) == f"there is no {kind} 'nothing'"
    assert caught.value.hint == f"`baitbox {kind}s` lists them"


def test_a_profile_that_is_not_there_too() -> None:
    with pytest.raises(UsageError, match="no profile"):
        listing.profiles([profile_folder()], "npm/nothing")


def test_the_overview_is_aligned() -> None:
    assert listing.overview({"a": "one", "long": "two"}) == "a     one\nlong  two"
    assert listing.overview({}) == ""
