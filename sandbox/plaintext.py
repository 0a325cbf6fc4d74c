"""Makes text from a hostile guest safe to print: nothing in it moves a cursor, hides or reorders text."""

from __future__ import annotations

_NEWLINES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _invisible(character: str) -> bool:
    """Variation selectors and fillers count as printable and yet show nothing: payloads hide in them."""
    code = ord(character)
    return (
        0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
        or code in (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)
    )


def escape(text: str) -> str:
    """`text` on one line; control, format, surrogate, invisible and unassigned characters as escapes. So is what the
    log of a GitHub runner takes for a command wherever it stands in a line: `##[`."""
    text = text.replace("##[", "#\\x23[")
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character.isprintable() and not _invisible(character) else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _NEWLINES:
        return _NEWLINES[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, limit: int) -> str:
    """`text` escaped and at most `limit` characters long; what is cut from its middle shows as `...`."""
    if len(text) > 4 * limit:
        # Bounded before it is escaped: an argument may be megabytes long.
        text = text[: 2 * limit] + text[-2 * limit :]
        text = escape(text[: 2 * limit]) + "..." + escape(text[2 * limit :])
    else:
        text = escape(text)
    if len(text) <= limit:
        return text
    tail = max(0, (limit - 3) // 3)
    head = max(0, limit - 3 - tail)
    return (text[:head] + "..." + (text[-tail:] if tail else ""))[:limit]


def command(argv: list[str], limit: int = 160) -> str:
    """A command line for a reader: arguments joined by spaces, quoted where they hold one."""
    words = [f"'{word}'" if not word or " " in word or "\n" in word else word for word in argv[:64]]
    return shorten(" ".join(words), limit)


def home_relative(path: str, home: str, project: str) -> str:
    """`path` as a person would write it: `./x` in the project, `~/x` at home."""
    if path.startswith(project + "/"):
        return "./" + path[len(project) + 1 :]
    if path == home or path.startswith(home + "/"):
        return "~" + path[len(home) :]
    return path
