"""An account's interface was asked on behalf of the user.

What: a request to an interface that tells about, or acts in, an account of the user's (who am I, list my
repositories, make one, list my tokens), at a service that bait was planted for.
Why it matters: thieves test what they stole, and make public repositories to leave it in. Where the request
bore a planted token it is theft in the act: malicious. So is asking a cluster or a vault for its secrets while a
package is installed or loaded. A request that the package's own profile names is the login of the service's own
client; where a token may go is for the profile to say apart.
What to do: do not install; where it ran outside, look for repositories, tokens and packages made in your
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, metadata_asked
from sandbox.rules._names import host_of

_SECRETS = re.compile(r"/(?:api/v1/(?:namespaces/[^/]+/)?secrets|v1/(?:secrets?|kv))(?:/|$)")
"""Addresses under which secrets are handed out, by Kubernetes and by vaults."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that used an account."""
    deeds = []
    own = {(deed.subject, deed.phase, deed.actor.package) for deed, entry in case.judged.explained
           if deed.verb == "request" and entry.is_own}  # fmt: skip
    for line, event, connection in case.facts.asked:
        if (event.url, event.phase, connection.actor.package) in own:
            continue
        if not metadata_asked.is_metadata(host_of(event.url)) and connection.actor.role != "installer":
            deed = case.deed("ask", line, event, connection.actor, subject=event.url, decoy=event.decoy)
            deeds.append((deed, bool(connection.sent_decoys)))
    stolen = {id(deed) for deed, bore in deeds if bore}
    for group in grouped(deed for deed, _ in deeds):
        yield _finding(case, group, any(id(deed) in stolen for deed in group))


def _finding(case: Case, deeds: list[Deed], stolen: bool) -> Finding:
    wanted = any(
        deed.kind in ("install", "start", "import") and _SECRETS.search(re.split("[?#]", deed.subject)[0])
        for deed in deeds
    )
    how = " with a planted token" if stolen else ", and asked for secrets" if wanted else ""
    return case.finding(
        deeds,
        title="used an account of the user's" + how,
        verdict="malicious" if stolen or wanted else "suspicious",
        severity="critical" if stolen or wanted else "high",
        decoys=[deed.decoy for deed in deeds],
        ways_out=[f"{deed.subject.partition('://')[0]} to {host_of(deed.subject)}" for deed in deeds],
    )


RULE = Rule(
    title="used an account of the user's",
    severity="high",
    confidence="high",
    verdict="suspicious",
    attack=("T1078", "T1567.001"),
    check=check,
)
