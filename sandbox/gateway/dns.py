"""Plays the domain name system: every name gets an address of its own, so that a later connection can be named.

Pure: queries in, answers out. Addresses are taken from ranges of large public hosters, which is where names point.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable

import dnslib
import msgspec

MOST_NAMES = 20_000
LONGEST_MESSAGE = 65535

_POOLS = tuple(map(ipaddress.IPv4Network, ("52.0.0.0/11", "104.16.0.0/13", "34.96.0.0/12", "151.101.0.0/16")))
_POOL6 = int(ipaddress.IPv6Address("2606:4700::"))
_FIXED = {
    "localhost": ("127.0.0.1", "::1"),
    "metadata.google.internal": ("169.254.169.254", "fd20:ce::254"),
    "instance-data": ("169.254.169.254", "fd00:ec2::254"),
    "instance-data.ec2.internal": ("169.254.169.254", "fd00:ec2::254"),
}
_TTL = 300


class DnsAnswer(msgspec.Struct, frozen=True):
    """What is sent back, and what was asked: `answer` is the address or name given, empty where there is none."""

    reply: bytes
    name: str
    kind: str
    answer: str
    lost: bool = False


def normal(name: str) -> str:
    """A host name as names are compared: lower case, no final dot."""
    return name.rstrip(".").lower()


class Names:
    """Addresses for names, and names for addresses. Stable for one run; `seed` makes runs differ."""

    def __init__(self, host_name: str = "", seed: bytes = b"", most: int = MOST_NAMES) -> None:
        self._host_name = normal(host_name)
        self._seed = seed[:64]
        self._most = most
        self._addresses: dict[str, tuple[str, str]] = {}
        self._names: dict[str, str] = {}

    def addresses(self, name: str) -> tuple[str, str] | None:
        """The IPv4 and IPv6 address of `name`; None where there are more names than are kept."""
        name = normal(name)
        fixed = self._fixed(name)
        if fixed is not None:
            return fixed
        known = self._addresses.get(name)
        if known is None:
            if len(self._addresses) >= self._most:
                return None
            known = self._addresses[name] = self._choose(name)
            self._names[known[0]] = self._names[known[1]] = name
        return known

    def name(self, address: str) -> str:
        """The name by which `address` was found, or empty."""
        known = self._names.get(address)
        if known is None and ":" in address:
            try:
                parsed = ipaddress.IPv6Address(address)
            except ValueError:
                return ""
            known = self._names.get(str(parsed.ipv4_mapped or parsed))
        return known or ""

    def _fixed(self, name: str) -> tuple[str, str] | None:
        if name == self._host_name and name:
            return "127.0.1.1", "::1"
        if name.endswith(".localhost"):
            name = "localhost"
        return _FIXED.get(name)

    def _choose(self, name: str) -> tuple[str, str]:
        digest = hashlib.blake2b(name.encode("utf-8", "replace"), key=self._seed, digest_size=12).digest()
        pool = _POOLS[digest[0] % len(_POOLS)]
        number = int.from_bytes(digest[1:5], "big")
        while True:
            address = str(pool[number % pool.num_addresses])
            if address not in self._names and address.rsplit(".", 1)[1] not in ("0", "255"):
                break
            number += 1
        return address, str(ipaddress.IPv6Address(_POOL6 + (number << 64) + int.from_bytes(digest[5:12], "big")))

    def answer(self, query: bytes) -> DnsAnswer:
        """Answer a query; raises ValueError on what is not one."""
        try:
            return self._answer(query)
        except ValueError:
            raise
        except Exception as error:  # dnslib raises whatever the bytes lead it to
            raise ValueError(f"not a DNS query: {type(error).__name__}") from error

    def _answer(self, query: bytes) -> DnsAnswer:
        request = dnslib.DNSRecord.parse(query)
        if request.header.qr or not request.questions:
            raise ValueError("not a DNS query")
        question = request.questions[0]
        name = ".".join(label.decode("ascii", "backslashreplace") for label in question.qname.label)
        kind = str(dnslib.QTYPE.get(question.qtype))
        reply = dnslib.DNSRecord(
            dnslib.DNSHeader(id=request.header.id, qr=1, rd=request.header.rd, ra=1, opcode=request.header.opcode),
            q=question,
        )
        given, lost = "", False
        if request.header.opcode != dnslib.OPCODE.QUERY:
            reply.header.rcode = dnslib.RCODE.NOTIMP
        elif kind in _ANSWERS:
            given, lost = _ANSWERS[kind](self, reply, name)
        if any(extra.rtype == dnslib.QTYPE.OPT for extra in request.ar):
            reply.add_ar(dnslib.EDNS0(udp_len=1232))
        return DnsAnswer(bytes(reply.pack()), name, kind, given, lost)

    def _host(self, reply: dnslib.DNSRecord, name: str, version: int) -> tuple[str, bool]:
        known = self.addresses(name) if name else None
        if known is None:
            reply.header.rcode = dnslib.RCODE.SERVFAIL if name else dnslib.RCODE.NOERROR
            return "", bool(name)
        address = known[version]
        data, kind = (dnslib.AAAA, dnslib.QTYPE.AAAA) if version else (dnslib.A, dnslib.QTYPE.A)
        reply.add_answer(dnslib.RR(reply.q.qname, kind, rdata=data(address), ttl=_TTL))
        return address, False

    def _pointer(self, reply: dnslib.DNSRecord, name: str) -> tuple[str, bool]:
        found = self._reverse(normal(name))
        if found:
            reply.add_answer(dnslib.RR(reply.q.qname, dnslib.QTYPE.PTR, rdata=dnslib.PTR(found), ttl=_TTL))
        else:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        return found, False

    def _reverse(self, name: str) -> str:
        """What reverse look-ups usually give: the hoster's own name for the address, if any."""
        labels = name.removesuffix(".in-addr.arpa").split(".")
        if not name.endswith(".in-addr.arpa") or len(labels) != 4 or not all(label.isdigit() for label in labels):
            return ""
        first, second, third, fourth = reversed(labels)
        address = f"{first}.{second}.{third}.{fourth}"
        if address == "127.0.0.1":
            return "localhost"
        if address == "127.0.1.1":
            return self._host_name
        if first == "52":
            return f"ec2-{first}-{second}-{third}-{fourth}.compute-1.amazonaws.com"
        if first == "34":
            return f"{fourth}.{third}.{second}.{first}.bc.googleusercontent.com"
        return ""


_ANSWERS: dict[str, Callable[[Names, dnslib.DNSRecord, str], tuple[str, bool]]] = {
    "A": lambda names, reply, name: names._host(reply, name, 0),
    "ANY": lambda names, reply, name: names._host(reply, name, 0),
    "AAAA": lambda names, reply, name: names._host(reply, name, 1),
    "PTR": Names._pointer,
}


def messages(data: bytes) -> tuple[list[bytes], bytes]:
    """DNS over TCP: the whole messages in `data`, and what is left of the next one."""
    found = []
    place = 0
    while len(data) - place >= 2:
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        if len(data) < end:
            break
        found.append(data[place + 2 : end])
        place = end
    return found, data[place:]


def framed(reply: bytes) -> bytes:
    """One message as it goes over TCP."""
    return len(reply).to_bytes(2, "big") + reply
