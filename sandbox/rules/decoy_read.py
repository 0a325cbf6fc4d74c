"""A credential was opened that is none of the package's business.

What: an installer, build, import or script opened a planted secret (keys, tokens, password stores, wallets)
for reading, and no profile says that this package has a reason to.
Why it matters: every credential thief begins so. On its own it proves no harm: nothing was seen to leave.
What to do: look at the program in the evidence. If the package has an honest reason, write a profile entry
that names the file and says why; otherwise do not install it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, listed


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that opened heavy bait unexpectedly."""
    reads = [deed for deed, entry in case.bait_reads if entry is None and deed.weight == "high"]
    for deeds in grouped(reads):
        names = listed(case.pathname(deed.subject) for deed in deeds)
        yield case.finding(
            deeds, title=f"opened a credential: {names}", decoys=[deed.decoy for deed in deeds]
        )


RULE = Rule(
    title="opened a credential",
    severity="high",
    confidence="high",
    verdict="suspicious",
    attack=("T1552.001",),
    check=check,
)
