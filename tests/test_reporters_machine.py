"""Indicators and STIX: what they say of a recorded thief, and what they keep silent about."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import events
from sandbox.report import Report
from sandbox.reporters import Recordings, indicators, stix
from tests import report_samples as samples
from tests.recording import Story

THIEF, RECORDED = samples.thief()

# Indicators -------------------------------------------------------------------------------------------------


def rows(report: Report, recordings: Recordings | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(indicators.render(report, recordings=recordings))))


def values(report: Report, recordings: Recordings | None = None) -> set[tuple[str, str]]:
    return {(row["type"], row["value"]) for row in rows(report, recordings)}


def test_the_indicators_of_a_thief_come_from_the_events_that_its_evidence_names() -> None:
    assert values(THIEF, RECORDED) == {
        ("host", "collector.test"), ("url", "https://collector.test/in?run=1&x=%20"), ("address", "203.0.113.9"),
        ("file", "/home/dev/.cache/helper"), ("program", "/home/dev/.cache/helper --quiet"),
        ("technique", "T1041"), ("technique", "T1552.001"), ("technique", "T1095"), ("technique", "T1105"),
    }  # fmt: skip
    host = next(row for row in rows(THIEF, RECORDED) if row["type"] == "host")
    assert host["package"] == "pkg:npm/left-pod@1.0.0"
    assert (host["phase"], host["verdict"], host["confidence"]) == ("install", "malicious", "high")
    assert float(host["first_seen"]) == next(
        event.at for event in RECORDED[samples.RECORDING].events if isinstance(event, events.RequestSent) and event.body
    )


def test_what_the_gateway_made_up_is_no_indicator() -> None:
    found = {value for _, value in values(THIEF, RECORDED)}
    assert not any(value.startswith("10.") for value in found), "the addresses that our resolver gave"
    assert not any("registry.test" in value for value in found)


def test_without_a_recording_the_ways_out_tell() -> None:
    found = values(THIEF, {})
    assert {("host", "collector.test"), ("address", "203.0.113.9")} <= found
    assert not any(kind in ("url", "file", "program") for kind, _ in found)


def test_evidence_is_of_its_own_recording_only() -> None:
    other = Story(package="left-pod")
    for _ in range(30):
        other.add(events.NameLookedUp, at=77.0, name="innocent.test", kind="A")
    package = msgspec.structs.replace(THIEF.packages[0], recordings=("other.jsonl", samples.RECORDING))
    report = samples.report("malicious", package)
    assert values(report, {**RECORDED, "other.jsonl": other.recording()}) == values(THIEF, RECORDED)


def test_a_clean_package_gives_none() -> None:
    clean = samples.package("left-pod", "1.0.0", "clean", recordings=(samples.RECORDING,))
    assert rows(samples.report("clean", clean), RECORDED) == []


@pytest.mark.parametrize("answered_by", ["registry", "world", "profile"])
def test_a_host_that_others_use_rightly_is_no_indicator(answered_by: str) -> None:
    story = Story()
    url = "https://accounts.test/gists"
    story.add(events.RequestSent, connection=1, method="POST", url=url, headers=[], answered_by=answered_by)
    evidence = samples.finding().evidence[0]
    evidence = msgspec.structs.replace(evidence, at=0.0, phase="", line=2)
    found = (samples.finding(evidence=(evidence,), ways_out=(), attack=()),)
    report = samples.report("malicious", samples.package("x", "1.0.0", "malicious", findings=found, recordings=("r",)))
    assert values(report, {"r": story.recording()}) == (set() if answered_by == "registry" else {("url", url)})


def test_other_requests_on_the_connection_that_bait_left_by_are_no_indicators() -> None:
    story = Story()
    for url in ("https://mirror.test/before", "https://taker.test/in", "https://mirror.test/after"):
        story.add(events.RequestSent, connection=1, method="POST", url=url, headers=[])
        if "taker" in url:
            sent = {"decoy": "aws", "token": "key", "host": "taker.test", "where": "body"}
            story.add(events.DecoySent, connection=1, **sent)
    evidence = msgspec.structs.replace(samples.finding().evidence[0], at=0.002, phase="", line=4)
    found = (samples.finding(evidence=(evidence,), ways_out=(), attack=()),)
    report = samples.report("malicious", samples.package("x", "1.0.0", "malicious", findings=found, recordings=("r",)))
    assert values(report, {"r": story.recording()}) == {("host", "taker.test"), ("url", "https://taker.test/in")}


def test_the_same_indicator_stands_once_with_its_worst() -> None:
    low = samples.finding(verdict="suspicious", confidence="low", attack=("T1041",))
    both = samples.package("x", "1.0.0", "malicious", findings=(low, samples.finding(attack=("T1041",))))
    (row,) = [row for row in rows(samples.report("malicious", both)) if row["type"] == "technique"]
    assert (row["verdict"], row["confidence"]) == ("malicious", "high")


@given(texts=samples.hostile_texts())
@settings(max_examples=60, deadline=None)
def test_no_cell_is_a_formula(texts: list[str]) -> None:
    recording = samples.hostile_recording(texts)
    report = samples.with_evidence_of(samples.hostile(texts), recording)
    recordings = {path: recording for package in report.packages for path in package.recordings}
    text = indicators.render(report, recordings=recordings)
    for row in csv.reader(io.StringIO(text)):
        assert len(row) == len(indicators.COLUMNS)
        for cell in row:
            assert not cell.strip().startswith(("=", "+", "-", "@", "\t", "\r")), cell


@given(st.text(st.characters()) | st.sampled_from(samples.INJECTIONS))
@settings(deadline=None)
def test_a_cell_is_one_line_that_is_read_back(text: str) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow([indicators.cell(text), "end"])
    assert file.getvalue().count("\n") == 1
    assert next(csv.reader(io.StringIO(file.getvalue())))[1] == "end"


# STIX -------------------------------------------------------------------------------------------------------

IDENTIFIER = re.compile(
    r"(?P<type>[a-z0-9-]+)--[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
REQUIRED = {
    "identity": {"name"}, "malware": {"is_family"}, "attack-pattern": {"name"},
    "indicator": {"pattern", "pattern_type", "valid_from"},
    "observed-data": {"first_observed", "last_observed", "number_observed", "object_refs"},
    "relationship": {"relationship_type", "source_ref", "target_ref"},
    "report": {"name", "published", "object_refs"},
    "software": {"name"}, "file": {"hashes"}, "domain-name": {"value"}, "url": {"value"}, "ipv4-addr": {"value"},
    "ipv6-addr": {"value"},
}  # fmt: skip
OBSERVABLES = {
    "software": ("name", "cpe", "swid", "vendor", "version"), "file": ("hashes", "name", "parent_directory_ref"),
    "domain-name": ("value",), "url": ("value",), "ipv4-addr": ("value",), "ipv6-addr": ("value",),
}  # fmt: skip
"""Each observable, and the properties that make its identifier (STIX 2.1, section 6)."""

RELATIONS = {("indicator", "indicates", "malware"), ("indicator", "based-on", "observed-data"),
             ("malware", "uses", "attack-pattern")}  # fmt: skip
TERM = r"[a-z0-9-]+:[a-z_]+(?:\.(?:[a-z_]+|'[A-Z0-9-]+'))? = '(?:[^'\\]|\\['\\])*'"
PATTERN = re.compile(rf"\[{TERM}(?: AND {TERM})*\]")


def bundle(report: Report, recordings: Recordings | None = None) -> list[dict[str, Any]]:
    """The objects of a bundle, checked against what the standard asks for."""
    made = json.loads(stix.render(report, recordings=recordings))
    assert set(made) == {"type", "id", "objects"}
    assert made["type"] == "bundle"
    objects: list[dict[str, Any]] = made["objects"]
    known = [one["id"] for one in objects]
    assert len(set(known)) == len(known)
    for one in objects:
        match = IDENTIFIER.fullmatch(one["id"])
        assert match
        assert match["type"] == one["type"]
        assert one["spec_version"] == "2.1"
        assert set(one) >= REQUIRED[one["type"]]
        check_identifier(one)
        references = [value for key, value in one.items() if key.endswith("_ref")]
        references += [value for key, values in one.items() if key.endswith("_refs") for value in values]
        assert set(references) <= set(known)
        for key in {"created", "modified", "valid_from", "published", "first_observed", "last_observed"} & set(one):
            assert TIME.fullmatch(one[key])
        assert not any(value in ("", [], {}) for value in one.values())
        check_meaning(one)
    return objects


def check_identifier(one: dict[str, Any]) -> None:
    """An observable's identifier is made of what it is; another object's is in no reserved namespace."""
    if one["type"] in OBSERVABLES:
        contributing = {key: one[key] for key in OBSERVABLES[one["type"]] if key in one}
        canonical = json.dumps(contributing, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        unique = uuid5(UUID("00abedb4-aa42-466c-9c01-fed23315a9b7"), canonical)
        assert one["id"] == f"{one['type']}--{unique}"
        assert "created" not in one
    else:
        assert {"created", "modified"} <= set(one)


def check_meaning(one: dict[str, Any]) -> None:
    if one["type"] == "indicator":
        assert PATTERN.fullmatch(one["pattern"]), one["pattern"]
    elif one["type"] == "relationship":
        ends = (one["source_ref"].split("--")[0], one["relationship_type"], one["target_ref"].split("--")[0])
        assert ends in RELATIONS
    elif one["type"] == "observed-data":
        assert one["first_observed"] <= one["last_observed"]
    elif one["type"] == "url":
        assert re.fullmatch(r"[!-~]+", one["value"])


def of_type(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["type"] == kind]


def test_a_thief_is_malware_with_indicators_of_it() -> None:
    objects = bundle(THIEF, RECORDED)
    (malware,) = of_type(objects, "malware")
    assert malware["name"] == "npm:left-pod@1.0.0"
    assert malware["external_references"] == [{"source_name": "purl", "external_id": "pkg:npm/left-pod@1.0.0"}]
    assert {one["pattern"] for one in of_type(objects, "indicator")} == {
        f"[file:hashes.'SHA-512' = '{'0a' * 64}']", "[domain-name:value = 'collector.test']",
        "[url:value = 'https://collector.test/in?run=1&x=%20']", "[ipv4-addr:value = '203.0.113.9']",
        "[file:name = 'helper' AND file:parent_directory_ref.path = '/home/dev/.cache']",
        "[process:command_line = '/home/dev/.cache/helper --quiet']",
    }  # fmt: skip
    indicated = [one for one in of_type(objects, "relationship") if one["relationship_type"] == "indicates"]
    assert len(indicated) == len(of_type(objects, "indicator"))
    assert {one["name"] for one in of_type(objects, "attack-pattern")} == {"T1041", "T1552.001", "T1095", "T1105"}
    assert len(of_type(objects, "report")) == 1


def test_a_suspicious_package_is_not_called_malware() -> None:
    found = (samples.finding(verdict="suspicious"),)
    objects = bundle(samples.report("suspicious", samples.package("x", "1.0.0", "suspicious", findings=found)))
    assert of_type(objects, "malware") == []
    assert {tuple(one["indicator_types"]) for one in of_type(objects, "indicator")} == {("anomalous-activity",)}


def test_a_clean_or_unclear_package_is_not_in_the_bundle() -> None:
    for verdict in ("clean", "inconclusive"):
        objects = bundle(samples.report(verdict, samples.package("x", "1.0.0", verdict)))
        assert [one["type"] for one in objects] == ["identity"]


@given(texts=samples.hostile_texts())
@settings(max_examples=60, deadline=None)
def test_whatever_the_texts_are_the_bundle_is_valid(texts: list[str]) -> None:
    recording = samples.hostile_recording(texts)
    report = samples.with_evidence_of(samples.hostile(texts), recording)
    recordings = {path: recording for package in report.packages for path in package.recordings}
    assert bundle(report, recordings)


def test_quotes_do_not_end_a_pattern() -> None:
    story = Story()
    story.add(events.ProgramStarted, exe="/tmp/it's", argv=["x", "\\' OR [url:value = 'y"], cwd="/")
    evidence = msgspec.structs.replace(samples.finding().evidence[0], at=0.0, phase="", line=2)
    found = (samples.finding(evidence=(evidence,), ways_out=(), attack=()),)
    report = samples.report("malicious", samples.package("x", "1.0.0", "malicious", findings=found, recordings=("r",)))
    patterns = {one["pattern"] for one in of_type(bundle(report, {"r": story.recording()}), "indicator")}
    assert r"[process:command_line = '/tmp/it\'s \\\' OR [url:value = \'y']" in patterns
