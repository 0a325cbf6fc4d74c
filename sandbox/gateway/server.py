"""The gateway itself: takes a guest's streams and datagrams, finds out what they are, has them served and recorded."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import time
from collections.abc import Sequence

import msgspec

from sandbox import events
from sandbox.bait import Bait
from sandbox.gateway import dns, ntp, policy
from sandbox.gateway.capture import RECORDED, Capture, Pool
from sandbox.gateway.channel import IDLE, Channel, Counted, Tls
from sandbox.gateway.greeted import Dialogue, speaks_first
from sandbox.gateway.recognise import Recogniser
from sandbox.gateway.tls import CertificateAuthority, beside_name, client_hello
from sandbox.gateway.web import Line, Web
from sandbox.gateway.witness import Moment, Witness
from sandbox.gateway.world import World
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream

_MEMORY = 192 * 1024 * 1024
_RAW_KEPT = 1024 * 1024
_RAW_ENDING = 256 * 1024
_RAW_PIECES = 32
_PAUSE = 0.5
_SHORT_WAIT = 2.0
_GREETED_AFTER = 0.4
_DEEPEST = 3
_MOST_PEERS = 20_000
_FIRST_DATAGRAMS = 1 << 32
"""Numbers of exchanges of datagrams begin here, above those of connections."""


class Gateway:
    """Everything outside the guest. `serve` runs once for each TCP connection, `datagram` for each datagram; `close`
    looks at what only shows at the end, and must be called before the recorder is closed. `absent`: see `Policy`."""

    def __init__(
        self,
        *,
        authority: CertificateAuthority,
        bait: Sequence[Bait],
        recorder: Recorder,
        registry: policy.RegistryAnswerer | None,
        host_name: str,
        seed: bytes = b"",
        absent: Sequence[str] = (),
    ) -> None:
        self._authority = authority
        self._names = dns.Names(host_name, seed)
        self._policy = policy.Policy(World(bait), registry, absent=absent)
        recogniser = Recogniser([token for item in bait for token in item.tokens])
        self._witness = Witness(recorder, recogniser, Pool(_MEMORY))
        self._web = Web(self._policy, self._names, self._witness)
        self._datagrams: dict[tuple[str, int, int], int] = {}
        self._next = _FIRST_DATAGRAMS

    def knows(self, words: frozenset[str]) -> None:
        """These addresses and header values were given to the guest: they are not looked into for bait."""
        self._witness.known = words

    def close(self) -> None:
        """Look at everything once more, together."""
        self._witness.close()

    # Streams ------------------------------------------------------------------------------------------------

    async def serve(self, stream: Stream) -> None:
        """Serve one connection to its end. Raises nothing but CancelledError: a fault of ours is recorded."""
        peer = stream.peer
        host = self._names.name(peer.address)
        self._witness.add(
            events.ConnectionOpened, peer, protocol="tcp", address=peer.address, port=peer.port, host=host,
            connection=peer.connection,
        )  # fmt: skip
        self._look_at_address(peer, host)
        counted = Counted(stream)
        channel = Channel(counted)
        try:
            await self._converse(Line(peer=peer, looked_up=host), channel)
            await channel.finish()
        except (ConnectionError, TimeoutError):
            stream.reset()  # the package went away, or nothing moved for too long
        except asyncio.CancelledError:
            stream.reset()
            raise
        except Exception as error:
            self._witness.failed(error, f"connection {peer.connection}", peer.process)
            stream.reset()
        finally:
            channel.close()
            self._witness.add(
                events.ConnectionClosed, peer, connection=peer.connection, sent=counted.sent, received=counted.received
            )

    def _look_at_address(self, peer: Peer, host: str) -> None:
        """Half of an IPv6 address that nobody looked up is free to say anything: it is looked at as its name is."""
        if not host and ":" in peer.address:
            with contextlib.suppress(ValueError):
                name = ipaddress.IPv6Address(peer.address.partition("%")[0]).reverse_pointer
                self._witness.look(peer, (peer.address,), "dns", name.encode())

    async def _converse(self, line: Line, channel: Channel) -> None:
        """Find out what is spoken, and speak it."""
        if line.depth > _DEEPEST:
            await self._raw(line, channel)
            return
        kind, first = await self._first(line.peer.port, channel)
        dialogue = None
        if speaks_first(line.peer.port) and kind in (None, "raw"):
            dialogue = Dialogue(line.peer.port, line.peer.address, line.peer.connection)
            if kind is None:
                await channel.write(dialogue.greeting)
        elif kind is None:
            return
        channel.give_back(first)
        if kind == "tls":
            await self._tls(line, channel, first)
        elif kind == "http":
            await self._web.serve(line, channel, self._raw, self._converse)
        elif kind == "dns":
            await self._dns(line, channel)
        else:
            await self._raw(line, channel, dialogue)

    async def _first(self, port: int, channel: Channel) -> tuple[policy.Kind | None, bytes]:
        """What the first bytes say; None where nothing came."""
        data = b""
        wait = _GREETED_AFTER if speaks_first(port) else IDLE
        while True:
            more = await channel.read(wait)
            data += more or b""
            if not data:
                return None, b""
            kind = policy.classify(port, data, waited=not more)
            if kind is not None:
                return kind, data
            wait = _SHORT_WAIT

    async def _tls(self, line: Line, channel: Channel, first: bytes) -> None:
        hello = client_hello(first)
        sni = hello[0] if hello else ""
        host = sni or line.looked_up or line.peer.address
        tls = Tls(channel, self._authority.context(host))
        error = ""
        try:
            await tls.handshake()
        except ssl.SSLError as failure:
            error = failure.reason or str(failure)
        except (ConnectionError, TimeoutError) as failure:
            error = str(failure) or type(failure).__name__
        except asyncio.CancelledError:
            error = "cut off"
            raise
        finally:
            self._witness.add(
                events.TlsEnded, line.peer, connection=line.peer.connection, host=sni or line.looked_up, error=error
            )
            if sni != line.looked_up:
                self._witness.look(line.peer, line.hosts, "dns", sni.encode("ascii", "replace"))
            if hello:
                self._witness.look(line.peer, line.hosts, "data", beside_name(first))
        if error:
            return
        inner = Channel(tls)
        try:
            await self._converse(
                Line(peer=line.peer, looked_up=line.looked_up, sni=sni, secure=True, depth=line.depth + 1), inner
            )
            await inner.finish()
        finally:
            inner.close()

    async def _dns(self, line: Line, channel: Channel) -> None:
        """DNS over TCP or TLS; what is not DNS is raw."""
        rest = b""
        while data := await channel.read():
            queries, rest = dns.messages(rest + data)
            for place, query in enumerate(queries):
                try:
                    answer = self._names.answer(query)
                except ValueError:
                    channel.give_back(b"".join(dns.framed(other) for other in queries[place:]) + rest)
                    await self._raw(line, channel)
                    return
                self._witness.name(line.peer, answer)
                await channel.write(dns.framed(answer.reply))
        if rest:
            channel.give_back(rest)
            await self._raw(line, channel)

    async def _raw(self, line: Line, channel: Channel, dialogue: Dialogue | None = None) -> None:
        """Listen, and say nothing but what `dialogue` answers. What came is recorded when there is a pause, and
        looked at as a whole at the end."""
        whole = Capture(self._witness.pool, _RAW_KEPT, _RAW_ENDING)
        piece = Capture(self._witness.pool, RECORDED, 0)
        pieces, moment, idle = 0, self._witness.now(line.peer), 0.0
        try:
            while True:
                data = await channel.read(_PAUSE)
                if data is None:
                    idle += _PAUSE
                    if idle >= IDLE:
                        break
                    if piece.size and pieces < _RAW_PIECES:
                        pieces += 1
                        self._piece(line, moment, piece)
                        piece = Capture(self._witness.pool, RECORDED, 0)
                    continue
                if not data:
                    break
                idle = 0.0
                if not piece.size:
                    moment = self._witness.now(line.peer)
                whole.add(data)
                piece.add(data)
                if dialogue is not None:
                    await channel.write(dialogue.answer(data))
                    if dialogue.starts_tls:
                        break
        finally:
            if piece.size:
                pieces += 1
                self._piece(line, moment, piece)
            if pieces > 1 or whole.size > RECORDED:
                await self._witness.look_at_rest(line.peer, line.hosts, whole, moment)
            whole.release()
        if dialogue is not None and dialogue.starts_tls:
            await self._converse(msgspec.structs.replace(line, depth=line.depth + 1), channel)

    def _piece(self, line: Line, moment: Moment, piece: Capture) -> None:
        protocol = "tls" if line.secure else "tcp"
        self._witness.data(line.peer, moment, piece.recorded, piece.size, protocol)
        self._witness.look(line.peer, line.hosts, "data", piece.recorded, moment)
        piece.release()

    # Datagrams ----------------------------------------------------------------------------------------------

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        """The answers to one datagram: DNS and the time of day; everything else is recorded and not answered."""
        try:
            return self._datagram(peer, data)
        except Exception as error:
            self._witness.failed(error, "a datagram", peer.process)
            return []

    def _datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        if peer.port == 53:
            try:
                answer = self._names.answer(data)
            except ValueError:
                pass  # not DNS after all: recorded below
            else:
                self._witness.name(peer, answer)
                return [answer.reply]
        host = self._names.name(peer.address)
        peer = self._met(peer, host)
        self._witness.data(peer, self._witness.now(peer), data, len(data), "udp")
        self._witness.look(peer, (host or peer.address,), "data", data)
        if peer.port == 123:
            reply = ntp.answer(data, time.time())
            return [reply] if reply else []
        return []

    def _met(self, peer: Peer, host: str) -> Peer:
        """The first datagram of a process to an address counts as a connection, with a number of its own."""
        key = (peer.address, peer.port, peer.process)
        number = self._datagrams.get(key)
        if number is None:
            if len(self._datagrams) >= _MOST_PEERS:
                self._datagrams.clear()  # at worst something is said twice
            number = self._datagrams[key] = self._next
            self._next += 1
            self._witness.add(
                events.ConnectionOpened, peer, protocol="udp", address=peer.address, port=peer.port, host=host,
                connection=number,
            )  # fmt: skip
            self._look_at_address(peer, host)
        return msgspec.structs.replace(peer, connection=number)
