"""From events to facts, in one pass: what was opened, changed, run, reached and sent, and by whom."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from sandbox import events
from sandbox.events import Recording
from sandbox.lineage import Actor, Process, Table
from sandbox.paths import Paths, tidy

Noted = tuple[int, Any, Actor]
"""Line, event, and who did it."""


class Deed(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One thing done, in the words of profiles: a verb and its subject. `decoy` is the bait concerned."""

    verb: str
    subject: str
    actor: Actor
    phase: str
    kind: str
    line: int
    at: float
    decoy: str = ""
    weight: str = ""
    method: str = ""
    arguments: str = ""
    count: int = 1
    event: Any = None
    connection: Any = None


class Use:
    """Repeated opens of one path by one actor in one phase, with one kind of access."""

    __slots__ = ("count", "event", "line")

    def __init__(self, line: int, event: events.FileOpened) -> None:
        self.line = line
        self.event = event
        self.count = 1


class Connection:
    """One connection, and all that passed on it."""

    __slots__ = (
        "actor", "closed", "data", "ended", "event", "line", "number", "phase", "received", "requests", "sent",
        "sent_decoys", "tls",
    )  # fmt: skip

    def __init__(
        self, number: int, line: int, event: events.ConnectionOpened | None, actor: Actor, phase: str
    ) -> None:
        self.number = number
        self.line = line
        self.event = event
        self.actor = actor
        self.phase = phase
        self.closed = False
        self.ended = 0
        self.sent = 0
        self.received = 0
        self.requests: list[tuple[int, events.RequestSent]] = []
        self.data: list[tuple[int, events.DataSent]] = []
        self.tls: list[tuple[int, events.TlsEnded]] = []
        self.sent_decoys: list[tuple[int, events.DecoySent]] = []

    @property
    def host(self) -> str:
        """The name that was looked up; empty where an address was used. What TLS calls it is only said."""
        return self.event.host.lower().rstrip(".") if self.event is not None else ""

    @property
    def last_line(self) -> int:
        """Until where bytes may have left on it, as far as the recording tells."""
        lines = [self.line, *(line for line, _ in self.data), *(line for line, _ in self.requests)]
        return max(lines) if self.data or self.requests else self.ended or self.line

    @property
    def place(self) -> str:
        """`host:port`, or `address:port`, or the path of a Unix socket."""
        if self.event is None:
            return self.host or "an unknown place"
        if self.event.protocol == "unix":
            return self.event.address
        address = self.event.address
        return f"{self.host or (f'[{address}]' if ':' in address else address)}:{self.event.port}"

    @property
    def protocol(self) -> str:
        """tcp, udp, unix, or tls where a handshake was seen."""
        if self.event is not None and self.event.protocol != "tcp":
            return self.event.protocol
        return "tls" if self.tls else "tcp"


class Facts:
    """What one recording shows. Filled by `gather`; read only after that."""

    def __init__(self, recording: Recording) -> None:
        header = recording.header
        self.header = header
        self.events = recording.events
        self.planted = {tidy(file.path): file for file in header.planted}
        self.watched = _with_parents(self.planted)
        """The planted paths and every folder above them."""
        self.phase_starts = [event for event in recording.events if type(event) is events.PhaseStarted]
        self.plans = [event for event in recording.events if type(event) is events.PhasesPlanned]
        self.planned = [*header.phases, *(phase for plan in self.plans for phase in plan.phases)]
        self.kinds = {phase.name: phase.kind for phase in self.planned}
        self.kinds.update({event.phase: event.kind for event in self.phase_starts})
        self.phase_ends: dict[str, events.PhaseEnded] = {}
        self.table = Table(header, self.phase_starts, self.planned)
        self.opened: dict[tuple[str, str, Actor, str], Use] = {}
        self.probed: dict[tuple[str, Actor, str], tuple[int, events.FileProbed]] = {}
        self.changed: list[tuple[int, events.FileChanged, Actor, str, str]] = []
        """Line, event, actor, tidy path, tidy target."""
        self.programs: list[Noted] = []
        self.attempts: list[Noted] = []
        self.connections: list[Connection] = []
        self.by_number: dict[int, Connection] = {}
        self.lookups: list[Noted] = []
        self.sent: list[tuple[int, events.DecoySent, Connection]] = []
        self.asked: list[tuple[int, events.EndpointAsked, Connection]] = []
        self.syscalls: list[Noted] = []
        self.sockets: list[Noted] = []
        self.sleeps: list[Noted] = []
        self.binds: list[Noted] = []
        self.survivors: list[Noted] = []
        self.touched: list[tuple[int, events.DecoyTouched]] = []
        self.printed: dict[int, bytes] = {}
        """What phases printed on stderr, by the serials of their own processes."""
        self.lost: list[events.SensorLost] = []
        self.sensors: set[str] = set()
        self.ended: events.GuestEnded | None = None
        self.counts: Counter[str] = Counter()
        self.origins: dict[str, tuple[int, Actor]] = {}
        """Files that a package made or rewrote in this run: the first line, and by whom."""
        self.decoy_uses: dict[str, list[float]] = {}
        """When the syscall sensor saw each planted path, or a folder above it, used."""

    @cached_property
    def by_pid(self) -> dict[int, Process]:
        """The last process that had each number."""
        return {process.pid: process for process in self.table.processes.values() if process.pid}

    def kind(self, phase: str) -> str:
        """The kind of a phase by its name; between and after phases, `linger`."""
        return self.kinds.get(phase, "linger")

    def last_phase(self) -> str:
        """The last phase that began."""
        return self.phase_starts[-1].phase if self.phase_starts else ""


