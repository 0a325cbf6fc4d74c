"""The SARIF report: valid by the standard's schema, stable from run to run, and what GitHub's code scanning takes."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings

from sandbox.report import Finding, Note, Origin, PackageReport, Report
from sandbox.reporters import sarif
from tests import report_samples as samples

ROOT = Path(__file__).parent.parent
SCHEMA = "schemas/sarif-schema-2.1.0.json"


@cache
def validator() -> jsonschema.protocols.Validator:
    """Of the standard's own schema, which stands beside the checkout."""
    for folder in (ROOT.parent / "shared", ROOT.parent.parent / "shared"):
        if (folder / SCHEMA).is_file():
            schema = json.loads((folder / SCHEMA).read_text("utf-8"))
            return jsonschema.validators.validator_for(schema)(schema)
    if os.environ.get("BAITBOX_REQUIRE"):
        pytest.fail("the SARIF schema is not beside the checkout")
    pytest.skip("the SARIF schema is not beside the checkout")


def document(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sarif.render(report))
    return found


def run(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = document(report)["runs"][0]
    return found


def results(report: Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(report)["results"]
    return found


def one(verdict: Any, *origins: Origin, **fields: Any) -> Report:
    return samples.report(verdict, samples.package("left-pod", "1.0.0", verdict, *origins, **fields))


def test_the_gate_report_is_valid_by_the_schema() -> None:
    validator().validate(document(samples.GATE))


def test_the_schema_refuses_what_is_wrong() -> None:
    wrong = document(samples.GATE)
    wrong["runs"][0]["results"][0]["level"] = "bad"
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(wrong)


@given(texts=samples.hostile_texts())
@settings(max_examples=25, deadline=None)
def test_whatever_the_texts_are_it_is_valid(texts: list[str]) -> None:
    made = document(samples.hostile(texts))
    validator().validate(made)
    for location in re.findall(r'"uri": "([^"]*)"', json.dumps(made)):
        assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2}|file:///)*", location), location


def test_a_finding_is_a_result_at_the_line_that_brought_the_package_in() -> None:
    found = results(samples.GATE)
    first = found[0]
    assert (first["ruleId"], first["level"]) == ("decoy_sent", "error")
    physical = first["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": samples.LOCK, "uriBaseId": "SRCROOT"}
    assert physical["region"] == {"startLine": 12}
    assert first["properties"]["purl"] == "pkg:npm/left-pod@1.0.0"
    assert first["properties"]["digest"] == "sha512:" + "0a" * 64
    levels = {(result["ruleId"], result["level"]) for result in found}
    assert levels == {
        ("decoy_sent", "error"), ("unexpected_host", "warning"), ("long_sleep", "warning"),
        ("digest_moved", "warning"), ("inconclusive", "note"),
        ("inconclusive", "warning"), ("lockfile_note", "note"),
    }  # fmt: skip
    assert run(samples.GATE)["originalUriBaseIds"].keys() == {"SRCROOT"}


def test_each_result_names_its_rule_and_the_rules_are_described() -> None:
    made = run(samples.GATE)
    rules = made["tool"]["driver"]["rules"]
    for result in made["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    sent = next(rule for rule in rules if rule["id"] == "decoy_sent")
    assert sent["shortDescription"]["text"] == "sent planted secrets"
    assert "What to do: do not install the package" in sent["help"]["text"]
    assert {"T1041", "T1552.001"} <= set(sent["properties"]["tags"])
    assert float(sent["properties"]["security-severity"]) > 9
    assert sent["properties"]["precision"] == "high"
    moved = next(rule for rule in rules if rule["id"] == "digest_moved")
    assert moved["shortDescription"]["text"] == "the version is the same and its content is not"
    assert "What to do: find out who changed the lockfile" in moved["help"]["markdown"]


def test_a_target_without_a_lockfile_has_a_logical_location_only() -> None:
    (result,) = results(one("malicious", findings=(samples.finding(),)))
    (location,) = result["locations"]
    assert location.keys() == {"logicalLocations"}
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "pkg:npm/left-pod@1.0.0"


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b/ü#%.json", "a%20b/%C3%BC%23%25.json"), ("./x/../lock.json", "lock.json"),
        ("pkg:x?y", "pkg%3Ax%3Fy"), ("caf\udce9.lock", "caf%E9.lock"), ("/abs/a b", "file:///abs/a%20b"),
    ],
)  # fmt: skip
def test_a_file_is_a_percent_encoded_reference(file: str, uri: str) -> None:
    (result,) = results(one("inconclusive", Origin(file=file, line=2), coverage=samples.coverage("it was cut")))
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == uri
    assert ("uriBaseId" in location) == (not file.startswith("/"))


