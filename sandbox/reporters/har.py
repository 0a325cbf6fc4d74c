"""The intercepted traffic as an HTTP archive (HAR 1.2), for the viewers of browsers and proxies.

`startedDateTime` is of the host's clock; of a recording that does not say when it began, it counts from 1970. The
gateway answers at once and keeps no bodies of its own, so durations are 0 and responses empty. A body that is not text
is base64, and says so in `_encoding`. What HAR has no word for stands in fields that begin with an underscore, as the
format asks for: who sent it (`_baitbox`), and connections that were not HTTP (`log._baitbox.otherConnections`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox import events
from sandbox.events import Recording
from sandbox.facts import Connection, Facts, gather
from sandbox.lineage import Actor
from sandbox.plaintext import command
from sandbox.report import PackageReport, Report
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._texts import as_json, moment

MOST_ENTRIES = 20_000
MOST_BODIES = 32 * 1024 * 1024
"""Bytes of all bodies together; after that, sizes only."""

_ACTED_ON = ("url", "header", "body")
_TEXT = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
_UNTOLD = {"headersSize": -1, "cookies": []}


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,
) -> str:
    """One archive over all recordings, in the order of the report."""
    archive = _Archive()
    done: set[str] = set()
    for package in report.packages:
        if not package.recordings:
            archive.comments.append(f"nothing was recorded of {package.target or package.purl}")
        for name in package.recordings:
            if name not in done:
                done.add(name)
                archive.add(name, package, (recordings or {}).get(name))
    return as_json({"log": archive.log(report)})


class _Archive:
    """The log as it grows, within its bounds; what did not fit is counted."""

    def __init__(self) -> None:
        self.comments: list[str] = []
        self._pages: list[dict[str, Any]] = []
        self._entries: list[dict[str, Any]] = []
        self._others: list[dict[str, Any]] = []
        self._left_out = 0
        self._room = MOST_BODIES
        self._began = 0.0

    def log(self, report: Report) -> dict[str, Any]:
        """The whole of it."""
        if self._left_out:
            self.comments.append(f"{self._left_out} more requests and connections are left out")
        if self._room < 0:
            self.comments.append(f"bodies after the first {MOST_BODIES} bytes are left out")
        extra = {"verdict": report.verdict, "otherConnections": self._others}
        return {
            "version": "1.2",
            "creator": {"name": report.tool.name, "version": report.tool.version},
            "pages": self._pages,
            "entries": self._entries,
            "comment": "; ".join(self.comments),
            "_baitbox": extra,
        }

    def add(self, name: str, package: PackageReport, recording: Recording | None) -> None:
        """One recording's traffic."""
        if recording is None:
            self.comments.append(f"the recording {name} cannot be read")
            return
        facts, self._began = gather(recording), recording.header.began
        for start in facts.phase_starts:
            page = {"startedDateTime": self._time(start.at), "id": _page(name, start.phase), "title": start.phase}
            self._pages.append({**page, "pageTimings": {}})
        pages = {page["id"] for page in self._pages}
        bait = _bait(facts)
        requests = sorted(
            ((line, event, connection) for connection in facts.connections for line, event in connection.requests),
            key=lambda item: item[0],
        )
        for line, event, connection in requests:
            if self._has_room():
                about = _about(connection.actor, event.phase, package, name, line)
                about |= {"answeredBy": event.answered_by, "bait": bait.get(line, [])}
                entry = self._entry(event, connection, about)
                if _page(name, event.phase) in pages:
                    entry["pageref"] = _page(name, event.phase)
                self._entries.append(entry)
        for connection in facts.connections:
            if (connection.data or not connection.requests) and self._has_room():
                self._others.append(self._other(connection, _about(
                    connection.actor, connection.phase, package, name, connection.line
                )))  # fmt: skip

    def _time(self, seconds: float) -> str:
        return moment(self._began + seconds)

    def _has_room(self) -> bool:
        if len(self._entries) + len(self._others) < MOST_ENTRIES:
            return True
        self._left_out += 1
        return False

    def _entry(self, event: events.RequestSent, connection: Connection, about: dict[str, Any]) -> dict[str, Any]:
        opened = connection.event
        entry = {
            "startedDateTime": self._time(event.at), "time": 0, "request": self._request(event),
            "response": _response(event), "cache": {}, "timings": {"send": 0, "wait": 0, "receive": 0},
            "connection": str(event.connection), "_baitbox": about,
        }  # fmt: skip
        # The address of a name is one that the gateway made up.
        if opened is not None and not opened.host and opened.protocol != "unix":
            entry["serverIPAddress"] = opened.address
        return entry

    def _request(self, event: events.RequestSent) -> dict[str, Any]:
        request = {
            "method": event.method, "url": event.url, "httpVersion": "HTTP/1.1", **_UNTOLD,
            "headers": [{"name": name, "value": value} for name, value in event.headers],
            "queryString": [{"name": name, "value": value} for name, value in _query(event.url)],
            "bodySize": event.body_size,
        }  # fmt: skip
        if event.body_size:
            kind = next((value for name, value in event.headers if name.lower() == "content-type"), "")
            request["postData"] = {"mimeType": kind, "params": [], **self._body(event.body, event.body_size)}
        return request

    def _body(self, data: bytes, size: int) -> dict[str, Any]:
        """The kept bytes, and what is missing of them."""
        if self._room < 0:
            return {"text": "", "comment": f"{size} bytes, left out here"}
        self._room -= len(data)
        body: dict[str, Any] = {"text": ""}
        if _is_text(data):
            body["text"] = data.decode()
        else:
            body |= {"text": base64.b64encode(data).decode(), "_encoding": "base64"}
        if size > len(data):
            body["comment"] = f"the first {len(data)} of {size} bytes"
        return body

    def _other(self, connection: Connection, about: dict[str, Any]) -> dict[str, Any]:
        """A connection of which some or all was not HTTP."""
        opened = connection.event
        return {
            "startedDateTime": self._time(opened.at if opened is not None else 0.0),
            "protocol": connection.protocol,
            "place": connection.place,
            "tlsErrors": [ended.error for _, ended in connection.tls if ended.error],
            "bytesSent": connection.sent,
            "data": [self._body(event.data, event.size) for _, event in connection.data],
            "bait": [_recognised(event) for _, event in connection.sent_decoys],
            "_baitbox": about,
        }


