"""A lockfile's bytes as text, and pieces of it as they may stand in a message."""

from __future__ import annotations

import re

from sandbox.lockfiles import MOST_BYTES

_LOGIN = re.compile(r"(https?://)[^/@\s?#]*@", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^/@:\s?#]*):[^/@\s?#]*@")


def shown(text: object) -> str:
    """`text` as it may stand in a message: bounded, and with nothing that a terminal would act on."""
    whole = str(text)
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in whole[:120])
    return safe + ("..." if len(whole) > 120 else "")


def decoded(content: bytes, path: str) -> str:
    """The text, with `\\n` line ends. Raises ValueError where it is too large, not UTF-8, or has a NUL."""
    name = shown(path)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{name} is larger than {MOST_BYTES // 1024 // 1024} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name} is not UTF-8 text, line {line}") from None
    nul = text.find("\0")
    if nul >= 0:
        raise ValueError(f"{name} has a NUL byte, line {text.count(chr(10), 0, nul) + 1}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def head(content: bytes, size: int = 4096) -> str:
    """The first `size` bytes as text, whatever they are: to recognise a format by."""
    return content[:size].decode("utf-8", errors="replace").removeprefix("\ufeff").replace("\r\n", "\n")


def without_login(url: str) -> str:
    """A URL without its password, and over HTTP without its user either (there it is often a token)."""
    return _PASSWORD.sub(r"\1@", _LOGIN.sub(r"\1", url))
