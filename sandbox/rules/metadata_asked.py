"""The cloud's metadata service was asked.

What: a connection or request to the link-local addresses and names at which clouds tell a machine who it
is.
Why it matters: they hand out the machine's role credentials to anyone who asks. Asking for those (or for
the session token that comes first) has no honest reason during an installation or an import: malicious.
Other questions (which region is this?) are suspicious.
What to do: do not let the package run in a pipeline or on a server with a role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.deviations import way_out
from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped
from sandbox.rules._names import host_of

_ADDRESSES = frozenset(
    {"169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"}
)
_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
_CREDENTIALS = re.compile(
    r"security-credentials|/api/token|/identity(/|$|\?)|service-accounts?/[^/]*/?(token|identity)|/v2/credentials"
    r"|^https?://169\.254\.170\.|/metadata/identity|user-data|/credentials",
    re.IGNORECASE,
)


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that asked."""
    asked = []
    for line, event, connection in case.facts.asked:
        if is_metadata(host_of(event.url)):
            asked.append(case.deed("ask", line, event, connection.actor, subject=event.url, decoy=event.decoy))
    asked += [deed for deed in case.of("request", "connect", "lookup") if is_metadata(_place(deed))]
    for deeds in grouped(sorted(asked, key=lambda deed: deed.line)):
        secret = any(_CREDENTIALS.search(deed.subject) for deed in deeds)
        yield case.finding(
            deeds,
            title="asked the cloud's metadata service" + (" for credentials" if secret else ""),
            verdict="malicious" if secret else "suspicious",
            decoys=[deed.decoy for deed in deeds],
            ways_out=[way_out(deed) for deed in deeds if deed.verb in ("request", "connect")],
        )


def _place(deed: Deed) -> str:
    if deed.verb == "request":
        return host_of(deed.subject)
    opened = deed.connection.event if deed.connection is not None else None
    return opened.address if opened is not None and not opened.host else deed.subject


def is_metadata(place: str) -> bool:
    """Whether a host or address, with or without a port, is a metadata service's."""
    host = place.lower()
    host = host[1:].partition("]")[0] if host.startswith("[") else host
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host in _ADDRESSES or host in _NAMES


RULE = Rule(
    title="asked the cloud's metadata service",
    severity="high",
    confidence="high",
    verdict="suspicious",
    attack=("T1552.005",),
    check=check,
)
