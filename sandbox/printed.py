"""What a phase that failed printed about it: one line, for a reader. Pure; it never changes a verdict, since whoever is
under test wrote it."""

from __future__ import annotations

import re

from sandbox.facts import Facts
from sandbox.plaintext import shorten

_LONGEST = 160
_MANAGERS = re.compile(r"(?:npm (?:error|ERR!)|ERROR:|error:)\s*(?:notarget |notsup )?(?P<said>.*)", re.IGNORECASE)
_SAYS_NOTHING = re.compile(
    r"$|code |errno |syscall |path |dest |command failed|A complete log|subprocess-exited-with-error"
)
_WARNING = re.compile(r"\(node:\d+\)|\(Use `node|\s|$")


def told(facts: Facts, phase: str) -> str:
    """What a phase's own process said about its failure, safe to print; empty where it said nothing."""
    root = next((start for start in facts.phase_starts if start.phase == phase), None)
    if root is None or not root.process:
        return ""
    lines = facts.printed.get(root.process, b"").decode("utf-8", "replace").splitlines()
    found = _by_manager(lines) if root.kind == "install" else _by_loader(lines)
    return shorten(found.strip(), _LONGEST)


def _by_manager(lines: list[str]) -> str:
    """npm's and pip's own words; not the compiler's before them, nor the codes and paths around them."""
    for line in lines:
        match = _MANAGERS.match(line)
        if match and not _SAYS_NOTHING.match(match["said"]):
            return match["said"]
    return ""


def _by_loader(lines: list[str]) -> str:
    """The exception: Python prints it last, node first, after its warnings."""
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return next((line for line in reversed(lines) if line.strip()), "")
    return next((line for line in lines if not _WARNING.match(line)), "")
