"""The result document: the worst verdict counts, and its JSON form is the contract."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest

from sandbox import report


def package(verdict: report.Verdict = "clean", **fields: object) -> report.PackageReport:
    return report.PackageReport(
        purl="pkg:npm/left-pad@1.3.0", target="npm:left-pad", digest="sha512:00", verdict=verdict, **fields
    )  # type: ignore[arg-type]  # only fields that exist


@pytest.mark.parametrize("verdicts", list(itertools.permutations(report.WORST_FIRST, 3)))
def test_the_worst_counts_in_any_order(verdicts: tuple[report.Verdict, ...]) -> None:
    expected = next(verdict for verdict in report.WORST_FIRST if verdict in verdicts)
    assert report.worst(list(verdicts)) == expected


def test_nothing_looked_at_is_not_clean() -> None:
    assert report.worst([]) == "inconclusive"


def test_the_json_has_the_fields_that_are_promised() -> None:
    finding = report.Finding(
        rule="decoy_sent", title="t", severity="critical", confidence="high", verdict="malicious",
        evidence=(report.Evidence(at=1.0, phase="install", process=3, text="x"),),
    )  # fmt: skip
    whole = report.Report(
        tool=report.Tool(version="0"),
        verdict="malicious",
        packages=(package("malicious", findings=(finding,)),),
    )
    document = json.loads(msgspec.json.encode(whole))
    assert document["schema"] == 1
    assert {"schema", "tool", "verdict", "packages"} <= set(document)
    (one,) = document["packages"]
    assert {
        "purl", "target", "digest", "verdict", "findings", "coverage", "provenance", "recordings",
    } <= set(one)  # fmt: skip
    assert {"rule", "severity", "confidence", "title", "attack", "package", "evidence"} <= set(one["findings"][0])
    assert {"personas", "phases", "sensors", "not_exercised"} <= set(one["coverage"])


def test_a_report_is_read_back_from_its_json() -> None:
    whole = report.Report(tool=report.Tool(), verdict="clean", packages=(package(),))
    assert msgspec.json.decode(msgspec.json.encode(whole), type=report.Report) == whole


def test_provenance_has_no_word_in_the_verdict() -> None:
    valid = package("malicious", provenance=report.Provenance(status="valid"))
    assert report.worst([valid.verdict]) == "malicious"
