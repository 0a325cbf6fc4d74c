"""Puts together again what was split over several names or requests, so that `recognise` can look at the whole.

Every message becomes fields (a query value, a path segment, a label). Fields of the same place in messages of the same
group are joined in the order of their arrival, and where the messages number themselves, in that order. Pure, bounded.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from sandbox.gateway import alphabets

Field = tuple[str, bytes]

_MOST_GROUPS = 2048
_MOST_SLOTS = 512
_MOST_SLOTS_IN_ALL = 50_000
_MOST_IN_SLOT = 1024 * 1024
_MOST_IN_ALL = 48 * 1024 * 1024
_LONGEST_FIELD = 4096
_WINDOW = 384
_GROWTH = 1.25
_DIVIDER = b" | "
_MOST_FIELDS, _MOST_JOINED = 64, 4096
_JOINED = ("all ", "own ")
"""How places begin that hold several values of one message: new already when they come alone."""
_ALONE = "alone "
"""How other such places begin, which are looked at once and not remembered: that would cost as much as all the rest."""
_USUAL_HEADERS = frozenset({
    "accept", "accept-encoding", "accept-language", "cache-control", "connection", "content-length", "content-type",
    "date", "host", "pragma", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "te", "transfer-encoding",
    "upgrade", "user-agent",
})  # fmt: skip
_DRESSED = re.compile(rb'(?:W/)?"(?P<quoted>[^"]{1,400})"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')
"""A value in quotes, as entity tags are, and one that is spelt as a UUID: pieces are within."""
_PARTS = re.compile(rb"[:;|,._-]")
_PARTS_OF_WORDS = re.compile(rb"[:;|,.-]")
"""The same without the sign that stands in tokens themselves."""
_PAIRS = re.compile(rb"[;,&] *")
_NUMBER = re.compile(r"[0-9]{1,6}")


class _Slot:
    """The pieces seen at one place. Each remembers which message brought it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.messages: list[int] = []
        self.size = 0
        self.due = 2.0
        self.changes = True


class _Group:
    def __init__(self) -> None:
        self.slots: dict[str, _Slot] = {}
        self.count = 0
        self.recent: OrderedDict[tuple[Field, ...], None] = OrderedDict()


class Assembler:
    """Remembers fields by group. `lost` counts pieces that were dropped because a limit was reached."""

    def __init__(self) -> None:
        self._groups: OrderedDict[object, _Group] = OrderedDict()
        self._size = 0
        self._slots = 0
        self.lost: Counter[str] = Counter()

    def add(self, group: object, fields: Sequence[Field]) -> tuple[list[bytes], list[bytes]]:
        """Remember a message; returns what should be looked at now: the new pieces with those just before them, and,
        ever more rarely as it grows, all pieces of a place. A message that was just seen is a repetition (IPv4 and
        IPv6 of one name, a retry) and is left out."""
        state = self._group(group)
        key = tuple(fields)
        if key in state.recent:
            return [], []
        state.recent[key] = None
        if len(state.recent) > 16:
            state.recent.popitem(last=False)
        state.count += 1
        windows: list[bytes] = []
        whole: list[bytes] = []
        for name, value in self._numbered(fields):
            if name.startswith(_ALONE):
                windows.append(value)
                continue
            slot = self._slot(state, name)
            if slot is None or not self._append(slot, value, state.count):
                continue
            if len(slot.pieces) < 2:
                if name.startswith(_JOINED):
                    windows.append(value)
                continue
            before = b"".join(slot.pieces[-min(len(slot.pieces), 96) : -1])[-_WINDOW:]
            windows.append(before + slot.pieces[-1])
            if len(slot.pieces) >= slot.due:
                slot.due = len(slot.pieces) * _GROWTH
                slot.changes = False
                whole += _orders(slot, state.slots)
        return [_DIVIDER.join(windows)] if windows else [], whole

    def flush(self) -> Iterator[tuple[object, bytes]]:
        """Everything that grew since it was last looked at as a whole."""
        for group, state in self._groups.items():
            for slot in state.slots.values():
                if slot.changes and len(slot.pieces) > 1:
                    slot.changes = False
                    for data in _orders(slot, state.slots):
                        yield group, data

    def _group(self, group: object) -> _Group:
        state = self._groups.get(group)
        if state is None:
            state = self._groups[group] = _Group()
            if len(self._groups) > _MOST_GROUPS:
                _, oldest = self._groups.popitem(last=False)
                self._size -= sum(slot.size for slot in oldest.slots.values())
                self._slots -= len(oldest.slots)
                if any(len(slot.pieces) > 1 for slot in oldest.slots.values()):
                    self.lost["groups of messages"] += 1
        else:
            self._groups.move_to_end(group)
        return state

    def _slot(self, state: _Group, name: str) -> _Slot | None:
        slot = state.slots.get(name)
        if slot is None:
            if len(state.slots) >= _MOST_SLOTS or self._slots >= _MOST_SLOTS_IN_ALL:
                self.lost["places in messages"] += 1
                return None
            self._slots += 1
            slot = state.slots[name] = _Slot()
        return slot

    def _append(self, slot: _Slot, value: bytes, message: int) -> bool:
        """Keep a piece; of a long one only the ends, which is where a split would show. False: nothing new."""
        if len(value) > _LONGEST_FIELD:
            half = _LONGEST_FIELD // 2
            value = value[:half] + _DIVIDER + value[-half:]
        if not value or (slot.pieces and slot.pieces[-1] == value):
            return False
        if slot.size + len(value) > _MOST_IN_SLOT or self._size + len(value) > _MOST_IN_ALL:
            self.lost["pieces of messages"] += 1
            return False
        slot.pieces.append(value)
        slot.messages.append(message)
        slot.size += len(value)
        slot.changes = True
        self._size += len(value)
        return True

    @staticmethod
    def _numbered(fields: Iterable[Field]) -> Iterator[Field]:
        """The fields, and the parts of those that carry a number or a mark of their own (`07-4a6f62`)."""
        for name, value in fields:
            yield name, value
            if dressed := _DRESSED.fullmatch(value):
                yield f"{name}#=", (dressed["quoted"] or b"") or value.replace(b"-", b"")
            if len(value) <= _LONGEST_FIELD and not name.startswith(_ALONE):
                for mark, pattern in (("#", _PARTS), ("#_", _PARTS_OF_WORDS))[: 1 + (b"_" in value)]:
                    parts = pattern.split(value, 4)
                    if 2 <= len(parts) <= 4:
                        for place, part in enumerate(parts):
                            yield f"{name}{mark}{place}", part


