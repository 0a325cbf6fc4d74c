"""One TCP connection of a guest, as the gateway reads and writes it; the link carries its bytes.

What the guest sends is bounded here: the warden is asked to hold a connection whose bytes the gateway does not take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from sandbox.streams import Peer
from sandbox.warden import frames
from sandbox.warden.frames import Host

QUEUED = 1024 * 1024
"""Bytes of one connection that may wait for the gateway before the warden is asked to hold it."""
QUEUED_TOGETHER = 64 * 1024 * 1024
"""Bytes of all connections that may wait: over it, each that sends more is held."""
CHUNK = 256 * 1024
"""Bytes of one frame to the warden."""


class Carrier(Protocol):
    """What a connection needs of the link. `queued` are the bytes of all its connections that wait."""

    queued: int

    def send(self, kind: int, identity: int = 0, payload: bytes = b"") -> None:
        """Send a frame."""
        ...

    async def drained(self) -> None:
        """Wait until the warden takes bytes again."""
        ...


class LinkStream:
    """One TCP connection of the guest (see `streams.Stream`)."""

    def __init__(self, link: Carrier, peer: Peer) -> None:
        self._link = link
        self.peer = peer
        self._chunks: deque[tuple[str, bytes]] = deque()
        self._queued = 0
        self._finished = False
        self._closing = False
        self._held = False
        self._gone = False
        self._window = frames.WINDOW
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()

    def arrived(self, data: bytes, phase: str) -> None:
        """Bytes from the package, in this phase."""
        self._chunks.append((phase, data))
        self._queued += len(data)
        self._link.queued += len(data)
        if not self._held and (self._queued > QUEUED or self._link.queued > QUEUED_TOGETHER):
            self._held = True
            self._link.send(Host.HOLD, self.peer.connection)
        self._readable.set()

    def ended(self, *, gone: bool) -> None:
        """The package finished sending, or (gone) the connection is no more."""
        self._finished = True
        self._gone = self._gone or gone
        self._readable.set()
        self._writable.set()

    def credited(self, count: int) -> None:
        """The package has taken `count` bytes."""
        self._window += count
        self._writable.set()

    async def read(self) -> bytes:
        """See `streams.Stream.read`."""
        while not self._chunks:
            if self._finished:
                return b""
            self._readable.clear()
            await self._readable.wait()
        self.peer.phase, data = self._chunks.popleft()
        self._queued -= len(data)
        self._link.queued -= len(data)
        if self._held and self._queued <= QUEUED // 2:
            self._held = False
            if not self._gone:
                self._link.send(Host.TAKE, self.peer.connection)
        return data

    async def closed(self) -> None:
        """Finish, drop what the package still sends, and wait until it has taken everything or is gone."""
        await self.finish()
        while await self.read():
            pass
        while not self._gone:
            self._writable.clear()
            await self._writable.wait()

    def forget(self) -> None:
        """Nobody will read what waits."""
        self._link.queued -= self._queued
        self._queued = 0
        self._chunks.clear()

    async def write(self, data: bytes) -> None:
        """See `streams.Stream.write`."""
        view = memoryview(data)
        while view:
            while self._window <= 0 and not self._gone:
                self._writable.clear()
                await self._writable.wait()
            if self._gone:
                raise ConnectionResetError("the package is gone")
            size = min(len(view), CHUNK, self._window)
            self._window -= size
            self._link.send(Host.DATA, self.peer.connection, bytes(view[:size]))
            await self._link.drained()
            view = view[size:]

    async def finish(self) -> None:
        """See `streams.Stream.finish`."""
        if not self._gone and not self._closing:
            self._closing = True
            self._link.send(Host.FINISH, self.peer.connection)

    def reset(self) -> None:
        """See `streams.Stream.reset`."""
        if not self._gone:
            self._gone = self._finished = True
            self._link.send(Host.RESET, self.peer.connection)
            self._readable.set()
