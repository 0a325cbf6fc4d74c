"""A host was contacted that no profile expects.

What: a request, a connection or a name lookup to a host other than the registries and those that the
package's profile names.
Why it matters: it is how payloads come in and secrets go out. Honest packages do it too (telemetry,
binaries to download), so it is suspicious and no more; a profile entry with the exact host and path makes
it ordinary.
What to do: find out what the host is for. Add it to the package's profile, or do not install.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.profiles import registry_hosts
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, listed, metadata_asked, ways
from sandbox.rules._names import host_of, is_address, without_port


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, naming the hosts."""
    registries = set(registry_hosts(case.header))  # what is done at a registry is another rule's business
    deeds = [
        deed
        for deed in case.exits
        if is_named(deed) and not metadata_asked.is_metadata(place(deed)) and place(deed) not in registries
    ]
    for group in grouped(deeds):
        reached = [deed for deed in group if deed.verb != "lookup"]
        hosts = listed(without_port(place(deed)) for deed in reached or group)
        yield case.finding(
            [*reached, *(deed for deed in group if deed.verb == "lookup")] if reached else group,
            title=f"{'reached' if reached else 'looked up'} hosts that no profile expects: {hosts}",
            severity="medium" if reached else "low",
            ways_out=ways(reached or group),
        )


def place(deed: Deed) -> str:
    """The host (and port) that an exit leads to."""
    return host_of(deed.subject) if deed.verb == "request" else deed.subject


def is_named(deed: Deed) -> bool:
    """Whether an exit leads to a name rather than a bare address."""
    if deed.verb == "request" and deed.connection is not None and deed.connection.host:
        return True
    return not is_address(place(deed))


RULE = Rule(
    title="reached hosts that no profile expects",
    severity="medium",
    confidence="medium",
    verdict="suspicious",
    attack=("T1071.001",),
    check=check,
)
