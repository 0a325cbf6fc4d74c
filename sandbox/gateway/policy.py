"""Decides who answers, and what a stream is from its first bytes. Pure but for awaiting the registry.

Order: the plan's registries, hosts that a profile lets through (a hook), the fake world, what a profile says is absent,
a plausible nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from sandbox.gateway import world
from sandbox.gateway.http import host_of
from sandbox.gateway.tls import LONGEST_HELLO, client_hello
from sandbox.globs import Matcher

Kind = Literal["tls", "http", "dns", "raw"]

_DNS_PORTS = (53, 853)
_LONGEST_LINE = 72 * 1024
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [^ \r\n]{1,65536} HTTP/1\.[0-9]\r?$")
_METHOD = re.compile(rb"[A-Za-z-]{1,32}(?: |$)")


class RegistryAnswer(msgspec.Struct, frozen=True):
    """What a registry says. `body` may be a file, which is sent in pieces; `artifact` is the digest of a package file
    that was checked, and empty for everything else."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Path
    artifact: str = ""


class RegistryAnswerer(Protocol):
    """Plays the plan's registries with their real content."""

    def serves(self, host: str, port: int) -> bool:
        """Whether this host and port is one of the plan's registries."""
        ...

    async def answer(
        self, method: str, host: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> RegistryAnswer | None:
        """The answer; None for what a registry does not serve to us (a PUT, whoami, tokens, a search)."""
        ...


class Question(msgspec.Struct, frozen=True):
    """A request as the policy sees it. `hosts` are all names by which the host was meant, the surest first: the name
    that was looked up, the one in TLS, the one in the Host header; `address` is where the connection really went."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    hosts: tuple[str, ...]
    address: str
    port: int


class Reply(msgspec.Struct, frozen=True):
    """Who answers what. `decoy` is the one whose telling endpoint was asked."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Path
    answered_by: Literal["registry", "profile", "world", "absent", "empty"]
    decoy: str = ""
    artifact: str = ""


class Policy:
    """The order of answers. `live` would answer for hosts that a profile lets through; nothing implements it yet.
    `absent` are globs of addresses that are answered with "not found": ready-made programs that honest packages do
    without. Whoever asks for anything else gets an answer, so that the next step shows."""

    def __init__(
        self,
        fake: world.World,
        registry: RegistryAnswerer | None = None,
        live: RegistryAnswerer | None = None,
        absent: Sequence[str] = (),
    ) -> None:
        self._world = fake
        self._registry = registry
        self._live = live
        self._absent = Matcher([(glob, True) for glob in absent])

    def is_registry(self, host: str, port: int) -> bool:
        """Whether `host` is one of the plan's registries."""
        return self._registry is not None and self._registry.serves(host, port)

    async def answer(self, question: Question) -> Reply:
        """The first answer there is, in order."""
        real: tuple[tuple[Literal["registry", "profile"], RegistryAnswerer | None], ...] = (
            ("registry", self._registry),
            ("profile", self._live),
        )
        # A request that says different names in different places is not for the one that looks best.
        if len(question.hosts) == 1:
            host = question.hosts[0]
            for name, answerer in real:
                if answerer is None or not answerer.serves(host, question.port):
                    continue
                given = await answerer.answer(question.method, host, question.target, question.headers)
                if given is not None:
                    return Reply(given.status, given.headers, given.body, name, artifact=given.artifact)
        for host in dict.fromkeys((*question.hosts, question.address)):
            found = self._world.endpoint(host, question.port, question.method, question.target)
            if found is not None:
                return Reply(found.status, found.headers, found.body, "world", decoy=found.decoy)
        if self._is_absent(question):
            absent = world.absent()
            return Reply(absent.status, absent.headers, absent.body, "absent")
        empty = world.nothing(question.method, question.target, question.headers)
        return Reply(empty.status, empty.headers, empty.body, "empty")

    def _is_absent(self, question: Question) -> bool:
        """Whether it asks, of that host alone, for what is said not to be there."""
        if question.method not in ("GET", "HEAD") or question.port != 443 or len(question.hosts) != 1:
            return False
        return bool(self._absent.find(f"https://{question.hosts[0]}{question.target}"))

    def shown_host(self, hosts: Sequence[str], port: int) -> str:
        """The name under which a request is recorded. Where names differ, never a registry's: hiding behind a good name
        must not make it look good."""
        if len(hosts) > 1:
            return next((host for host in hosts if not self.is_registry(host, port)), hosts[0])
        return hosts[0]


def hosts(looked_up: str, sni: str, header: str, address: str) -> tuple[str, ...]:
    """The different names by which one request means its host; the address itself where it was reached without name."""
    found = [looked_up or address]
    named, _ = host_of(header)
    for name in (sni, named):
        if name and name not in found and name != address:
            found.append(name)
    return tuple(found)


def classify(port: int, data: bytes, waited: bool = False) -> Kind | None:
    """What a stream is, from its first bytes; None where they may still become something (until `waited`).

    A client of a protocol in which the server speaks first sends nothing: there is nothing to decide, and it waits.
    """
    if not data:
        return None
    if port in _DNS_PORTS and data[:1] < b"\x16":  # no query is longer than 5,631 bytes, no request line begins so
        return "dns"
    if data[:1] == b"\x16":
        return _tls(data, waited)
    line, end, _ = data.partition(b"\n")
    if end:
        return "http" if _REQUEST_LINE.match(line) else "raw"
    if waited or len(data) > _LONGEST_LINE or not _METHOD.match(line):
        return "raw"
    return None


def _tls(data: bytes, waited: bool) -> Kind | None:
    try:
        if client_hello(data) is not None:
            return "tls"
    except ValueError:
        return "raw"
    return "raw" if waited or len(data) > LONGEST_HELLO else None
