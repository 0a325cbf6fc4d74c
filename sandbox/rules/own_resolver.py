"""A resolver of the package's own choice was asked.

What: names were asked of a server on the internet other than the machine's configured resolver.
Why it matters: it passes by the logs and filters of the network, and the server asked hears every name: a
way out for data, and a way in for instructions. Honest programs use the machine's resolver.
What to do: look at the names in the recording. Allow it in a profile only for a package that is a resolver.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.deviations import DNS_PORTS, is_public
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, naming the servers."""
    facts = case.facts
    ordinary = {event.server for _, event, actor in facts.lookups if actor.role == "installer"}
    deeds = []
    for line, event, actor in facts.lookups:
        if is_public(event.server) and event.server not in ordinary:
            deeds.append(case.deed("lookup", line, event, actor, subject=event.server))
    for connection in facts.connections:
        opened = connection.event
        if opened is None or opened.port not in DNS_PORTS or opened.address in ordinary:
            continue
        if is_public(opened.address):
            deeds.append(
                case.deed("connect", connection.line, opened, connection.actor, subject=opened.address)
            )
    for group in by_package(sorted(deeds, key=lambda deed: deed.line)):
        servers = list(dict.fromkeys(deed.subject for deed in group))
        yield case.finding(
            group,
            title=f"asked a resolver of its own: {listed(servers)}",
            ways_out=[f"dns at {server}" for server in servers],
        )


RULE = Rule(
    title="asked a resolver of its own",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1071.004", "T1568"),
    check=check,
)
