"""The report as one page for a browser: verdict and reasons first, then what was recorded, to look around in.

The page needs nothing else and asks nobody for anything: its policy allows its own script and style, by their hashes,
and no request at all. What came from a package is text, in the page and in what the script puts there.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from sandbox.facts import gather
from sandbox.report import WORST_FIRST, PackageReport, Report
from sandbox.reporters import Recordings, Reporter, _html_flows
from sandbox.reporters._html_bodies import Decoder
from sandbox.reporters._html_events import Room
from sandbox.reporters._html_flows import Flow
from sandbox.reporters._html_index import index
from sandbox.reporters._html_markup import Markup, data_block, joined, source_hash, tag
from sandbox.reporters._html_package import badge, name_of, section
from sandbox.reporters._html_recorded import recorded

_ASSETS = Path(__file__).parent / "_assets"
_SCRIPTS = ("page.js", "lists.js", "timeline.js", "tree.js", "requests.js", "events.js", "start.js")
_OPEN = 3
"""How many sections of several begin open: the worst."""


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,
) -> str:
    """The same report and recordings are always the same page."""
    return page(report, recordings)


def page(report: Report, recordings: Recordings | None = None) -> str:
    """The whole page."""
    several = len(report.packages) != 1 or len(report.nights) > 1
    order = sorted(range(len(report.packages)), key=lambda number: WORST_FIRST.index(report.packages[number].verdict))
    writer = _Writer(report, recordings)
    # The worst first, also where there is not room for all that was recorded.
    sections = []
    for place, number in enumerate(order):
        package = report.packages[number]
        paths, more, parts = writer.recorded(package, number)
        opened = place < _OPEN and package.verdict != "clean"
        sections.append(section(package, number, paths, more, parts, folded=several, opened=opened))
    main = tag(
        "main",
        _verdict(report),
        index(report.packages, report.nights) if several else None,
        sections,
        id="main",
        tabindex=-1,
    )
    return f"<!doctype html>\n{_frame(report, main)}\n"


class _Writer:
    """Puts what was recorded into the page, package by package, while there is room; a recording that several share
    once."""

    def __init__(self, report: Report, recordings: Recordings | None) -> None:
        self._report = report
        self._recordings = recordings
        self._room = Room()
        self._decoder = Decoder()
        self._places: dict[str, tuple[int, str]] = {}

    def recorded(self, package: PackageReport, number: int) -> tuple[list[Flow], int, Markup]:
        """The paths of secrets in a package's recordings, how many more there are, and what else is shown of them."""
        stolen = any(finding.decoys for finding in package.findings)
        paths: list[Flow] = []
        parts: list[Markup] = []
        for place, path in enumerate(package.recordings):
            full = not self._room.events or not self._room.characters
            if (full or path in self._places) and not stolen and self._recordings is not None:
                parts.append(self._elsewhere(path))
                continue
            recording = self._recordings.get(path) if self._recordings is not None else None
            if recording is None:
                parts.append(_unrecorded(path, self._recordings is None))
                continue
            facts = gather(recording)
            sharers = [other for other in self._report.packages if path in other.recordings]
            paths += _html_flows.recognised(facts, package.findings, shared=len(sharers) > 1)
            if full or path in self._places:
                parts.append(self._elsewhere(path))
                continue
            identity = f"recording-{number}-{place}"
            self._places[path] = number, identity
            findings = [finding for other in sharers for finding in other.findings]
            parts.append(_recorded(identity, number, recorded(facts, findings, self._room, self._decoder)))
        if not package.recordings:
            parts.append(_unrecorded("", True))
        told, more = _html_flows.completed(paths, package.findings)
        return told, more, joined(parts)

    def _elsewhere(self, path: str) -> Markup:
        """A recording that stands in another package's section, or for which there is no room."""
        title = tag("h3", "What was recorded")
        if path in self._places:
            number, identity = self._places[path]
            link = tag("a", name_of(self._report.packages[number]), href=f"#package-{number}", data_elsewhere=identity)
            return joined(title, tag("p", "It ran in one guest with others; the recording stands at ", link, "."))
        why = f"Left out for size. By itself it can be shown with: baitbox judge {path} --format html"
        return joined(title, tag("p", why, class_="note warning"))


def _unrecorded(path: str, unasked: bool) -> Markup:
    """What was recorded is not in the page, and why."""
    if unasked or not path:
        why = "There is no recording of this package in this report, so there is nothing to look around in."
    else:
        why = f"The recording {path} could not be read when this report was written: what it held is not shown."
    return joined(tag("h3", "What was recorded"), tag("p", why, class_="note warning" if path else "note"))


def _recorded(identity: str, number: int, data: dict[str, Any]) -> Markup:
    persona = f", as {data['persona']}" if data["persona"] else ""
    return joined(
        tag("h3", f"What was recorded{persona}", id=f"{identity}-name"),
        tag("div", class_="recording", data_recording=identity, data_package=number, role="group",
            aria_labelledby=f"{identity}-name"),
        data_block(identity, data),
    )  # fmt: skip


def _verdict(report: Report) -> Markup | None:
    """What counts for all, and what the reader must know of a lockfile."""
    places = [f"{note.file}:{note.line}" if note.line else note.file for note in report.notes]
    notes = [
        tag("li", [tag("code", place), " "] if place else None, note.text)
        for place, note in zip(places, report.notes, strict=True)
    ]
    told = joined(tag("h2", "Notes"), tag("ul", notes, class_="notes")) if notes else None
    if len(report.packages) == 1:
        return told
    return joined(tag("p", "Verdict: ", badge(report.verdict), class_="overall"), told)


def _frame(report: Report, main: Markup) -> Markup:
    """The document around the content."""
    style, script = sources()
    policy = (
        f"default-src 'none'; script-src {source_hash(script)}; style-src {source_hash(style)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    what = name_of(report.packages[0]) if len(report.packages) == 1 else f"{len(report.packages)} packages"
    tool = f"{report.tool.name} {report.tool.version}".strip()
    backend = f", {report.tool.backend} backend" if report.tool.backend else ""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{report.verdict}: {what} - {report.tool.name}"),
        Markup(f"<style>{style}</style>"),
    )
    theme = tag("button", "Theme: as the system", type="button", id="theme", class_="needs-script")
    return tag(
        "html",
        head,
        tag(
            "body",
            tag("a", "Skip to the verdict", href="#main", class_="skip"),
            tag("header", tag("h1", f"{report.tool.name}: {what}"), theme, class_="top"),
            tag("noscript", tag("p", "Timeline, processes, requests and events need JavaScript; the rest does not.")),
            main,
            tag("footer", tag("p", f"{tool}{backend}, {report.tool.rules} rules, {report.seconds:.1f} s.")),
            Markup(f"<script>{script}</script>"),
        ),
        lang="en",
    )


@cache
def sources() -> tuple[str, str]:
    """The page's own style and script, as they stand in it."""
    style = (_ASSETS / "report.css").read_text(encoding="utf-8")
    parts = [(_ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return style, '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


REPORTER = Reporter("one page for a browser, to look around in", render, "text/html", recorded=True)
