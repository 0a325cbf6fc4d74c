"""What deviations mean. A rule is one file here: its name is its id, its docstring its manual page, `RULE`
its object. Rules are pure, know no package by name, and hold no exceptions: those live in profiles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from sandbox import events
from sandbox.deviations import Judged, is_local, way_out
from sandbox.events import Header
from sandbox.facts import Deed, Facts
from sandbox.lineage import SHELLS, Actor, program_name
from sandbox.plaintext import command, escape, home_relative, shorten
from sandbox.profiles import Entry
from sandbox.report import Confidence, Evidence, Finding, Severity

MANY = 8
"""Evidence items that a finding keeps; the recording has the rest."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as its file defines it; `check` may override severity, confidence and verdict as it must."""

    title: str
    severity: Severity
    confidence: Confidence
    verdict: Literal["suspicious", "malicious"]
    attack: tuple[str, ...]
    check: Callable[[Case], Iterable[Finding]]


class Case:
    """All that a rule may look at, and the way to say what it found."""

    def __init__(self, facts: Facts, judged: Judged) -> None:
        self.facts = facts
        self.judged = judged
        self.header: Header = facts.header
        self._rule: tuple[str, Rule] | None = None

    def under(self, name: str, rule: Rule) -> Case:
        """This case for one rule; what was computed for others is shared."""
        self._rule = (name, rule)
        return self

    def of(self, *verbs: str) -> list[Deed]:
        """The deviations of some verbs, in the order of the recording."""
        return self.judged.of(*verbs)

    def is_expected(self, verb: str, subject: str, actor: Actor, phase: str, arguments: str = "") -> bool:
        """Whether a profile explains what a rule pieced together itself."""
        deed = Deed(
            verb=verb, subject=subject, actor=actor, phase=phase, kind=self.facts.kind(phase), line=0, at=0.0,
            arguments=arguments,
        )  # fmt: skip
        return self.judged.is_expected(deed)

    @property
    def bait_reads(self) -> list[tuple[Deed, Entry | None]]:
        """Every opening of a planted file for reading, and the profile entry that explains it, if any."""
        return self.judged.bait_reads

    @cached_property
    def exits(self) -> list[Deed]:
        """Deviations by which bytes can leave: requests, connections, lookups; not those within the guest."""
        found = [deed for deed in self.of("request", "connect") if not _stays(deed)]
        found += [deed for deed in self.of("lookup") if "." in deed.subject]
        return sorted(found, key=lambda deed: deed.line)

    @cached_property
    def missing(self) -> list[Deed]:
        """Programs that packages tried to run and that are not there: each once a process."""
        ran = {(actor.process.serial, name) for _, _, actor in self.facts.programs if actor.program
               for name in actor.program.names}  # fmt: skip
        found: dict[tuple[int, str], Deed] = {}
        for line, event, actor in self.facts.attempts:
            key = (actor.process.serial, program_name(event.path))
            if actor.role == "package" and key not in ran and key not in found:
                arguments = " ".join(event.argv[1:8])
                deed = self.deed("run", line, event, actor, subject=f"{key[1]} {arguments}".rstrip())
                found[key] = msgspec.structs.replace(deed, arguments=arguments)
        return list(found.values())

    @cached_property
    def sought(self) -> list[Deed]:
        """Programs that packages' shells looked for and nobody ever ran: what a shell cannot find it does not run."""
        ran = {name for _, _, actor in self.facts.programs if actor.program for name in actor.program.names}
        found: dict[tuple[int, str], Deed] = {}
        for (path, actor, _), (line, event) in self.facts.probed.items():
            folder, _, name = path.rpartition("/")
            if actor.role != "package" or not folder.endswith(("/bin", "/sbin")) or name in ran:
                continue
            if actor.program is not None and actor.program.name in SHELLS:
                deed = self.deed("run", line, event, actor, subject=f"{name} (not there)")
                found.setdefault((actor.process.serial, name), deed)
        return list(found.values())

    def pathname(self, path: str) -> str:
        """A path as a person would write it, safe to print."""
        return shorten(home_relative(path, self.header.home, self.header.project), 120)

    def finding(
        self,
        deeds: Sequence[Deed],
        *,
        title: str = "",
        verdict: Literal["suspicious", "malicious"] | None = None,
        severity: Severity | None = None,
        confidence: Confidence | None = None,
        decoys: Iterable[str] = (),
        ways_out: Iterable[str] = (),
        package: str | None = None,
        phase: str | None = None,
    ) -> Finding:
        """A finding on `deeds` (one at least), in the rule's own words where nothing else is said."""
        assert self._rule is not None, "findings are made while a rule is asked"
        name, rule = self._rule
        first = deeds[0]
        return Finding(
            rule=name,
            title=shorten(title or rule.title, 200),
            severity=severity or rule.severity,
            confidence=confidence or rule.confidence,
            verdict=verdict or rule.verdict,
            package=shorten(first.actor.package if package is None else package, 214),
            phase=first.phase if phase is None else phase,
            attack=rule.attack,
            decoys=tuple(dict.fromkeys(decoy for decoy in decoys if decoy)),
            ways_out=tuple(dict.fromkeys(shorten(way, 120) for way in ways_out if way))[:MANY],
            evidence=tuple(self.evidence(deed) for deed in spread(deeds)),
        )

    def evidence(self, deed: Deed) -> Evidence:
        """One deed as evidence."""
        return Evidence(
            at=deed.at,
            phase=deed.phase,
            process=deed.actor.process.serial,
            text=escape(self.words(deed)),
            line=deed.line,
            program=program_words(deed.actor),
        )

    def words(self, deed: Deed) -> str:
        """What was done, in one line that is safe to print."""
        event = deed.event
        times = f" ({deed.count} times)" if deed.count > 1 else ""
        bait = f" [bait: {deed.decoy}]" if deed.decoy else ""
        if isinstance(event, events.FileChanged):
            to = f" -> {self.pathname(event.target)}" if event.target else ""
            return f"{event.change} {self.pathname(event.path)}{to}{bait}"
        if isinstance(event, events.DecoySent):
            coded = f" as {' in '.join(event.encodings)}" if event.encodings else ""
            where = f"in {event.where} to {event.host}" if event.host else f"in {event.where}"
            return shorten(f"sent the {event.decoy} {event.token}{coded} {where}", 200)
        if isinstance(event, events.DecoyTouched):
            return f"{event.how} {self.pathname(event.path)}{bait}"
        if deed.verb in ("read", "write", "probe"):
            return f"{_PAST.get(deed.verb, deed.verb)} {self.pathname(deed.subject)}{times}{bait}"
        return _other_words(deed, event)

    def deed(
        self, verb: str, line: int, event: Any, actor: Actor, subject: str = "", decoy: str = ""
    ) -> Deed:
        """A deed made by a rule from an event that no profile speaks of."""
        return Deed(
            verb=verb, subject=subject, actor=actor, phase=event.phase, kind=self.facts.kind(event.phase),
            line=line, at=event.at, decoy=decoy, event=event,
        )  # fmt: skip


