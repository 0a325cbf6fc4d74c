"""Builds HTML out of values: every text is escaped by being put in, so that nothing hostile is ever markup.

Text of the report is shown on one line with what is invisible made visible (`plaintext.escape`). Elements are strings
of a type of their own; a plain string is always text. Everything is ASCII, so no guess at its encoding changes it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import Any

import msgspec

from sandbox.plaintext import shorten

_VOID = frozenset({"meta", "input", "br", "hr"})
_LONGEST = 4000
_UNSAFE = re.compile("[<>&\u007f-\U0010ffff]")


class Markup(str):
    """HTML that was built here, as opposed to text."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Text on one line, harmless and of bounded length: controls and invisible characters show as escapes."""
    shown = html.escape(shorten(value, _LONGEST), quote=True)
    return Markup(shown.encode("ascii", "xmlcharrefreplace").decode())


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element. Attributes: `class_` and `for_` lose their underscore, others become dashes; None and False leave one
    out, True gives it without a value. Children: markup as it is, all else as text; None is nothing."""
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(f" {key}" if value is True else f' {key}="{text(str(value))}"')
    parts.append(">")
    if name in _VOID:
        return Markup("".join(parts))
    parts.append(joined(*children))
    parts.append(f"</{name}>")
    return Markup("".join(parts))


def joined(*children: Any) -> Markup:
    """Children one after the other."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, list | tuple):
            parts.append(joined(*child))
        else:
            parts.append(child if isinstance(child, Markup) else text(str(child)))
    return Markup("".join(parts))


def data_block(identity: str, value: Any) -> Markup:
    """JSON for the page's own script to read. It is ASCII without `<`, `>` and `&`: nothing in it ends the block."""
    encoded = _UNSAFE.sub(_escaped, msgspec.json.encode(value).decode())
    return Markup(f'<script type="application/json" id="{text(identity)}">{encoded}</script>')


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def source_hash(source: str) -> str:
    """How a content security policy names an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