def gather(recording: Recording) -> Facts:
    """Read all events once. Linear in their number; raises nothing on hostile ones."""
    facts = Facts(recording)
    reader = _Reader(facts)
    handlers = reader.handlers()
    kinds: Counter[type] = Counter(map(type, recording.events))
    for line, event in enumerate(recording.events, start=2):
        handler = handlers.get(type(event))
        if handler is not None:
            handler(line, event)
    facts.counts = Counter({str(kind.__struct_config__.tag): count for kind, count in kinds.items()})  # type: ignore[attr-defined]  # every event is a Struct
    return facts


class _Reader:
    """The one pass. Each method takes one kind of event."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.table = facts.table
        self.actors = facts.table.actors
        self.watched = facts.watched
        self.paths = Paths(facts.planted, facts.watched)

    def handlers(self) -> dict[type, Callable[[int, Any], None]]:
        """Which method reads which event."""
        return {
            events.FileOpened: self.opened,
            events.FileProbed: self.probed,
            events.FileChanged: self.changed,
            events.ProcessStarted: self.table.started,
            events.ProgramRequested: self.attempted,
            events.ProgramStarted: self.program,
            events.ProcessExited: self.exited,
            events.PhaseEnded: self.phase_ended,
            events.ConnectionOpened: self.connected,
            events.ConnectionClosed: self.closed,
            events.RequestSent: lambda line, event: self.on(event).requests.append((line, event)),
            events.DataSent: lambda line, event: self.on(event).data.append((line, event)),
            events.TlsEnded: lambda line, event: self.on(event).tls.append((line, event)),
            events.DecoySent: self.decoy_sent,
            events.EndpointAsked: lambda line, event: self.facts.asked.append((line, event, self.on(event))),
            events.NameLookedUp: self.note(self.facts.lookups),
            events.SyscallCalled: self.note(self.facts.syscalls),
            events.SocketCreated: self.note(self.facts.sockets),
            events.SleepSkipped: self.note(self.facts.sleeps),
            events.PortBound: self.note(self.facts.binds),
            events.SurvivorFound: self.note(self.facts.survivors),
            events.DecoyTouched: self.touched,
            events.OutputWritten: self.printed,
            events.SensorStarted: lambda _, event: self.facts.sensors.add(event.sensor),
            events.SensorLost: lambda _, event: self.facts.lost.append(event),
            events.GuestEnded: self.ended,
        }

    def actor(self, event: events.Event) -> Actor:
        """Who did it, as far as is known; remembers until when and in which phase they were active."""
        actor = self.actors.get(event.process) or self.table.unseen(event.process)
        process = actor.process
        process.last_at = event.at
        if event.phase:
            process.last_phase = event.phase
        return actor

    def note(self, into: list[Noted]) -> Callable[[int, Any], None]:
        """A method that keeps an event with its actor in a list."""
        return lambda line, event: into.append((line, event, self.actor(event)))

    def opened(self, line: int, event: events.FileOpened) -> None:
        actor = self.actor(event)
        path = self.paths.meant(event.path, actor)
        key = (path, event.access, actor, event.phase)
        use = self.facts.opened.get(key)
        if use is not None:
            use.count += 1
        else:
            self.facts.opened[key] = Use(line, event)
        if event.access in ("write", "readwrite"):
            self.made(path, line, actor)
        if path in self.watched:
            self.facts.decoy_uses.setdefault(path, []).append(event.at)
            if path not in self.facts.planted:
                self.paths.opened(path, actor)

    def probed(self, line: int, event: events.FileProbed) -> None:
        actor = self.actor(event)
        self.facts.probed.setdefault((self.paths.meant(event.path, actor), actor, event.phase), (line, event))

    def changed(self, line: int, event: events.FileChanged) -> None:
        actor = self.actor(event)
        named = event.change in ("removed", "renamed", "linked", "symlinked")
        path = self.paths.meant(event.path, actor, follow=not named)
        target = self.paths.meant(event.target, actor, follow=False) if event.target else ""
        if event.change == "linked" and self.paths.meant(event.path, actor) in self.facts.planted:
            path = self.paths.meant(event.path, actor)  # whether a link to a link is followed does not show
        if event.change == "symlinked":
            # Only here is `path` the new name: what a symbolic link holds is text, and may be relative.
            target = tidy(posixpath.join(posixpath.dirname(path), event.target))
        self.facts.changed.append((line, event, actor, path, target))
        origins = self.facts.origins
        self.named(event, actor, path, target)
        if event.change in ("renamed", "linked") and target:
            if path in origins:
                origins[target] = origins[path]
            else:
                origins.pop(target, None)
        elif event.change == "truncated":
            self.made(path, line, actor)
        for used in (path, target):
            if used in self.watched:
                self.facts.decoy_uses.setdefault(used, []).append(event.at)

    def named(self, event: events.FileChanged, actor: Actor, path: str, target: str) -> None:
        """A link makes another name for what it leads to; so does the renaming of bait. What the installer links
        within the project leads nowhere else."""
        if event.change in ("removed", "renamed"):
            self.paths.unlink(path)
        name, meant = (path, target) if event.change == "symlinked" else (target, path)
        if event.change not in ("renamed", "linked", "symlinked") or not name:
            return
        self.paths.unlink(name)
        inside = meant.startswith(self.facts.header.project + "/") and actor.role == "installer"
        if meant in self.watched or (event.change != "renamed" and not inside):
            self.paths.link(name, meant)

    def made(self, path: str, line: int, actor: Actor) -> None:
        """What a package writes is not what its archive held; what the installer writes is."""
        if actor.role == "package":
            self.facts.origins.setdefault(path, (line, actor))
        else:
            self.facts.origins.pop(path, None)

    def attempted(self, line: int, event: events.ProgramRequested) -> None:
        self.facts.attempts.append((line, event, self.actor(event)))
        self.table.requested(event)

    def program(self, line: int, event: events.ProgramStarted) -> None:
        self.actor(event)
        actor = self.table.program(line, event)
        if actor is not None:
            self.facts.programs.append((line, event, actor))

    def exited(self, _line: int, event: events.ProcessExited) -> None:
        self.actor(event).process.exited = event.code

    def phase_ended(self, _line: int, event: events.PhaseEnded) -> None:
        self.facts.phase_ends.setdefault(event.phase, event)

    def connected(self, line: int, event: events.ConnectionOpened) -> None:
        actor = self.actor(event)
        known = self.facts.by_number.get(event.connection) if event.connection else None
        if known is not None and known.event is None:
            known.event, known.actor, known.line, known.phase = event, actor, line, event.phase
            return
        connection = Connection(event.connection, line, event, actor, event.phase)
        self.facts.connections.append(connection)
        if event.connection:
            self.facts.by_number.setdefault(event.connection, connection)

    def on(self, event: Any) -> Connection:
        """The connection that an event happened on, also where nobody saw it being opened."""
        number: int = event.connection
        known = self.facts.by_number.get(number) if number else None
        if known is None:
            known = Connection(number, 0, None, self.actor(event), event.phase)
            if number or not isinstance(event, (events.DecoySent, events.EndpointAsked)):
                self.facts.connections.append(known)
            if number:
                self.facts.by_number[number] = known
        return known

    def closed(self, line: int, event: events.ConnectionClosed) -> None:
        connection = self.on(event)
        connection.closed = True
        connection.ended = line
        connection.sent += event.sent
        connection.received += event.received

    def decoy_sent(self, line: int, event: events.DecoySent) -> None:
        connection = self.on(event)
        connection.sent_decoys.append((line, event))
        self.facts.sent.append((line, event, connection))

    def printed(self, _line: int, event: events.OutputWritten) -> None:
        if event.stream == "stderr":
            self.facts.printed[event.process] = self.facts.printed.get(event.process, b"") + event.data

    def touched(self, line: int, event: events.DecoyTouched) -> None:
        if event.by == "witness":
            self.facts.touched.append((line, event))
        else:
            self.facts.decoy_uses.setdefault(tidy(event.path), []).append(event.at)

    def ended(self, _line: int, event: events.GuestEnded) -> None:
        self.facts.ended = event


def _with_parents(planted: dict[str, events.PlantedFile]) -> frozenset[str]:
    found = set(planted)
    for path in planted:
        folder = posixpath.dirname(path)
        while folder not in found and len(folder) > 1:
            found.add(folder)
            folder = posixpath.dirname(folder)
    return frozenset(found | {"/"})
