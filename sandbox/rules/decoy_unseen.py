"""A planted file was used behind the sensor's back.

What: the second witness, which watches the files themselves, saw bait opened, changed or removed, and the
system call sensor saw no call on that path, nor on any link to it, at that time.
Why it matters: only something that hides from a system call sensor does this: a path rewritten while it is
being opened, a descriptor passed around, a call by a way that the sensor refuses. Honest programs do not
know that there is a sensor. Where records were lost it may be a gap of ours, and is only suspicious.
What to do: treat it as an attack that knows sandboxes.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterator

from sandbox.events import DecoyTouched
from sandbox.facts import Deed
from sandbox.paths import tidy
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, listed

_BEFORE = 5.0
"""Seconds by which the witness may be late: it waits in a queue, and a call stands before its effect."""
_AFTER = 0.5


def check(case: Case) -> Iterator[Finding]:
    """One finding for each phase in which bait was used unseen."""
    lossy = bool(case.facts.lost)
    for deeds in grouped(unseen(case)):
        names = listed(case.pathname(deed.subject) for deed in deeds)
        yield case.finding(
            deeds,
            title=f"used a secret behind the sensor's back: {names}",
            decoys=[deed.decoy for deed in deeds],
            verdict="suspicious" if lossy else "malicious",
            confidence="low" if lossy else "medium",
            package=deeds[0].actor.package or case.header.package,
        )


def unseen(case: Case) -> list[Deed]:
    """What the witness saw done to bait, and the sensor did not."""
    table = case.facts.table
    return [
        case.deed("touch", line, event, table.unseen(event.process), subject=event.path, decoy=event.decoy)
        for line, event in case.facts.touched
        if not _explained(case, event)
    ]


def _explained(case: Case, event: DecoyTouched) -> bool:
    """Whether the sensor saw the path used near in time; a folder above it counts for change and removal."""
    path = tidy(event.path)
    places = [path]
    if event.how != "opened":
        while len(places[-1]) > 1:
            places.append(posixpath.dirname(places[-1]))
    for place in places:
        times = case.facts.decoy_uses.get(place, [])
        first = bisect_left(times, event.at - _BEFORE)
        if first < len(times) and times[first] <= event.at + _AFTER:
            return True
    return False


RULE = Rule(
    title="used a secret behind the sensor's back",
    severity="critical",
    confidence="medium",
    verdict="malicious",
    attack=("T1497", "T1562"),
    check=check,
)
