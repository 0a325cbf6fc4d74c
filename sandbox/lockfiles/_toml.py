"""TOML, with the lines of one array of tables."""

from __future__ import annotations

import re
import tomllib
from typing import Any

# No possessive groups: with a look-ahead in one, Debian 12's Python (3.11.2) matches wrongly. These are linear without.
_STRING_OR_COMMENT = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:"""|\Z)|'
    r"'''[^']*(?:'(?!'')[^']*)*(?:'''|\Z)|"
    r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|'
    r"'[^'\n]*'?|"
    r"#[^\n]*"
)
# The standard library's parser takes quadratic time for a key of very many parts; no lockfile has one.
_LONG_KEY = re.compile(
    r"""(?<![\w-])(?:[\w-]++|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]++|"[^"\n]*"|'[^'\n]*')){100}"""
)


def loaded(text: str, name: str, array: str) -> tuple[dict[str, Any], list[dict[str, Any]], list[int]]:
    """The document, its array of tables `array`, and the line of each of that array's `[[headers]]` (0: not found).

    `name` is for messages. Raises ValueError, one sentence.
    """
    if _LONG_KEY.search(text):
        raise ValueError(f"{name} is not a lockfile: a key of too many parts")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ValueError(f"{name} is not valid TOML{f', line {line[1]}' if line else ''}") from None
    except RecursionError:
        raise ValueError(f"{name} is not a lockfile: values too deep in one another") from None
    except ValueError:
        raise ValueError(f"{name} is not a lockfile: a number or date that is none") from None
    packages = document.get(array, [])
    if not isinstance(packages, list) or not all(isinstance(one, dict) for one in packages):
        raise ValueError(f"{name} is not a lockfile: {array} is no array of tables")
    lines = _headers(text, array)
    return document, packages, lines if len(lines) == len(packages) else [0] * len(packages)


def _headers(text: str, array: str) -> list[int]:
    """The lines of the headers, skipping what stands in strings and comments. The text is valid TOML."""
    pattern = re.compile(rf"(?m)(^[ \t]*\[\[[ \t]*{array}[ \t]*\]\])|{_STRING_OR_COMMENT}", re.DOTALL)
    found: list[int] = []
    counted, line = 0, 1
    for match in pattern.finditer(text):
        if match[1]:
            line += text.count("\n", counted, match.start())
            counted = match.start()
            found.append(line)
    return found
