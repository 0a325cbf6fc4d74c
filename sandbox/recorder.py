"""Puts events on disk as they happen: evidence leaves the run's memory before anything else can fail."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sandbox import events


class Recorder:
    """Appends events to a recording. Safe from several threads; `phase` is stamped on what is added meanwhile.

    At most `limit` events are kept; what comes after is counted and reported as lost, once, at the end.
    """

    def __init__(self, path: Path, header: events.Header, limit: int) -> None:
        self.path = path
        self.phase = ""
        self._started = time.monotonic()
        self._limit = limit
        self._lost: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._file = path.open("wb", buffering=1024 * 1024)
        self._file.write(events.encode(header))

    def now(self) -> float:
        """Seconds since the recording began."""
        return round(time.monotonic() - self._started, 6)

    def add(self, kind: type[events.Event], /, **fields: Any) -> None:
        """Record an event of `kind`, stamped with the time and the phase unless `fields` say them."""
        fields.setdefault("at", self.now())
        fields.setdefault("phase", self.phase)
        self.write(kind(**fields))

    def write(self, event: events.Event) -> None:
        """Record an event that is complete."""
        tag = str(event.__struct_config__.tag)
        with self._lock:
            if self._file.closed:
                return
            if self._counts.total() >= self._limit and not isinstance(
                event, (events.PhaseEnded, events.SensorLost, events.DecoySent, events.DecoyTouched)
            ):
                self._lost[tag] += 1
                return
            self._counts[tag] += 1
            self._file.write(events.encode(event))  # type: ignore[arg-type]  # every subclass is in AnyEvent

    def close(self) -> None:
        """Say what was lost, end the recording and flush it. Safe to call twice."""
        if self._file.closed:
            return
        for tag, count in self._lost.items():
            lost = events.SensorLost(
                at=self.now(), sensor="recorder", reason=f"more than {self._limit} events: {tag}", count=count
            )
            self._file.write(events.encode(lost))
        self._file.write(events.encode(events.GuestEnded(at=self.now(), counts=dict(self._counts))))
        self._file.close()

    def abandon(self) -> None:
        """Close without the last line: the recording then reads as cut, which is never clean."""
        if not self._file.closed:
            self._file.close()
