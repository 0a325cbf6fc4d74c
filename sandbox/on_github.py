"""In a GitHub Actions run: the report as the job's summary, and as annotations in the log. Elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox import discovery
from sandbox.report import Report

MOST_SUMMARY = 1024 * 1024
"""Bytes of a step's summary that GitHub shows; of a larger one it shows nothing."""


def tell(report: Report, environment: Mapping[str, str]) -> None:
    """Append the Markdown report to `$GITHUB_STEP_SUMMARY`, and print annotations to stderr, which the runner reads as
    well as stdout. Raises nothing: a summary that cannot be written is told."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    formats = discovery.load("reporters", "REPORTER")
    if environment.get("GITHUB_STEP_SUMMARY"):
        _append(Path(environment["GITHUB_STEP_SUMMARY"]), formats["markdown"].render(report))
    print(formats["github"].render(report), file=sys.stderr, end="", flush=True)


def _append(summary: Path, text: str) -> None:
    try:
        held = summary.stat().st_size if summary.exists() else 0
        if held + len(text.encode()) > MOST_SUMMARY:
            text = "\nbaitbox: the report is too long for what is left of this summary; it is in the log.\n"
        with summary.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        print(f"note: the job's summary cannot be written: {error.strerror}", file=sys.stderr)
