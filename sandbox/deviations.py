"""From facts to deviations: every deed that no profile expects, in the words of profiles."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sandbox.events import DecoySent, RequestSent, SyscallCalled
from sandbox.facts import Connection, Deed, Facts
from sandbox.lineage import Actor, Program
from sandbox.profiles import Entry, Expectations

_IPV4_PRIVATE = [
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
]
_IPV6_PRIVATE = ip_network("fc00::/7")
DNS_PORTS = (53, 853, 5353)


class Judged:
    """What was done: deviations by verb, and every reading of bait with the entry that explains it."""

    def __init__(self, facts: Facts, expectations: Expectations) -> None:
        self._facts = facts
        self._expectations = expectations
        self.deviations: dict[str, list[Deed]] = {}
        self.bait_reads: list[tuple[Deed, Entry | None]] = []
        self._pages: dict[tuple[Actor, str], Any] = {}
        self.explained: list[tuple[Deed, Entry]] = []
        """What a profile explains, but for the everyday opening and changing of files."""
        self._opens()
        self._changes()
        for deed in self._others():
            self._judge(deed)

    def of(self, *verbs: str) -> list[Deed]:
        """The deviations of some verbs, in the order of the recording."""
        found = [deed for verb in verbs for deed in self.deviations.get(verb, [])]
        return found if len(verbs) == 1 else sorted(found, key=lambda deed: deed.line)

    def is_expected(self, deed: Deed) -> bool:
        """Whether a profile explains a deed that somebody else pieced together."""
        return self._expectations.explain(deed) is not None

    def is_own_habit(self, deed: Deed) -> bool:
        """Whether the package's own sheet explains a deed, and not only what all packages do."""
        return self._expectations.explain_by_own(deed) is not None

    def _judge(self, deed: Deed) -> Entry | None:
        entry = self._expectations.explain(deed)
        if entry is None:
            self.deviations.setdefault(deed.verb, []).append(deed)
        else:
            self.explained.append((deed, entry))
        return entry

    def _opens(self) -> None:
        """The bulk of a recording: a deed is made only of what the plain entries do not explain."""
        facts, planted = self._facts, self._facts.planted
        for (path, access, actor, phase), use in facts.opened.items():
            bait = path in planted
            if access == "path" and not bait:
                continue
            page = self._page(actor, phase)
            for verb in _VERBS_OF_ACCESS[access]:
                entry = None if bait else page.plain(verb, path, False)
                if entry is not None:
                    if entry.is_own:
                        self._expectations.used.setdefault(entry, path)
                        deed = deed_of(facts, verb, path, use.line, use.event, actor, count=use.count)
                        self.explained.append((deed, entry))
                    continue
                deed = deed_of(facts, verb, path, use.line, use.event, actor, count=use.count)
                entry = self._judge(deed)
                if bait and verb == "read":
                    self.bait_reads.append((deed, entry))

    def _page(self, actor: Actor, phase: str) -> Any:
        """What an actor may do in a phase."""
        page = self._pages.get((actor, phase))
        if page is None:
            kind = self._facts.kind(phase)
            page = self._pages[actor, phase] = self._expectations.page(actor.role, actor.package, kind)
        return page

    def _changes(self) -> None:
        facts = self._facts
        for line, event, actor, path, target in facts.changed:
            if event.change == "linked":
                subjects = [target or path]
            else:
                subjects = [path, target] if target and event.change == "renamed" else [path]
            page = self._page(actor, event.phase)
            for subject in subjects:
                if subject in facts.planted or page.plain("change", subject, False) is None:
                    self._judge(deed_of(facts, "change", subject, line, event, actor, method=event.change))

    def _others(self) -> Iterator[Deed]:
        facts = self._facts
        for line, event, actor in facts.programs:
            program = actor.program or Program(at=event.at, line=line, exe=event.exe, argv=event.argv, cwd="")
            if not _is_planned(facts, actor, program) and not program.forked:
                arguments = " ".join(program.argv[1:])
                subject = program.script or program.exe
                yield deed_of(facts, "run", subject, line, event, actor, arguments=arguments)
        for connection in facts.connections:
            yield from self._on_connection(connection)
        for line, event, actor in facts.lookups:
            yield deed_of(facts, "lookup", event.name.lower().rstrip("."), line, event, actor)
        for line, event, connection in facts.sent:
            yield sent_deed(facts, line, event, connection)
        for line, event, actor in facts.syscalls:
            if _ends_its_own(facts, event, actor):
                continue
            yield deed_of(facts, "syscall", event.name, line, event, actor, method="denied" * event.denied)
        for line, event, actor in facts.sockets:
            yield deed_of(facts, "syscall", f"socket {event.family} {event.kind}", line, event, actor)
        for line, event, actor in facts.binds:
            yield deed_of(facts, "bind", _place(event.address, event.port), line, event, actor)
        for line, event, actor in facts.survivors:
            arguments = " ".join(event.argv[1:])
            yield deed_of(facts, "survive", event.exe, line, event, actor, arguments=arguments)

    def _on_connection(self, connection: Connection) -> Iterator[Deed]:
        """A connection stands for what passed on it; where nothing did that we could read, for itself."""
        facts = self._facts
        opened = connection.event
        yield from request_deeds(facts, connection)
        if connection.requests and not connection.data:
            return
        if opened is None:
            for line, sent in connection.data[:1]:
                yield deed_of(
                    facts, "connect", connection.place, line, sent, connection.actor, connection=connection
                )
            return
        if opened.protocol == "udp" and not connection.data and not connection.sent:
            return  # resolvers connect datagram sockets only to learn which address they would use
        if opened.protocol == "udp" and opened.port in DNS_PORTS and not connection.data:
            return  # its questions are judged as lookups, and whom it asked as well
        subject = ("unix:" if opened.protocol == "unix" else "") + connection.place
        yield deed_of(
            facts, "connect", subject, connection.line, opened, connection.actor, connection=connection
        )


