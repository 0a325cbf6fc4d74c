"""The report for a person: the verdict first, then why, then what was looked at, then what to do next.

Works without colour, at 80 columns or fewer, and whatever a hostile package has put into names and arguments.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from sandbox.plaintext import escape
from sandbox.report import Coverage, Finding, PackageReport, Report, Verdict
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import alike, compared, novelty, place, reason
from sandbox.reporters._texts import clean_words, commandless

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {"malicious": "bold red", "suspicious": "bold yellow", "inconclusive": "bold magenta", "clean": "bold green"}
_MEANING: dict[Verdict, str] = {
    "malicious": "it hunts secrets, or does what no honest package does",
    "suspicious": "it did something unexpected that proves no harm",
    "inconclusive": "not everything could be looked at, so it cannot be called clean",
}
_NEXT: dict[Verdict, str] = {
    "malicious": "Do not install it. Where it ran outside a guest, rotate the secrets named above, and report it to "
    "the registry. `baitbox rules NAME` explains a finding.",
    "suspicious": "Look at the evidence: `baitbox check --keep DIR`, then `baitbox show RECORDING`. If the package has "
    "an honest reason, a profile entry with a `why` makes it expected.",
    "inconclusive": 'Put right what is listed under "not looked at" and run it again; `baitbox doctor` says what works '
    "here.",
    "clean": "",
}
_NARROWEST = 40


class Page:
    """Collects lines, wrapped and indented, in a rich console that writes to memory."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = console.width
        self._coloured = console.color_system is not None

    def line(self, text: str, style: str = "", indent: int = 0) -> None:
        """One paragraph; continuation lines hang two further in. `text` may be hostile."""
        plain = commandless(escape(text))
        room = max(20, self._width - indent - 2)
        if len(plain) <= room and plain.isascii() and plain.isprintable() and plain.strip() == plain != "":
            # Nothing to wrap: a report may have thousands of such lines, and rich takes a millisecond for each.
            self._console.file.write(f"{' ' * indent}{_styled(plain, style if self._coloured else '')}\n")
        else:
            self.paragraph(plain, style, indent, room)

    def paragraph(self, plain: str, style: str, indent: int, room: int) -> None:
        """Any text that is safe to show, wrapped into `room` columns."""
        from rich.padding import Padding
        from rich.text import Text

        rows = Text(plain, style=style, overflow="fold").wrap(self._console, room)
        for number, row in enumerate(rows):
            row.rstrip()
            self._console.print(Padding(row, (0, 0, 0, indent + (2 if number else 0)), expand=False))

    def gap(self) -> None:
        """An empty line."""
        self._console.print()


def _styled(text: str, style: str) -> str:
    """As a terminal shows it in a style; as it is without one."""
    if not style:
        return text
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def new_console(file: io.StringIO, width: int, *, colour: bool) -> Console:
    """A console that writes to `file` and knows nothing of where it runs."""
    from rich.console import Console

    return Console(
        file=file, width=max(_NARROWEST, width), force_terminal=colour, no_color=not colour, highlight=False,
        color_system="standard" if colour else None, markup=False, emoji=False, legacy_windows=False, _environ={},
    )  # fmt: skip


def render(
    report: Report, *, width: int = 80, colour: bool = False, recordings: Recordings | None = None  # noqa: ARG001
) -> str:
    """The whole report as text."""
    file = io.StringIO()
    console = new_console(file, width, colour=colour)
    page = Page(console)
    for package in report.packages:
        _package(page, package)
    if len(report.packages) > 1:
        _summary(page, report)
    elif not report.packages:
        said = report.notes[0].text if report.notes else "there is nothing to report on"
        page.line(f"{report.verdict.upper()}  {said}", _COLOURS[report.verdict])
    for note in report.notes if report.packages else report.notes[1:]:
        page.line(f"note: {': '.join(filter(None, (place(note.file, note.line), note.text)))}")
    if report.packages:
        _footer(page, report)
    return file.getvalue()


