"""Several kinds of secrets were collected by one line of processes.

What: processes that descend from one script, build or import opened, or asked about, the secrets of several
unrelated services (cloud keys, registry tokens, SSH keys, wallets).
Why it matters: a tool reads its own service's credentials. Only a collector reads three services' in one
go, so three are malicious though nothing was seen to leave; two are suspicious.
What to do: treat it as an attack. Rotate what the machine held if the package ever ran outside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, listed

_MANY_READ = 3
_MANY_ASKED = 5


def check(case: Case) -> Iterator[Finding]:
    """One finding for each lineage that read several kinds of bait."""
    lineages: dict[int, list[Deed]] = defaultdict(list)
    for deed, entry in case.bait_reads:
        if entry is None and deed.weight != "low":
            lineages[deed.actor.stem].append(deed)
    for deeds in lineages.values():
        decoys = list(dict.fromkeys(deed.decoy for deed in deeds))
        heavy = {deed.decoy for deed in deeds if deed.weight == "high"}
        if len(decoys) < 2:
            continue
        certain = len(decoys) >= _MANY_READ and len(heavy) >= 2
        yield case.finding(
            deeds,
            title=f"collected secrets of {len(decoys)} kinds: {listed(decoys, 6)}",
            decoys=decoys,
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "high",
        )
    yield from _asked(case, set(lineages))


def _asked(case: Case, known: set[int]) -> Iterator[Finding]:
    """A burst of questions whether secrets exist, by a lineage that read none of them."""
    lineages: dict[int, list[Deed]] = defaultdict(list)
    for (path, actor, _), (line, event) in case.facts.probed.items():
        file = case.facts.planted.get(path)
        if file is not None and file.weight == "high" and actor.role == "package" and actor.stem not in known:
            deed = case.deed("probe", line, event, actor, subject=path, decoy=file.decoy)
            lineages[actor.stem].append(deed)
    for deeds in lineages.values():
        decoys = list(dict.fromkeys(deed.decoy for deed in deeds))
        if len(decoys) >= _MANY_ASKED:
            yield case.finding(
                deeds,
                title=f"asked whether secrets of {len(decoys)} kinds exist: {listed(decoys, 6)}",
                decoys=decoys,
                verdict="suspicious",
                severity="medium",
                confidence="medium",
            )


RULE = Rule(
    title="collected secrets of several kinds",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1552.001", "T1119"),
    check=check,
)
