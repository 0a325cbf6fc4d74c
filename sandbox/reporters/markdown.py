"""The report as GitHub-flavoured Markdown, for a comment on a pull request or the summary of a job.

Whatever a package could have written stands in a code span, or entity-escaped in a `<code>` element: there it cannot
break out of a table, forge a heading, mention a person or become a link. It is one line long, and what does not show is
written as an escape. GitHub takes 65,536 characters; more than `MOST_BYTES` are never written, and what was left out is
counted where it would have stood.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from sandbox.report import Evidence, Finding, Note, Origin, PackageReport, Report, Verdict
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import (
    alike,
    compared,
    counts,
    how_direct,
    novelty,
    place,
    reason,
    shown,
    worst_first,
)
from sandbox.reporters._texts import clean_words, plain

MOST_BYTES = 60_000
"""Of UTF-8, so that it holds whatever a reader counts as a character."""

_TABLE_BYTES = 20_000
_MISSING_BYTES = 8_000
_NOTES_BYTES = 8_000
_MANY = 8
_SENTENCE = 400
_BACKTICKS = re.compile("`+")
_LONGEST_FENCE = 3
_ELSEWHERE = "`--format json` has everything"
_MEANING: dict[Verdict, str] = {
    "malicious": "something here hunts secrets, or does what no honest package does",
    "suspicious": "something unexpected was seen that proves no harm",
    "inconclusive": "not everything could be looked at, so it cannot be called clean",
}
_ALWAYS, _OF_LOCKFILES = ("verdict", "package", "findings"), ("looked at because", "dependency")


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,  # noqa: ARG001
) -> str:
    """The whole report, or as much of it as GitHub takes, worst first."""
    head, foot = _head(report), _foot(report)
    table = _table(report)
    reasons = sum(len(package.coverage.missing) for package in report.packages)
    missing = _section("Not looked at", _missing(report), _MISSING_BYTES, reasons, "reasons")
    notes = _section("Notes on the lockfiles", map(_note, report.notes), _NOTES_BYTES, len(report.notes), "notes")
    left = MOST_BYTES - sum(map(_size, (head, table, missing, notes, foot)))
    return head + _findings(report, left) + table + missing + notes + foot


def _head(report: Report) -> str:
    counted = f"{counts(report)} of {len(report.packages)}" if len(report.packages) > 1 else counts(report)
    return (
        f"<!-- baitbox report -->\n## baitbox: {report.verdict}\n\n"
        f"**{report.verdict}**: {_MEANING.get(report.verdict) or clean_words(report.packages)} ({counted}).\n\n"
    )


def _foot(report: Report) -> str:
    backend = f", {code(report.tool.backend, 40)} backend" if report.tool.backend else ""
    tool = f"{code(f'{report.tool.name} {report.tool.version}'.strip(), 60)}{backend}"
    stored = sum(bool(package.stored) for package in report.packages)
    from_store = f", {stored} of {len(report.packages)} from the store" if stored else ""
    return f"{tool}, {report.tool.rules} rules, {report.seconds:.1f} s{from_store}\n"


def _table(report: Report) -> str:
    """One row for each package, worst first."""
    if not report.packages:
        return ""
    columns = [*_ALWAYS, *(_OF_LOCKFILES if any(package.origins for package in report.packages) else ())]
    head = _cells(columns) + _cells(["---"] * len(columns))
    every = (_cells(_row(package)[: len(columns)]) for package in worst_first(report.packages))
    rows, left_out = _fitting(every, _TABLE_BYTES, len(report.packages))
    more = f"\nand {left_out} more packages, none of them worse than these; {_ELSEWHERE}\n" if left_out else ""
    return f"{head}{rows}{more}\n"


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |\n"


def _row(package: PackageReport) -> list[str]:
    origins = ", ".join(_because(origin) for origin in package.origins[:2])
    more = f" and {len(package.origins) - 2} more" if len(package.origins) > 2 else ""
    findings = str(len(alike(package.findings))) if package.findings else ""
    return [package.verdict, code(shown(package), 120), findings, origins + more, how_direct(package)]


def _because(origin: Origin) -> str:
    where = f" in {code(place(origin.file, origin.line), 120)}" if origin.file else ""
    if origin.reason == "changed" and origin.previous:
        return f"changed from {code(origin.previous, 60)}{where}"
    return f"{'**another digest** for the same version' if origin.reason == 'moved' else reason(origin)}{where}"


def _findings(report: Report, budget: int) -> str:
    """What was found, a block for each package, the worst one unfolded; as much as `budget` bytes hold."""
    packages = [package for package in worst_first(report.packages) if package.findings or package.previous]
    if not packages:
        return ""
    title = "### Findings\n\n"
    room = budget - _size(title) - 200  # for the line that counts the rest
    variants = (_package(packages[0], unfolded=True, most=most) for most in (_MANY, 2, 1))
    first = next((text for text in variants if _size(text) <= room), "")
    rest, left_out = "", len(packages) - bool(first)
    if first:
        rest, left_out = _fitting(map(_package, packages[1:]), room - _size(first), len(packages) - 1)
    more = f"The findings of {left_out} more packages are left out here; {_ELSEWHERE}.\n\n" if left_out else ""
    return f"{title}{first}{rest}{more}"


def _package(package: PackageReport, *, unfolded: bool = False, most: int = _MANY) -> str:
    groups = alike(package.findings)
    lines = [
        f"<details{' open' if unfolded else ''}><summary>{package.verdict} {html_code(shown(package), 120)}</summary>\n"
    ]
    for finding, phases in groups[:most]:
        lines += _finding(finding, phases, most)
    if len(groups) > most:
        lines.append(f"\nand {len(groups) - most} more findings; {_ELSEWHERE}")
    lines += _compared(package, most)
    return "\n".join(lines) + "\n\n</details>\n\n"


def _finding(finding: Finding, phases: Sequence[str], most: int) -> Iterable[str]:
    attack = f", ATT&CK {code(' '.join(finding.attack), 80)}" if finding.attack else ""
    in_phases = ", ".join(code(phase, 60) for phase in phases[:4])
    yield f"* {finding.verdict}: {code(finding.title, 200)}"
    yield f"  * rule {code(finding.rule, 60)}, severity {finding.severity}, confidence {finding.confidence}{attack}"
    yield f"  * by {code(finding.package or 'an unknown package', 120)}, in {in_phases}"
    if finding.novelty:
        yield f"  * {novelty(finding)}"
    if finding.decoys:
        yield f"  * bait: {code(', '.join(finding.decoys), 120)}"
    if finding.ways_out:
        yield f"  * way out: {code(', '.join(finding.ways_out), 200)}"
    for item in finding.evidence[:most]:
        yield f"  * {_evidence(item)}"


def _compared(package: PackageReport, most: int) -> Iterable[str]:
    """What came of the comparison with the version before."""
    first, *rest = [*compared(package), ""]
    if first:
        yield f"\n* the version before: {code(first, _SENTENCE)}"
        yield from (f"  * {code(text, 200)}" for text in rest[:-1][:most])
        if len(rest) - 1 > most:
            yield f"  * and {len(rest) - 1 - most} more; {_ELSEWHERE}"


def _evidence(item: Evidence) -> str:
    program = f" ({code(item.program, 100)})" if item.program else ""
    when = f"{item.at:.3f} s: " if item.line else ""  # of a lockfile, there is no moment
    return f"{when}{code(item.text, 200)}{program}"


def _missing(report: Report) -> Iterable[str]:
    for package in worst_first(report.packages):
        for text in package.coverage.missing:
            yield f"* {code(shown(package), 120)}: {code(text, _SENTENCE)}\n"


def _note(note: Note) -> str:
    where = f"{code(place(note.file, note.line), 120)}: " if note.file else ""
    return f"* {where}{code(note.text, _SENTENCE)}\n"


def _section(title: str, lines: Iterable[str], budget: int, number: int, of: str) -> str:
    text, left_out = _fitting(lines, budget, number)
    more = f"* and {left_out} more {of}; {_ELSEWHERE}\n" if left_out else ""
    return f"### {title}\n\n{text}{more}\n" if text or more else ""


def _fitting(blocks: Iterable[str], budget: int, number: int) -> tuple[str, int]:
    """The first of `number` blocks that together have at most `budget` bytes, and how many were left out."""
    kept: list[str] = []
    for block in blocks:
        budget -= _size(block)
        if budget < 0:
            break
        kept.append(block)
    return "".join(kept), number - len(kept)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def code(text: str, limit: int) -> str:
    """A hostile text as a code span, which holds in a table too: its fence is longer than any run of backticks in it,
    and there is no bar in it."""
    shown_text = plain(text, limit).replace("|", "\\x7c")
    longest = max(map(len, _BACKTICKS.findall(shown_text)), default=0)
    if longest > _LONGEST_FENCE:  # readers give up at some length
        shown_text, longest = shown_text.replace("`", "\\x60"), 0
    if not shown_text.strip():
        return "`(nothing)`"
    fence = "`" * (longest + 1)
    return f"{fence} {shown_text} {fence}" if longest else f"{fence}{shown_text}{fence}"


def html_code(text: str, limit: int) -> str:
    """A hostile text as an element of a line of HTML."""
    return f"<code>{html.escape(plain(text, limit))}</code>"


REPORTER = Reporter("Markdown for a pull request or a job's summary", render, "text/markdown")
