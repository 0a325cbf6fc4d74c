"""Puts events on disk as they happen: evidence leaves the run's memory before anything else can fail."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import events
from sandbox.errors import BackendError

if TYPE_CHECKING:
    from sandbox.persona import Persona
    from sandbox.plan import Artifact

LINGER = "linger"
"""The phase of what goes on when its own is over."""


class Recorder:
    """Appends events to a recording. Safe from several threads; `phase` is stamped on what is added meanwhile.

    Where several packages are run together, phases run at the same time: then each event bears the phase of its
    process (of the phase's root and all that it starts), and `linger` once that phase is over.
    At most `limit` events are kept; what comes after is counted and reported as lost, once, at the end.
    """

    def __init__(self, path: Path, header: events.Header, limit: int) -> None:
        self.path = path
        self.phase = ""
        self._started = time.monotonic()
        self._limit = limit
        self._lost: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._kept = 0
        self._phases: dict[int, str] | None = {} if header.members else None
        self._over: set[str] = set()
        self._lock = threading.Lock()
        self._failure: OSError | None = None
        try:
            self._file = path.open("wb", buffering=1024 * 1024)
        except OSError as error:
            raise self._unwritable(error) from None
        self._put(events.encode(header))

    def now(self) -> float:
        """Seconds since the recording began."""
        return round(time.monotonic() - self._started, 6)

    def add(self, kind: type[events.Event], /, **fields: Any) -> None:
        """Record an event of `kind`, stamped with the time and the phase unless `fields` say them."""
        if "at" not in fields:
            fields["at"] = self.now()
        if self._phases is not None:
            self._follow(kind, fields, self._phases)
        if "phase" not in fields:
            fields["phase"] = self.phase_of(fields.get("process", 0), self.phase)
        self.write(kind(**fields))

    def phase_of(self, process: int, now: str) -> str:
        """The phase of what a process does: `now`, the phase under way, unless phases run at the same time."""
        if self._phases is None:
            return now
        phase = self._phases.get(process, "")
        return LINGER if phase in self._over else phase

    def _follow(self, kind: type[events.Event], fields: dict[str, Any], phases: dict[int, str]) -> None:
        """Learn which processes belong to which phase, and which phases are over."""
        if kind is events.ProcessStarted:
            phases.setdefault(fields["process"], phases.get(fields.get("parent", 0), ""))
        elif kind is events.PhaseStarted:
            phases[fields["process"]] = fields["phase"]
        elif kind is events.PhaseEnded:
            self._over.add(fields["phase"])

    def write(self, event: events.Event) -> None:
        """Record an event that is complete."""
        tag = str(event.__struct_config__.tag)
        with self._lock:
            if self._file.closed:
                return
            if self._kept >= self._limit and not isinstance(
                event, (events.PhaseEnded, events.SensorLost, events.DecoySent, events.DecoyTouched)
            ):
                self._lost[tag] += 1
                return
            self._kept += 1
            self._counts[tag] += 1
            self._put(events.encode(event))  # type: ignore[arg-type]  # every subclass is in AnyEvent

    def close(self) -> None:
        """Say what was lost, end the recording and flush it. Safe to call twice. Raises BackendError where it could
        not be written whole: a full disk."""
        if self._file.closed:
            return
        for tag, count in self._lost.items():
            lost = events.SensorLost(
                at=self.now(), sensor="recorder", reason=f"more than {self._limit} events: {tag}", count=count
            )
            self._put(events.encode(lost))
        self._put(events.encode(events.GuestEnded(at=self.now(), counts=dict(self._counts))))
        self.abandon()
        if self._failure is not None:
            raise self._unwritable(self._failure)

    def abandon(self) -> None:
        """Close without the last line: the recording then reads as cut, which is never clean."""
        if not self._file.closed:
            try:
                self._file.close()
            except OSError as error:
                self._failure = self._failure or error

    def _put(self, line: bytes) -> None:
        """After a first failure nothing more is written. It is raised at the end, by `close`: whoever adds an event
        could do nothing about it."""
        if self._failure is None:
            try:
                self._file.write(line)
            except OSError as error:
                self._failure = error

    def _unwritable(self, error: OSError) -> BackendError:
        nameless = self.path.is_relative_to("/proc")
        place = "TMPDIR" if nameless else "--keep"
        return BackendError(
            f"the recording{'' if nameless else f' {self.path}'} cannot be written: {error.strerror or error}",
            f"free some disk space, or choose another place with {place}",
        )


def file_name(artifact: Artifact, who: Persona) -> str:
    """A recording's file name: the package's words, and nothing else of it. One that is no registry's may bear any
    name, so a part of its digest tells it from others."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{artifact.ecosystem}-{artifact.name}-{artifact.version}").strip("-.")
    own = f"-{artifact.digest.rpartition(':')[2][:8]}" if artifact.upload and artifact.digest else ""
    return f"{words[:120]}{own}-{who.id}.jsonl"


