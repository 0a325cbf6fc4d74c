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
from sandbox.reporters._html_index import Nights, index
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


def page(report: Report, recordings: Recordings | None = None, nights: Nights = ()) -> str:
    """The page; `nights` are the verdicts of earlier scans, where somebody keeps them."""
    several = len(report.packages) != 1
    order = sorted(range(len(report.packages)), key=lambda number: WORST_FIRST.index(report.packages[number].verdict))
    room, decoder = Room(), Decoder()
    # The worst first, also where there is not room for all that was recorded.
    sections = {
        number: _package(report.packages[number], number, recordings, room, decoder, several, place < _OPEN)
        for place, number in enumerate(order)
    }
    main = tag(
        "main",
        _verdict(report),
        index(report.packages, nights) if several else None,
        [sections[number] for number in order],
        id="main",
        tabindex=-1,
    )
    return f"<!doctype html>\n{_frame(report, main)}\n"


def _package(
    package: PackageReport,
    number: int,
    recordings: Recordings | None,
    room: Room,
    decoder: Decoder,
    several: bool,
    first: bool,
) -> Markup:
    paths: list[Flow] = []
    stolen = {decoy for finding in package.findings for decoy in finding.decoys}
    parts: list[Markup] = []
    for place, path in enumerate(package.recordings):
        recording = recordings.get(path) if recordings is not None else None
        if recording is None:
            parts.append(_unrecorded(path, recordings is None))
            continue
        facts = gather(recording)
        paths += _html_flows.recognised(facts, stolen)
        identity = f"recording-{number}-{place}"
        parts.append(_recorded(identity, number, recorded(facts, package, room, decoder)))
    flows, more = _html_flows.completed(paths, package.findings)
    if not package.recordings:
        parts.append(_unrecorded("", True))
    opened = first and package.verdict != "clean"
    return section(package, number, flows, more, joined(parts), folded=several, opened=opened)


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
