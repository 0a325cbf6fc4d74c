"""A package waited for long, doing nothing.

What: a process of a package asked to sleep for a minute or more, at once or in pieces, during an
installation, an import or the interpreter's start. The guest lets such sleeps pass at once.
Why it matters: scanners give up after seconds, so thieves wait. Installing and importing have nothing to
wait for.
What to do: look at what came after the sleep in the timeline (`baitbox show`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule

_LONG = 60.0
_PHASES = ("install", "start", "import", "linger")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    slept: dict[tuple[str, str], list[Deed]] = defaultdict(list)
    for line, event, actor in case.facts.sleeps:
        deed = case.deed("sleep", line, event, actor, subject=f"{event.seconds:g} s")
        if actor.role == "package" and deed.kind in _PHASES:
            slept[actor.package, event.phase].append(deed)
    for deeds in slept.values():
        total = sum(deed.event.seconds for deed in deeds)
        if total >= _LONG:
            yield case.finding(deeds, title=f"slept {total:.0f} s in all")


RULE = Rule(
    title="slept for long",
    severity="low",
    confidence="low",
    verdict="suspicious",
    attack=("T1497.003",),
    check=check,
)
