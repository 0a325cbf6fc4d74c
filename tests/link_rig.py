"""A link on one end of a socket pair, for tests that are the warden on the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import events
from sandbox.link import Link
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden import frames
from sandbox.warden.frames import Warden

ADDRESS = frames.address_bytes("192.0.2.1")

Serve = Callable[[Stream], Awaitable[None]]


async def nothing(_stream: Stream) -> None:
    """A gateway that ends at once."""


class Internet:
    """A gateway that does what a test says."""

    def __init__(self, serve: Serve = nothing) -> None:
        self._serve = serve
        self.datagrams: list[tuple[Peer, bytes]] = []

    async def serve(self, stream: Stream) -> None:
        await self._serve(stream)

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        if data == b"raise":
            raise RuntimeError("no answer to that")
        self.datagrams.append((peer, data))
        return [b"re:" + data]


class Rig:
    """A link on one end of a socket pair; the test is the warden on the other."""

    def __init__(self, folder: Path, serve: Serve = nothing) -> None:
        self.path = folder / "recording"
        self.recorder = Recorder(self.path, events.Header(), 100_000)
        self.internet = Internet(serve)
        self.link = Link(self.recorder, self.internet, [("ssh", "/home/dev/.ssh/key")])
        self._parser = frames.Parser()
        self._got: list[tuple[int, int, bytes]] = []

    async def open(self) -> None:
        ours, self.warden = socket.socketpair()
        ours.setblocking(False)
        self.warden.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self.link, sock=ours)
        await self.say(frames.pack(Warden.READY, 0, struct.pack("<QI", 0, 2)))

    async def say(self, data: bytes) -> None:
        """Sends bytes as the warden, and lets the link take them."""
        await asyncio.get_running_loop().sock_sendall(self.warden, data)
        for _ in range(30):  # each lets the loop read once, and run what follows from it
            await asyncio.sleep(0)

    async def connect(self, connection: int = 4096) -> None:
        await self.say(frames.pack(Warden.OPENED, connection, struct.pack("<Q16sII", 0, ADDRESS, 443, 0)))

    async def heard(self, seconds: float = 2.0) -> tuple[int, int, bytes]:
        """The next frame from the host."""
        while not self._got:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.warden, 1 << 20), seconds)
            assert data, "the host closed the stream"
            self._got += self._parser.feed(data)
        return self._got.pop(0)

    async def silence(self) -> None:
        """Nothing more comes from the host."""
        with pytest.raises(TimeoutError):
            await self.heard(0.05)

    def events(self) -> list[Any]:
        self.recorder.close()
        return [event for event in events.read(self.path).events if not isinstance(event, events.GuestEnded)]


def playing(tmp_path: Path) -> Callable[..., Rig]:
    """For a fixture: runs a test's coroutine with an open rig, ends the link, and gives the rig back."""

    def play(script: Callable[[Rig], Awaitable[None]], serve: Serve = nothing) -> Rig:
        rig = Rig(tmp_path, serve)

        async def whole() -> None:
            await rig.open()
            try:
                await script(rig)
            finally:
                await rig.link.settle(1.0)
                await asyncio.sleep(0)
                rig.warden.close()

        try:
            asyncio.run(whole())
        finally:
            rig.recorder.close()
        return rig

    return play
