"""Every name gets an address, every address gives the name back, and no bytes upset the parser."""

from __future__ import annotations

import contextlib
import ipaddress

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway import dns
from sandbox.gateway.dns import Names


def ask(names: Names, name: str, kind: str = "A") -> dnslib.DNSRecord:
    query = dnslib.DNSRecord.question(name, kind)
    reply = dnslib.DNSRecord.parse(names.answer(query.pack()).reply)
    assert reply.header.id == query.header.id
    assert reply.header.qr == 1
    assert reply.header.ra == 1
    return reply


def test_names_have_stable_addresses_of_their_own() -> None:
    names = Names(seed=b"run")
    first = str(ask(names, "one.test").a.rdata)
    assert first == str(ask(names, "ONE.test.").a.rdata)
    assert first != str(ask(names, "two.test").a.rdata)
    assert names.name(first) == "one.test"
    assert Names(seed=b"run").addresses("one.test") == names.addresses("one.test")
    assert Names(seed=b"other").addresses("one.test") != names.addresses("one.test")


def test_addresses_look_public() -> None:
    names = Names()
    seen = set()
    for number in range(3000):
        four, six = names.addresses(f"host{number}.test") or ("", "")
        assert ipaddress.ip_address(four).is_global
        assert ipaddress.ip_address(six).is_global
        seen |= {four, six}
    assert len(seen) == 6000


def test_ipv6_and_its_other_spellings() -> None:
    names = Names()
    address = str(ask(names, "six.test", "AAAA").rr[0].rdata)
    assert names.name(address) == "six.test"
    assert names.name(ipaddress.IPv6Address(address).exploded) == "six.test"
    four = (names.addresses("six.test") or ("", ""))[0]
    assert names.name(f"::ffff:{four}") == "six.test"
    assert names.name("::nonsense") == ""
    assert names.name("192.0.2.1") == ""


def test_names_that_mean_something() -> None:
    names = Names("nl-thinkpad")
    assert str(ask(names, "localhost").a.rdata) == "127.0.0.1"
    assert str(ask(names, "localhost", "AAAA").rr[0].rdata) == "::1"
    assert str(ask(names, "metadata.google.internal").a.rdata) == "169.254.169.254"
    assert str(ask(names, "nl-thinkpad").a.rdata) == "127.0.1.1"
    assert names.name("169.254.169.254") == ""


@pytest.mark.parametrize("kind", ["TXT", "MX", "SRV", "HTTPS", "NS", "SOA", "CNAME", "CAA"])
def test_other_kinds_are_empty(kind: str) -> None:
    reply = ask(Names(), "one.test", kind)
    assert (reply.header.rcode, reply.rr) == (dnslib.RCODE.NOERROR, [])


def test_pointers() -> None:
    names = Names("nl-thinkpad")
    assert str(ask(names, "1.0.0.127.in-addr.arpa", "PTR").rr[0].rdata) == "localhost."
    assert str(ask(names, "1.1.0.127.in-addr.arpa", "PTR").rr[0].rdata) == "nl-thinkpad."
    assert "amazonaws" in str(ask(names, "4.3.2.52.in-addr.arpa", "PTR").rr[0].rdata)
    assert "googleusercontent" in str(ask(names, "4.3.2.34.in-addr.arpa", "PTR").rr[0].rdata)
    for name in ("4.3.2.104.in-addr.arpa", "x.in-addr.arpa", "1.ip6.arpa"):
        assert ask(names, name, "PTR").header.rcode == dnslib.RCODE.NXDOMAIN


def test_more_names_than_are_kept() -> None:
    names = Names(most=2)
    ask(names, "one.test")
    ask(names, "two.test")
    answer = names.answer(dnslib.DNSRecord.question("three.test").pack())
    assert dnslib.DNSRecord.parse(answer.reply).header.rcode == dnslib.RCODE.SERVFAIL
    assert answer.lost
    assert not names.answer(dnslib.DNSRecord.question("one.test").pack()).lost


def test_what_was_asked_is_told() -> None:
    answer = Names().answer(dnslib.DNSRecord.question("A.Bc.test", "AAAA").pack())
    assert (answer.name, answer.kind) == ("A.Bc.test", "AAAA")
    assert ":" in answer.answer


def test_extended_queries_get_extended_answers() -> None:
    query = dnslib.DNSRecord.question("one.test")
    query.add_ar(dnslib.EDNS0(udp_len=4096))
    assert dnslib.DNSRecord.parse(Names().answer(query.pack()).reply).ar[0].rtype == dnslib.QTYPE.OPT


def test_other_operations_are_not_implemented() -> None:
    query = dnslib.DNSRecord.question("one.test")
    query.header.opcode = dnslib.OPCODE.UPDATE
    assert dnslib.DNSRecord.parse(Names().answer(query.pack()).reply).header.rcode == dnslib.RCODE.NOTIMP


def test_the_root_has_no_address() -> None:
    answer = Names().answer(dnslib.DNSRecord.question(".").pack())
    assert (answer.answer, answer.lost) == ("", False)


def test_an_answer_is_not_a_query() -> None:
    with pytest.raises(ValueError, match="not a DNS query"):
        Names().answer(dnslib.DNSRecord.question("one.test").reply().pack())


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        Names().answer(data)


@given(st.binary(max_size=60), st.integers(0, 60), st.binary(max_size=4))
def test_damaged_queries(name: bytes, place: int, change: bytes) -> None:
    query = dnslib.DNSRecord.question("one.two.three.test", "A").pack()
    for data in (query[:place] + change + query[place + len(change) :], query[:12] + name + query[12:], query[:place]):
        try:
            answer = Names().answer(data)
        except ValueError:
            continue
        assert len(answer.reply) < 1024


@given(st.lists(st.binary(max_size=300), max_size=5), st.binary(max_size=1))
def test_framing(parts: list[bytes], rest: bytes) -> None:
    data = b"".join(dns.framed(part) for part in parts)
    assert dns.messages(data + rest) == (parts, rest)