_VERBS_OF_ACCESS = {
    "read": ("read",),
    "write": ("write",),
    "readwrite": ("read", "write"),
    # A path-only descriptor of bait can be read through /proc/self/fd.
    "path": ("read",),
}


def deed_of(facts: Facts, verb: str, subject: str, line: int, event: Any, actor: Actor, **more: Any) -> Deed:
    """A deed with its phase, kind and bait filled in from the facts."""
    planted = facts.planted.get(subject)
    return Deed(
        verb=verb, subject=subject, actor=actor, phase=event.phase, kind=facts.kind(event.phase), line=line,
        at=event.at, decoy=planted.decoy if planted else "", weight=planted.weight if planted else "",
        event=event, **more,
    )  # fmt: skip


def request_deeds(facts: Facts, connection: Connection) -> Iterator[Deed]:
    """The requests that passed on a connection, by whoever opened it."""
    for line, request in connection.requests:
        yield deed_of(
            facts, "request", plain_url(request.url), line, request, connection.actor,
            method=request.method.upper(), connection=connection,
        )  # fmt: skip


def sent_deed(facts: Facts, line: int, event: DecoySent, connection: Connection) -> Deed:
    """Bait that left: `<decoy> <where> <host>`."""
    subject = f"{event.decoy} {event.where} {event.host.lower() or connection.place}"
    return Deed(
        verb="send", subject=subject, actor=connection.actor, phase=event.phase, kind=facts.kind(event.phase),
        line=line, at=event.at, decoy=event.decoy, event=event, connection=connection,
    )  # fmt: skip


def plain_url(url: str) -> str:
    """A URL as profiles write it: lower-case scheme and host, no usual port, no fragment."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return url
    usual = {"http": 80, "https": 443}.get(parts.scheme.lower())
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != usual:
        place += f":{port}"
    if parts.username or parts.password:
        place = "credentials@" + place  # never matches a profile
    return urlunsplit((parts.scheme.lower(), place, parts.path or "/", parts.query, ""))


def way_out(deed: Deed) -> str:
    """How bytes left, for a reader: `https POST to host`, `tcp 203.0.113.9:4444`, `dns name`."""
    if deed.verb == "lookup":
        return f"dns {deed.subject}"
    connection = deed.connection
    if isinstance(deed.event, RequestSent):
        return request_way(deed.event)
    if isinstance(connection, Connection):
        return connection_way(connection)
    return deed.subject


def request_way(request: RequestSent) -> str:
    """`https POST to host`."""
    url = plain_url(request.url)
    scheme, _, rest = url.partition("://")
    return f"{scheme} {request.method.upper()} to {rest.split('/', 1)[0]}"


def connection_way(connection: Connection) -> str:
    """`tcp 203.0.113.9:4444`, or the requests that passed on it."""
    if connection.requests:
        return request_way(connection.requests[0][1])
    return f"{connection.protocol} {connection.place}"


def is_local(address: str) -> bool:
    """Whether an address is of this host alone; text that is no address is not."""
    try:
        found = ip_address(address.strip("[]").split("%", 1)[0])
    except ValueError:
        return False
    return found.is_loopback or found.is_unspecified


def is_public(address: str) -> bool:
    """Whether an address can only be meant for the outside: not of this host, nor of a private network."""
    try:
        found = ip_address(address.strip("[]").split("%", 1)[0])
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_link_local or _is_private(found))


def _is_private(found: Any) -> bool:
    """Private use only; Python also calls the documentation addresses private, which no host can have."""
    if found.version == 6:
        return bool(found in _IPV6_PRIVATE)
    return any(found in network for network in _IPV4_PRIVATE)


def _place(address: str, port: int) -> str:
    if address.startswith("unix:"):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _is_planned(facts: Facts, actor: Actor, program: Program) -> bool:
    """The program that the plan itself started: the phase's own command."""
    if not actor.process.root:
        return False
    planned = next((start for start in facts.phase_starts if start.process == actor.process.serial), None)
    return planned is not None and (program.argv == planned.argv or program is actor.process.programs[0])


def _ends_its_own(facts: Facts, event: SyscallCalled, actor: Actor) -> bool:
    """A signal to a process of one's own line, such as a helper that was started for a while: no deed of its own."""
    found = facts.by_pid.get(event.args[0]) if event.name == "kill" and event.args and event.args[0] > 0 else None
    return found is not None and found.actor.stem == actor.stem and found.started < event.at