_PAST = {"read": "opened for reading:", "write": "opened for writing:", "probe": "asked about"}


def _other_words(deed: Deed, event: Any) -> str:
    if isinstance(event, events.RequestSent):
        size = f" ({event.body_size} bytes)" if event.body_size else ""
        return shorten(f"{event.method} {event.url}", 150) + size
    if isinstance(event, events.ProgramStarted | events.SurvivorFound):
        verb = "ran" if isinstance(event, events.ProgramStarted) else "still ran at the end:"
        return f"{verb} {command([event.exe, *event.argv[1:]])}"
    if isinstance(event, events.FileProbed):
        return f"looked for the program {shorten(deed.subject, 60)}"
    if isinstance(event, events.ProgramRequested):
        return f"asked to run {command([event.path, *event.argv[1:]])}"
    if isinstance(event, events.ConnectionOpened):
        connection = deed.connection
        size = f", {connection.sent} bytes sent" if connection is not None and connection.sent else ""
        return shorten(f"connected to {event.protocol} {deed.subject}", 140) + size
    if isinstance(event, events.DataSent):
        return f"sent {event.size} bytes of {shorten(event.protocol, 20)}"
    if isinstance(event, events.NameLookedUp):
        return shorten(f"looked up {event.name} ({event.kind})", 150)
    if isinstance(event, events.SyscallCalled):
        refused = ", refused" if event.denied else ""
        return shorten(f"called {event.name} {event.detail}".rstrip(), 140) + refused
    if isinstance(event, events.EndpointAsked):
        return shorten(f"asked {event.url}", 160)
    if isinstance(event, events.SleepSkipped):
        return f"slept {event.seconds:g} s (skipped)"
    return shorten(f"{deed.verb} {deed.subject}", 150)


def program_words(actor: Actor) -> str:
    """What the process was running, short and safe to print."""
    program = actor.program
    return command([program.exe, *program.argv[1:]], 100) if program is not None else ""


def spread(deeds: Sequence[Deed], limit: int = MANY) -> list[Deed]:
    """At most `limit` of the deeds, each subject once, in order of the recording."""
    distinct = {(deed.verb, deed.subject, type(deed.event)): deed for deed in reversed(deeds)}
    return sorted(distinct.values(), key=lambda deed: deed.line)[:limit]


def grouped(deeds: Iterable[Deed]) -> Iterator[list[Deed]]:
    """Deeds by package and phase, in order of the recording."""
    groups: dict[tuple[str, str], list[Deed]] = defaultdict(list)
    for deed in deeds:
        groups[deed.actor.package, deed.phase].append(deed)
    yield from groups.values()


def by_package(deeds: Iterable[Deed]) -> Iterator[list[Deed]]:
    """Deeds of package processes only, by package and phase."""
    yield from grouped(deed for deed in deeds if deed.actor.role == "package")


def listed(words: Iterable[str], limit: int = 4) -> str:
    """Distinct words, comma separated; how many more where there are more than `limit`."""
    distinct = list(dict.fromkeys(words))
    more = f" and {len(distinct) - limit} more" if len(distinct) > limit else ""
    return ", ".join(distinct[:limit]) + more


def ways(deeds: Iterable[Deed]) -> list[str]:
    """The ways out of some deeds, distinct."""
    return list(dict.fromkeys(way_out(deed) for deed in deeds))


def _stays(deed: Deed) -> bool:
    """Whether a connection ends within the guest."""
    if deed.subject.startswith("unix:"):
        return True
    opened = deed.connection.event if deed.connection is not None else None
    return opened is not None and is_local(opened.address)
