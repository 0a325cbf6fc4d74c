"""JSON with the line of each member, strictly: no key twice, no NaN, bounded depth.

Objects on the way to what has lines are walked here; everything below them is decoded by the standard library, at its
speed. The text must have `\\n` line ends (see `_text.decoded`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]  # it is there, and public by name
from typing import Any

_SPACE = re.compile(r"[ \t\n]*")
_DEPTH = 100


class Table(dict[str, Any]):
    """An object and the line (1-based) of each of its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class _Reader:
    """One text, read once from front to back."""

    def __init__(self, text: str, descend: Callable[[tuple[str, ...]], bool]) -> None:
        self.text = text
        self.descend = descend
        self.counted, self.line = 0, 1
        self.decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refused)

    def at(self, index: int) -> int:
        """The line of a position; asked in rising order, so that every newline is counted once."""
        self.line += self.text.count("\n", self.counted, index)
        self.counted = index
        return self.line

    def skip(self, index: int) -> int:
        return _SPACE.match(self.text, index).end()  # type: ignore[union-attr]  # it matches the empty text too

    def expect(self, index: int, wanted: str) -> str:
        found = self.text[index : index + 1]
        if not found or found not in wanted:
            raise json.JSONDecodeError("Expecting " + " or ".join(wanted), self.text, index)
        return found

    def value(self, index: int, place: tuple[str, ...]) -> tuple[Any, int]:
        if self.text[index : index + 1] == "{" and (not place or self.descend(place)):
            if len(place) >= _DEPTH:
                raise ValueError("objects too deep in one another")
            return self.table(index + 1, place)
        return self.decoder.raw_decode(self.text, index)

    def table(self, index: int, place: tuple[str, ...]) -> tuple[Table, int]:
        found = Table()
        index = self.skip(index)
        if self.text[index : index + 1] == "}":
            return found, index + 1
        while True:
            self.expect(index, '"')
            line = self.at(index)
            key, index = scanstring(self.text, index + 1, True)
            if key in found:
                raise ValueError(f"a key stands twice, line {line}")
            index = self.skip(index)
            self.expect(index, ":")
            found[key], index = self.value(self.skip(index + 1), (*place, key))
            found.lines[key] = line
            index = self.skip(index)
            if self.expect(index, ",}") == "}":
                return found, index + 1
            index = self.skip(index + 1)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def located(text: str, name: str, descend: Callable[[tuple[str, ...]], bool]) -> Table:
    """The object that `text` is. The object at a path of keys for which `descend` is true is a `Table` too.

    `name` is for messages. Raises ValueError, one sentence.
    """
    reader = _Reader(text, descend)
    try:
        index = reader.skip(0)
        reader.expect(index, "{")
        found, index = reader.value(index, ())
        if reader.skip(index) != len(text):
            raise json.JSONDecodeError("Extra data", text, index)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not valid JSON: {error.msg}, line {error.lineno}") from None
    except RecursionError:
        raise ValueError(f"{name} is not a lockfile: values too deep in one another") from None
    except ValueError as error:
        # A number with more digits than Python converts is among these; its message is not for users.
        told = str(error) if "digit" not in str(error) else "a number that is too long"
        raise ValueError(f"{name} is not a lockfile: {told}") from None
    assert isinstance(found, Table)
    return found
