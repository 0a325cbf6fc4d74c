"""What one recording adds to a package's section: processes, requests, files left behind, output, and the events. As
plain values that the page's script draws; every text in them is harmless before it gets there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from sandbox import events
from sandbox.facts import Connection, Facts
from sandbox.lineage import Process
from sandbox.paths import tidy
from sandbox.plaintext import command, escape, home_relative, shorten
from sandbox.report import Finding
from sandbox.reporters._html_bodies import Decoder, View, visible
from sandbox.reporters._html_events import Room, Texts, clamped, columns, moment, serial
from sandbox.reporters._html_flows import is_managers

_MOST_PROCESSES = 5000
_MOST_REQUESTS = 1000
_MOST_FILES = 1000
_MOST_SERVED = 1000
_OUTPUT = 4096


def recorded(facts: Facts, findings: Sequence[Finding], room: Room, decoder: Decoder) -> dict[str, Any]:
    """Everything that is drawn of one recording. `findings` may rest on others, too. Takes what it needs of `room`."""
    texts = Texts()
    evidence = _evidence(facts, findings)
    bait = frozenset(line for line, event in enumerate(facts.events, start=2) if _is_bait(facts, event))
    processes, more_processes = _bounded(_processes(facts, texts), _MOST_PROCESSES)
    requests, more_requests = _bounded(_requests(facts, texts, decoder), _MOST_REQUESTS)
    files, more_files = _bounded(_files(facts, evidence), _MOST_FILES)
    served, more_served = _bounded(_served(facts), _MOST_SERVED)
    made, texts = columns(facts.events, room, bait | frozenset(evidence), texts)
    header = facts.header
    found = {
        "persona": escape(header.persona),
        "events": made,
        "texts": texts.all,
        "bait": sorted(bait),
        "evidence": {str(line): titles for line, titles in evidence.items()},
        "total": len(facts.events),
        "phases": [[escape(start.phase), moment(start.at)] for start in facts.phase_starts],
        "processes": processes,
        "requests": requests,
        "files": files,
        "served": served,
        "output": list(_output(facts)),
        "more": {"processes": more_processes, "requests": more_requests, "files": more_files, "served": more_served},
    }
    beside = msgspec.json.encode([processes, requests, files, served, found["output"]])
    room.characters = max(0, room.characters - len(beside))
    return found


def _bounded(many: Iterable[Any], limit: int) -> tuple[list[Any], int]:
    found = list(many)
    return found[:limit], max(0, len(found) - limit)


def _evidence(facts: Facts, findings: Sequence[Finding]) -> dict[int, list[str]]:
    """Lines that findings rest on, with the findings. What is of another recording does not fit the line's time."""
    found: dict[int, list[str]] = {}
    for finding in findings:
        for item in finding.evidence:
            place = item.line - 2
            if 0 <= place < len(facts.events) and abs(facts.events[place].at - item.at) < 1e-6:
                titles = found.setdefault(item.line, [])
                if len(titles) < 5:
                    titles.append(escape(finding.title))
    return found


def _is_bait(facts: Facts, event: Any) -> bool:
    if isinstance(event, events.DecoyTouched | events.DecoySent | events.EndpointAsked):
        return True
    if isinstance(event, events.FileChanged):
        return tidy(event.path) in facts.planted or bool(event.target and tidy(event.target) in facts.planted)
    return isinstance(event, events.FileOpened | events.FileProbed) and tidy(event.path) in facts.planted


def _processes(facts: Facts, texts: Texts) -> Iterator[dict[str, Any]]:
    for process in facts.table.processes.values():
        if not process.serial:
            continue
        programs = [program for program in process.programs if not program.forked]
        actor = process.actor
        yield {
            "serial": serial(process.serial),
            "parent": serial(process.parent.serial) if process.parent else 0,
            "pid": clamped(process.pid),
            "known": process.parent_known or process.root,
            "phase": texts.number(process.phase),
            "last": texts.number(process.last_phase),
            "role": actor.role,
            "package": texts.number(actor.package),
            "from": moment(process.started),
            "to": moment(process.last_at),
            "exited": None if process.exited is None else clamped(process.exited),
            "programs": [
                [moment(program.at), texts.number(command([program.exe, *program.argv[1:]], 600)), program.line]
                for program in programs[:20]
            ],
            "more": max(0, len(programs) - 20),
        }


