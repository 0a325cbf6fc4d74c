"""The report as JUnit XML: a test case for each package, for the test pages of CI systems.

A finding is a failure. What could not be looked at is an error, never "skipped": that would pass.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

from sandbox.report import Note, PackageReport, Report
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import alike, compared, how_direct, identity, novelty, place, reason, shown
from sandbox.reporters._texts import plain

MOST_LINES = 100
"""Of one failure or output; how many more there were is said."""


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,  # noqa: ARG001
) -> str:
    """One suite. The element's order is that of the schema that Jenkins and others read."""
    cases = [_case(package) for package in report.packages]
    if report.verdict == "inconclusive" and not cases:
        cases.append(_nothing())
    failures = sum(case.find("failure") is not None for case in cases)
    errors = sum(case.find("error") is not None for case in cases)
    figures = {
        "name": "baitbox", "tests": str(len(cases)), "failures": str(failures), "errors": str(errors),
        "time": f"{report.seconds:.3f}",
    }  # fmt: skip
    suites = ET.Element("testsuites", figures)
    suite = ET.SubElement(suites, "testsuite", {**figures, "skipped": "0"})
    properties = ET.SubElement(suite, "properties")
    facts = {"verdict": report.verdict, "version": report.tool.version, "backend": report.tool.backend}
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": name, "value": plain(value, 60)})
    suite.extend(cases)
    if report.notes:
        ET.SubElement(suite, "system-out").text = _lines(map(_note, report.notes))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _case(package: PackageReport) -> ET.Element:
    seconds = sum(phase.seconds for phase in package.coverage.phases)
    attributes = {
        "classname": plain(f"baitbox.{identity(package).ecosystem or 'unknown'}", 60),
        "name": plain(package.purl or shown(package), 300),
        "time": f"{seconds:.3f}",
    }
    case = ET.Element("testcase", attributes)
    if package.verdict in ("malicious", "suspicious"):
        message = package.findings[0].title if package.findings else "no finding says why"
        _say(case, "failure", package.verdict, message, _findings(package))
    elif package.verdict == "inconclusive":
        message = next(iter(package.coverage.missing), "nothing says why")
        _say(case, "error", "inconclusive", message, package.coverage.missing)
    ET.SubElement(case, "system-out").text = _lines(_output(package))
    return case


def _nothing() -> ET.Element:
    case = ET.Element("testcase", {"classname": "baitbox", "name": "report", "time": "0.000"})
    _say(case, "error", "inconclusive", "no package was looked at", ())
    return case


def _say(case: ET.Element, kind: str, verdict: str, message: str, lines: Iterable[str]) -> None:
    said = ET.SubElement(case, kind, {"type": verdict, "message": plain(message, 300)})
    said.text = _lines(lines)


def _findings(package: PackageReport) -> Iterator[str]:
    for finding, phases in alike(package.findings):
        yield f"{finding.verdict}: {finding.title}"
        yield f"    rule {finding.rule}, severity {finding.severity}, confidence {finding.confidence}"
        yield f"    by {finding.package or 'an unknown package'}, in {', '.join(phases)}"
        if finding.novelty:
            yield f"    {novelty(finding)}"
        for item in finding.evidence:
            yield f"    {f'{item.at:.3f} s: ' if item.line else ''}{item.text}"


def _output(package: PackageReport) -> Iterator[str]:
    """What was looked at, and why."""
    yield f"package: {shown(package)}"
    yield f"target: {package.target}"
    yield f"digest: {package.digest or 'unknown'}"
    for origin in package.origins:
        how = how_direct(package)
        yield f"{how and f'{how}, '}{reason(origin)} in {place(origin.file, origin.line)}"
    yield from compared(package)
    if package.stored:
        yield f"from the store: it was run at {package.stored}"
    for phase in package.coverage.phases:
        yield f"phase {phase.name}: {phase.status} ({phase.seconds:.2f} s) {phase.detail}".rstrip()
    yield from (f"not looked at: {text}" for text in package.coverage.missing)
    yield from (f"never exercised: {text}" for text in package.coverage.not_exercised)
    yield from (f"recording: {path}" for path in package.recordings)


def _note(note: Note) -> str:
    where = place(note.file, note.line)
    return f"{where}: {note.text}" if where else note.text


def _lines(texts: Iterable[str]) -> str:
    """Bounded lines that XML can hold: no control character, no surrogate."""
    lines = list(texts)
    shown_lines = [plain(line) for line in lines[:MOST_LINES]]
    more = [f"and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return "\n".join([*shown_lines, *more])


REPORTER = Reporter("JUnit XML for a CI system's test page", render, "application/xml")
