"""Reports and recordings with hostile text in every field, and very large ones."""

from __future__ import annotations

import base64
import types
from collections.abc import Iterator
from itertools import cycle
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from sandbox import events, report
from tests.recording import HOME, NPM, PLANTED, PROJECT, SENSORS

INJECTIONS = (
    "<script>window.__pwned=1</script>",
    '"><img src=x onerror=window.__pwned=2>',
    "'><svg/onload=window.__pwned=3>",
    "</script><script>window.__pwned=4</script>",
    "<!--<script>window.__pwned=5</script>",
    "-->]]></style><script>window.__pwned=6</script>",
    "</title></textarea></noscript></svg><script>window.__pwned=7</script>",
    "javascript:window.__pwned=8",
    '<iframe srcdoc="<script>parent.__pwned=9</script>"></iframe>',
    '" autofocus onfocus="window.__pwned=10" onmouseover="window.__pwned=10" x="',
    "<link rel=stylesheet href=http://collector.test/x.css>",
    '<meta http-equiv=refresh content="0;url=http://collector.test/">',
    "<base href=http://collector.test/><form action=http://collector.test/><button>go</button></form>",
    "${window.__pwned=11}`{{constructor.constructor('window.__pwned=11')()}}",
    "\\u003cscript\\u003ewindow.__pwned=12\\u003c/script\\u003e&lt;script&gt;window.__pwned=12&lt;/script&gt;",
    "\u2028window.__pwned=13//\u2029",
    "\u202e\u2066gpj.exe\u2069\u200b\u00ad\ufeff\x00\x1b[31m\r\n\t",
    "__proto__",
    "constructor",
    "url(http://collector.test/y)",
    "\U0001f480" * 40,
    "W" * 5000,
)


def filled(kind: Any, texts: Iterator[str], number: int = 1) -> Any:
    """A value of some type with hostile text wherever it holds text."""
    origin = get_origin(kind)
    if kind is str:
        return next(texts)
    if kind is bytes:
        return next(texts).encode("utf-8", "surrogatepass")
    if kind in (int, float):
        return kind(number)
    if kind is bool:
        return True
    if origin is Literal:
        return get_args(kind)[0]
    if origin in (Union, types.UnionType):
        return filled(get_args(kind)[0], texts, number)
    if origin in (list, tuple) and (origin is list or get_args(kind)[-1] is Ellipsis):
        return origin(filled(get_args(kind)[0], texts, number) for _ in range(3))
    if origin is tuple:
        return tuple(filled(one, texts, number) for one in get_args(kind))
    if origin is dict:
        return {next(texts): number}
    fields = msgspec.structs.fields(kind)
    return kind(**{field.name: filled(field.type, texts, number) for field in fields})


def hostile_recording() -> events.Recording:
    """Every kind of event, each with every text: processes that make each other, requests with bait in them."""
    texts = cycle(INJECTIONS)
    header = msgspec.structs.replace(filled(events.Header, texts), baitbox=1)
    found: list[Any] = [
        events.ProcessStarted(at=0.01 * process, process=process, pid=process, parent=process - 1)
        for process in range(1, 6)
    ]
    for text in INJECTIONS:
        for kind in get_args(events.AnyEvent):
            event = filled(kind, cycle([text]), 1 + len(found) % 5)
            found.append(msgspec.structs.replace(event, at=0.001 * len(found), phase=text, process=1 + len(found) % 5))
        body = base64.b64encode(f"{text} npm_{'A1b2' * 9} {text}".encode())
        found += [
            events.RequestSent(
                at=0.001 * len(found), phase=text, process=3, connection=7, method=text, url=text,
                headers=[(text, text)], body=body, body_size=len(body), answered_by=text,
            ),
            events.DecoySent(
                at=0.001 * len(found), phase=text, process=3, decoy="npm_token", token="publish token", connection=7,
                host=text, where="body", encodings=["base64"],
            ),
            events.DecoySent(
                at=0.001 * len(found), phase=text, process=3, decoy=text, token=text, connection=7, host=text,
                where=text, encodings=[text],
            ),
        ]  # fmt: skip
    return events.Recording(header, found)


def hostile_report(*paths: str, count: int = 1) -> report.Report:
    """Packages with hostile text in every field."""
    texts = cycle(INJECTIONS)
    verdicts: tuple[report.Verdict, ...] = report.WORST_FIRST
    packages = []
    for number in range(count):
        package = msgspec.structs.replace(filled(report.PackageReport, texts, 3), recordings=paths)
        finding = filled(report.Finding, texts, 3)
        for name in ("npm_token", *INJECTIONS):
            finding = msgspec.structs.replace(finding, decoys=(*finding.decoys, name))
        many = tuple(filled(report.Finding, cycle([text]), 3) for text in INJECTIONS)
        packages.append(
            msgspec.structs.replace(package, verdict=verdicts[number % 4], findings=(finding, *many))
        )
    whole = filled(report.Report, texts)
    return msgspec.structs.replace(whole, schema=1, verdict="malicious", packages=tuple(packages))


def large_recording(size: int, processes: int = 300) -> events.Recording:
    """About `size` events of many processes: what a very large installation looks like."""
    header = events.Header(
        package="thing", version="1.0.0", target="npm:thing", digest="sha512:00", persona="laptop", sensors=SENSORS,
        planted=PLANTED, phases=[events.PlannedPhase("install", "install")],
    )  # fmt: skip
    found: list[Any] = [events.PhaseStarted(at=0, phase="install", process=1, kind="install", argv=NPM, cwd=PROJECT)]
    for process in range(1, processes + 1):
        at = process * 0.05
        found.append(
            events.ProcessStarted(at=at, phase="install", process=process, pid=100 + process, parent=process // 2)
        )
        argv = ["/usr/bin/node", f"scripts/build-{process}.js"]
        found.append(
            events.ProgramStarted(at=at, phase="install", process=process, exe="/usr/bin/node", argv=argv, cwd=PROJECT)
        )
    while len(found) < size - 3:
        number = len(found)
        path = f"{PROJECT}/node_modules/package-{number % 800}/lib/file-{number % 7919}.js"
        common = {"at": 15 + number * 0.0004, "phase": "install", "process": 1 + number % processes}
        if number % 500 == 0:
            found.append(events.NameLookedUp(**common, name=f"host-{number % 90}.test", kind="A"))
        elif number % 3:
            found.append(events.FileProbed(**common, path=path, call="newfstatat"))
        else:
            found.append(events.FileOpened(**common, path=path, access="read"))
    at = 15 + len(found) * 0.0004
    found += [
        events.FileOpened(at=at, phase="install", process=9, path=f"{HOME}/.npmrc", access="read"),
        events.PhaseEnded(at=at, phase="install", process=1, status="exited"),
        events.GuestEnded(at=at),
    ]
    return events.Recording(header, found)
