"""Indicators, STIX, HAR and allow-lists: what they say of a recorded thief, and what they keep silent about."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import events
from sandbox.report import Finding, PackageReport, Report
from sandbox.reporters import Recordings, allow_scripts, har, indicators, stix
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


# HAR --------------------------------------------------------------------------------------------------------


def log(report: Report, recordings: Recordings | None) -> dict[str, Any]:
    """An archive's log, checked against what HAR 1.2 asks for."""
    found: dict[str, Any] = json.loads(har.render(report, recordings=recordings))["log"]
    assert found["version"] == "1.2"
    assert {"creator", "pages", "entries", "comment", "_baitbox"} <= set(found)
    pages = {page["id"] for page in found["pages"]}
    for page in found["pages"]:
        assert {"startedDateTime", "id", "title", "pageTimings"} <= set(page)
    for entry in found["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
        assert TIME.fullmatch(entry["startedDateTime"])
        assert entry.get("pageref") in pages | {None}
        request, response = entry["request"], entry["response"]
        message = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
        assert {"method", "url", "queryString", *message} <= set(request)
        assert {"status", "statusText", "content", "redirectURL", *message} <= set(response)
        assert {"size", "mimeType"} <= set(response["content"])
        assert entry["time"] == sum(time for time in entry["timings"].values() if time >= 0)
        for pair in [*request["headers"], *request["queryString"]]:
            assert set(pair) == {"name", "value"}
    return found


def test_the_traffic_of_a_thief_is_archived() -> None:
    found = log(THIEF, RECORDED)
    registry, theft = found["entries"]
    assert registry["_baitbox"]["answeredBy"] == "registry"
    assert registry["_baitbox"]["role"] == "installer"
    assert theft["request"]["url"] == "https://collector.test/in?run=1&x=%20"
    assert theft["request"]["queryString"] == [{"name": "run", "value": "1"}, {"name": "x", "value": " "}]
    body = theft["request"]["postData"]
    assert base64.b64decode(body["text"]) == b"\x00\xffstolen"
    assert body["_encoding"] == "base64"
    assert body["comment"] == "the first 8 of 70000 bytes"
    about = theft["_baitbox"]
    assert (about["package"], about["phase"], about["purl"]) == ("left-pod", "install", "pkg:npm/left-pod@1.0.0")
    assert about["bait"] == [
        {"decoy": "aws", "token": "secret access key", "where": "body", "encodings": ["base64"]}
    ]  # fmt: skip
    assert registry["_baitbox"]["bait"] == []
    (raw,) = found["_baitbox"]["otherConnections"]
    assert raw["place"] == "203.0.113.9:4444"
    assert raw["data"] == [{"text": "hello\n"}]


def test_what_cannot_be_read_is_said() -> None:
    assert "cannot be read" in log(THIEF, {})["comment"]
    assert log(samples.GATE, {})["comment"].startswith("nothing was recorded of npm:is-odd")


@given(texts=samples.hostile_texts())
@settings(max_examples=40, deadline=None)
def test_any_traffic_can_be_archived(texts: list[str]) -> None:
    recording = samples.hostile_recording(texts)
    report = samples.hostile(texts)
    recordings = {path: recording for package in report.packages for path in package.recordings}
    found = log(report, recordings)
    assert len(found["entries"]) == len(recordings)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_a_body_is_read_back_byte_by_byte(data: bytes) -> None:
    story = Story()
    sent = {"method": "POST", "url": "https://x.test/", "headers": [], "body": data, "body_size": len(data) or 1}
    story.add(events.RequestSent, connection=1, **sent)
    report = samples.report("clean", samples.package("x", "1.0.0", "clean", recordings=("r",)))
    body = log(report, {"r": story.recording()})["entries"][0]["request"]["postData"]
    assert (base64.b64decode(body["text"]) if "_encoding" in body else body["text"].encode()) == data


def test_an_archive_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har, "MOST_ENTRIES", 3)
    monkeypatch.setattr(har, "MOST_BODIES", 150)
    story = Story()
    for _ in range(5):
        sent = {"method": "POST", "url": "https://x.test/", "headers": [], "body": b"x" * 100, "body_size": 100}
        story.add(events.RequestSent, connection=1, **sent)
    report = samples.report("clean", samples.package("x", "1.0.0", "clean", recordings=("r",)))
    found = log(report, {"r": story.recording()})
    assert len(found["entries"]) == 3
    assert [entry["request"]["postData"]["text"] for entry in found["entries"]] == ["x" * 100, "x" * 100, ""]
    assert found["comment"] == (
        "2 more requests and connections are left out; bodies after the first 150 bytes are left out"
    )


# Allow-lists ------------------------------------------------------------------------------------------------

KEPT = samples.RECORDING


def allowed(package: PackageReport, recording: events.Recording | None) -> tuple[list[str], dict[str, str]]:
    """The entries, which all three lists agree on, and who is left out and why."""
    recordings = {KEPT: recording} if recording is not None else {}
    made = json.loads(allow_scripts.render(samples.report(package.verdict, package), recordings=recordings))
    keys = made["onlyBuiltDependencies"]
    assert made["allowScripts"] == made["allowBuilds"] == dict.fromkeys(keys, True)
    assert sorted(made["evidence"]) == keys
    return keys, made["leftOut"]


