"""Names were looked up that carry data.

What: several lookups below one domain whose labels look like encoded bytes, or very many distinct names
below it.
Why it matters: whoever owns the domain reads the labels. It passes firewalls that stop everything else. A
few encoded names under one parent have no honest reason: malicious. Many plain ones are suspicious.
What to do: treat it as data leaving. The names in the recording hold it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _names, grouped

_FEW_CODED = 3
_MANY_NAMES = 25


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    for deeds in grouped(case.of("lookup")):
        parents: dict[str, dict[str, Deed]] = defaultdict(dict)
        for deed in deeds:
            parents[_names.parent(deed.subject)].setdefault(deed.subject, deed)
        for parent, names in parents.items():
            coded = [deed for name, deed in names.items() if _names.carries_data(name)]
            if len(coded) < _FEW_CODED and len(names) < _MANY_NAMES:
                continue
            certain = len(coded) >= _FEW_CODED
            yield case.finding(
                coded if certain else list(names.values()),
                title=f"looked up {len(names)} names below {parent}" + (" that carry data" if certain else ""),
                verdict="malicious" if certain else "suspicious",
                severity="critical" if certain else "medium",
                ways_out=[f"dns below {parent}"],
            )


RULE = Rule(
    title="looked up names that carry data",
    severity="critical",
    confidence="medium",
    verdict="malicious",
    attack=("T1048.003", "T1071.004"),
    check=check,
)
