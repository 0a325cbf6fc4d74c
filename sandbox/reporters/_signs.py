"""What can be looked for elsewhere: the hosts, addresses, URLs, files, programs and techniques of findings.

Evidence names the event that it rests on, by its line in the recording; that event says exactly what the evidence's
words say for a reader. Where no recording is at hand, a finding's ways out have to do. A clean package has none, and
what the gateway itself made up (the address of a name, a registry or an account that it played) is none either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from sandbox import events
from sandbox.deviations import is_public, plain_url
from sandbox.events import Recording
from sandbox.report import WORST_FIRST, Confidence, Evidence, Finding, PackageReport, Report
from sandbox.reporters import Recordings

Kind = Literal["host", "address", "url", "file", "program", "technique"]
KINDS: tuple[Kind, ...] = ("host", "address", "url", "file", "program", "technique")
_CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)+")
_WAY = re.compile(r"(?:[a-z]+ (?:[A-Z]+ )?to|tcp|udp|tls|dns) (?P<place>\S+)")
_LONGEST = 2000


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """One indicator. `at` is seconds since the guest began; `package` the purl of the report's package; `by` the
    package whose process it was."""

    kind: Kind
    value: str
    package: str
    by: str
    phase: str
    verdict: Literal["malicious", "suspicious"]
    at: float
    rule: str
    what: str
    confidence: Confidence


def signs(report: Report, recordings: Recordings | None) -> list[Sign]:
    """The indicators of a report, each once for a package: with its worst verdict, best confidence and first time."""
    found: dict[tuple[str, str, str], Sign] = {}
    for package in report.packages:
        for sign in _of_package(package, recordings or {}):
            key = (sign.kind, sign.value, sign.package)
            found[key] = _joined(found[key], sign) if key in found else sign
    return sorted(found.values(), key=_order)


def _order(sign: Sign) -> tuple[int, int, str, str]:
    return (WORST_FIRST.index(sign.verdict), KINDS.index(sign.kind), sign.value, sign.package)


def _joined(one: Sign, other: Sign) -> Sign:
    worse = min(one, other, key=lambda sign: (WORST_FIRST.index(sign.verdict), _CONFIDENCES.index(sign.confidence)))
    first = min(one, other, key=lambda sign: sign.at)
    return msgspec.structs.replace(worse, at=first.at, phase=first.phase)


def _of_package(package: PackageReport, recordings: Recordings) -> Iterator[Sign]:
    seen: set[tuple[int, int]] = set()
    for name in package.recordings:
        recording = recordings.get(name)
        if recording is None:
            continue
        sources = _Sources(recording)
        for number, finding in enumerate(package.findings):
            for item in finding.evidence:
                event = sources.event(item)
                if event is not None:
                    seen.add((number, item.line))
                    yield from _signs(package, finding, item, sources.indicators(event, item.line))
    for number, finding in enumerate(package.findings):
        if not finding.evidence or any((number, item.line) not in seen for item in finding.evidence):
            yield from _signs(package, finding, _first(finding), _of_ways(finding.ways_out))
        yield from _signs(package, finding, _first(finding), (("technique", one) for one in finding.attack))


def _first(finding: Finding) -> Evidence:
    nothing = Evidence(at=0.0, phase=finding.phase, process=0, text="")
    return min(finding.evidence, key=lambda item: item.at, default=nothing)


def _signs(
    package: PackageReport, finding: Finding, item: Evidence, values: Iterable[tuple[Kind, str]]
) -> Iterator[Sign]:
    for kind, value in values:
        yield Sign(
            kind=kind, value=value[:_LONGEST], package=package.purl or package.target, by=finding.package,
            phase=item.phase or finding.phase, verdict=finding.verdict, at=item.at, rule=finding.rule,
            what=finding.title, confidence=finding.confidence,
        )  # fmt: skip


class _Sources:
    """The events of one recording, found again by what evidence says of them."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._connections: dict[int, events.ConnectionOpened] = {}
        self._requests: dict[int, list[tuple[int, events.RequestSent]]] = {}
        for line, event in enumerate(recording.events, start=2):
            if isinstance(event, events.ConnectionOpened) and event.connection:
                self._connections.setdefault(event.connection, event)
            elif isinstance(event, events.RequestSent) and event.connection:
                self._requests.setdefault(event.connection, []).append((line, event))

    def event(self, item: Evidence) -> events.AnyEvent | None:
        """The event; None where the evidence is of another recording."""
        place = item.line - 2  # the header is line 1
        if not 0 <= place < len(self._recording.events):
            return None
        event = self._recording.events[place]
        same = event.at == item.at and event.phase == item.phase
        return event if same else None

    def indicators(self, event: events.AnyEvent, line: int) -> Iterator[tuple[Kind, str]]:
        """What an event tells to others."""
        if isinstance(event, events.RequestSent):
            yield from self._request(event)
        elif isinstance(event, events.NameLookedUp):
            yield from _place(event.name)
        elif isinstance(event, events.ConnectionOpened) and event.protocol != "unix":
            yield from _place(event.host or event.address)
        elif isinstance(event, events.DecoySent):
            yield from self._decoy_sent(event, line)
        elif isinstance(event, events.DataSent) and event.connection in self._connections:
            yield from self.indicators(self._connections[event.connection], line)
        elif isinstance(event, events.FileOpened) and event.access in ("write", "readwrite"):
            yield "file", event.path
        elif isinstance(event, events.FileChanged) and event.change in ("renamed", "linked", "made"):
            yield "file", event.target or event.path
        elif isinstance(event, events.ProgramStarted | events.SurvivorFound):
            yield "program", " ".join([event.exe, *event.argv[1:]])
        elif isinstance(event, events.ProgramRequested):
            yield "program", " ".join([event.path, *event.argv[1:]])

    def _request(self, event: events.RequestSent) -> Iterator[tuple[Kind, str]]:
        """Of what a registry or an account answered, the host is everybody's; the URL may still tell."""
        host = _host(event.url)
        if event.answered_by == "registry" or not list(_place(host)):
            return
        yield "url", plain_url(event.url)
        if event.answered_by in ("", "empty"):  # nobody played that host
            yield from _place(host)

    def _decoy_sent(self, event: events.DecoySent, line: int) -> Iterator[tuple[Kind, str]]:
        """The request that carried it is the last one before, on its connection; raw bytes have their connection."""
        before = [request for place, request in self._requests.get(event.connection, ()) if place < line]
        if event.where in ("url", "header", "body") and before:
            yield from self._request(before[-1])
        elif event.host:
            yield from _place(event.host)
        elif event.connection in self._connections:
            yield from self.indicators(self._connections[event.connection], line)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _place(text: str) -> Iterator[tuple[Kind, str]]:
    """A host or an address that means the same elsewhere."""
    bare = text.strip("[]").lower().rstrip(".")
    try:
        address = str(ip_address(bare.split("%", 1)[0]))
    except ValueError:
        if _HOST.fullmatch(bare):
            yield "host", bare
        return
    if is_public(address):
        yield "address", address


def _of_ways(ways: Iterable[str]) -> Iterator[tuple[Kind, str]]:
    """What the words of ways out tell, which are `https POST to host`, `tcp address:port`, `dns name`."""
    for way in ways:
        match = _WAY.fullmatch(way)
        if match is not None:
            yield from _place(_host(f"any://{match['place']}"))

