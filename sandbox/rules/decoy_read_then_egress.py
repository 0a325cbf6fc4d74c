"""A secret was read, and then bytes left to where no profile expects any.

What: a package opened planted secrets, and afterwards the same line of processes, or another one of the
same package, sent something out: a request, a connection (encrypted or not), datagrams, or names that carry
data. A GET of a named host that tells nothing (plain words in its address and headers) is none, but many of them
are, and so are many names of plain words below one; one of a registry is, where the package put more into it than it
asks for. Sockets for packets made by hand, many connections without a byte (the ports are the message) and programs
for the network that are not there count as well; so does whoever takes up a file that the reader left behind, or
talks with the reader within the guest.
The environment counts as read where its own file in /proc was opened, or printenv or a bare env was run: what code
takes from it otherwise cannot be seen.
A reading that a profile explains counts like any other here, where no profile explains the way out. Only what a
program of the system reads for itself (a package manager that a script calls reads its own settings) counts for that
program alone, as long as it runs no code of the package's.
Why it matters: what is encrypted with a key of the thief's own cannot be recognised on its way out. The
order of reading and sending can.
What to do: as for stolen secrets. If both have an honest reason, profile entries for the file and for the
host say so; one for the host alone is enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

import msgspec

from sandbox.deviations import is_local
from sandbox.facts import Deed
from sandbox.lineage import Actor, Program, program_name
from sandbox.paths import tidy
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _names, _requests, decoy_unseen, listed, ways

ENVIRONMENT = "environment"
"""Where a secret was read that has no file of its own."""
_MANY_KNOCKS = 8
_MANY_OF_NOTHING = 8
_LANGUAGES = frozenset({"node", "nodejs", "bun", "deno", "perl", "ruby", "php", "python"})
_CODE = (".js", ".cjs", ".mjs", ".node", ".py", ".pyc", ".pth", ".so", ".pl", ".rb", ".zip", ".egg", ".whl")
_BY_HAND = ("socket inet ", "socket inet6 ", "socket packet ", "socket vsock ")
"""Sockets other than those of TCP and UDP, and those to the machine below a virtual one."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase in which bytes left after the package had read bait."""
    readers: dict[str, list[Deed]] = defaultdict(list)
    aloof: dict[int, list[Deed]] = defaultdict(list)
    programs = _Programs(case)
    for deed, entry in case.bait_reads:
        # Expected reading taints too: a dotenv gone bad reads what it always read.
        if deed.weight == "low" or (entry is not None and deed.actor.role != "package"):
            continue
        if entry is not None and entry.expectation.program and not entry.is_own and programs.is_aloof(deed.actor):
            aloof[deed.actor.process.serial].append(deed)
        else:
            readers[deed.actor.package].append(deed)
    for deed in _environments(case):
        readers[deed.actor.package].append(deed)
    if not case.facts.lost:
        for deed in decoy_unseen.unseen(case):
            file = case.facts.planted.get(tidy(deed.subject))
            if deed.event.how == "opened" and file is not None and file.weight != "low":
                readers[deed.actor.package].append(msgspec.structs.replace(deed, weight=file.weight))
    exits = _exits(case, programs)
    for package, reads in readers.items():
        first = min(read.line for read in reads)
        stems: dict[int, int] = {}
        for read in reads:
            stems.setdefault(read.actor.stem, read.line)
        for stem, line in (*_relays(case, stems), *_talked(case, stems)):
            stems.setdefault(stem, line)
        installer = any(read.actor.role == "installer" for read in reads)
        phases: dict[str, list[Deed]] = defaultdict(list)
        for deed in exits:
            if deed.line > first and _is_related(case, package, stems, deed, installer):
                phases[deed.phase].append(deed)
        for sent in phases.values():
            yield _finding(case, reads, sent)
    for serial, reads in aloof.items():
        sent = [deed for deed in exits if deed.actor.process.serial == serial and deed.line > reads[0].line]
        if sent:
            yield _finding(case, reads, sent)


class _Programs:
    """Which readers are programs of the system that only do what they are made for: whoever calls one does not get to
    see what it reads."""

    def __init__(self, case: Case) -> None:
        self._table = case.facts.table
        self._opened = case.facts.opened

    def is_aloof(self, actor: Actor) -> bool:
        """Whether it runs the system's program, by the system's script where it is an interpreter, and took up no code
        from where packages can write (`python -m pip` beside a pip.py, `NODE_OPTIONS=--require ./x.js npm`)."""
        program = actor.program
        if program is None or not self._table.is_system(program.exe):
            return False
        if program.name in _LANGUAGES and not self._is_by_the_system(program):
            return False
        return actor.process.serial not in self._with_code

    def is_manager(self, actor: Actor) -> bool:
        """Whether it is a package manager of the system's, which says more to registries than packages have to."""
        return actor.program is not None and actor.program.name in _LANGUAGES and self.is_aloof(actor)

    def _is_by_the_system(self, program: Program) -> bool:
        if program.script:
            return self._table.is_system(program.script)
        for word in program.argv[1:]:
            if word == "-m":
                return True  # from where it was taken shows in what was opened
            if word in ("-c", "-e", "-p", "--eval", "--print"):
                return False
            if not word.startswith("-"):
                return self._table.is_system(word)
        return False

    @cached_property
    def _with_code(self) -> set[int]:
        """Processes that opened code of a package's own."""
        return {
            actor.process.serial
            for path, access, actor, _ in self._opened
            if access != "write" and path.endswith(_CODE) and not self._table.is_system(path)
        }


