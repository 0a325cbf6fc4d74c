"""A recording's events as the page keeps them: columns of numbers, and each text once. Bounded; what is left out for
size is counted by kind, the least telling first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox import events
from sandbox.plaintext import command, escape, shorten

_LONGEST_TEXT = 2000
_LEAST_TELLING: dict[type, int] = {events.FileProbed: 3, events.FileOpened: 2, events.FileChanged: 1}
"""What is left out first: the highest. Everything else is 0."""
_EVENT_SIZE = 20
"""Characters that an event takes without its texts, about."""
_FEWEST = 500
_FIRST = frozenset({"at", "phase", "process"})


class Room(msgspec.Struct):
    """What may still be embedded, of events and of characters."""

    events: int = 200_000
    characters: int = 24 * 1024 * 1024


def clamped(number: float) -> float:
    """A number that the page's script can hold exactly, whatever a recording claims."""
    return max(-(2**53), min(2**53, number))


def serial(number: int) -> int:
    """A process's serial number as the page knows it."""
    return number & 0xFFFFFFFF


def moment(at: float) -> float:
    """Seconds since the guest began, of at most ten years."""
    return round(max(0.0, min(3e8, at)), 6)


class Texts:
    """Each text once, by number; harmless and of bounded length."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.size = 0
        self._numbers: dict[str, int] = {}

    def number(self, value: str) -> int:
        """The number of a text."""
        known = self._numbers.get(value)
        if known is None:
            shown = escape(value) if len(value) <= _LONGEST_TEXT else shorten(value, _LONGEST_TEXT)
            known = self._numbers[value] = len(self.all)
            self.all.append(shown)
            self.size += len(shown) + 3
        return known


class Columns(msgspec.Struct):
    """Events as columns. `kinds` are the kinds' names, `fields` the names of their fields with `s` (a text's number),
    `n` (a number) or `b` (0 or 1); `values` holds the fields of all events, one after the other. `times` are in
    microseconds, each the difference to the one before, as `lines` are."""

    kinds: list[str] = []
    fields: list[list[tuple[str, str]]] = []
    kind: list[int] = []
    times: list[int] = []
    lines: list[int] = []
    phase: list[int] = []
    process: list[int] = []
    values: list[int | float] = []
    left_out: dict[str, int] = {}


def columns(found: Sequence[Any], room: Room, bait: frozenset[int], texts: Texts) -> tuple[Columns, Texts]:
    """As many of the events as there is room for, and the texts with theirs. `bait` are the lines that stay whatever
    their kind. Takes what it needs from `room`."""
    limit = room.events
    while True:
        own = Texts()
        for text in texts.all:
            own.number(text)
        before = own.size
        kept, left_out = _chosen(found, limit, bait)
        made = _columns(kept, own)
        made.left_out = left_out
        size = own.size - before + _EVENT_SIZE * len(kept)
        if size <= room.characters or limit <= _FEWEST:
            break
        limit = min(limit, len(kept)) // 2
    room.events = max(0, room.events - len(kept))
    room.characters = max(0, room.characters - size)
    return made, own


def _chosen(found: Sequence[Any], limit: int, bait: frozenset[int]) -> tuple[list[tuple[int, Any]], dict[str, int]]:
    """The events that stay, with their lines, and how many of each kind do not."""
    if len(found) <= limit:
        return list(enumerate(found, start=2)), {}
    ranks = [0 if line in bait else _LEAST_TELLING.get(type(event), 0) for line, event in enumerate(found, start=2)]
    counts = Counter(ranks)
    places = {}
    for rank in range(4):
        places[rank] = min(counts[rank], limit)
        limit -= places[rank]
    kept = []
    left_out: Counter[str] = Counter()
    for line, (event, rank) in enumerate(zip(found, ranks, strict=True), start=2):
        if places[rank] > 0:
            places[rank] -= 1
            kept.append((line, event))
        else:
            left_out[str(event.__struct_config__.tag)] += 1
    return kept, dict(left_out)


def _columns(kept: list[tuple[int, Any]], texts: Texts) -> Columns:
    made = Columns()
    known: dict[type, tuple[int, list[tuple[str, str]]]] = {}
    last_at = last_line = 0
    for line, event in kept:
        kind = type(event)
        if kind not in known:
            fields = [(name, _sort(kind, name)) for name in kind.__struct_fields__ if name not in _FIRST]
            known[kind] = len(made.kinds), fields
            made.kinds.append(str(kind.__struct_config__.tag))
            made.fields.append(fields)
        number, fields = known[kind]
        at = round(moment(event.at) * 1_000_000)
        made.kind.append(number)
        made.times.append(at - last_at)
        made.lines.append(line - last_line)
        made.phase.append(texts.number(event.phase))
        made.process.append(serial(event.process))
        for name, sort in fields:
            value = getattr(event, name)
            if sort == "s":
                made.values.append(texts.number(_words(name, value)))
            else:
                made.values.append(int(value) if sort == "b" else clamped(value))
        last_at, last_line = at, line
    return made


_NUMBERS = frozenset({
    "pid", "parent", "session", "code", "signal", "seconds", "mode", "port", "connection", "sent", "received", "size",
    "body_size", "status", "target", "count",
})  # fmt: skip
_TRUTHS = frozenset({"parent_known", "created", "directory", "denied"})


def _sort(kind: type, name: str) -> str:
    if (kind, name) in ((events.PhaseEnded, "status"), (events.FileChanged, "target")):
        return "s"
    return "n" if name in _NUMBERS else "b" if name in _TRUTHS else "s"


def _words(name: str, value: Any) -> str:
    """A field as text."""
    if isinstance(value, str):
        return value
    if name == "argv":
        return command(value, _LONGEST_TEXT)
    if isinstance(value, bytes):
        return value[:_LONGEST_TEXT].decode("utf-8", "backslashreplace")
    if name == "headers":
        return "; ".join(f"{key}: {text}" for key, text in value[:40])
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return " ".join(map(str, value[:200]))
    return msgspec.json.encode(value)[:_LONGEST_TEXT].decode("utf-8", "replace")
