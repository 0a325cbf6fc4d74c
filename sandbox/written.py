"""Which reports one run writes, where they go, and writing them: `--format` and `--output`, and each `--report`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from sandbox import discovery
from sandbox.errors import UsageError
from sandbox.report import Report
from sandbox.reporters import Recordings, Reporter
from sandbox.settings import Settings, report_files

WIDTH = 100
"""Of a report that no terminal shows."""


class Wanted(msgspec.Struct, frozen=True):
    """One report to write; without a file it goes to stdout."""

    reporter: Reporter
    file: Path | None


def wanted(settings: Settings) -> list[Wanted]:
    """All reports of a run; the one of `--format` stands first."""
    formats: dict[str, Reporter] = discovery.load("reporters", "REPORTER")
    pairs = [(settings.format, settings.output), *report_files(settings.reports)]
    return [Wanted(formats[name.replace("-", "_")], file) for name, file in pairs]


def recorded(settings: Settings) -> bool:
    """Whether one of the reports shows what was recorded."""
    return any(one.reporter.recorded for one in wanted(settings))


def vet(settings: Settings) -> None:
    """Raise UsageError for a file that cannot be written, before all the work is done."""
    for file in (settings.output, *(file for _, file in report_files(settings.reports))):
        if file is not None and (file.is_dir() or not os.access(file.absolute().parent, os.W_OK | os.X_OK)):
            raise UsageError(f"the report cannot be written to {file}: it is a folder, or its folder cannot be written")


def write(
    settings: Settings, report: Report, recordings: Recordings, show: Callable[[Reporter, Recordings | None], None]
) -> None:
    """Write every report; `show` writes the one for stdout. One that cannot be written keeps no other from it, and is
    raised as a UsageError at the end."""
    problem: UsageError | None = None
    for one in wanted(settings):
        given = recordings if one.reporter.recorded else None
        try:
            if one.file is None:
                show(one.reporter, given)
            else:
                text = one.reporter.render(report, width=WIDTH, colour=False, recordings=given)
                one.file.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            problem = problem or UsageError(f"the report cannot be written to {one.file}: {error.strerror}")
        except UsageError as error:
            problem = problem or error
    if problem is not None:
        raise problem
