"""A secret was read, and then bytes left to where no profile expects any.

What: a package opened planted secrets, and afterwards the same line of processes, or another one of the
same package, sent something out: a request, a connection (encrypted or not), datagrams, or names that carry
data. Sockets for packets made by hand, many connections without a byte (the ports are the message) and programs
for the network that are not there count as well; so does whoever takes up a file that the reader left behind.
Why it matters: what is encrypted with a key of the thief's own cannot be recognised on its way out. The
order of reading and sending can.
What to do: as for stolen secrets. If both have an honest reason, profile entries for the file and for the
host say so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from sandbox.facts import Deed
from sandbox.lineage import program_name
from sandbox.paths import tidy
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _names, decoy_unseen, listed, ways

_MANY_KNOCKS = 8
_BY_HAND = ("socket inet ", "socket inet6 ", "socket packet ")
"""Sockets other than those of TCP and UDP."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase in which bytes left after the package had read bait."""
    readers: dict[str, list[Deed]] = defaultdict(list)
    for deed, entry in case.bait_reads:
        # Expected reading taints too: a dotenv gone bad reads what it always read. Not so where the entry speaks
        # of one program, such as the package manager that a script calls, rather than of the package.
        expected_program = entry is not None and (deed.actor.role != "package" or entry.expectation.program)
        if deed.weight != "low" and not expected_program:
            readers[deed.actor.package].append(deed)
    if not case.facts.lost:
        for deed in decoy_unseen.unseen(case):
            file = case.facts.planted.get(tidy(deed.subject))
            if deed.event.how == "opened" and file is not None and file.weight != "low":
                readers[deed.actor.package].append(msgspec.structs.replace(deed, weight=file.weight))
    exits = _exits(case)
    for package, reads in readers.items():
        first = min(read.line for read in reads)
        stems: dict[int, int] = {}
        for read in reads:
            stems.setdefault(read.actor.stem, read.line)
        for stem, line in _relays(case, stems):
            stems.setdefault(stem, line)
        installer = any(read.actor.role == "installer" for read in reads)
        phases: dict[str, list[Deed]] = defaultdict(list)
        for deed in exits:
            if deed.line > first and _is_related(case, package, stems, deed, installer):
                phases[deed.phase].append(deed)
        for sent in phases.values():
            yield _finding(case, reads, sent)


def _relays(case: Case, stems: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Lineages that took up a file which a reader of secrets had left behind, and since when."""
    left = {
        path for path, (line, maker) in case.facts.origins.items() if stems.get(maker.stem, line) < line
    }  # fmt: skip
    if left:
        for (path, access, actor, _), use in case.facts.opened.items():
            if path in left and access != "write" and actor.role == "package":
                yield actor.stem, use.line


def _finding(case: Case, reads: list[Deed], sent: list[Deed]) -> Finding:
    """Only what was read before the last bytes left, and half of the evidence for each side."""
    before = [read for read in reads if read.line < sent[-1].line]
    heavy = any(read.weight == "high" for read in before)
    same = bool({read.actor.stem for read in before} & {deed.actor.stem for deed in sent})
    outs = ways(sent)
    return case.finding(
        [*_few(before), *_few(sent)],
        title=f"read secrets ({listed(read.decoy for read in before)}), then sent bytes by {listed(outs, 2)}",
        decoys=[read.decoy for read in before],
        ways_out=outs,
        confidence="high" if heavy and same else "medium",
        package=(before[0] if before[0].actor.process.serial else sent[0]).actor.package,
        phase=sent[0].phase,
    )


def _few(deeds: list[Deed]) -> list[Deed]:
    return list({deed.subject: deed for deed in reversed(deeds)}.values())[::-1][:4]


def _exits(case: Case) -> list[Deed]:
    """Everything by which bytes can have left, or were meant to: knocking on many doors says something as well, and
    so do packets made by hand and programs for the network that are not there."""
    knocks = [deed for deed in case.exits if not _leaves(deed) and deed.verb == "connect"]
    many = len({deed.subject for deed in knocks}) >= _MANY_KNOCKS
    found = [_at_its_last(deed) for deed in case.exits if _leaves(deed)] + (knocks if many else [])
    found += [deed for deed in case.of("syscall") if deed.subject.startswith(_BY_HAND)]
    found += [deed for deed in [*case.missing, *case.sought] if _carries(deed)]
    return sorted(found, key=lambda deed: deed.line)


def _at_its_last(deed: Deed) -> Deed:
    """A connection may have been opened before the reading, and used after it."""
    if deed.verb != "connect":
        return deed
    return msgspec.structs.replace(deed, line=max(deed.line, deed.connection.last_line))


def _carries(deed: Deed) -> bool:
    name, _, rest = deed.subject.partition(" ")
    return program_name(name) in _names.CARRIERS and bool(rest.strip("-vVh "))


def _leaves(deed: Deed) -> bool:
    """Whether bytes can have left: any lookup can carry some, but only an odd name does so for sure."""
    if deed.verb == "lookup":
        return _names.carries_data(deed.subject)
    if deed.verb == "request":
        return True
    connection = deed.connection
    return not connection.closed or connection.sent > 0 or bool(connection.data)


def _is_related(case: Case, package: str, stems: dict[int, int], sent: Deed, installer: bool) -> bool:
    """By a lineage that had read, the same package, or one that may run what the reader left behind."""
    actor = sent.actor
    if actor.process.serial == 0:
        return True  # nobody saw who it was: it may have been the reader
    if actor.role == "installer" and not installer:
        return False
    if 0 in stems and actor.role == "package":
        return True  # nobody saw who had read: it may have been this one
    if stems.get(actor.stem, sent.line) < sent.line or actor.package == package:
        return True
    return sent.kind != "install" and actor.package == case.header.package


RULE = Rule(
    title="read secrets, then sent bytes out",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1552.001", "T1041", "T1048"),
    check=check,
)