def _orders(slot: _Slot, slots: dict[str, _Slot]) -> list[bytes]:
    """The pieces joined: as they came, by their number, without the counter at their beginning or end."""
    joined = [b"".join(slot.pieces)]
    for other in slots.values():
        numbers = _numbers(other) if other is not slot else None
        if numbers is not None:
            known = [pair for pair in zip(slot.messages, slot.pieces, strict=True) if pair[0] in numbers]
            known.sort(key=lambda pair: numbers[pair[0]])
            joined.append(b"".join(piece for _, piece in known))
            break
    joined += [b"".join(pieces) for pieces in _without_counter(slot.pieces)]
    joined += alphabets.piecewise(slot.pieces)
    return list(dict.fromkeys(data for data in joined if data))


def _numbers(slot: _Slot) -> dict[int, int] | None:
    """Message to number, where every piece of this slot is a different small whole number."""
    if len(slot.pieces) < 2 or not all(len(piece) <= 6 and piece.isdigit() for piece in slot.pieces):
        return None
    numbers = {message: int(piece) for message, piece in zip(slot.messages, slot.pieces, strict=True)}
    return numbers if len(set(numbers.values())) == len(numbers) else None


def _without_counter(pieces: list[bytes]) -> Iterator[list[bytes]]:
    """The pieces in the order of the counter that all of them begin or end with, and without it.

    A counter is a number of fixed width whose values, sorted, are consecutive; chance costs us a look, no more.
    """
    for width in range(1, min(5, *(len(piece) for piece in pieces))):
        for head in (True, False):
            counters = [piece[:width] if head else piece[-width:] for piece in pieces]
            if not all(counter.isdigit() and len(counter) == width for counter in counters):
                continue
            order = sorted(zip((int(counter) for counter in counters), pieces, strict=True))
            if order[-1][0] - order[0][0] != len(order) - 1 or len({number for number, _ in order}) != len(order):
                continue
            yield [piece[width:] if head else piece[:-width] for _, piece in order]


# Fields -----------------------------------------------------------------------------------------------------


def name_fields(name: bytes) -> list[Field]:
    """The labels of a looked-up name left of its domain, counted from the right, and all of them joined."""
    labels = name.rstrip(b".").split(b".")[:-2]
    if not labels:
        return []
    if domain(name) == b"ip6.arpa" and not b"".join(labels).translate(None, b"0123456789abcdefABCDEF"):
        # Digits of an address, the last first: what a thief chose of it stands after the network's.
        digits = b"".join(reversed(labels))
        return [(f"address after {network}", digits[network:]) for network in (0, 8, 12, 16)]
    fields = [(f"label{place}", label) for place, label in enumerate(reversed(labels))]
    fields.append(("all labels", b"".join(labels)))
    if len(labels) > 1:
        fields.append(("first labels", b"".join(labels[:-1])))
    return fields


def domain(name: bytes) -> bytes:
    """What names of one tunnel have in common: the last two labels."""
    return b".".join(name.rstrip(b".").lower().split(b".")[-2:])


