"""A bare address was contacted.

What: a connection or request to an IP address that the package did not look up: it brought the address
along.
Why it matters: services have names. A bare address outlives a blocked domain and needs no certificate;
droppers and thieves use it. It is suspicious by itself, and malicious together with a secret read before.
What to do: look at what was sent in the recording. There is rarely an honest reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.deviations import DNS_PORTS, is_public
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, listed, metadata_asked, unexpected_host, ways
from sandbox.rules._names import without_port


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, naming the addresses."""
    deeds = [
        deed
        for deed in case.exits
        if deed.verb != "lookup"
        and not unexpected_host.is_named(deed)
        and not metadata_asked.is_metadata(unexpected_host.place(deed))
        and not (deed.connection is not None and deed.connection.event is not None
                 and deed.connection.event.port in DNS_PORTS)
    ]  # fmt: skip
    for group in grouped(deeds):
        places = [unexpected_host.place(deed) for deed in group]
        public = any(is_public(without_port(place)) for place in places)
        yield case.finding(
            group,
            title=f"reached bare addresses: {listed(places)}",
            severity="high" if public else "medium",
            ways_out=ways(group),
        )


RULE = Rule(
    title="reached bare addresses",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1095", "T1571"),
    check=check,
)
