"""Which locales a guest's programs know: a persona that names another is found out by a C library that refuses it."""

from __future__ import annotations

import re
from collections.abc import Collection

from sandbox import process

EVERY = "*"
"""Said of a C library (musl) that takes any name."""
PLAIN = "C.UTF-8"
"""What there is where no locales were installed, as in most servers and images."""
_SECONDS = 10.0
_ODD = re.compile(r"[^a-z0-9]")


def on_this_machine() -> tuple[str, ...]:
    """Those of this machine's system, whose /usr a native guest has. None where it does not say."""
    try:
        said = process.run(["locale", "-a"], _SECONDS, {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}).stdout
    except OSError:
        return ()
    return said_to_be(said.decode("utf-8", "replace"))


def said_to_be(text: str) -> tuple[str, ...]:
    """The locales in what `locale -a` prints, sorted."""
    return tuple(sorted(set(text.split())))


def usable(wanted: str, known: Collection[str]) -> str:
    """The persona's locale where it is known, by whatever spelling of its encoding; else what is always there."""
    same = {_spelt(name) for name in known}
    return wanted if EVERY in known or _spelt(wanted) in same else PLAIN


def _spelt(name: str) -> str:
    """A locale's name as the C library compares it: `en_US.UTF-8` is `en_US.utf8`."""
    language, dot, encoding = name.partition(".")
    return language + dot + _ODD.sub("", encoding.lower())
