"""YAML with the line of each key, strictly, for lockfiles: no aliases, no tags, no key twice, bounded depth.

Every scalar is the text that is written: `1.10` stays `1.10`. Built from the parser's events, without recursion; by the
C parser where there is one.
"""

from __future__ import annotations

from typing import Any

import yaml

from sandbox.lockfiles._json import Table

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH = 100
_MOST_DOCUMENTS = 2
_KEY = object()


class _Builder:
    """The document being built: what is open, innermost last, and the key that waits for its value."""

    def __init__(self) -> None:
        self.roots: list[Any] = []
        self.open: list[tuple[Table | list[Any], Any, int]] = []

    def take(self, event: yaml.Event) -> None:
        """One event of the parser. Raises ValueError."""
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"aliases are not for lockfiles, line {line}")
        if isinstance(event, yaml.ScalarEvent):
            _plain(event.tag, line)
            self._put(event.value, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            _plain(event.tag, line)
            if len(self.open) >= _DEPTH:
                raise ValueError(f"values too deep in one another, line {line}")
            found: Table | list[Any] = Table() if isinstance(event, yaml.MappingStartEvent) else []
            if self.open and isinstance(self.open[-1][0], Table) and self.open[-1][1] is _KEY:
                raise ValueError(f"a key is no text, line {line}")
            self._put(found, line)
            self.open.append((found, _KEY, 0))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.open.pop()
        elif isinstance(event, yaml.DocumentStartEvent) and len(self.roots) >= _MOST_DOCUMENTS:
            raise ValueError(f"too many documents, line {line}")

    def _put(self, value: Any, line: int) -> None:
        if not self.open:
            self.roots.append(value)
            return
        container, key, key_line = self.open[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is _KEY:
            if value in container:
                raise ValueError(f"a key stands twice, line {line}")
            self.open[-1] = (container, value, line)
        else:
            container[key] = value
            container.lines[key] = key_line
            self.open[-1] = (container, _KEY, 0)


def _plain(tag: str | None, line: int) -> None:
    if tag is not None and tag != "!":
        raise ValueError(f"tags are not for lockfiles, line {line}")


def documents(text: str, name: str) -> list[Table]:
    """The mappings that `text` is, one or two; every mapping in them is a `Table`. `name` is for messages.

    Raises ValueError, one sentence.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValueError(f"{name} is not valid YAML{f', line {mark.line + 1}' if mark else ''}") from None
    except (yaml.YAMLError, RecursionError):
        raise ValueError(f"{name} is not valid YAML") from None
    except ValueError as error:
        raise ValueError(f"{name} is not a lockfile: {error}") from None
    if not builder.roots or not all(isinstance(root, Table) for root in builder.roots):
        raise ValueError(f"{name} is not a lockfile: it is no mapping")
    return builder.roots


def located(text: str, name: str) -> Table:
    """The one mapping that `text` is. Raises ValueError, one sentence."""
    found = documents(text, name)
    if len(found) != 1:
        raise ValueError(f"{name} is not a lockfile: it has a second document")
    return found[0]
