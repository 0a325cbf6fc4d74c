"""Where npm packages stand in `node_modules`, so that each finds the version of another that it asks for. Pure.

Lockfile formats say this in five ways or not at all; the packages' own manifests say what they need. So one layout
serves every format, and every part of a lockfile: hoisted to the top where that is right for most, nested where not.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

_KINDS = ("dependencies", "optionalDependencies", "peerDependencies")
_DEEPEST = 24
_MOST_NEEDS = 2_000
"""Dependencies of one package that are looked at: a manifest may name as many as it likes."""


class Piece(msgspec.Struct, frozen=True):
    """One version of a package, and its manifest."""

    name: str
    version: str
    manifest: Mapping[str, object]


class Layout(msgspec.Struct, frozen=True):
    """`places`: which piece (its number) stands in which folder, such as `node_modules/a/node_modules/b`. `needs`: by
    piece, the names that it asks for and the pieces that answer. `aside`: by folder, what stands below it though it
    does not ask for it. Pieces that stand nowhere are `left`."""

    places: dict[str, int]
    needs: list[dict[str, int]]
    left: list[int]
    aside: dict[str, dict[str, int]] = {}


def arrange(pieces: Sequence[Piece]) -> Layout:
    """Lay the pieces out. A copy is nested for a dependent only where it would find another; the number is bounded."""
    needs = _needs(pieces)
    demand: Counter[tuple[str, int]] = Counter((name, one) for found in needs for name, one in found.items())
    top: dict[str, int] = {}
    for name, number in sorted(demand, key=lambda item: (-demand[item], -item[1])):
        if pieces[number].name == name:
            top.setdefault(name, number)
    for number, piece in enumerate(pieces):
        top.setdefault(piece.name, number)
    for name, number in demand:
        if pieces[number].name != name:
            top.setdefault(name, number)  # an alias: the package under another name
    places = {f"node_modules/{name}": number for name, number in top.items()}
    _nest(places, needs, list(places))
    left, aside = [], dict[str, dict[str, int]]()
    for number in range(len(pieces)):
        if number not in places.values():
            host = _host(pieces, places, needs, number)
            if host:
                name = pieces[number].name
                places[f"{host}/node_modules/{name}"] = number
                aside.setdefault(host, {})[name] = number
                _nest(places, needs, [f"{host}/node_modules/{name}"])
            else:
                left.append(number)
    return Layout(places, needs, left, aside)


def _nest(places: dict[str, int], needs: Sequence[Mapping[str, int]], folders: Sequence[str]) -> None:
    """Below each folder, what it asks for and would otherwise find another version of; and so on."""
    pending = deque(folders)
    while pending and len(places) < 8 * len(needs) + 64:
        folder = pending.popleft()
        for name, wanted in needs[places[folder]].items():
            if _found(places, folder, name) != wanted and folder.count("node_modules/") < _DEEPEST:
                nested = f"{folder}/node_modules/{name}"
                places[nested] = wanted
                pending.append(nested)


def _host(pieces: Sequence[Piece], places: Mapping[str, int], needs: Sequence[Mapping[str, int]], number: int) -> str:
    """For a version that nobody needs while the top has another: the folder of a package at the top below which it may
    stand, since nothing there asks for its name; empty where there is none."""
    name = pieces[number].name
    for place, host in places.items():
        at_the_top = place.count("node_modules/") == 1 and pieces[host].name != name
        inside = [one for where, one in places.items() if where.startswith(f"{place}/")] if at_the_top else []
        free = f"{place}/node_modules/{name}" not in places
        if at_the_top and free and not any(name in needs[one] for one in (host, *inside)):
            return place
    return ""


def closure(needs: Sequence[Mapping[str, int]], some: Sequence[int]) -> set[int]:
    """`some`, and all that they need in turn."""
    found: set[int] = set()
    pending = list(some)
    while pending:
        number = pending.pop()
        if number not in found:
            found.add(number)
            pending += needs[number].values()
    return found


def needs_of(pieces: Sequence[Piece]) -> list[dict[str, int]]:
    """By piece, the names that it asks for and the pieces that answer."""
    return _needs(pieces)


def _needs(pieces: Sequence[Piece]) -> list[dict[str, int]]:
    by_name: dict[str, list[int]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        by_name[piece.name].append(number)
    found: list[dict[str, int]] = []
    for piece in pieces:
        needs: dict[str, int] = {}
        for kind in _KINDS:
            asked = piece.manifest.get(kind)
            for name, wanted in list(asked.items())[:_MOST_NEEDS] if isinstance(asked, dict) else ():
                real, wanted_range = _meant(str(name), str(wanted))
                answer = _answer(pieces, by_name.get(real, []), wanted_range)
                if answer is not None:
                    needs.setdefault(str(name), answer)
        found.append(needs)
    return found


def _meant(name: str, wanted: str) -> tuple[str, str]:
    """The package and range that a dependency means: `npm:other@1` is another package under this name."""
    if not wanted.startswith("npm:"):
        return name, wanted
    real, separator, rest = wanted[4:].rpartition("@")
    return (real, rest) if real and separator else (wanted[4:], "")


def _answer(pieces: Sequence[Piece], numbers: list[int], wanted: str) -> int | None:
    """Of a package's versions the best for a range. The only one that a lock has is right, whatever the range says."""
    if len(numbers) < 2:
        return numbers[0] if numbers else None
    spec = _spec(wanted[:256])
    versions = [(_version(pieces[number].version), number) for number in numbers]
    known = [(version, number) for version, number in versions if version is not None]
    fitting = [pair for pair in known if spec is not None and pair[0] in spec]
    return max(fitting or known, default=(None, numbers[-1]))[1]


@lru_cache(maxsize=10_000)
def _spec(text: str) -> Any:
    from semantic_version import NpmSpec

    try:
        return NpmSpec(text)
    except ValueError:
        return None


@lru_cache(maxsize=10_000)
def _version(text: str) -> Any:
    from semantic_version import Version

    try:
        return Version(text)
    except ValueError:
        return None


def _found(places: Mapping[str, int], folder: str, name: str) -> int | None:
    """What Node finds under a name from within a folder: the nearest `node_modules` that has it."""
    here = folder
    while True:
        found = places.get(f"{here}/node_modules/{name}" if here else f"node_modules/{name}")
        if found is not None or not here:
            return found
        here = here.rpartition("/node_modules/")[0]
