"""A planted secret left the guest.

What: the gateway recognised a token of this run's bait in a request, a header, an address, a name lookup or
raw bytes, in clear or through the encodings that it undoes.
Why it matters: this is the theft itself. The token exists nowhere else, so it cannot be there by accident.
What to do: do not install the package; report it to the registry. Where it ever ran outside, rotate every
secret of the kinds named.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.deviations import request_way, way_out
from sandbox.events import DecoySent
from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, listed


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that bait left in."""
    for deeds in grouped(case.of("send")):
        outs = list(dict.fromkeys(_way(deed) for deed in deeds))
        decoys = [deed.decoy for deed in deeds]
        yield case.finding(
            deeds, title=f"sent {listed(decoys)} bait by {listed(outs, 2)}", decoys=decoys, ways_out=outs
        )


def _way(deed: Deed) -> str:
    """The way out of this token: its own host, where the connection carried requests to several."""
    event: DecoySent = deed.event
    if event.where == "dns":
        return f"dns {event.host}" if event.host else "dns"
    for _, request in deed.connection.requests:
        way = request_way(request)
        if event.host and way.endswith(f" to {event.host.lower()}"):
            return way
    if deed.connection.event is None and not deed.connection.requests:
        return f"{event.where} to {event.host}"
    return way_out(deed)


RULE = Rule(
    title="sent planted secrets",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1041", "T1552.001"),
    check=check,
)
