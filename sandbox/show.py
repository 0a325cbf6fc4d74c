"""A recording as text: its timeline and its process tree. Judges nothing; everything hostile is escaped."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from sandbox import events
from sandbox.deviations import connection_way
from sandbox.events import Recording
from sandbox.facts import Facts, gather
from sandbox.lineage import Process
from sandbox.paths import tidy
from sandbox.plaintext import command, escape, home_relative, shorten

_ALWAYS = (
    events.PhaseStarted, events.PhaseEnded, events.ProgramStarted, events.ConnectionOpened, events.NameLookedUp,
    events.RequestSent, events.DataSent, events.TlsEnded, events.DecoyTouched, events.DecoySent,
    events.EndpointAsked, events.SleepSkipped, events.SurvivorFound, events.SensorLost, events.PortBound,
    events.SocketCreated, events.GuestEnded,
)  # fmt: skip
_QUIET_CALLS = frozenset({"setsid", "prlimit64", "kill", "inotify_add_watch", "sched_getaffinity", "seccomp"})
_DEEPEST = 40
"""Levels of a process tree that are drawn as such; deeper ones say how deep they are."""


def timeline(recording: Recording, *, all: bool = False) -> str:
    """What happened, a line each, in order. Runs of file events of one process are folded into one line unless
    they touch bait; `all` shows each."""
    facts = gather(recording)
    lines = [_head(recording)]
    fold: list[tuple[Any, str]] = []
    for number, event in enumerate(recording.events, start=2):
        if isinstance(event, events.FileOpened | events.FileProbed | events.FileChanged):
            if all or _is_bait(facts, event):
                lines += _folded(facts, fold)
                lines.append(_line(facts, event, number))
            elif fold and (fold[-1][0].process != event.process or fold[-1][0].phase != event.phase):
                lines += _folded(facts, fold)
                fold.append((event, tidy(event.path)))
            else:
                fold.append((event, tidy(event.path)))
            continue
        if all or _is_telling(event):
            lines += _folded(facts, fold)
            lines.append(_line(facts, event, number))
    lines += _folded(facts, fold)
    return "\n".join(lines) + "\n"


def tree(recording: Recording) -> str:
    """Which process started which, for whom, and what each ran."""
    facts = gather(recording)
    lines = [_head(recording)]
    roots = [process for process in facts.table.processes.values() if process.parent is None and process.serial]
    # Not recursive: a hostile guest forks deeper than Python's stack.
    pending = [(process, 0) for process in reversed(roots)]
    while pending:
        process, depth = pending.pop()
        lines += _process_lines(process, depth)
        pending += [(child, depth + 1) for child in reversed(process.children)]
    return "\n".join(lines) + "\n"


def _head(recording: Recording) -> str:
    header = recording.header
    what = f"{header.ecosystem}:{header.package}@{header.version}" if header.package else header.target
    if header.members:
        what = f"{header.target}: {len(header.members)} {header.ecosystem} packages together"
    return shorten(f"{what}  {header.persona}  {header.backend}  {header.tool}", 160)


def _process_lines(process: Process, depth: int) -> Iterator[str]:
    indent = "  " * min(depth, _DEEPEST) + (f"({depth} deep) " if depth > _DEEPEST else "")
    actor = process.actor
    owner = f"{actor.role} of {actor.package}" if actor.role == "package" else actor.role
    orphan = "" if process.parent_known or process.root else " (an orphan when first seen)"
    end = "" if process.exited is None else f", exited with {process.exited}"
    phase = f" in {shorten(process.phase, 60)}" if process.parent is None and process.phase else ""
    yield f"{indent}{process.serial}{phase}  [{shorten(owner, 60)}]{orphan}{end}"
    programs = [program for program in process.programs if not program.forked]
    for program in programs[:20]:
        yield f"{indent}    {program.at:8.3f}s  {command([program.exe, *program.argv[1:]], 140)}"
    if len(programs) > 20:
        yield f"{indent}    and {len(programs) - 20} more programs"
    if process.last_phase != process.phase and process.phase:
        yield f"{indent}    still there in {shorten(process.last_phase or 'no phase', 60)}"


def _is_bait(facts: Facts, event: Any) -> bool:
    paths = (event.path, event.target) if isinstance(event, events.FileChanged) else (event.path,)
    return any(tidy(path) in facts.planted for path in paths if path)


def _is_telling(event: Any) -> bool:
    if isinstance(event, events.SyscallCalled):
        return event.denied or event.name not in _QUIET_CALLS
    return isinstance(event, _ALWAYS)


def _folded(facts: Facts, fold: list[tuple[Any, str]]) -> list[str]:
    """One line for a run of file events, which are then forgotten."""
    if not fold:
        return []
    first = fold[0][0]
    kinds = {"opened": 0, "asked about": 0, "changed": 0}
    for event, _ in fold:
        if isinstance(event, events.FileOpened):
            kinds["opened"] += 1
        elif isinstance(event, events.FileProbed):
            kinds["asked about"] += 1
        else:
            kinds["changed"] += 1
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.items() if count)
    folders = [posixpath.dirname(path) for _, path in fold if path.startswith("/")]
    place = posixpath.commonpath(folders) if folders else "?"
    fold.clear()
    return [_row(first, f"{counts} files under {_path(facts, place)}")]


def _line(facts: Facts, event: Any, number: int) -> str:
    return f"{_row(event, _words(facts, event))}  [{number}]"


def _row(event: Any, text: str) -> str:
    phase = shorten(event.phase or "-", 24)
    return f"{event.at:9.3f}  {phase:<12} {event.process:>5}  {escape(text)}"


def _path(facts: Facts, path: str) -> str:
    return shorten(home_relative(path, facts.header.home, facts.header.project), 140)


def _words(facts: Facts, event: Any) -> str:
    """One event in words."""
    if isinstance(event, events.FileOpened | events.FileProbed | events.FileChanged):
        return _file_words(facts, event)
    if isinstance(event, events.PhaseStarted):
        return f"== phase {shorten(event.phase, 60)} begins: {command(event.argv, 120)}"
    if isinstance(event, events.PhaseEnded):
        how = {"exited": f"exited with {event.code}", "killed": f"killed by signal {event.signal}"}
        reason = f": {shorten(event.reason, 120)}" if event.reason else ""
        return f"== phase {shorten(event.phase, 60)} ends: {how.get(event.status, event.status)}{reason}"
    if isinstance(event, events.ProgramStarted | events.SurvivorFound):
        verb = "runs" if isinstance(event, events.ProgramStarted) else "SURVIVED:"
        return f"{verb} {command([event.exe, *event.argv[1:]])}"
    if isinstance(event, events.DecoySent):
        coded = f" as {' in '.join(event.encodings)}" if event.encodings else ""
        return shorten(f"** BAIT LEFT: {event.decoy} {event.token}{coded} in {event.where} to {event.host}", 200)
    if isinstance(event, events.DecoyTouched):
        return f"** bait {shorten(event.decoy, 40)} {event.how}: {_path(facts, event.path)} (seen by {event.by})"
    if isinstance(event, events.EndpointAsked):
        return shorten(f"** bait {event.decoy} asked: {event.url}", 200)
    return _network_words(facts, event)


def _network_words(facts: Facts, event: Any) -> str:
    if isinstance(event, events.ConnectionOpened):
        connection = facts.by_number.get(event.connection)
        name = f" ({connection_way(connection)})" if connection is not None and connection.event is event else ""
        return shorten(f"connects to {event.protocol} {event.host or event.address}:{event.port}{name}", 180)
    if isinstance(event, events.NameLookedUp):
        return shorten(f"looks up {event.name} ({event.kind}) at {event.server or 'the resolver'}", 180)
    if isinstance(event, events.RequestSent):
        served = event.answered_by or "nobody"
        return shorten(f"{event.method} {event.url}", 150) + f", {event.body_size} bytes, answered by {served}"
    if isinstance(event, events.DataSent):
        return shorten(f"sends {event.size} bytes of {event.protocol}: {event.data[:48]!r}", 180)
    if isinstance(event, events.SyscallCalled):
        return shorten(f"calls {event.name} {event.detail}", 140) + (" (refused)" if event.denied else "")
    if isinstance(event, events.SensorLost):
        return shorten(f"!! the sensor {event.sensor} lost {event.count or 'some'} records: {event.reason}", 180)
    if isinstance(event, events.OutputWritten):
        return shorten(f"printed to {event.stream}: {event.data[:200].decode('utf-8', 'backslashreplace')}", 160)
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name not in ("at", "phase", "process")}
    tag = str(event.__struct_config__.tag).replace(".", " ")
    return shorten(f"{tag} {' '.join(f'{name}={value}' for name, value in fields.items())}", 180)


def _file_words(facts: Facts, event: Any) -> str:
    planted = facts.planted.get(tidy(event.path))
    bait = f"  ** bait: {planted.decoy}" if planted else ""
    if isinstance(event, events.FileOpened):
        return f"opens for {event.access}: {_path(facts, event.path)}{bait}"
    if isinstance(event, events.FileProbed):
        return f"asks about ({shorten(event.call, 20)}) {_path(facts, event.path)}{bait}"
    to = f" -> {_path(facts, event.target)}" if event.target else ""
    return f"{event.change} {_path(facts, event.path)}{to}{bait}"
