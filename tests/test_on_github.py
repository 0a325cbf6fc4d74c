"""What a job on GitHub gets: its summary and annotations. Elsewhere nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import on_github
from sandbox.report import Coverage, Origin, PackageReport, Report, Tool

REPORT = Report(
    tool=Tool(version="0"),
    verdict="inconclusive",
    packages=(
        PackageReport(
            purl="pkg:npm/words@1.0.0", target="npm:words@1.0.0", digest="", verdict="inconclusive",
            coverage=Coverage(missing=("not checked",)), origins=(Origin(file="package-lock.json", line=7),),
        ),
    ),
)  # fmt: skip


def test_the_summary_is_appended_to_and_the_log_annotated(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    on_github.tell(REPORT, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().startswith("before\n")
    assert "npm:words@1.0.0" in summary.read_text()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("::warning file=package-lock.json,line=7,")


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "false"}, {"GITHUB_ACTIONS": ""}])
def test_elsewhere_nothing_happens(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    on_github.tell(REPORT, {**environment, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_summary_that_is_full_is_told_in_it(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"x" * (on_github.MOST_SUMMARY - 200))
    on_github.tell(REPORT, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().endswith("it is in the log.\n")
    assert summary.stat().st_size < on_github.MOST_SUMMARY


def test_a_summary_that_cannot_be_written_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    on_github.tell(REPORT, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "folder")})
    assert "note: the job's summary cannot be written: No such file" in capfd.readouterr().err
