"""What is new and what is known beside the version before the change, in every format that a person or a CI reads."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from test_reporters_sarif import validator

from sandbox import discovery
from sandbox.reporters import Reporter
from tests import report_samples as samples

REPORTERS: dict[str, Reporter] = discovery.load("reporters", "REPORTER")
TOLD = ("terminal", "markdown", "junit", "github", "html", "sarif")
KNOWN = "known: the version before did the same, which excuses nothing"


def words(name: str, **changes: Any) -> str:
    """A format's text of the sample, without its markup and its line ends."""
    text = REPORTERS[name].render(msgspec.structs.replace(samples.COMPARED, **changes))
    return " ".join(re.sub(r"<[^>]*>|`|%0A", " ", text).split())


@pytest.mark.parametrize("name", TOLD)
def test_a_finding_says_whether_it_is_known_and_that_this_excuses_no_malice(name: str) -> None:
    text = words(name).lower()
    assert KNOWN in text
    assert "known: the version before did the same" in text
    assert "new: the version before did not do the same" in text
    assert "compared with 1.0.0 (malicious, run at 2026-11-24t03:00:00z): findings: 1 new, 2 known" in text
    assert "not compared with 1.9.0, so nothing is called known: registry.test has no version 1.9.0" in text


@pytest.mark.parametrize("name", [one for one in TOLD if one != "github"])
def test_what_is_new_is_listed_and_what_was_not_seen_is_said(name: str) -> None:
    text = words(name)
    for said in (
        "new behaviour: send ssh body collector.test, by left-pod, in import", "and 3 more that are new",
        "not seen of 1.0.0, so what is called new may not be: the phase import:x did not run",
        "new behaviour: run ./helper --quiet, by half-pod, in install",
    ):  # fmt: skip
        assert said in text


@pytest.mark.parametrize("name", TOLD)
def test_where_nothing_was_compared_nothing_is_said(name: str) -> None:
    plain = tuple(
        msgspec.structs.replace(
            one, previous=None, findings=tuple(msgspec.structs.replace(f, novelty="") for f in one.findings)
        )
        for one in samples.COMPARED.packages
    )
    text = words(name, packages=plain)
    assert "the version before" not in text
    assert "compared with" not in text
    assert "novelty" not in text
    assert "baselineState" not in text


def test_code_scanning_hides_what_is_unchanged_so_malice_never_is() -> None:
    made = json.loads(REPORTERS["sarif"].render(samples.COMPARED))
    validator().validate(made)
    results = made["runs"][0]["results"]
    told = [(one["properties"].get("novelty"), one["level"], one.get("baselineState")) for one in results]
    assert told == [
        ("known", "error", None), ("new", "error", "new"), ("known", "warning", "unchanged"),
        (None, "warning", None), (None, "warning", None),
    ]  # fmt: skip
    plain = json.loads(REPORTERS["sarif"].render(samples.COMPARED).replace('"unchanged"', '"as before"'))
    assert list(validator().iter_errors(plain))
