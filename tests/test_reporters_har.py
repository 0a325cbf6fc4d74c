"""HAR of a recorded thief: its traffic, byte by byte and within bounds."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import events
from sandbox.report import Report
from sandbox.reporters import Recordings, har
from tests import report_samples as samples
from tests.recording import Story

THIEF, RECORDED = samples.thief()


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
        assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
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