def test_a_line_that_is_not_known_is_the_first() -> None:
    (result,) = results(one("inconclusive", Origin(file="bun.lock"), coverage=samples.coverage("it was cut")))
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_nothing_but_clean_is_without_a_result() -> None:
    assert results(one("clean", Origin(file="x", line=1))) == []
    for verdict in ("malicious", "suspicious", "inconclusive"):
        (result,) = results(one(verdict, coverage=samples.coverage()))
        assert result["ruleId"] == verdict
        assert result["level"] == ("error" if verdict == "malicious" else "warning")


def test_what_was_missed_beside_a_finding_is_told_too() -> None:
    found = results(one("malicious", findings=(samples.finding(),), coverage=samples.coverage("the import was cut")))
    assert [(result["ruleId"], result["level"]) for result in found] == [
        ("decoy_sent", "error"), ("inconclusive", "note"),
    ]  # fmt: skip
    assert "the import was cut" in found[1]["message"]["text"]


def prints(report: Report) -> list[dict[str, str]]:
    return [result["partialFingerprints"] for result in results(report)]


def test_fingerprints_hold_nothing_that_differs_from_run_to_run() -> None:
    def at(seconds: float, title: str) -> Finding:
        evidence = msgspec.structs.replace(samples.finding().evidence[0], at=seconds, process=99, line=7)
        return samples.finding(title=title, evidence=(evidence,))

    first = one("malicious", Origin(file="x", line=3), findings=(at(1.5, "sent it"),))
    again = one("malicious", Origin(file="x", line=30), findings=(at(9.9, "sent it elsewhere"),))
    assert prints(first) == prints(again)
    assert re.fullmatch("[0-9a-f]{16}:1", prints(first)[0]["primaryLocationLineHash"])


def test_fingerprints_tell_results_apart() -> None:
    found = [tuple(one.items()) for one in prints(samples.GATE)]
    assert len(set(found)) == len(found)
    other = one("malicious", Origin(file="x", line=3), findings=(samples.finding(),))
    newer = samples.report(
        "malicious",
        samples.package("left-pod", "1.0.1", "malicious", Origin(file="x", line=3), findings=(samples.finding(),)),
    )
    assert prints(other) != prints(newer), "a dismissed alert must not hide the next version's"


def test_a_target_that_could_not_be_run_is_no_success() -> None:
    (invocation,) = run(samples.GATE)["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "npm has no package gone" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    assert run(one("malicious", findings=(samples.finding(),)))["invocations"][0]["executionSuccessful"] is True


def test_messages_hold_no_links_and_no_placeholders() -> None:
    hostile = samples.finding(title="[click](https://evil.test) {0}", evidence=())
    (result,) = results(one("malicious", findings=(hostile,)))
    assert "](" not in result["message"]["text"]
    assert "{{0}}" in result["message"]["text"]


def test_an_unknown_rule_is_described_from_its_finding() -> None:
    report = one("malicious", findings=(samples.finding(rule="of_tomorrow", title="did what nobody knew"),))
    (rule,) = run(report)["tool"]["driver"]["rules"]
    assert (rule["id"], rule["shortDescription"]["text"]) == ("of_tomorrow", "did what nobody knew")


def test_the_limits_of_code_scanning_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 3)
    tagged = samples.finding(attack=tuple(f"T{number}" for number in range(1000, 1030)))
    packages = [samples.package("clean", "1.0.0", "suspicious", findings=(samples.finding(verdict="suspicious"),))] * 4
    worst = samples.package("bad", "1.0.0", "malicious", findings=(tagged,))
    made = run(samples.report("malicious", *packages, worst, notes=(Note(text="x"),)))
    assert len(made["results"]) == 3
    assert made["results"][0]["properties"]["purl"] == "pkg:npm/bad@1.0.0", "the worst stand first"
    said = made["invocations"][0]["toolExecutionNotifications"][-1]["message"]["text"]
    assert said == "3 more results are left out"
    assert all(len(rule["properties"]["tags"]) <= 20 for rule in made["tool"]["driver"]["rules"])


def test_a_package_that_is_no_package_keeps_its_target() -> None:
    nothing = PackageReport(purl="", target="npm:x", digest="", verdict="inconclusive")
    (result,) = results(samples.report("inconclusive", nothing))
    assert result["locations"][0]["logicalLocations"][0]["name"] == "npm:x"