def _environments(case: Case) -> Iterator[Deed]:
    """A package's own environment, read as a whole by what is no part of its language."""
    for (path, access, actor, _), use in case.facts.opened.items():
        own = path.startswith("/proc/") and path in ("/proc/self/environ", f"/proc/{actor.process.pid}/environ")
        if own and actor.role == "package" and access != "write":
            yield _as_bait(case.deed("read", use.line, use.event, actor, subject=path))
    for line, event, actor in case.facts.programs:
        program = actor.program
        if actor.role != "package" or program is None or program.forked:
            continue
        bare = program.name == "printenv" or (program.name == "env" and not program.argv[1:])
        if bare and case.facts.table.is_system(program.exe):
            yield _as_bait(case.deed("run", line, event, actor, subject=program.exe))


def _as_bait(deed: Deed) -> Deed:
    return msgspec.structs.replace(deed, decoy=ENVIRONMENT, weight="medium")


def _relays(case: Case, stems: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Lineages that took up a file which a reader of secrets had left behind, and since when."""
    left = {
        path for path, (line, maker) in case.facts.origins.items() if stems.get(maker.stem, line) < line
    }  # fmt: skip
    if left:
        for (path, access, actor, _), use in case.facts.opened.items():
            if path in left and access != "write" and actor.role == "package":
                yield actor.stem, use.line


def _talked(case: Case, stems: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Lineages that talked with a reader within the guest, whoever called whom, and since when."""
    bound: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line, event, actor in case.facts.binds:
        bound[_door(event.address.removeprefix("unix:"), event.port)].append((line, actor.stem))
    for connection in case.facts.connections:
        opened = connection.event
        if opened is None or not (opened.protocol == "unix" or is_local(opened.address)):
            continue
        caller, until = connection.actor.stem, max(connection.line, connection.last_line)
        for line, listener in bound.get(_door(opened.address, opened.port), ()):
            for one, other in ((caller, listener), (listener, caller)):
                if line < connection.line and one in stems and one != other:
                    yield other, max(until, stems[one])


def _door(address: str, port: int) -> str:
    """Where within the guest somebody listens: a port, or a Unix socket by its name."""
    return f"port {port}" if port else address.rstrip("\0")


def _finding(case: Case, reads: list[Deed], sent: list[Deed]) -> Finding:
    """Only what was read before the last bytes left, and half of the evidence for each side."""
    before = [read for read in reads if read.line < sent[-1].line]
    heavy = any(read.weight == "high" for read in before)
    same = bool({read.actor.stem for read in before} & {deed.actor.stem for deed in sent})
    outs = ways(sent)
    return case.finding(
        [*_few(before), *_few(sent)],
        title=f"read secrets ({listed(read.decoy for read in before)}), then sent bytes by {listed(outs, 2)}",
        decoys=[read.decoy for read in before if read.decoy != ENVIRONMENT],
        ways_out=outs,
        confidence="high" if heavy and same else "medium",
        package=(before[0] if before[0].actor.process.serial else sent[0]).actor.package,
        phase=sent[0].phase,
    )


def _few(deeds: list[Deed]) -> list[Deed]:
    return list({deed.subject: deed for deed in reversed(deeds)}.values())[::-1][:4]


def _exits(case: Case, programs: _Programs) -> list[Deed]:
    """Everything by which bytes can have left, or were meant to: knocking on many doors says something as well, and
    so do packets made by hand and programs for the network that are not there."""
    knocks = [deed for deed in case.exits if not _leaves(deed) and deed.verb == "connect"]
    many = len({deed.subject for deed in knocks}) >= _MANY_KNOCKS
    found = [_at_its_last(deed) for deed in case.exits if _leaves(deed)] + (knocks if many else [])
    found += _many_of_nothing(case) + _at_registries(case, programs)
    found += [deed for deed in case.of("syscall") if deed.subject.startswith(_BY_HAND)]
    found += [deed for deed in [*case.missing, *case.sought] if _carries(deed)]
    return sorted(found, key=lambda deed: deed.line)


def _many_of_nothing(case: Case) -> list[Deed]:
    """Requests and looked up names that each tell nothing, where there are so many of them below one name that their
    order may. A name that is asked for again tells nothing new."""
    requests: dict[str, list[Deed]] = defaultdict(list)
    lookups: dict[str, dict[str, Deed]] = defaultdict(dict)
    for deed in case.exits:
        if deed.verb == "request" and not _leaves(deed):
            requests[_names.parent(deed.connection.host)].append(deed)
        elif deed.verb == "lookup" and not _leaves(deed):
            lookups[_names.parent(deed.subject)].setdefault(deed.subject, deed)
    every = [*requests.values(), *(list(names.values()) for names in lookups.values())]
    return [deed for deeds in every if len(deeds) >= _MANY_OF_NOTHING for deed in deeds]


def _at_registries(case: Case, programs: _Programs) -> list[Deed]:
    """Requests of packages that are ordinary for everybody and bear more than they ask for."""
    return [
        deed
        for deed, entry in case.judged.explained
        if deed.verb == "request" and deed.actor.role == "package" and not entry.is_own
        and _requests.carries_to_registry(deed) and not programs.is_manager(deed.actor)
    ]  # fmt: skip


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
        return not _requests.is_empty(deed)
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
