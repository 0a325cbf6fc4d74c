"""Recognises planted tokens in what leaves a guest, under every encoding that can be undone.

The data is searched as it is, then every layer that `decode` can undo, then layers of layers, nearest first, until
nothing is left or the allowance is spent. Pure: what could not be looked at is said (`take_losses`), never raised.
"""

from __future__ import annotations

import base64
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from functools import cached_property

import msgspec

from sandbox.bait import Token
from sandbox.gateway import assemble, decode
from sandbox.gateway.inflate import SHORTEST, Allowance
from sandbox.gateway.masked import ROT13, Masks
from sandbox.gateway.substituted import Substitutions

_MOST_NODES = 600
_DEEPEST = 8
_SHALLOW = 3
"""How deep the last pieces of something split are looked at each time; all pieces together are looked at in full."""

_MOST_MASKED = 8
"""How many layers of one message are looked at for masks, which is dear."""

_MOST_EXCHANGED = 5
"""How many of those are looked at for exchanged letters: what left, and what base64 makes of it at each place."""

_TELLING, _VARIED = 32, 8
_PER_BYTE = 24
_EXTRA = 16 * 1024 * 1024
_EXTRA_IN_ALL = 1024 * 1024 * 1024
_MOST_SEEN = 100_000


class Match(msgspec.Struct, frozen=True):
    """A token that left: where it was found, and under which encodings, outermost first."""

    token: Token
    where: str
    encodings: tuple[str, ...] = ()


class _Needle(msgspec.Struct, frozen=True):
    """A token as it is searched for: `core` is its longest run of letters, `text` what must be there in full."""

    index: int
    core: bytes
    text: bytes
    folded: tuple[tuple[str, bytes], ...]


class _Node(msgspec.Struct, frozen=True):
    part: decode.Part
    encodings: tuple[str, ...]
    known: frozenset[int] = frozenset()
    reversible: bool = True


class Found(msgspec.Struct, frozen=True):
    """What one scan found: indices of tokens with their encodings, and why the scan is not complete, or empty."""

    hits: tuple[tuple[int, tuple[str, ...]], ...] = ()
    incomplete: str = ""
    work: int = 0


