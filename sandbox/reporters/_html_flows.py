"""The path of each stolen secret: where the bait stood, which processes it went through, and how it left.

Two kinds. *Recognised*: a token was seen in what left. *Followed*: bait was read and bytes left after that, and what
they held could not be read; that is what a finding says, and no more.
"""

from __future__ import annotations

import re
from collections import defaultdict

import msgspec

from sandbox import events
from sandbox.deviations import request_way
from sandbox.facts import Connection, Facts
from sandbox.lineage import Actor, Process
from sandbox.plaintext import command, escape, home_relative, shorten
from sandbox.report import Finding

_MOST = 12
_MOST_BAIT = 8
_MOST_STEPS = 4
_PLACES = {
    "body": "in its body", "header": "in a header", "url": "in its address", "dns": "in the name",
    "data": "in its bytes",
}  # fmt: skip


class Step(msgspec.Struct, frozen=True):
    """One box of the drawing: what it is in a word, its text, and what stands below in small."""

    what: str
    text: str
    detail: str = ""


class Flow(msgspec.Struct, frozen=True):
    """Baits, the processes that they went through in order, and the way out."""

    baits: tuple[Step, ...]
    steps: tuple[Step, ...]
    out: Step
    recognised: bool = True
    more_baits: int = 0

    def sentence(self) -> str:
        """The same in words."""
        baits = "; ".join(f"{one.text}{f' ({one.detail})' if one.detail else ''}" for one in self.baits)
        more = f"; and {self.more_baits} more" if self.more_baits else ""
        through = ", then ".join(one.text for one in self.steps) or "a process that is not known"
        how = "went" if self.recognised else "was read, and afterwards bytes went"
        out = f"{self.out.text}{f', {self.out.detail}' if self.out.detail else ''}"
        return f"Bait: {baits}{more}. It {how} through: {through}. Way out: {out}."


def completed(paths: list[Flow], findings: tuple[Finding, ...]) -> tuple[list[Flow], int]:
    """The paths that were recognised, and those that only findings tell of; as many as are drawn, and how many more."""
    hosts = {_host(path.out.text) for path in paths}
    told = [path for path in followed(findings) if not any(_within(_host(path.out.text), host) for host in hosts)]
    every = list(dict.fromkeys([*paths, *told]))
    return every[:_MOST], max(0, len(every) - _MOST)


def _host(way: str) -> str:
    """The host of a way out, without its port."""
    return re.sub(r":\d+$", "", way.rsplit(" ", 1)[-1])


def _within(name: str, host: str) -> bool:
    """Whether a name is a host's, or one below it: data in names makes a new one each time."""
    return name == host or name.endswith(f".{host}")


def followed(findings: tuple[Finding, ...]) -> list[Flow]:
    """What findings alone tell: bait that was read, and ways out that were taken afterwards."""
    found = []
    for finding in findings:
        if not finding.decoys or not finding.ways_out:
            continue
        programs = list(dict.fromkeys(item.program for item in finding.evidence if item.program))
        phase = f"in {finding.phase}" if finding.phase else ""
        steps = tuple(Step("process", escape(program), phase) for program in programs[:_MOST_STEPS])
        baits = tuple(Step("bait", escape(decoy)) for decoy in finding.decoys[:_MOST_BAIT])
        sent = any(item.text.startswith("sent ") for item in finding.evidence)
        more = max(0, len(finding.decoys) - _MOST_BAIT)
        found += [
            Flow(baits, steps, Step("way out", escape(way)), recognised=sent, more_baits=more)
            for way in finding.ways_out[:_MOST]
        ]
    return found


