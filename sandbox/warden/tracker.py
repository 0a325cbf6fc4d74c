"""From the warden's raw records to events: who did what, in whose lineage. Pure.

Process numbers come and go; here each process gets a serial that is never used again. Paths are made absolute as
text (`a/../b` is folded without asking the file system: where a symbolic link makes that wrong, the second witness
tells). Raises ValueError for a record that cannot be what the warden sends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from sandbox import events
from sandbox.warden import calls
from sandbox.warden.frames import Text, strings

CALL = struct.Struct("<QII6QI")
PROCESS = struct.Struct("<QIIQI")

Record = Callable[..., None]
PROCESSES = 65536
"""As many are held before those that asked to end are forgotten: a guest may fork for as long as it lives."""


def text(raw: bytes) -> str:
    """Hostile bytes as text: what is not UTF-8 is kept as \\xNN."""
    return raw.decode("utf-8", "backslashreplace")


class _Process:
    __slots__ = ("exited", "forked_at", "program", "serial", "session", "start")

    def __init__(self, serial: int, start: int, session: int) -> None:
        self.serial = serial
        self.start = start
        self.session = session
        self.forked_at = -1.0
        self.exited = False
        self.program: tuple[bytes, bytes] | None = None


class Tracker:
    """Holds the process table of one guest. `record(kind, **fields)` is called with each event."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._names: dict[int, str] = {}
        self._handlers: dict[int, calls.Handler] = {}
        self._by_pid: dict[int, _Process] = {}
        self._forkers: list[_Process] = []
        self._next = 1
        self._roots: set[int] = set()
        self._init_pid = 0
        self._offset = 0.0
        self.calls = 0

    def ready(self, payload: bytes, now: float) -> None:
        """The warden's first frame: its clock, the guest's first process, and what its call numbers mean."""
        if len(payload) < 12:
            raise ValueError("a short ready frame")
        clock, self._init_pid = struct.unpack_from("<QI", payload)
        self._offset = clock / 1e9 - now
        for _, raw in strings(payload, 12):
            number = int.from_bytes(raw[:4], "little")
            name = text(raw[4:])
            self._names[number] = name
            self._handlers[number] = calls.HANDLERS.get(name, calls.telling)

    def seconds(self, clock: int) -> float:
        """The recording's time of a warden's clock reading."""
        return round(clock / 1e9 - self._offset, 6)

    def root(self, pid: int) -> int:
        """A phase's root process is about to begin; returns its serial."""
        self._roots.add(pid)
        process = self._new(pid, 0, 0)
        return process.serial

    def serial(self, pid: int) -> int:
        """The serial of the process that has this number now, 0 where none is known."""
        process = self._by_pid.get(pid)
        return process.serial if process else 0

    def _new(self, pid: int, start: int, session: int) -> _Process:
        process = _Process(self._next, start, session)
        self._next += 1
        if len(self._by_pid) >= PROCESSES:
            self._by_pid = {number: one for number, one in self._by_pid.items() if not one.exited}
        self._by_pid[pid] = process
        return process

    def process(self, pid: int, payload: bytes) -> int:
        """A process was seen for the first time, or became another program; returns its serial."""
        if len(payload) < PROCESS.size:
            raise ValueError("a short process record")
        clock, parent, session, start, inside = PROCESS.unpack_from(payload)
        fields = dict(strings(payload, PROCESS.size))
        at = self.seconds(clock)
        known = self._by_pid.get(pid)
        if known is None or (known.start != start and pid not in self._roots):
            above, certain = self._parent(parent, session, at)
            known = self._new(pid, start, session)
            self._started(at, known, inside, above, certain, session)
        elif pid in self._roots:
            self._roots.discard(pid)
            known.start, known.session = start, session
            self._started(at, known, inside, 0, True, session)
            return known.serial  # not yet its program: the guest's first process has just made it
        program = (fields.get(Text.EXE, b""), fields.get(Text.ARGUMENT, b""))
        if known.program == program:
            return known.serial  # it asked to become another and did not: a search through PATH tries many
        known.program = program
        # A program that renames itself (npm does) leaves the rest of its arguments' place empty.
        words = fields.get(Text.ARGUMENT, b"").rstrip(b"\0")
        argv = [text(part) for part in words.split(b"\0")] if words else []
        self._record(
            events.ProgramStarted,
            at=at,
            process=known.serial,
            exe=text(fields.get(Text.EXE, b"")),
            argv=argv,
            cwd=text(fields.get(Text.CWD, b"")),
        )
        return known.serial

    def _started(
        self, at: float, process: _Process, pid: int, parent: int, certain: bool, session: int
    ) -> None:
        self._record(
            events.ProcessStarted,
            at=at,
            process=process.serial,
            pid=pid,
            parent=parent,
            parent_known=certain,
            session=session,
        )

    def _parent(self, pid: int, session: int, at: float) -> tuple[int, bool]:
        if pid != self._init_pid:
            process = self._by_pid.get(pid)
            if process is not None:
                return process.serial, True
        # Already an orphan: every process is seen when it forks, so the latest that did in its session is its
        # parent, or a brother of it.
        for process in reversed(self._forkers):
            if process.session == session and process.forked_at <= at:
                return process.serial, False
        return (self._forkers[-1].serial, False) if self._forkers else (0, False)

    def forked(self, pid: int, at: float) -> None:
        """A process is about to make another."""
        process = self._by_pid.get(pid)
        if process is None:
            return
        process.forked_at = at
        self._forkers.append(process)
        if len(self._forkers) > 4096:
            del self._forkers[:2048]

    def call(self, pid: int, payload: bytes) -> None:
        """One system call, as the warden saw it."""
        if len(payload) < CALL.size:
            raise ValueError("a short call record")
        clock, _tid, number, a0, a1, a2, a3, a4, a5, flags = CALL.unpack_from(payload)
        self.calls += 1
        process = self._by_pid.get(pid)
        call = calls.Call(
            self,
            pid,
            process.serial if process else 0,
            round(clock / 1e9 - self._offset, 6),
            self._names.get(number, f"call {number}"),
            (a0, a1, a2, a3, a4, a5),
            flags,
            strings(payload, CALL.size),
        )
        if flags & calls.FOREIGN:
            calls.foreign(call, self._record)
        else:
            self._handlers.get(number, calls.telling)(call, self._record)

    def exited(self, pid: int) -> None:
        """A process asked to end."""
        process = self._by_pid.get(pid)
        if process:
            process.exited = True


