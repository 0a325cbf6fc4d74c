"""A gateway with a recording, and a stream in memory to talk to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dnslib

from sandbox import events
from sandbox.bait import Bait, Endpoint, Token
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


def working(tmp_path: Path) -> Iterator[World]:
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
