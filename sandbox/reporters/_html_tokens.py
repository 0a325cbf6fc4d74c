"""Where bait stands in what was sent, without knowing its value: by the form that the decoy gives it.

A recording names the tokens that left and never their values. Planting the same decoy again, with other draws, shows
what its tokens look like: which characters are always the same, and of what kind the others are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import islice

from sandbox import discovery
from sandbox.bait import Decoy, Draw, Person

_SEEDS = (1, 2, 3, 5, 8, 13, 21, 34)
_CLASSES = (
    ("0-9", frozenset("0123456789")),
    ("0-9a-f", frozenset("0123456789abcdef")),
    ("0-9A-F", frozenset("0123456789ABCDEF")),
    ("A-Z0-9", frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")),
    ("A-Za-z0-9", frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")),
    ("A-Za-z0-9_-", frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")),
    ("A-Za-z0-9+/", frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")),
    ("A-Za-z0-9_.+/=-", frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+/=-")),
)
_SHORTEST_PREFIX = 3
_MOST_MATCHES = 20


class Form:
    """What a token looks like. A `distinct` form begins with letters of its own: a match is the token. Any other is a
    run of letters, and only told where no other run in sight could be it."""

    __slots__ = ("distinct", "pattern")

    def __init__(self, pattern: re.Pattern[str], distinct: bool) -> None:
        self.pattern = pattern
        self.distinct = distinct

    def find(self, text: str) -> list[tuple[int, int]]:
        """The first stretches of `text` that have this form."""
        return [match.span() for match in islice(self.pattern.finditer(text), _MOST_MATCHES)]


@cache
def forms(decoy: str) -> dict[str, Form]:
    """The forms of a decoy's tokens by their names; empty for a decoy that there is not (of another version)."""
    decoys: dict[str, Decoy] = discovery.load("decoys", "DECOY")
    if decoy not in decoys:
        return {}
    person = Person(npm_registry="registry.invalid", pypi_registry="https://registry.invalid/simple")
    values: dict[str, list[str]] = {}
    for seed in _SEEDS:
        for token in decoys[decoy].plant(Draw(seed), person).tokens:
            values.setdefault(token.name, []).append(token.value)
    found = {name: form(many) for name, many in values.items()}
    return {name: one for name, one in found.items() if one is not None}


def form(values: list[str]) -> Form | None:
    """The form that all of `values` have; None where they have too little in common to be told from other text."""
    values = [value.strip() for value in values]
    prefix = _shared(values)
    rest = [value[len(prefix) :] for value in values]
    lengths = {len(one) for one in rest}
    allowed = {character for one in rest for character in one}
    if "\n" in "".join(values) or not lengths or max(lengths) > 4096:
        return None
    kinds = next((kinds for kinds, members in _CLASSES if allowed <= members), None)
    if kinds is None or len(prefix) + min(lengths) < 12:
        return None
    if len(prefix) >= _SHORTEST_PREFIX:
        pattern = f"(?<![A-Za-z0-9]){re.escape(prefix)}[{kinds}]{{{min(lengths)},{max(lengths)}}}"
        return Form(re.compile(pattern), distinct=True)
    # It may be a piece of a longer one: the whole run is told.
    return Form(re.compile(f"[{kinds}]{{{len(prefix) + min(lengths)},4096}}"), distinct=False)


def marks(text: str, wanted: list[tuple[str, str]]) -> list[tuple[int, int, str]]:
    """Where the tokens `wanted` (decoy and name) stand in `text`: from, to, and what to call them. Stretches are in
    order and do not overlap; tokens whose place is not sure are left out."""
    found: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for sure in (True, False):
        certain = list(found)
        for decoy, name in wanted:
            form = forms(decoy).get(name)
            if form is None or form.distinct is not sure:
                continue
            spans = form.find(text)
            if not sure:
                spans = [span for span in spans if not _overlaps(span, certain)]
                if len({text[start:end] for start, end in spans}) > 1:
                    continue
            for span in spans:
                if span in found or not _overlaps(span, found):
                    found.setdefault(span, []).append((decoy, name))
    return [(start, end, _label(names)) for (start, end), names in sorted(found.items())]


def _label(names: list[tuple[str, str]]) -> str:
    """What a stretch may be: `aws: access key id or production access key id`."""
    by_decoy: dict[str, dict[str, None]] = {}
    for decoy, name in names:
        by_decoy.setdefault(decoy, {})[name] = None
    return "; or ".join(f"{decoy}: {' or '.join(own)}" for decoy, own in by_decoy.items())


def _overlaps(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)


def _shared(values: list[str]) -> str:
    first, last = min(values), max(values)
    shorter = min(len(first), len(last))
    return first[: next((place for place in range(shorter) if first[place] != last[place]), shorter)]