def process_name(process: Process) -> str:
    """What a process ran last, in short."""
    actor = process.actor
    return command([actor.program.exe, *actor.program.argv[1:]], 100) if actor.program else f"process {process.serial}"


def _requests(facts: Facts, texts: Texts, decoder: Decoder) -> Iterator[dict[str, Any]]:
    """What was sent, the telling first: with bait, then to others than the registry, then the rest."""
    found: list[tuple[int, int, dict[str, Any]]] = []
    pending: list[tuple[int, int, Connection, Any, list[events.DecoySent]]] = []
    for connection in facts.connections:
        things: list[tuple[int, Any]] = sorted([*connection.requests, *connection.data], key=lambda pair: pair[0])
        owners: dict[int, list[events.DecoySent]] = defaultdict(list)
        for line, sent in connection.sent_decoys:
            before = [number for number, _ in things if number < line]
            owners[before[-1] if before else things[0][0] if things else 0].append(sent)
        for line, thing in things:
            registry = isinstance(thing, events.RequestSent) and thing.answered_by == "registry"
            rank = 2 if registry else 1
            if owners[line] and not (registry and is_managers(connection.actor, connection)):
                rank = 0
            pending.append((rank, line, connection, thing, owners[line]))
    for line, (lookup, named) in _named(facts).items():
        found.append((0, line, _lookup(lookup, line, named, texts, decoder)))
    pending.sort(key=lambda one: one[:2])
    for rank, line, connection, thing, sents in pending[:_MOST_REQUESTS]:
        one = _request(connection, thing, line, sents, texts, decoder)
        found.append((rank, line, {**one, "everyday": rank == 2}))
    found.sort(key=lambda one: one[:2])
    yield from (one for _, _, one in found)
    yield from ({} for _ in pending[_MOST_REQUESTS:])


def _named(facts: Facts) -> dict[int, tuple[events.NameLookedUp, list[events.DecoySent]]]:
    """Lookups that carried bait, by line: the last before it was recognised, of a name below the host that it names."""
    found: dict[int, tuple[events.NameLookedUp, list[events.DecoySent]]] = {}
    lines = [line for line, _, _ in facts.lookups]
    for at, sent, _ in facts.sent:
        if sent.where != "dns":
            continue
        last = bisect_left(lines, at)
        for line, lookup, _ in reversed(facts.lookups[max(0, last - 200) : last]):
            if lookup.name == sent.host or lookup.name.endswith(f".{sent.host}"):
                found.setdefault(line, (lookup, []))[1].append(sent)
                break
    return found


def _request(
    connection: Connection, thing: Any, line: int, sents: list[events.DecoySent], texts: Texts, decoder: Decoder
) -> dict[str, Any]:
    process = connection.actor.process
    common = {
        "line": line, "at": moment(thing.at), "phase": texts.number(thing.phase),
        "process": serial(thing.process or process.serial), "program": texts.number(process_name(process)),
        "place": escape(connection.place), "tokens": sorted({escape(f"{one.decoy}: {one.token}") for one in sents}),
    }  # fmt: skip
    if isinstance(thing, events.DataSent):
        in_data = [one for one in sents if one.where in ("data", "body")]
        return {
            **common, "method": escape(thing.protocol), "url": escape(connection.place), "size": clamped(thing.size),
            "kept": len(thing.data), "body": _views(decoder.views(thing.data, in_data, guess=True)),
        }  # fmt: skip
    by_place: dict[str, list[events.DecoySent]] = defaultdict(list)
    for one in sents:
        by_place[one.where].append(one)
    headers = "\n".join(f"{name}: {value}" for name, value in thing.headers[:200])
    return {
        **common, "method": shorten(thing.method, 40), "url": shorten(thing.url, 1000),
        "size": clamped(thing.body_size), "kept": len(thing.body),
        "status": clamped(thing.status), "answered": escape(thing.answered_by),
        "headers": _views(decoder.views(headers.encode("utf-8", "surrogatepass")[:65536], by_place["header"])),
        "address": _views(decoder.views(thing.url.encode("utf-8", "surrogatepass")[:65536], by_place["url"]))
        if by_place["url"] or len(thing.url) > 1000 else [],
        "body": _views(decoder.views(thing.body, by_place["body"] + by_place["data"], guess=True)),
    }  # fmt: skip


