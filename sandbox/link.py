"""The host's end of a guest's byte stream: frames in, events and connections out.

One asyncio protocol a guest, on the gateway's loop. What the guest sends is bounded here: the warden is asked to hold a
connection whose bytes the gateway does not take, and the package then waits; no other connection does.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Literal, Protocol

from sandbox import events
from sandbox.link_stream import CHUNK, LinkStream
from sandbox.plan import Phase
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden import frames
from sandbox.warden.frames import Warden
from sandbox.warden.tracker import Tracker

TOUCHES = 20_000
"""How often the same use of the same decoy is recorded; what is over is counted as lost. Honest packages read the
project's .env more than a thousand times (pydantic's settings, of prefect's modules)."""
LOSSES = 256
"""Kinds of loss that are counted apart."""


class Internet(Protocol):
    """What plays the internet to the guest: the gateway."""

    async def serve(self, stream: Stream) -> None:
        """Serve one TCP connection to its end."""
        ...

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        """Answer one UDP datagram."""
        ...


Unwrap = Callable[[bytes], bytes]


class Link(asyncio.Protocol):
    """Reads a guest's frames; keeps its connections; answers those who wait for something from the warden."""

    def __init__(
        self, recorder: Recorder, internet: Internet, watched: list[tuple[str, str]], unwrap: Unwrap | None = None
    ) -> None:
        self._unwrap = unwrap
        self.recorder = recorder
        self.tracker = Tracker(recorder.add)
        self.roots: dict[int, int] = {}
        self.pending: dict[int, Phase] = {}
        self._internet = internet
        self._watched = watched
        self._parser = frames.Parser()
        self._streams: dict[int, LinkStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[tuple[int, int], Future[bytes]] = {}
        self._transport: asyncio.Transport | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.queued = 0
        self._losses: Counter[tuple[str, str]] = Counter()
        self._touches: Counter[tuple[int, str]] = Counter()
        self._ended = False
        self.failure = ""
        self.gone = False
        self._handlers: dict[int, Callable[[int, bytes], None]] = {
            Warden.CALL: self.tracker.call,
            Warden.PROCESS: self._process,
            Warden.READY: self._ready,
            Warden.FAILED: self._failed,
            Warden.SPAWNED: self._spawned,
            Warden.OUTPUT: self._output,
            Warden.OUTPUT_ENDED: self._output_ended,
            Warden.OPENED: self._opened,
            Warden.DATA: self._data,
            Warden.FINISHED: self._finished,
            Warden.CLOSED: self._closed,
            Warden.CREDIT: self._credit,
            Warden.DATAGRAM: self._datagram,
            Warden.TOUCHED: self._touched,
            Warden.LOST: self._lost,
            Warden.ENDED: self._guest_ended,
        }
        self._outputs: dict[tuple[int, int], bytearray] = {}

    # -- the stream itself ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the stream is up."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=8 * CHUNK)

    def connection_lost(self, _exc: Exception | None) -> None:
        """asyncio: the warden is gone. Whoever waits is told."""
        self.gone = True
        if not self._ended:
            reason = self.failure or "the guest's supervisor is gone"
            self.recorder.add(events.SensorLost, sensor="guest", reason=reason)
        self._tell_the_rest()
        for stream in list(self._streams.values()):
            stream.ended(gone=True)
        for waiting in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(ConnectionResetError(self.failure or "the guest is gone"))
        self._may_write.set()

    def pause_writing(self) -> None:
        """asyncio: the warden takes no more for now."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """asyncio: the warden takes more again."""
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes from the warden."""
        try:
            for kind, identity, payload in self._parser.feed(data if self._unwrap is None else self._unwrap(data)):
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(identity, payload)
                self._tell(kind, identity, payload)
        except (ValueError, IndexError, struct.error) as error:
            self.recorder.add(events.SensorLost, sensor="warden", reason=f"a frame that cannot be: {error}")
            self.failure = str(error)
            if self._transport is not None:
                self._transport.abort()

    def send(self, kind: int, identity: int = 0, payload: bytes = b"") -> None:
        """Send a frame; on the loop's thread only."""
        self.send_raw(frames.pack(kind, identity, payload))

    def send_raw(self, data: bytes) -> None:
        """Send frames that are packed already; on the loop's thread only."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the warden takes bytes again."""
        await self._may_write.wait()

    def expect(self, kind: int, identity: int) -> Future[bytes]:
        """A future for the next frame of that kind and id; on the loop's thread only."""
        future: Future[bytes] = Future()
        if self.gone:
            future.set_exception(ConnectionResetError(self.failure or "the guest is gone"))
        else:
            self._waiting[kind, identity] = future
        return future

    def _tell(self, kind: int, identity: int, payload: bytes) -> None:
        future = self._waiting.pop((kind, identity), None)
        if future is not None and not future.done():
            future.set_result(payload)

    async def settle(self, seconds: float) -> None:
        """The guest is over: let what is being answered come to its end, but not for ever."""
        self._ended = True
        self._tell_the_rest()
        for stream in list(self._streams.values()):
            stream.ended(gone=True)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
        if self._transport is not None:
            self._transport.abort()

    # -- what the warden says -----------------------------------------------------------------------------------

    def _ready(self, _identity: int, payload: bytes) -> None:
        if payload:
            self.tracker.ready(payload, self.recorder.now())

    def _failed(self, _identity: int, payload: bytes) -> None:
        """The last that a warden says that cannot go on; whoever waits need not wait for the stream's end."""
        self.failure = payload.decode("utf-8", "backslashreplace")
        if self._transport is not None:
            self._transport.abort()

    def _process(self, pid: int, payload: bytes) -> None:
        self.tracker.process(pid, payload)

    def _spawned(self, identity: int, payload: bytes) -> None:
        serial = self.roots[identity] = self.tracker.root(struct.unpack("<I", payload)[0])
        phase = self.pending.pop(identity, None)
        if phase is not None:
            named = {"phase": phase.name, "kind": phase.kind, "argv": list(phase.argv), "cwd": phase.cwd}
            self.recorder.add(events.PhaseStarted, process=serial, **named)

    def _output(self, identity: int, payload: bytes) -> None:
        self._outputs.setdefault((identity, payload[0]), bytearray()).extend(payload[4:])

    def _output_ended(self, identity: int, payload: bytes) -> None:
        stream, size = struct.unpack("<QQ", payload)
        data = bytes(self._outputs.pop((identity, stream), b""))
        if size:
            self.recorder.add(
                events.OutputWritten,
                process=self.roots.get(identity, 0),
                stream="stdout" if stream == 1 else "stderr",
                data=data,
                size=size,
            )

    def _opened(self, connection: int, payload: bytes) -> None:
        _clock, raw, port, pid = struct.unpack("<Q16sII", payload)
        peer = Peer(
            connection=connection,
            address=frames.address_text(raw),
            port=port,
            process=self.tracker.serial(pid),
            phase=self.recorder.phase,
        )
        stream = LinkStream(self, peer)
        self._streams[connection] = stream
        self._start(self._serve(stream))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: LinkStream) -> None:
        try:
            await self._internet.serve(stream)
            # Not reset: what is under way would be cut off. The package closes its side, or ends.
            await stream.closed()
        except ConnectionError:
            pass  # the package went away
        except Exception as error:
            self._lose("gateway", f"a connection was not served to its end: {type(error).__name__}: {error}", 1)
        finally:
            self._streams.pop(stream.peer.connection, None)
            stream.forget()
            stream.reset()

    def _data(self, connection: int, payload: bytes) -> None:
        stream = self._streams.get(connection)
        if stream is not None:
            stream.arrived(payload, self.recorder.phase)

    def _finished(self, connection: int, _payload: bytes) -> None:
        stream = self._streams.get(connection)
        if stream is not None:
            stream.ended(gone=False)

    def _closed(self, connection: int, _payload: bytes) -> None:
        stream = self._streams.get(connection)
        if stream is not None:
            stream.ended(gone=True)

    def _credit(self, connection: int, payload: bytes) -> None:
        stream = self._streams.get(connection)
        if stream is not None:
            stream.credited(struct.unpack("<I", payload)[0])

    def _datagram(self, pid: int, payload: bytes) -> None:
        _clock, to, to_port, source, source_port = struct.unpack_from("<Q16sI16sI", payload)
        data = payload[struct.calcsize("<Q16sI16sI") :]
        asked = (frames.address_text(to), to_port)
        peer = Peer(connection=0, address=asked[0], port=asked[1], process=self.tracker.serial(pid))
        sender = (frames.address_text(source), source_port)
        try:
            replies = self._internet.datagram(peer, data)
        except Exception as error:
            self._lose("gateway", f"a datagram was not answered: {type(error).__name__}: {error}", 1)
            return
        for reply in replies:
            self.send_raw(frames.pack_datagram(asked, sender, reply))

    def _touched(self, watch: int, payload: bytes) -> None:
        clock, mask = struct.unpack("<QQ", payload)
        decoy, path = self._watched[watch]
        how: Literal["opened", "changed", "removed"]
        how = "opened" if mask & 0x20 else "changed" if mask & 0x2 else "removed"
        self._touches[watch, how] += 1
        if self._touches[watch, how] > TOUCHES:
            self._lose("witness", f"more than {TOUCHES} touches of one decoy", 1)
            return
        self.recorder.add(
            events.DecoyTouched, at=self.tracker.seconds(clock), decoy=decoy, path=path, how=how
        )

    def _guest_ended(self, _identity: int, _payload: bytes) -> None:
        """Asked for, or for a reason that the warden has just given as a loss."""
        self._ended = True

    def _lost(self, count: int, payload: bytes) -> None:
        said = [raw.decode("utf-8", "backslashreplace") for _, raw in frames.strings(payload, 0)]
        sensor, reason = (*said, "", "")[:2]
        self._lose(sensor, reason, count)

    def _lose(self, sensor: str, reason: str, count: int) -> None:
        """Recorded at once where it is the first of its kind, and counted where a guest repeats it."""
        if (sensor, reason) in self._losses:
            self._losses[sensor, reason] += count or 1
        elif len(self._losses) < LOSSES:
            self._losses[sensor, reason] = 0
            self.recorder.add(events.SensorLost, sensor=sensor, reason=reason, count=count)
        else:
            self._losses["warden", "losses of many kinds"] += count or 1

    def _tell_the_rest(self) -> None:
        """At the end: what was only counted, and the output of phases whose pipes somebody still held open."""
        for (sensor, reason), count in self._losses.items():
            if count:
                self.recorder.add(events.SensorLost, sensor=sensor, reason=reason, count=count)
        self._losses.clear()
        for identity, stream in list(self._outputs):
            self._output_ended(identity, struct.pack("<QQ", stream, len(self._outputs[identity, stream])))