def url_fields(url: bytes) -> list[Field]:
    """Path segments and query values of an absolute URL."""
    rest = url.split(b"://", 1)[-1]
    path, _, query = rest.partition(b"?")
    segments = path.split(b"/")[1:]
    fields = [(f"path{place}", unquote_to_bytes(segment)) for place, segment in enumerate(segments[:12])]
    last = unquote_to_bytes(segments[-1]) if segments else b""
    stem = last.rpartition(b".")[0] or last
    if len(segments) > 1:
        fields.append(("last", last))
        fields.append(("alone path", unquote_to_bytes(b"".join(segments[:-1])) + stem))
    if stem != last and b"." not in stem:
        fields.append(("stem", stem))
    return fields + _form(query, "query")


def _form(text: bytes, kind: str) -> list[Field]:
    fields: list[Field] = []
    for pair in text.split(b"&", _MOST_JOINED)[:_MOST_JOINED]:
        key, sign, value = pair.partition(b"=")
        value = unquote_to_bytes(value if sign else key)
        fields.append((f"{kind}:{key[:40].decode('latin-1') if sign else ''}", value))
    joined = [(f"all {kind}", b"".join(value for _, value in fields))] if len(fields) > 1 else []
    return [field for field in fields[:_MOST_FIELDS] + joined + _orders_of_names(fields) if field[1]]


def _orders_of_names(fields: Sequence[Field]) -> list[Field]:
    """The values of one message joined from last to first, and by the numbers in their names."""
    values = [value for _, value in fields]
    if len(values) < 3:
        return []
    found = {b"".join(reversed(values))}
    numbers = [_NUMBER.findall(name) for name, _ in fields]
    numbered = [(int(place[-1]), value) for place, value in zip(numbers, values, strict=True) if place]
    if len(numbered) > 2:
        found.add(b"".join(value for _, value in sorted(numbered, key=lambda pair: pair[0])))
    return [(_ALONE, value) for value in sorted(found - {b"".join(values)})]


def header_fields(headers: Sequence[tuple[str, str]]) -> list[Field]:
    """One field a header, all values joined, and those of headers that programs do not send of themselves."""
    fields = [(f"header:{name[:40].lower()}", value.encode("latin-1", "replace")) for name, value in headers[:32]]
    pairs = [pair for name, value in fields if name[7:] not in _USUAL_HEADERS for pair in _values(name, value)]
    own = b"".join(value for name, value in fields if name[7:] not in _USUAL_HEADERS)
    if len(fields) > 1:
        fields.append(("all header", b"".join(value for _, value in fields)))
    return [*fields, *pairs, ("own header", own)] if own else fields


def _values(name: str, header: bytes) -> list[Field]:
    """The values of a header that holds several, as a cookie does."""
    pairs = [pair.partition(b"=") for pair in _PAIRS.split(header, _MOST_JOINED)[:_MOST_JOINED]]
    values = [(key.decode("latin-1"), value if sign else key) for key, sign, value in pairs]
    joined = [(_ALONE, b"".join(value for _, value in values))] if len(values) > 1 else []
    return joined + _orders_of_names(values) if name == "header:cookie" else joined


def body_fields(body: bytes) -> list[Field]:
    """The strings and numbers of a JSON body, the values of a form, and the body itself."""
    fields: list[Field] = [("body", body)]
    if not body or len(body) > 64 * 1024:
        return fields
    if body[:1] in b"{[":
        try:
            leaves = list(itertools.islice(_leaves(json.loads(body), "", 0), _MOST_JOINED))
        except (ValueError, RecursionError):
            return fields
        fields += [(f"json{key}", value) for key, value, _ in leaves[:_MOST_FIELDS]]
        if len(leaves) > 1:
            texts = [(key, value) for key, value, is_text in leaves if is_text]
            words = [value for _, value in texts if not value.isdigit()]
            fields.append(("all json", b"".join(words)))
            if len(words) < len(texts):
                fields.append((_ALONE, b"".join(value for _, value in texts)))
            fields += _orders_of_names(texts)
    elif b"=" in body[:256] and b"\n" not in body[:256]:
        fields += _form(body, "form")
    return fields


def _leaves(value: Any, key: str, depth: int) -> Iterator[tuple[str, bytes, bool]]:
    """Where each string and number stands, what it is, and whether it is a string."""
    if isinstance(value, str):
        yield key, value.encode("utf-8", "surrogatepass"), True
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000:
        yield key, str(value).encode(), False
    elif depth < 6 and isinstance(value, dict):
        for name, inner in itertools.islice(value.items(), _MOST_JOINED):
            yield from _leaves(inner, f"{key}.{name[:40]}", depth + 1)
    elif depth < 6 and isinstance(value, list):
        for inner in value[:_MOST_JOINED]:
            yield from _leaves(inner, f"{key}[]", depth + 1)
