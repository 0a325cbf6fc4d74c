"""A package listened on the network.

What: a process of a package bound a port during an installation, an import or the interpreter's start.
Why it matters: a listening port is a way in. Servers listen when they are run, not when they are installed.
What to do: find out what listens; a profile entry with the port makes it ordinary.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.deviations import is_local
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    for group in by_package(deed for deed in case.of("bind") if deed.event.port):
        everyone = any(not is_local(deed.event.address) or deed.event.address in ("0.0.0.0", "::") for deed in group)
        yield case.finding(
            group,
            title=f"listened on {listed(deed.subject for deed in group)}",
            severity="medium" if everyone else "low",
        )


RULE = Rule(
    title="listened on the network",
    severity="medium",
    confidence="low",
    verdict="suspicious",
    attack=("T1571",),
    check=check,
)
