"""HAR and STIX give dates: of the run, by the clock that its recording says; without one, since 1970."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from sandbox.events import Recording
from sandbox.reporters import har, stix
from sandbox.reporters._texts import moment
from tests import report_samples as samples

THIEF, RECORDED = samples.thief()
MAY = 1778487330.0
"""2026-05-11T08:15:30Z."""


def begun(at: float) -> dict[str, Recording]:
    """The thief's recordings, as if they had begun then."""
    return {
        name: Recording(msgspec.structs.replace(one.header, began=at), one.events) for name, one in RECORDED.items()
    }


def objects(recordings: dict[str, Recording]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stix.render(THIEF, recordings=recordings))["objects"]
    return found


def test_requests_are_dated_by_the_clock_of_the_run() -> None:
    log = json.loads(har.render(THIEF, recordings=begun(MAY)))["log"]
    dates = [entry["startedDateTime"] for part in ("pages", "entries") for entry in log[part]]
    dates += [one["startedDateTime"] for one in log["_baitbox"]["otherConnections"]]
    assert len(dates) > 2
    assert all(date.startswith("2026-05-11T08:15:") for date in dates), dates


def test_objects_are_dated_by_the_run_and_named_by_what_they_say() -> None:
    dated, undated = objects(begun(MAY)), objects(RECORDED)
    assert [one["id"] for one in dated] == [one["id"] for one in undated]
    kinds = {one["type"]: one for one in dated}
    assert kinds["indicator"]["created"] == kinds["indicator"]["valid_from"] == "2026-05-11T08:15:30.000Z"
    assert kinds["report"]["published"] == "2026-05-11T08:15:30.000Z"
    assert kinds["observed-data"]["first_observed"].startswith("2026-05-11T08:15:3")
    assert kinds["identity"]["created"] == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1.5, MAY, 1e11, 1e300, float("inf")])
def test_any_number_is_a_date(seconds: float) -> None:
    assert len(moment(seconds)) == len("1970-01-01T00:00:00.000Z")
    assert (seconds > 0) == (moment(seconds) > moment(0))
