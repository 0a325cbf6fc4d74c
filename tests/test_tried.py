"""The page of packages tried: made of reports, one line each, with the reason where one is not clean."""

from __future__ import annotations

from sandbox.report import Coverage, Finding, PackageReport, Verdict
from tools.tried import page, row


def report(purl: str, verdict: Verdict, missing: tuple[str, ...] = (), title: str = "") -> PackageReport:
    findings = [Finding(rule="r", title=title, severity="low", confidence="low", verdict="suspicious")] if title else []
    return PackageReport(
        purl=purl, target="", digest="", verdict=verdict, findings=tuple(findings), coverage=Coverage(missing=missing)
    )


def test_a_line_says_the_verdict_and_why() -> None:
    clean = row(report("pkg:npm/%40prisma/engines@7.1.0", "clean"), {})
    assert (clean.name, clean.version, clean.verdict, clean.profile, clean.reason) == (
        "@prisma/engines", "7.1.0", "clean", True, "",
    )  # fmt: skip
    odd = row(report("pkg:pypi/no-such-words@1", "suspicious", ("the end",), "a | b"), {})
    assert (odd.profile, odd.reason) == (False, "r: a | b; the end")
    assert row(report("pkg:npm/x@1", "inconclusive", ("y",)), {"npm:x": "said by hand"}).reason == "said by hand"


def test_the_page_counts_and_sorts() -> None:
    reports = [
        report("pkg:npm/zebra@1", "clean"), report("pkg:npm/%40ant/x@2", "suspicious", title="a | b"),
        report("pkg:npm/bee@3", "inconclusive", ("it did not run",)), report("pkg:pypi/six@1", "clean"),
    ]  # fmt: skip
    text = page(reports, {}, "2026-01-31")
    assert "on 2026-01-31" in text
    assert "## npm: 3 packages\n\n1 clean, 1 inconclusive, 1 suspicious." in text
    assert "## PyPI: 1 packages" in text
    lines = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert lines == ["| package", "| @ant/x", "| bee", "| zebra", "| package", "| six"]
    assert "r: a \\| b" in text


def test_an_earlier_page_keeps_what_no_report_is_about() -> None:
    first = page(
        [
            report("pkg:npm/bee@3", "inconclusive", ("it | did not run",)), report("pkg:npm/ant@1", "clean"),
            report("pkg:pypi/bee@1", "clean"),
        ],
        {}, "2026-01-31",
    )  # fmt: skip
    assert page([], {}, "2026-01-31", first) == first
    later = page([report("pkg:npm/ant@2", "suspicious", title="t"), report("pkg:npm/cow@1", "clean")], {}, "x", first)
    assert "## npm: 3 packages\n\n1 clean, 1 inconclusive, 1 suspicious." in later
    assert "| ant | 2 | suspicious |" in later and "| ant | 1 |" not in later
    assert "it \\| did not run" in later
    assert "## PyPI: 1 packages" in later