def _about(actor: Actor, phase: str, package: PackageReport, recording: str, line: int) -> dict[str, Any]:
    """Who sent it, in which phase, and where the recording says so."""
    program = actor.program
    return {
        "purl": package.purl, "package": actor.package, "role": actor.role, "phase": phase,
        "process": actor.process.serial,
        "program": command([program.exe, *program.argv[1:]]) if program is not None else "",
        "recording": recording, "line": line,
    }  # fmt: skip


def _bait(facts: Facts) -> dict[int, list[dict[str, Any]]]:
    """Recognised bait by the line of the request that carried it: the last one before, on its connection."""
    found: dict[int, list[dict[str, Any]]] = {}
    for connection in facts.connections:
        for line, event in connection.sent_decoys:
            before = [number for number, _ in connection.requests if number < line]
            if event.where in _ACTED_ON and before:
                found.setdefault(before[-1], []).append(_recognised(event))
    return found


def _recognised(event: events.DecoySent) -> dict[str, Any]:
    return {"decoy": event.decoy, "token": event.token, "where": event.where, "encodings": list(event.encodings)}


def _response(event: events.RequestSent) -> dict[str, Any]:
    return {
        "status": event.status, "statusText": "", "httpVersion": "HTTP/1.1", **_UNTOLD, "headers": [],
        "content": {"size": 0, "mimeType": "", "comment": "answers are not recorded"}, "redirectURL": "",
        "bodySize": -1,
    }  # fmt: skip


def _query(url: str) -> Iterator[tuple[str, str]]:
    try:
        yield from parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return


def _is_text(data: bytes) -> bool:
    """Whether a body is UTF-8 without control characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(ord(character) in _TEXT or ord(character) >= 0xA0 for character in text)


def _page(name: str, phase: str) -> str:
    return f"{name}#{phase}"


REPORTER = Reporter("HAR 1.2 of the intercepted traffic", render, "application/json", recorded=True)
