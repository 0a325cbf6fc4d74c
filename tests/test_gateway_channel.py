"""Reads wait as long as they may and lose nothing; TLS over a channel carries bytes both ways."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from sandbox.gateway.channel import Channel, Tls
from sandbox.gateway.tls import CertificateAuthority


class Pipe:
    """One end of a connection in memory."""

    def __init__(self, incoming: asyncio.Queue[bytes], outgoing: asyncio.Queue[bytes]) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    async def read(self) -> bytes:
        data = await self.incoming.get()
        if data == b"!":
            raise ConnectionResetError
        return data

    async def write(self, data: bytes) -> None:
        self.outgoing.put_nowait(data)

    async def finish(self) -> None:
        self.outgoing.put_nowait(b"")


def test_a_read_that_is_late_is_not_lost() -> None:
    async def run() -> None:
        incoming: asyncio.Queue[bytes] = asyncio.Queue()
        channel = Channel(Pipe(incoming, asyncio.Queue()))
        assert await channel.read(0.01) is None
        incoming.put_nowait(b"late")
        assert await channel.read(1) == b"late"
        channel.give_back(b"again")
        channel.give_back(b"and ")
        assert await channel.read(1) == b"and again"
        incoming.put_nowait(b"")
        assert await channel.read(1) == b""
        assert await channel.read(1) == b""
        channel.close()

    asyncio.run(run())


def test_a_reset_is_told_and_closing_is_quiet() -> None:
    async def run() -> None:
        incoming: asyncio.Queue[bytes] = asyncio.Queue()
        channel = Channel(Pipe(incoming, asyncio.Queue()))
        incoming.put_nowait(b"!")
        with pytest.raises(ConnectionResetError):
            await channel.read(1)
        assert await channel.read(0.01) is None
        incoming.put_nowait(b"!")
        await asyncio.sleep(0.01)
        channel.close()
        channel.close()

    asyncio.run(run())


def test_tls_both_ways() -> None:
    authority = CertificateAuthority()
    large = bytes(range(256)) * 4000

    async def run() -> None:
        up: asyncio.Queue[bytes] = asyncio.Queue()
        down: asyncio.Queue[bytes] = asyncio.Queue()
        server = Tls(Channel(Pipe(up, down)), authority.context("one.test"))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cadata=authority.ca_pem.decode())
        client = context.wrap_bio(incoming, outgoing, server_hostname="one.test")

        async def talk() -> bytes:
            said = b""
            asked = False
            while True:
                try:
                    if not asked:
                        client.do_handshake()
                        client.write(b"hello")
                        asked = True
                    while len(said) < len(large):
                        said += client.read(65536)
                    up.put_nowait(outgoing.read())
                    up.put_nowait(b"")
                    return said
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        up.put_nowait(outgoing.read())
                    incoming.write(await down.get())

        talking = asyncio.ensure_future(talk())
        await server.handshake()
        assert await server.read() == b"hello"
        await server.write(large)
        assert await talking == large
        assert await server.read() == b""
        await server.finish()

    asyncio.run(run())