def _lookup(
    lookup: events.NameLookedUp, line: int, sents: list[events.DecoySent], texts: Texts, decoder: Decoder
) -> dict[str, Any]:
    name = lookup.name.encode("utf-8", "surrogatepass")
    return {
        "line": line, "at": moment(lookup.at), "phase": texts.number(lookup.phase), "process": serial(lookup.process),
        "program": texts.number(""), "place": escape(lookup.server), "method": "DNS " + shorten(lookup.kind, 20),
        "url": shorten(lookup.name, 300), "everyday": False, "size": len(name), "kept": len(name),
        "tokens": sorted({escape(f"{one.decoy}: {one.token}") for one in sents}),
        "body": _views(decoder.views(name[:4096], sents)),
    }  # fmt: skip


def _views(views: list[View]) -> list[View]:
    return views if len(views) > 1 or (views and views[0].parts) else []


def _files(facts: Facts, evidence: dict[int, list[str]]) -> Iterator[dict[str, Any]]:
    """What a package's processes made or changed, those that findings rest on or that were run first. What the
    installer unpacks is the package itself, and not listed."""
    found: dict[str, dict[str, Any]] = {}

    def note(path: str, line: int, process: int, deed: str) -> None:
        fresh = {"path": path, "line": line, "process": serial(process), "deeds": [], "finding": False}
        one = found.setdefault(path, fresh)
        if deed not in one["deeds"] and len(one["deeds"]) < 8:
            one["deeds"].append(deed)
        one["finding"] = one["finding"] or line in evidence

    for (path, access, actor, _), use in facts.opened.items():
        if access in ("write", "readwrite") and actor.role == "package" and not path.startswith(("/dev/", "/proc/")):
            note(path, use.line, actor.process.serial, "made" if use.event.created else "opened for writing")
    for line, event, actor, path, target in facts.changed:
        if actor.role == "package":
            to = f" to {shorten(_relative(facts, target), 200)}" if target else ""
            mode = f" {event.mode:04o}" if event.change == "mode" else ""
            note(path, line, actor.process.serial, f"{event.change}{mode}{to}")
            if target and event.change in ("renamed", "linked"):
                note(target, line, actor.process.serial, f"{event.change} from {shorten(_relative(facts, path), 200)}")
    ran = {tidy(path) for _, event, actor in facts.programs for path in (event.exe, *event.argv[1:2]) if path}
    for path, one in found.items():
        one["run"] = path in ran
        one["place"] = _place(facts, path)
        one["path"] = shorten(_relative(facts, path), 400)
    yield from sorted(found.values(), key=lambda one: (not one["finding"], not one["run"], one["place"], one["line"]))


def _relative(facts: Facts, path: str) -> str:
    return home_relative(path, facts.header.home, facts.header.project)


def _place(facts: Facts, path: str) -> str:
    header = facts.header
    if path.startswith((f"{header.project}/node_modules/", f"{header.project}/.venv/")):
        return "among the installed packages"
    if path.startswith(header.project + "/"):
        return "in the project"
    if path.startswith(header.home + "/.cache/") or path.startswith(header.home + "/.npm/"):
        return "in a cache"
    if path.startswith(header.home + "/"):
        return "in the home folder"
    return "in a temporary folder" if path.startswith(("/tmp/", "/var/tmp/", "/dev/shm/")) else "elsewhere"


def _served(facts: Facts) -> Iterator[list[Any]]:
    for event in facts.events:
        if isinstance(event, events.ArtifactServed):
            yield [shorten(event.url, 300), escape(event.digest), clamped(event.size)]


def _output(facts: Facts) -> Iterator[dict[str, Any]]:
    for event in facts.events:
        if isinstance(event, events.OutputWritten) and event.data:
            text = event.data[:_OUTPUT].decode("utf-8", "backslashreplace")
            yield {
                "phase": escape(event.phase), "stream": event.stream, "text": visible(text),
                "size": clamped(event.size), "shown": min(len(event.data), _OUTPUT),
            }  # fmt: skip