class Recogniser:
    """Looks for `tokens` in what leaves. Scanning is pure and may run on any thread; the rest belongs to one."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tuple(tokens)
        self._needles = tuple(_needle(index, token.value) for index, token in enumerate(tokens))
        probes = [
            probe
            for needle in self._needles
            for probe in (
                (needle.core, needle.text, needle.index, False),
                (needle.core[::-1], needle.text[::-1], needle.index, True),
            )
        ]
        self._probes = [probe for probe in probes if decode.long_runs(probe[0])]
        self._unusual = [probe for probe in probes if not decode.long_runs(probe[0])]
        self._assembler = assemble.Assembler()
        self._reported: OrderedDict[tuple[Hashable, str, int, tuple[str, ...]], None] = OrderedDict()
        self._flows: OrderedDict[object, Hashable] = OrderedDict()
        self._whole: OrderedDict[tuple[object, int, tuple[str, ...]], None] = OrderedDict()
        self._headers: OrderedDict[tuple[Hashable, bytes], None] = OrderedDict()
        self._lines: OrderedDict[tuple[Hashable, bytes], None] = OrderedDict()
        self._extra = _EXTRA_IN_ALL
        self._losses: dict[str, int] = {}
        self.truncated = False

    # Made when they are first asked: they cost more than the rest, and addresses alone need neither.

    @cached_property
    def _masks(self) -> Masks:
        return Masks([(needle.index, needle.core) for needle in self._needles])

    @cached_property
    def _substitutions(self) -> Substitutions:
        return Substitutions([(needle.index, needle.core) for needle in self._needles])

    def feed(self, flow: Hashable, where: str, data: bytes, stream: Hashable | None = None) -> list[Match]:
        """Tokens in `data`, alone and together with what `stream` (default: the flow) carried before at the same
        place. `where` is url, header, body, dns or data. Each token is told once a flow, place and encoding."""
        if where == "header" and self._again(flow, data):
            return []
        return self.accept(flow, where, data, self.scan(data, where), stream)

    def scan(self, data: bytes, where: str = "data", deepest: int = _DEEPEST, masks: bool | None = None) -> Found:
        """Look at `data` alone, whatever came before. Changes nothing, so large data may be scanned on a thread.
        Masks cost more than all the rest: addresses and headers are looked at for them once, at the end."""
        extra = min(_EXTRA, max(self._extra, 64 * 1024))
        start = _PER_BYTE * len(data) + extra
        allowance = Allowance(start, _MOST_NODES)
        hits = dict.fromkeys(self._search_folded(data)) if where == "dns" else {}
        seen: set[bytes] = set()
        seen_runs: set[bytes] = set()
        queue = deque([_Node(decode.whole(data), ())])
        masked = _MOST_MASKED if (where not in ("url", "header") if masks is None else masks) else 0
        exchanged = _MOST_EXCHANGED if masks is None else 1  # what was put together is much
        while queue:
            node = queue.popleft()
            if masked and len(node.encodings) <= 1 and node.reversible:
                masked -= 1
                self._search_masked(node, hits, exchanged > 0)
                exchanged -= 1
            for child in self._visit(node, hits, seen_runs, allowance, deepest):
                data_below = child.part.data
                if len(data_below) < SHORTEST or data_below in seen:
                    continue
                if allowance.spend(len(data_below)):
                    seen.add(data_below)
                    queue.append(child)
        return Found(tuple(hits), allowance.exceeded, max(0, start - allowance.size - _PER_BYTE * len(data)))

    def accept(
        self, flow: Hashable, where: str, data: bytes, found: Found, stream: Hashable | None = None
    ) -> list[Match]:
        """Take over what a scan of `data` found, and remember `data` for what may follow it."""
        matches = self._report(flow, where, found)
        if where == "dns":
            group: object = (where, assemble.domain(data))
            fields = assemble.name_fields(data)
        elif where == "url":
            group, fields = (where, stream or flow), assemble.url_fields(data)
        elif where == "header":
            group = (where, stream or flow)
            fields = assemble.header_fields([line for line in _header_lines(data) if not self._told(group, line)])
        else:
            group, fields = (where, stream or flow), assemble.body_fields(data)
        for index, encodings in found.hits:
            self._whole[group, index, encodings] = None
        while len(self._whole) > _MOST_SEEN:
            self._whole.popitem(last=False)
        return matches + self._together(flow, where, group, fields)

    def flush(self) -> list[tuple[Hashable, Match]]:
        """What shows only when everything is put together; each with the flow that last added to it."""
        matches: list[tuple[Hashable, Match]] = []
        for group, data in self._assembler.flush():
            flow, where = self._flows.get(group), str(group[0]) if isinstance(group, tuple) else "data"
            found = self._put_together(group, self.scan(data, where, masks=True))
            matches += [(flow, match) for match in self._report(flow, where, found)]
        return matches

    def _put_together(self, group: object, found: Found) -> Found:
        """Without what one message had whole: it stands among the pieces too, and who sent the last of them has no part
        in it (npm shows its token to its registry; a package that asks there for a version does not)."""
        hits = tuple(hit for hit in found.hits if (group, *hit) not in self._whole)
        return msgspec.structs.replace(found, hits=hits)

    def take_losses(self) -> dict[str, int]:
        """Why something was not looked at since the last call, with how often."""
        for what, count in self._assembler.lost.items():
            self._lose(f"too many {what} to remember", count)
        self._assembler.lost.clear()
        losses, self._losses = self._losses, {}
        return losses

    def _again(self, flow: Hashable, headers: bytes) -> bool:
        """Whether these headers were looked at before: most requests of a program have the same."""
        key = (flow, headers)
        if key in self._headers:
            self._headers.move_to_end(key)
            return True
        self._headers[key] = None
        if len(self._headers) > 256:
            self._headers.popitem(last=False)
        return False

    def _told(self, group: Hashable, line: tuple[str, str]) -> bool:
        """Whether this very header went the same way before: said twice, it is no second piece of anything, and a
        hundred requests' worth of the same words only looks like more than there is."""
        key = (group, "\n".join(line).encode("latin-1", "replace"))
        told = key in self._lines
        self._lines[key] = None
        self._lines.move_to_end(key)
        if len(self._lines) > 4096:
            self._lines.popitem(last=False)
        return told

    def _lose(self, reason: str, count: int = 1) -> None:
        self.truncated = True
        self._losses[reason] = self._losses.get(reason, 0) + count

    def _together(
        self, flow: Hashable, where: str, group: object, fields: Sequence[assemble.Field]
    ) -> list[Match]:
        if not fields:
            return []
        self._flows[group] = flow
        self._flows.move_to_end(group)
        if len(self._flows) > 4096:
            self._flows.popitem(last=False)
        windows, wholes = self._assembler.add(group, fields)
        found = [self.scan(data, where, _SHALLOW, masks=False) for data in windows]
        found += [self.scan(data, where, masks=False) for data in wholes]
        found = [self._put_together(group, scanned) for scanned in found]
        return [match for scanned in found for match in self._report(flow, where, scanned)]

    def _report(self, flow: Hashable, where: str, found: Found) -> list[Match]:
        self._extra = max(0, self._extra - found.work)
        if found.incomplete:
            self._lose(found.incomplete)
        matches = []
        for index, encodings in found.hits:
            key = (flow, where, index, encodings)
            if key not in self._reported:
                self._reported[key] = None
                matches.append(Match(self._tokens[index], where, encodings))
        while len(self._reported) > _MOST_SEEN:
            self._reported.popitem(last=False)  # at worst something is told twice
        return matches

    def _visit(
        self,
        node: _Node,
        hits: dict[tuple[int, tuple[str, ...]], None],
        seen_runs: set[bytes],
        allowance: Allowance,
        deepest: int,
    ) -> list[_Node]:
        """Search one layer, and undo the next."""
        data, encodings = node.part.data, node.encodings
        runs = decode.long_runs(data)
        # A search looks both ways, so that what was only turned round has been searched already.
        here = self._search(data, runs) if node.reversible else []
        for index, backwards in here:
            if index not in node.known:
                hits[index, (*encodings, "reversed") if backwards else encodings] = None
        if len(encodings) >= deepest:
            # Short runs this deep are what chance makes of other layers.
            if deepest == _DEEPEST and any(len(run) >= _TELLING and len(set(run)) >= _VARIED for run in runs):
                allowance.exceeded = allowance.exceeded or "more layers than are undone"
            return []
        known = node.known | {index for index, _ in here}
        new = [run for run in runs if run not in seen_runs]
        seen_runs.update(new)
        children = [
            _Node(layer.part, (*encodings, layer.encoding), known if layer.transparent else frozenset())
            for layer in decode.layers(node.part, new, allowance)
        ]
        if node.reversible and decode.may_be_backwards(node.part, new):
            children.append(_Node(decode.backwards(node.part), (*encodings, "reversed"), known, reversible=False))
        return children

    def _search_masked(self, node: _Node, hits: dict[tuple[int, tuple[str, ...]], None], exchanged: bool) -> None:
        """Tokens under a mask that a thief made up, under one byte only where everything is legible; and where
        `exchanged`, under a table of letters."""
        data = node.part.data
        legible = decode.is_text(data)
        found = self._masks.search(data, 1) if legible else self._masks.search(data)
        turned = data.translate(ROT13) if legible else b""
        for index, _ in self._search(turned, decode.long_runs(turned)):
            found.setdefault(index, ("rot13",))
        if exchanged:
            for index, encodings in self._substitutions.search(data).items():
                found.setdefault(index, encodings)
        for index, encodings in found.items():
            if index not in node.known:
                hits[index, (*node.encodings, *encodings)] = None

    def _search(self, data: bytes, runs: list[bytes]) -> list[tuple[int, bool]]:
        """Tokens that stand in `data` from left to right (False) or from right to left (True)."""
        found = [probe for probe in self._unusual if probe[0] in data]
        if runs:
            joined = b" ".join(runs)
            found += [probe for probe in self._probes if probe[0] in joined]
        if not found:
            return []
        unfolded = data.translate(None, b"\r\n")
        return [
            (index, backwards)
            for core, text, index, backwards in found
            if text == core or text in data or text in unfolded
        ]

    def _search_folded(self, name: bytes) -> list[tuple[int, tuple[str, ...]]]:
        """Tokens in a looked-up name whose letters have become lower case on the way."""
        lowered = name.lower()
        together = lowered.replace(b".", b"")
        return [
            (needle.index, ("lowercase", encoding) if encoding else ("lowercase",))
            for needle in self._needles
            for encoding, text in needle.folded
            if (text in lowered or text in together) and needle.text not in name
        ]


def _header_lines(data: bytes) -> list[tuple[str, str]]:
    lines = []
    for line in data.split(b"\n"):
        name, sign, value = line.strip(b"\r").partition(b":")
        if sign:
            lines.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    return lines


def _needle(index: int, value: str) -> _Needle:
    """A token of several lines is searched for by its most irregular line: the first and last say only what it is."""
    text = value.strip().encode("utf-8", "surrogatepass")
    lines = [line.strip() for line in text.splitlines() if len(line.strip()) >= 20]
    if len(text.splitlines()) > 1 and lines:
        text = max(reversed(lines), key=lambda line: len(set(line)))
    core = max(decode.long_runs(text) or [b""], key=len)
    if len(core) < SHORTEST:
        core = text
    folded = [("", text.lower())]
    for shift in range(3):
        letters = base64.b64encode(b"\x00" * shift + text)[4 if shift else 0 :].rstrip(b"=")[:-1]
        forms = (letters, letters.translate(bytes.maketrans(b"+/", b"-_")))
        folded += [("base64", form.lower()) for form in forms if len(form) >= SHORTEST]
    return _Needle(index, core, text, tuple(dict.fromkeys(folded)))
