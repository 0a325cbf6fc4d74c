"""Turns what the gateway sees into events, and looks for bait in it. Nothing that was seen is dropped in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any

import msgspec

from sandbox import events
from sandbox.gateway import assemble
from sandbox.gateway.capture import RECORDED, Capture, Pool
from sandbox.gateway.dns import DnsAnswer
from sandbox.gateway.http import Request
from sandbox.gateway.policy import Reply
from sandbox.gateway.recognise import Match, Recogniser
from sandbox.recorder import Recorder
from sandbox.streams import Peer

_ON_THE_SPOT = 128 * 1024
"""Larger data is scanned on a thread, so that other connections go on meanwhile."""

_RECORDED_IN_ALL = 192 * 1024 * 1024
_AFTER_THAT = 512
_UNREAD = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
"""Encodings of a body that nothing here undoes."""
_ZSTD = b"\x28\xb5\x2f\xfd"


class Moment(msgspec.Struct, frozen=True):
    """When something arrived: it may be recorded later, but must not be attributed to a later phase."""

    at: float
    phase: str


class Witness:
    """Records for all connections of one guest. `pool` is the memory that they share."""

    def __init__(self, recorder: Recorder, recogniser: Recogniser, pool: Pool) -> None:
        self.pool = pool
        self.known: frozenset[str] = frozenset()
        """Addresses and header values that were given to the guest, and so carry nothing of its own. Hundreds of
        digests, put together, look like something encoded many times over."""
        self._recorder = recorder
        self._recogniser = recogniser
        self._budget = _RECORDED_IN_ALL
        self._lost: set[str] = set()

    def now(self, peer: Peer) -> Moment:
        """The present, in the phase of what was last read of `peer`."""
        return Moment(self._recorder.now(), self._recorder.phase if peer.phase is None else peer.phase)

    def add(self, event: type[events.Event], peer: Peer, moment: Moment | None = None, **fields: Any) -> None:
        """Record an event caused by the process behind `peer`."""
        moment = moment or self.now(peer)
        phase = self._recorder.phase_of(peer.process, moment.phase)
        self._recorder.write(event(at=moment.at, phase=phase, process=peer.process, **fields))

    def lost(self, reason: str, count: int = 0, process: int = 0) -> None:
        """Record that something was missed. What is missed again in the same way says so only once a phase."""
        key = f"{self._recorder.phase}\n{reason}"
        if len(self._lost) > 10_000:
            self._lost.clear()
        if key not in self._lost:
            self._lost.add(key)
            self._recorder.add(events.SensorLost, sensor="gateway", reason=reason, count=count, process=process)

    def failed(self, error: Exception, doing: str, process: int = 0) -> None:
        """Record a fault of ours: whatever it kept us from seeing is unknown, so nothing after it is clean."""
        self.lost(f"{doing}: {type(error).__name__}: {error}"[:500], process=process)

    # What is seen -------------------------------------------------------------------------------------------

    def request(self, peer: Peer, moment: Moment, url: str, request: Request, reply: Reply | None) -> None:
        """A request, with what was answered (None: nothing any more)."""
        url = self._kept_text(url)
        self.add(
            events.RequestSent, peer, moment, connection=peer.connection, method=request.method, url=url,
            headers=[(self._kept_text(name), self._kept_text(value)) for name, value in request.headers],
            body=self._kept(request.body), body_size=request.body_size, status=reply.status if reply else 0,
            answered_by=reply.answered_by if reply else "",
        )  # fmt: skip
        if request.skipped:
            self.lost(f"{request.skipped} bytes in the middle of a large body were not looked at", 1, peer.process)
        unread = request.header("content-encoding").strip().lower()
        unread = unread if unread in _UNREAD else "zstd" if request.body.startswith(_ZSTD) else ""
        if unread and request.body:
            self.lost(f"a body that is encoded as {unread} could not be read", 1, peer.process)
        if reply is not None and reply.decoy:
            self.add(events.EndpointAsked, peer, moment, decoy=reply.decoy, connection=peer.connection, url=url)

    def data(self, peer: Peer, moment: Moment, data: bytes, size: int, protocol: str) -> None:
        """Bytes that are not HTTP."""
        self.add(
            events.DataSent, peer, moment, connection=peer.connection, data=self._kept(data[:RECORDED]), size=size,
            protocol=protocol,
        )  # fmt: skip

    def name(self, peer: Peer, answer: DnsAnswer) -> None:
        """A name that was looked up, and the bait in it."""
        self.add(
            events.NameLookedUp, peer, name=answer.name, kind=answer.kind, answer=answer.answer, server=peer.address
        )
        if answer.lost:
            self.lost("more names were looked up than can be told apart", 1, peer.process)
        name = answer.name.encode("ascii", "replace")
        host = assemble.domain(name).decode()
        self.look(peer, (host,), "dns", name)

    def _kept(self, data: bytes) -> bytes:
        """What of `data` goes into the recording, which must not grow without end."""
        if len(data) > self._budget + _AFTER_THAT:
            self.lost("more was sent than a recording holds; from here on only beginnings are kept")
            return data[:_AFTER_THAT]
        self._budget -= len(data)
        return data

    def _kept_text(self, text: str) -> str:
        return self._kept(text.encode("latin-1", "replace")).decode("latin-1")

    # Bait ---------------------------------------------------------------------------------------------------

    async def look_for(
        self, peer: Peer, hosts: Sequence[str], where: str, data: bytes, moment: Moment | None = None
    ) -> None:
        """Look for bait in `data`, on a thread if there is much of it. A cancelled look is finished first."""
        moment = moment or self.now(peer)
        if len(data) <= _ON_THE_SPOT:
            self.look(peer, hosts, where, data, moment)
            return
        try:
            found = await asyncio.to_thread(self._recogniser.scan, data, where)
        except asyncio.CancelledError:
            self.look(peer, hosts, where, data, moment)
            raise
        flow = self._flow(peer, hosts, moment)
        self._report(peer, hosts, self._recogniser.accept(flow, where, data, found, hosts[0]), moment)

    def look(
        self, peer: Peer, hosts: Sequence[str], where: str, data: bytes, moment: Moment | None = None
    ) -> None:
        """Look for bait in `data` now; `moment` is when it arrived. Pieces sent to the same host are looked at
        together, whoever sent them."""
        if data:
            moment = moment or self.now(peer)
            flow = self._flow(peer, hosts, moment)
            self._report(peer, hosts, self._recogniser.feed(flow, where, data, hosts[0]), moment)

    async def look_at_rest(self, peer: Peer, hosts: Sequence[str], capture: Capture, moment: Moment) -> None:
        """Look at everything that a raw stream kept, as one; its pieces have been looked at as they came."""
        if capture.skipped:
            self.lost(f"{capture.skipped} bytes in the middle of a stream were not looked at", 1, peer.process)
        for part in capture.parts():
            await self.look_for(peer, hosts, "data", part, moment)

    def close(self) -> None:
        """Look at what only shows when all is put together. Call before the recorder is closed."""
        for flow, match in self._recogniser.flush():
            phase, process, hosts = flow if isinstance(flow, tuple) else ("", 0, ("",))
            peer = Peer(connection=0, address="", port=0, process=process)
            self._report(peer, hosts, [match], Moment(self._recorder.now(), phase))
        self._report(Peer(connection=0, address="", port=0), ("",), [])

    def _flow(self, peer: Peer, hosts: Sequence[str], moment: Moment) -> Hashable:
        phase = self._recorder.phase_of(peer.process, moment.phase)
        return phase, peer.process, tuple(hosts)

    def _report(
        self, peer: Peer, hosts: Sequence[str], matches: Sequence[Match], moment: Moment | None = None
    ) -> None:
        """One event a host: where a request names several, each could be the one that it is meant for."""
        for match in matches:
            for host in hosts:
                self.add(
                    events.DecoySent, peer, moment, decoy=match.token.decoy, token=match.token.name,
                    connection=peer.connection, host=host, where=match.where, encodings=list(match.encodings),
                )  # fmt: skip
        for reason, count in self._recogniser.take_losses().items():
            self.lost(f"looking for bait: {reason}", count, peer.process)
