"""What was sent, as a reader wants to see it: the bytes as they left, and under each encoding that was undone, with the
bait marked. Uses the decoders that recognised the bait; bounded in what it undoes and in what it shows.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import msgspec

from sandbox.events import DecoySent
from sandbox.gateway import decode
from sandbox.gateway.inflate import Allowance
from sandbox.gateway.masked import ROT13
from sandbox.plaintext import escape
from sandbox.reporters import _html_tokens

_SHOWN = 16 * 1024
"""Characters of one layer."""
_CONTEXT = 160
_STANDARD = bytes.maketrans(b"-_", b"+/")
_MOST_CANDIDATES = 12
_WORK = 4 * 1024 * 1024
_STEPS = 60
_DEEPEST_GUESS = 3
_TEXTUAL = 0.85
_NOT_UNDONE = "This layer could not be undone from this piece alone."


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """One layer. `parts` are text and, where it is bait, what it is called. `note` is said instead where the layer
    could not be shown, `left_out` how many characters were."""

    encodings: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    tokens: tuple[str, ...] = ()
    note: str = ""
    left_out: int = 0


class Decoder:
    """Undoes encodings for one report, within one allowance for all of it."""

    def __init__(self, work: int = 256 * 1024 * 1024) -> None:
        self._left = work

    def views(self, data: bytes, sent: Sequence[DecoySent], *, guess: bool = False) -> list[View]:
        """The layers of `data`, outermost first. `sent` are the tokens that were recognised in it; where there are
        none, `guess` asks for what reads as text when it is undone."""
        if not data:
            return []
        groups: dict[tuple[str, ...], list[tuple[str, str]]] = {(): []}
        for event in sent[:200]:
            token = (event.decoy, event.token)
            group = groups.setdefault(tuple(event.encodings), [])
            if token not in group:
                group.append(token)
        found = [_view((), data, groups.pop(()))]
        for encodings, tokens in list(groups.items())[:20]:
            plain = self._follow(data, encodings, tokens)
            if plain is None:
                found.append(View(encodings, (), _names(tokens), _NOT_UNDONE))
            else:
                found.append(_view(encodings, plain, tokens))
        if guess and not sent:
            found += self._guess(data)
        return found

    def _allowance(self) -> Allowance:
        return Allowance(min(_WORK, self._left), _STEPS)

    def _follow(self, data: bytes, encodings: tuple[str, ...], tokens: list[tuple[str, str]]) -> bytes | None:
        """What is under `encodings`: of several ways to undo them the one that shows the tokens, or reads best."""
        parts = [decode.whole(data)]
        for encoding in encodings[:8]:
            allowance = self._allowance()
            parts = [below for part in parts for below in _undone(part, encoding, allowance)]
            self._left -= sum(len(part.data) for part in parts)
            parts = sorted(parts, key=lambda part: -_legible(part.data))[:_MOST_CANDIDATES]
        if not parts or self._left <= 0:
            return None

        def worth(part: decode.Part) -> tuple[int, float]:
            return len(_html_tokens.marks(_text(part.data), tokens)), _legible(part.data)

        return max(parts, key=worth).data

    def _guess(self, data: bytes) -> list[View]:
        """Where no bait was recognised: what reads as text when it is undone."""
        found: list[View] = []
        path: tuple[str, ...] = ()
        while len(path) < _DEEPEST_GUESS and self._left > 0:
            allowance = self._allowance()
            layers = list(decode.layers(decode.whole(data), decode.long_runs(data), allowance))[:_STEPS]
            self._left -= sum(len(layer.part.data) for layer in layers)
            worth = [
                layer
                for layer in layers
                if _legible(layer.part.data) >= _TEXTUAL and 2 * len(layer.part.data) >= len(data) // 2 and
                len(layer.part.data) >= 16 and layer.part.data != data
            ]  # fmt: skip
            if not worth:
                break
            best = max(worth, key=lambda layer: (_legible(layer.part.data), len(layer.part.data)))
            path, data = (*path, best.encoding), best.part.data
            found.append(_view(path, data, []))
        return found


def _undone(part: decode.Part, encoding: str, allowance: Allowance) -> list[decode.Part]:
    if encoding == "reversed":
        return [decode.backwards(part)]
    if encoding == "rot13":
        return [decode.whole(part.data.translate(ROT13))]
    runs = decode.long_runs(part.data)
    found = [layer.part for layer in decode.layers(part, runs, allowance) if layer.encoding == encoding]
    if encoding == "base64" and len(runs) > 1:
        # All runs at once is how bait is looked for; a reader wants the one that it stands in.
        for run in sorted(runs, key=len, reverse=True)[:_MOST_CANDIDATES]:
            letters = run.translate(_STANDARD) + b"A" * (-len(run) % 4)
            found.append(decode.whole(binascii.a2b_base64(letters)))
    return found[: 2 * _MOST_CANDIDATES]


def _legible(data: bytes) -> float:
    """Which part of the first 64 KiB is printable."""
    sample = data[: 64 * 1024]
    printable = sum(sample.count(code) for code in (*range(32, 127), 9, 10, 13))
    return printable / len(sample) if sample else 0.0


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _names(tokens: list[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(escape(f"{decoy}: {name}") for decoy, name in tokens)


def _view(encodings: tuple[str, ...], data: bytes, tokens: list[tuple[str, str]]) -> View:
    if encodings and encodings[-1] in ("base64", "base32"):
        data = data.rstrip(b"\0")  # with which the decoder fills up
    text = _text(data)
    marks = _html_tokens.marks(text, tokens)
    parts: list[tuple[str, str]] = []
    place = 0
    left_out = 0
    for start, end, name in [*marks, (len(text), len(text), "")]:
        gap = text[place:start]
        room = max(0, _SHOWN - sum(len(part) for part, _ in parts))
        if len(gap) > room + 2 * _CONTEXT:
            left_out += len(gap) - room - _CONTEXT
            parts.append((visible(gap[:room]), ""))
            parts.append(("\n[...]\n" + visible(gap[-_CONTEXT:]) if name else "\n[...]", ""))
        elif gap:
            parts.append((visible(gap), ""))
        if name:
            parts.append((visible(text[start:end]), escape(name)))
        place = end
    return View(encodings, tuple(part for part in parts if part[0]), _names(tokens), "", left_out)


def visible(text: str) -> str:
    """`text` with its line breaks, everything else that cannot be seen escaped."""
    return "\n".join(escape(line) if line != "\t" else line for line in text.replace("\r\n", "\n").split("\n"))