def clean(name: str = "left-pod", version: str = "1.0.0", **fields: Any) -> PackageReport:
    return samples.package(name, version, "clean", recordings=(KEPT,), **fields)


def test_a_clean_package_whose_script_ran_gets_an_entry_with_evidence() -> None:
    made = json.loads(
        allow_scripts.render(samples.report("clean", clean()), recordings={KEPT: samples.honest()})
    )
    assert made["allowScripts"] == {"left-pod@1.0.0": True}
    evidence = made["evidence"]["left-pod@1.0.0"]
    assert evidence["digest"] == "sha512:" + "0a" * 64
    assert evidence["purl"] == "pkg:npm/left-pod@1.0.0"
    assert evidence["scripts"] == ["node x.js"]
    assert evidence["recordings"] == [KEPT]
    assert [phase["name"] for phase in evidence["phases"]] == ["install", "import:x"]


def test_a_scoped_package_keeps_its_name() -> None:
    assert allowed(clean("@acme/widget"), samples.honest("@acme/widget"))[0] == ["@acme/widget@1.0.0"]


def found(verdict: Any) -> tuple[Finding, ...]:
    return (samples.finding(verdict=verdict),)


@pytest.mark.parametrize(
    ("package", "recording", "why"),
    [
        (clean(), samples.honest(script=False), "no recording shows an install script of its own"),
        (clean(), samples.honest("other"), "no recording shows an install script of its own"),
        (clean(), None, "no recording is at hand that could tell its scripts from others"),
        (clean(digest=""), samples.honest(), "its digest is not known"),
        (clean(target="./left-pod-1.0.0.tgz"), samples.honest(), "not from a registry"),
        (clean(version="latest"), samples.honest(), "its name or version is none that an entry can hold"),
        (clean(version="1.0.0 || >=0"), samples.honest(), "its name or version is none that an entry can hold"),
        (clean(purl="pkg:pypi/left-pod@1.0.0"), samples.honest(), "not an npm package"),
        (clean(purl="left-pod"), samples.honest(), "it was not checked"),
        (clean(coverage=samples.coverage("something")), samples.honest(), "its verdict is clean"),
        *(
            (msgspec.structs.replace(clean(), verdict=verdict, findings=findings), samples.honest(), "its verdict is")
            for verdict, findings in (
                ("malicious", found("malicious")), ("suspicious", found("suspicious")), ("inconclusive", ()),
                ("clean", found("suspicious")),
            )
        ),
    ],
)  # fmt: skip
def test_there_is_no_entry_for_anything_else(
    package: PackageReport, recording: events.Recording | None, why: str
) -> None:
    keys, left_out = allowed(package, recording)
    assert keys == []
    (said,) = left_out.values()
    assert said.startswith(why)


def test_a_version_that_once_was_not_clean_has_no_entry() -> None:
    bad = msgspec.structs.replace(clean(), verdict="suspicious", findings=found("suspicious"))
    for packages in ((clean(), bad), (bad, clean())):
        made = json.loads(
            allow_scripts.render(samples.report("suspicious", *packages), recordings={KEPT: samples.honest()})
        )
        assert made["allowScripts"] == {}
        assert made["evidence"] == {}
        assert list(made["leftOut"]) == ["pkg:npm/left-pod@1.0.0"]


def test_two_versions_in_one_recording_are_not_told_apart() -> None:
    both = samples.report("clean", clean(), clean(version="2.0.0"))
    made = json.loads(allow_scripts.render(both, recordings={KEPT: samples.honest()}))
    assert made["allowScripts"] == {}
    assert len(made["leftOut"]) == 2


def test_a_script_of_another_phase_is_no_install_script() -> None:
    story = Story(package="left-pod")
    root = story.begin("run:left-pod", "run", ["/usr/bin/node", "x.js"])
    story.script(root, "left-pod")
    assert allowed(clean(), story.end(root).recording())[0] == []


@cache
def npm_matcher() -> str:
    """The module of the npm on this machine that reads `allowScripts`."""
    npm = shutil.which("npm")
    for folder in Path(npm).resolve().parents if npm else ():
        module = folder / "node_modules/@npmcli/arborist/lib/script-allowed.js"
        if module.is_file():
            return str(module)
    return ""


@pytest.mark.skipif(not shutil.which("node") or not npm_matcher(), reason="no npm here that knows allowScripts")
def test_npm_itself_reads_the_entries() -> None:
    keys, _ = allowed(clean("@acme/widget"), samples.honest("@acme/widget"))
    script = """
        const { isScriptAllowed } = require(process.argv[1]);
        const policy = Object.fromEntries(JSON.parse(process.argv[2]).map((key) => [key, true]));
        const url = 'https://registry.test/@acme/widget/-/widget-';
        const node = (version) => ({
            resolved: `${url}${version}.tgz`, isRegistryDependency: true, version, packageName: '@acme/widget',
            name: '@acme/widget',
        });
        console.log(JSON.stringify(['1.0.0', '1.0.1'].map((version) => isScriptAllowed(node(version), policy))));
    """
    command = ["node", "-e", script, npm_matcher(), json.dumps(keys)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [True, None], "this version, and no other"
