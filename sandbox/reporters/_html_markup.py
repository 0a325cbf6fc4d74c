"""Builds HTML out of values: every text is escaped by being put in, so that nothing hostile is ever markup.

Text of the report is shown on one line with what is invisible made visible (`plaintext.escape`). Elements are strings
of a type of their own; a plain string is always text.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Any

import msgspec

from sandbox.plaintext import escape

_VOID = frozenset({"meta", "input", "br", "hr"})


class Markup(str):
    """HTML that was built here, as opposed to text."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Text on one line, harmless: controls and invisible characters show as escapes."""
    return Markup(html.escape(escape(value), quote=True))


def lines(value: str) -> Markup:
    """The same for text whose line breaks mean something."""
    return Markup("\n".join(text(line) for line in value.split("\n")))


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
    """JSON for the page's own script to read. It holds no `<`, `>` or `&`, so nothing in it ends the block."""
    encoded = msgspec.json.encode(value).decode()
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{text(identity)}">{encoded}</script>')


def source_hash(source: str) -> str:
    """How a content security policy names an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
