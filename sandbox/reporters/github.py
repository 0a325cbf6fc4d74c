"""The report as annotations of a GitHub Actions run: workflow commands, a line each, worst first.

The escapes are those of GitHub's own toolkit, so a hostile name cannot end its command and begin another. GitHub shows
ten errors, ten warnings and ten notices of a step; where there are more, the tenth counts the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandbox.report import Finding, Origin, PackageReport, Report, Verdict
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import alike, compared, counts, novelty, reason, shown, worst_first
from sandbox.reporters._texts import plain

MOST = 10
"""Annotations of one level that GitHub shows of a step."""

_LEVELS: dict[Verdict, str] = {"malicious": "error", "suspicious": "warning", "inconclusive": "warning"}
_NOWHERE = Origin(file="")
_MANY = 5


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,  # noqa: ARG001
) -> str:
    """An annotation for each package that is not clean and for each note, and a last line for the log."""
    found: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for package in worst_first(report.packages):
        if package.verdict != "clean":
            level = _LEVELS[package.verdict]
            found[level].append(_annotation(level, package))
    for note in report.notes:
        found["notice"].append(command("notice", note.text, file=note.file, line=note.line, title="baitbox: lockfile"))
    lines = [line for level, annotations in found.items() for line in _shown(level, annotations)]
    return "\n".join([*lines, f"baitbox: {report.verdict}: {counts(report)}"]) + "\n"


def _shown(level: str, annotations: Sequence[str]) -> Iterator[str]:
    if len(annotations) <= MOST:
        yield from annotations
        return
    yield from annotations[: MOST - 1]
    rest = len(annotations) - MOST + 1
    yield command(level, f"and {rest} more of this kind; the Markdown and JSON reports have them", title="baitbox")


def _annotation(level: str, package: PackageReport) -> str:
    origin = package.origins[0] if package.origins else _NOWHERE
    because = f" ({reason(origin)})" if origin.file else ""
    said = [_said(finding) for finding, _ in alike(package.findings)] or list(package.coverage.missing)
    lines = [plain(text, 400) for text in said[:_MANY]] or ["no reason was given"]
    if len(said) > _MANY:
        lines.append(f"and {len(said) - _MANY} more")
    lines += [plain(text, 400) for text in compared(package)][:1]
    title = plain(f"baitbox: {package.verdict}: {shown(package)}{because}", 150)
    return command(level, "\n".join(lines), file=origin.file, line=origin.line, title=title)


def _said(finding: Finding) -> str:
    return f"{finding.title} ({novelty(finding)})" if finding.novelty else finding.title


def command(level: str, message: str, *, file: str = "", line: int = 0, title: str = "") -> str:
    """One workflow command. Each text is escaped as GitHub defines it, the properties' further than the message's;
    the message may have several lines."""
    properties = {"file": file, "line": str(line) if file and line > 0 else "", "title": title}
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    shown_message = "\n".join(plain(one, 1000) for one in message.split("\n"))
    return f"::{level}{' ' if given else ''}{given}::{_data(shown_message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(plain(text, 400)).replace(":", "%3A").replace(",", "%2C")


REPORTER = Reporter("annotations of a GitHub Actions run", render)
