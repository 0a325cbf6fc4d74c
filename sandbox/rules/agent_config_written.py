"""The settings or instructions of an AI agent were changed.

What: a package wrote a file that an AI coding agent obeys (CLAUDE.md, AGENTS.md, .cursor rules, MCP
servers, hooks), at home, in the project or in another repository at home.
Why it matters: the next agent that is started there runs what the package wrote, with the developer's
rights. Nothing that is installed or imported has an honest reason: malicious. A command that the user runs
on purpose may: suspicious in the run phase.
What to do: reject the package; compare the agents' files with version control.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.report import Finding
from sandbox.rules import Case, Rule, _places, grouped, listed


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that wrote such files."""
    agents = _places.agents(case.header)
    deeds = [
        deed
        for deed in case.of("write", "change")
        if not (deed.verb == "change" and deed.method in ("removed", "times"))
        and agents.find(deed.subject) is not None
    ]
    for group in grouped(deeds):
        on_purpose = group[0].kind == "run"
        yield case.finding(
            group,
            title=f"changed what an AI agent obeys: {listed((case.pathname(deed.subject) for deed in group), 3)}",
            verdict="suspicious" if on_purpose else "malicious",
            severity="medium" if on_purpose else "critical",
            decoys=[deed.decoy for deed in group],
        )


RULE = Rule(
    title="changed what an AI agent obeys",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1546", "T1565.001"),
    check=check,
)