def _package(page: Page, package: PackageReport) -> None:
    page.line(f"{package.verdict.upper()}  {package.target or package.purl}", _COLOURS[package.verdict])
    page.line(f"{_MEANING.get(package.verdict) or clean_words([package])}.", indent=2)
    page.line(f"{package.purl}  {_short_digest(package.digest)}".rstrip(), "dim", 2)
    for origin in package.origins:
        how = " (direct)" if origin.direct else " (transitive)"
        how = "" if origin.file == package.target else how  # of the lockfile itself
        page.line(f"{reason(origin)} in {place(origin.file, origin.line)}{how}", "dim", 2)
    if package.findings:
        page.gap()
    groups = alike(package.findings)
    for finding, phases in groups:
        if finding.verdict == package.verdict:
            _finding(page, finding, phases)
    lesser = [(finding, phases) for finding, phases in groups if finding.verdict != package.verdict]
    for finding, phases in lesser:
        known = f"; {novelty(finding)}" if finding.novelty else ""
        where = f"{finding.rule}, in {', '.join(phases)}"
        page.line(f"also {finding.verdict}: {finding.title} ({where}{known})", "yellow", 2)
    if lesser:
        page.gap()
    _compared(page, package)
    _missing(page, package)
    _coverage(page, package.coverage)
    _expected(page, package)
    if package.provenance.status != "not checked":
        detail = f": {package.provenance.detail}" if package.provenance.detail else ""
        page.line(f"provenance: {package.provenance.status}{detail} (it never changes a verdict)", "dim", 2)
    if package.stored:
        page.line(f"from the store: it was run at {package.stored} (--no-cache runs it anew)", "dim", 2)
    for path in package.recordings:
        page.line(f"recording: {path}", "dim", 2)
    if _NEXT[package.verdict]:
        page.gap()
        page.line(f"What to do: {_NEXT[package.verdict]}", indent=2)
    page.gap()


def _finding(page: Page, finding: Finding, phases: list[str]) -> None:
    style = "red" if finding.verdict == "malicious" else "yellow"
    page.line(f"{finding.verdict}: {finding.title}", style, 2)
    attack = f", ATT&CK {' '.join(finding.attack)}" if finding.attack else ""
    page.line(f"rule {finding.rule}: severity {finding.severity}, confidence {finding.confidence}{attack}", "dim", 4)
    page.line(f"by {finding.package or 'an unknown package'}, in {', '.join(phases)}", indent=4)
    if finding.novelty:
        page.line(novelty(finding), indent=4)
    if finding.decoys:
        page.line(f"bait: {', '.join(finding.decoys)}", indent=4)
    if finding.ways_out:
        page.line(f"way out: {', '.join(finding.ways_out)}", indent=4)
    for item in finding.evidence:
        who = f"  ({item.program})" if item.program else ""
        if not item.line:  # of a lockfile: no moment, no process, no line of a recording
            page.line(item.text, indent=4)
            continue
        page.line(f"{item.at:8.3f}s  {item.text}{who}  [line {item.line}]", indent=4)
    page.gap()


def _compared(page: Page, package: PackageReport) -> None:
    for number, text in enumerate(compared(package)):
        page.line(f"- {text}" if number else text, indent=4 if number else 2)


def _missing(page: Page, package: PackageReport) -> None:
    if package.coverage.missing:
        page.line("not looked at, so it cannot be clean:", "magenta", 2)
        for text in package.coverage.missing:
            page.line(f"- {text}", indent=4)


def _coverage(page: Page, coverage: Coverage) -> None:
    """One line for each phase, short; and what is never looked at."""
    if coverage.phases:
        page.line(f"phases ({', '.join(coverage.personas) or 'no persona'}):", indent=2)
    several = len(coverage.personas) > 1
    for phase in coverage.phases:
        style = "" if phase.status == "ran" else "magenta"
        who = f" as {phase.persona}" if several else ""
        detail = f"  {phase.detail}" if phase.detail else ""
        page.line(f"{phase.status:<8}{phase.seconds:7.2f}s  {phase.name}{who}{detail}", style, 4)
    if coverage.sensors:
        page.line(f"sensors: {', '.join(coverage.sensors)}", indent=2)
    if coverage.not_exercised:
        page.line("never exercised:", indent=2)
        for text in coverage.not_exercised:
            page.line(f"- {text}", indent=4)


def _expected(page: Page, package: PackageReport) -> None:
    if package.expected:
        page.line("seen, and expected by a profile:", "dim", 2)
        for text in package.expected[:8]:
            page.line(f"- {text}", "dim", 4)
        if len(package.expected) > 8:
            page.line(f"- and {len(package.expected) - 8} more (in the JSON report)", "dim", 4)


def _summary(page: Page, report: Report) -> None:
    page.line(f"{report.verdict.upper()}  {len(report.packages)} packages", _COLOURS[report.verdict])
    for package in report.packages:
        page.line(f"{package.verdict:<13}{package.target or package.purl}", _COLOURS[package.verdict], 2)


def _footer(page: Page, report: Report) -> None:
    backend = f", {report.tool.backend} backend" if report.tool.backend else ""
    tool = f"{report.tool.name} {report.tool.version}".strip()
    page.line(f"{tool}{backend}, {report.tool.rules} rules, {report.seconds:.1f} s", "dim")


def _short_digest(digest: str) -> str:
    name, _, value = digest.partition(":")
    return f"{name}:{value[:16]}" if value else digest[:24]


REPORTER = Reporter("text for a terminal", render)