def recognised(facts: Facts, findings: tuple[Finding, ...], *, shared: bool = False) -> list[Flow]:
    """Paths of bait that findings call stolen. What the package manager sends to its registry is not; nor, in a
    recording that is `shared` with other packages, what those sent."""
    stolen = {decoy for finding in findings for decoy in finding.decoys}
    thieves = {finding.package for finding in findings if finding.decoys}
    groups: dict[tuple[int, str], list[tuple[int, events.DecoySent, Connection]]] = defaultdict(list)
    for line, sent, connection in facts.sent:
        actor = _sender(facts, sent, connection)
        if sent.decoy not in stolen or is_managers(actor, connection):
            continue
        if shared and actor.package not in thieves:
            continue
        groups[actor.process.serial, _way(sent, connection)].append((line, sent, connection))
    reads = _reads(facts)
    found = []
    for (_, way), sends in groups.items():
        line, first, connection = sends[0]
        sender = _sender(facts, first, connection)
        baits: dict[tuple[str, str], list[str]] = {}
        readers: list[Process] = []
        for at, sent, _ in sends:
            source, reader = _source(reads.get(sent.decoy, []), at, sender)
            baits.setdefault((sent.decoy, source), []).append(sent.token)
            if reader is not None:
                readers.append(reader)
        coded = list(dict.fromkeys(_how(sent) for _, sent, _ in sends))
        detail = "; ".join(coded[:3]) + (f"; and {len(coded) - 3} more" if len(coded) > 3 else "")
        boxes = [
            Step("bait", escape(f"{decoy}: {', '.join(dict.fromkeys(tokens))}"), _place(facts, source))
            for (decoy, source), tokens in baits.items()
        ]
        more = max(0, len(boxes) - _MOST_BAIT)
        out = Step("way out", shorten(way, 200), detail)
        found.append(Flow(tuple(boxes[:_MOST_BAIT]), _steps(sender, readers), out, more_baits=more))
    return found


def is_managers(actor: Actor, connection: Connection) -> bool:
    """Whether this is the package manager itself, talking to its registry."""
    return actor.role == "installer" and any(request.answered_by == "registry" for _, request in connection.requests)


def _sender(facts: Facts, sent: events.DecoySent, connection: Connection) -> Actor:
    """Whose connection it is, as the rules attribute it; where nobody saw that, who was named with the bait."""
    actor = connection.actor
    return actor if actor.process.serial else facts.table.actors.get(sent.process, actor)


def _way(sent: events.DecoySent, connection: Connection) -> str:
    if sent.where == "dns":
        return f"dns {sent.host}" if sent.host else "dns"
    ways = [request_way(request) for _, request in connection.requests]
    for way in ways:
        if sent.host and way.endswith(f" to {sent.host.lower()}"):
            return way
    return f"{connection.protocol} {sent.host or connection.place}" if not ways else ways[0]


def _how(sent: events.DecoySent) -> str:
    coded = f", as {' in '.join(sent.encodings)}" if sent.encodings else ", in clear"
    return escape(f"{_PLACES.get(sent.where, sent.where)}{coded}")


Read = tuple[int, str, Actor]


def _reads(facts: Facts) -> dict[str, list[Read]]:
    """Openings of planted files by decoy, in order."""
    found: dict[str, list[Read]] = defaultdict(list)
    for (path, access, actor, _), use in facts.opened.items():
        planted = facts.planted.get(path)
        if planted is not None and access in ("read", "readwrite"):
            found[planted.decoy].append((use.line, path, actor))
    return {decoy: sorted(many, key=lambda read: read[0]) for decoy, many in found.items()}


def _source(reads: list[Read], line: int, sender: Actor) -> tuple[str, Process | None]:
    """The file that a token most likely came from: the last of its decoy's that the sender, or else its line of
    processes, had opened before. Empty where none was: the environment, an endpoint, a command, or unseen."""
    before = [read for read in reads if read[0] < line and read[2].role == "package"]
    own = [read for read in before if read[2].process is sender.process]
    kin = own or [read for read in before if read[2].stem == sender.stem]
    if not kin:
        return "", None
    _, path, actor = kin[-1]
    return path, actor.process


def _place(facts: Facts, source: str) -> str:
    if not source:
        return "no file of it was opened: from the environment, or handed over"
    return shorten(home_relative(source, facts.header.home, facts.header.project), 120)


def _steps(sender: Actor, readers: list[Process]) -> tuple[Step, ...]:
    """Who read it where that was another process, and the processes from the package's first to the sender."""
    chain: list[Process] = []
    process: Process | None = sender.process
    while process is not None and process.actor.role == "package" and len(chain) < 64:
        chain.append(process)
        process = process.parent
    chain.reverse()
    others = [reader for reader in dict.fromkeys(readers) if reader not in chain][:1]
    if len(chain) > _MOST_STEPS:
        chain = [*chain[:1], *chain[-(_MOST_STEPS - 1) :]]
    return tuple(_step(process, sender) for process in [*others, *chain] or [sender.process])


def _step(process: Process, sender: Actor) -> Step:
    """A process by what it ran last; the sender by what it ran then."""
    program = sender.program if process is sender.process else process.actor.program
    words = command([program.exe, *program.argv[1:]], 120) if program else "a program that is not known"
    return Step("process", words, f"process {process.serial}, for {shorten(process.actor.package, 60)}")

