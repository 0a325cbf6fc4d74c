"""Places where secrets usually live were opened, or asked about.

What: a package tried to open files that hold credentials on many machines, though none was planted there
(another cloud's keys, another wallet), or connected to the socket of an agent that keeps keys (SSH's, GPG's, a
keyring).
Why it matters: a collector tries a list of places; most are empty on any one machine. One place is
suspicious where it was opened; three kinds of places opened by one line of processes have no honest reason:
malicious. Asking whether they exist counts from three kinds on, as suspicious.
What to do: compare the list in the evidence with what the package is for.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator

from sandbox.deviations import deed_of
from sandbox.facts import Deed
from sandbox.paths import tidy
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _places, by_package, listed

_MANY = 3


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, and for each way of asking."""
    places = _places.secrets(case.header)
    kinds: dict[int, str] = {}
    opened = []
    for deed in case.of("read"):
        kind = None if deed.decoy or deed.event.directory else places.find(deed.subject)
        if kind is not None:
            kinds[id(deed)] = kind
            opened.append(deed)
    for kind, deed in _asked_keepers(case):
        kinds[id(deed)] = kind
        opened.append(deed)
    for group in by_package(opened):
        what = list(dict.fromkeys(kinds[id(deed)] for deed in group))
        certain = len(what) >= _MANY
        yield case.finding(
            group,
            title=f"tried to open places of secrets: {listed(what, 6)}",
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "medium",
            confidence="high" if certain else "low",
        )
    yield from _asked(case)


def _asked_keepers(case: Case) -> Iterator[tuple[str, Deed]]:
    """Connections to agents of keys, those below /tmp too, where a package may have sockets of its own."""
    keepers = _places.keepers(case.header)
    for one in case.facts.connections:
        if one.event is None or one.event.protocol != "unix":
            continue
        kind = keepers.find(tidy(one.place))
        deed = deed_of(case.facts, "connect", f"unix:{one.place}", one.line, one.event, one.actor, connection=one)
        if kind is not None and one.actor.role == "package" and not case.judged.is_own_habit(deed):
            yield kind, deed


def _asked(case: Case) -> Iterator[Finding]:
    places = _places.secrets(case.header)
    groups: dict[int, list[tuple[str, Deed]]] = defaultdict(list)
    listed_by = _listed(case)
    for (path, actor, _), (line, event) in case.facts.probed.items():
        if actor.role != "package":
            continue
        kind = places.find(path)
        if kind is not None and (actor.process.serial, posixpath.dirname(path)) not in listed_by:
            groups[actor.stem].append((kind, case.deed("probe", line, event, actor, subject=path)))
    for found in groups.values():
        what = list(dict.fromkeys(kind for kind, _ in found))
        if len(what) >= _MANY:
            yield case.finding(
                [deed for _, deed in found],
                title=f"asked whether secrets exist: {listed(what, 6)}",
                severity="medium",
                confidence="medium",
                verdict="suspicious",
            )


def _listed(case: Case) -> set[tuple[int, str]]:
    """Which processes listed home, or a folder above it. Who asks about the names that this gave (a search for a
    settings file upwards, `ls -l`) has named no secret; who walks on from there is home_searched's business."""
    home = case.header.home
    return {
        (actor.process.serial, path)
        for (path, _, actor, _), use in case.facts.opened.items()
        if use.event.directory and (home + "/").startswith(path.rstrip("/") + "/")
    }


RULE = Rule(
    title="tried to open places of secrets",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1552.001", "T1083"),
    check=check,
)
