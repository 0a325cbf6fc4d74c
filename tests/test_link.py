"""The link against a warden that is only bytes: windows, holding, losses, and what happens when the other end lies."""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import events, link
from sandbox.link import Link
from sandbox.plan import Phase
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden import frames
from sandbox.warden.frames import Host, Warden

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


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Rig]:
    """Runs a test's coroutine with an open rig, ends the link, and gives the rig back."""

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


def test_a_connection_is_served_and_closed_in_order(run: Callable[..., Rig]) -> None:
    peers = []

    async def serve(stream: Stream) -> None:
        peers.append(stream.peer)
        assert await stream.read() == b"question"
        await stream.write(b"answer")
        await stream.finish()

    async def script(rig: Rig) -> None:
        await rig.connect()
        await rig.say(frames.pack(Warden.DATA, 4096, b"question"))
        assert await rig.heard() == (Host.DATA, 4096, b"answer")
        assert await rig.heard() == (Host.FINISH, 4096, b"")
        await rig.silence()
        await rig.say(frames.pack(Warden.DATA, 4096, b"after the end"))
        await rig.say(frames.pack(Warden.FINISHED, 4096))
        await rig.say(frames.pack(Warden.CLOSED, 4096))
        await rig.silence()
        assert rig.link.queued == 0
        assert not rig.link._streams

    run(script, serve)
    assert peers == [Peer(connection=4096, address="192.0.2.1", port=443)]


def test_a_gateway_that_just_returns_is_no_reset(run: Callable[..., Rig]) -> None:
    async def script(rig: Rig) -> None:
        await rig.connect()
        assert await rig.heard() == (Host.FINISH, 4096, b"")

    run(script)


def test_reading_ends_when_the_package_has_finished_or_is_gone(run: Callable[..., Rig]) -> None:
    got: list[bytes] = []

    async def serve(stream: Stream) -> None:
        while data := await stream.read():
            got.append(data)
        got.append(b"end")

    async def script(rig: Rig) -> None:
        for connection, last in ((4096, Warden.FINISHED), (4097, Warden.CLOSED)):
            await rig.connect(connection)
            await rig.say(frames.pack(Warden.DATA, connection, b"one") + frames.pack(Warden.DATA, connection, b"two"))
            await rig.say(frames.pack(last, connection))

    run(script, serve)
    assert got == [b"one", b"two", b"end"] * 2


def test_no_more_is_written_than_the_package_takes(run: Callable[..., Rig]) -> None:
    size = frames.WINDOW * 2 + 5
    state = []

    async def serve(stream: Stream) -> None:
        await stream.write(b"x" * size)
        state.append("written")

    async def script(rig: Rig) -> None:
        await rig.connect()
        got = 0
        while got < frames.WINDOW:
            kind, _, payload = await rig.heard()
            assert kind == Host.DATA
            assert len(payload) <= link.CHUNK
            got += len(payload)
        await rig.silence()
        assert got == frames.WINDOW
        await rig.say(frames.pack(Warden.CREDIT, 4096, struct.pack("<I", 100)))
        assert (await rig.heard())[2] == b"x" * 100
        await rig.silence()
        assert not state
        await rig.say(frames.pack(Warden.CREDIT, 4096, struct.pack("<I", 2 * frames.WINDOW)))
        got += 100
        while (frame := await rig.heard())[0] == Host.DATA:
            got += len(frame[2])
        assert got == size

    run(script, serve)
    assert state == ["written"]


def test_writing_to_a_package_that_is_gone_is_an_error(run: Callable[..., Rig]) -> None:
    state = []

    async def serve(stream: Stream) -> None:
        try:
            await stream.write(b"x" * (frames.WINDOW + 1))
        except ConnectionError as error:
            state.append(str(error))
            raise

    async def script(rig: Rig) -> None:
        await rig.connect()
        await rig.say(frames.pack(Warden.CLOSED, 4096))

    rig = run(script, serve)
    assert state == ["the package is gone"]
    assert not rig.events(), "that a package hangs up is no loss"


def test_a_connection_that_nobody_reads_is_held_and_no_other(run: Callable[..., Rig]) -> None:
    go = asyncio.Event()

    async def serve(stream: Stream) -> None:
        if stream.peer.connection == 4096:
            await go.wait()
        while await stream.read():
            pass

    async def script(rig: Rig) -> None:
        await rig.connect(4096)
        await rig.connect(4097)
        for _ in range(5):
            await rig.say(frames.pack(Warden.DATA, 4096, bytes(link.QUEUED // 4)))
        assert await rig.heard() == (Host.HOLD, 4096, b"")
        await rig.say(frames.pack(Warden.DATA, 4096, bytes(1000)))
        await rig.silence()
        await rig.say(frames.pack(Warden.DATA, 4097, bytes(1000)))
        assert rig.link.queued == 5 * (link.QUEUED // 4) + 1000
        go.set()
        assert await rig.heard() == (Host.TAKE, 4096, b"")
        assert rig.link.queued == 0

    run(script, serve)


def test_all_connections_together_are_held_before_they_fill_the_host(
    run: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "QUEUED_TOGETHER", 10_000)

    async def serve(_stream: Stream) -> None:
        await asyncio.sleep(60)

    async def script(rig: Rig) -> None:
        for connection in range(4096, 4116):
            await rig.connect(connection)
            await rig.say(frames.pack(Warden.DATA, connection, bytes(1000)))
        held = [(await rig.heard())[:2] for _ in range(10)]
        assert held == [(Host.HOLD, connection) for connection in range(4106, 4116)]
        await rig.silence()

    run(script, serve)


def test_a_gateway_that_writes_while_its_own_connection_is_held_gets_its_credit(run: Callable[..., Rig]) -> None:
    state = []

    async def serve(stream: Stream) -> None:
        await stream.write(b"x" * (frames.WINDOW + 1))
        state.append("written")

    async def script(rig: Rig) -> None:
        await rig.connect()
        for _ in range(6):
            await rig.say(frames.pack(Warden.DATA, 4096, bytes(link.QUEUED // 4)))
        await rig.say(frames.pack(Warden.CREDIT, 4096, struct.pack("<I", 5)))
        assert state == ["written"]

    run(script, serve)


def test_a_gateway_that_fails_is_a_lost_sensor_and_a_reset(run: Callable[..., Rig]) -> None:
    async def serve(_stream: Stream) -> None:
        raise RuntimeError("a mistake")

    async def script(rig: Rig) -> None:
        await rig.connect()
        assert await rig.heard() == (Host.RESET, 4096, b"")
        head = struct.pack("<Q16sI16sI", 0, ADDRESS, 53, ADDRESS, 4000)
        await rig.say(frames.pack(Warden.DATAGRAM, 0, head + b"raise"))
        await rig.silence()
        assert not rig.link.gone

    [connection, datagram] = run(script, serve).events()
    assert (connection.sensor, datagram.sensor) == ("gateway", "gateway")
    assert "a mistake" in connection.reason


def test_datagrams_are_answered_from_the_address_that_was_asked(run: Callable[..., Rig]) -> None:
    async def script(rig: Rig) -> None:
        source = frames.address_bytes("127.0.0.1")
        await rig.say(
            frames.pack(Warden.DATAGRAM, 9, struct.pack("<Q16sI16sI", 0, ADDRESS, 53, source, 4000) + b"ask")
        )
        kind, _, payload = await rig.heard()
        assert kind == Host.DATAGRAM
        assert payload == ADDRESS + struct.pack("<I", 53) + source + struct.pack("<I", 4000) + b"re:ask"

    assert run(script).internet.datagrams == [(Peer(connection=0, address="192.0.2.1", port=53), b"ask")]


def attached(kind: int, text: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<H", len(text)) + text


def test_a_loss_is_told_at_once_and_its_repetitions_are_counted(run: Callable[..., Rig]) -> None:
    async def script(rig: Rig) -> None:
        one = frames.pack(Warden.LOST, 1, attached(1, b"network") + attached(2, b"too many"))
        await rig.say(one * 1000)
        await rig.say(frames.pack(Warden.LOST, 0, attached(1, b"network") + attached(2, b"another")) * 2)

    losses = [(event.sensor, event.reason, event.count) for event in run(script).events()]
    assert losses == [
        ("network", "too many", 1), ("network", "another", 0), ("network", "too many", 999), ("network", "another", 1),
    ]  # fmt: skip


def test_losses_of_many_kinds_do_not_fill_the_recording(run: Callable[..., Rig]) -> None:
    async def script(rig: Rig) -> None:
        for number in range(link.LOSSES + 50):
            reason = attached(1, b"planting") + attached(2, str(number).encode())
            rig.link.data_received(frames.pack(Warden.LOST, 1, reason))

    losses = run(script).events()
    assert len(losses) == link.LOSSES + 1
    assert (losses[-1].reason, losses[-1].count) == ("losses of many kinds", 50)


def test_decoys_touched_again_and_again_are_counted(run: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "TOUCHES", 3)

    async def script(rig: Rig) -> None:
        for mask in (0x20, 0x2, 0x400):
            await rig.say(frames.pack(Warden.TOUCHED, 0, struct.pack("<QQ", 0, mask)) * 5)

    seen = run(script).events()
    touches = [event.how for event in seen if isinstance(event, events.DecoyTouched)]
    assert touches == ["opened"] * 3 + ["changed"] * 3 + ["removed"] * 3
    assert [event.count for event in seen if isinstance(event, events.SensorLost)] == [1, 5]
    assert {event.path for event in seen if isinstance(event, events.DecoyTouched)} == {"/home/dev/.ssh/key"}


def test_what_a_phase_printed_is_kept_even_where_somebody_holds_its_pipe(run: Callable[..., Rig]) -> None:
    async def script(rig: Rig) -> None:
        rig.link.pending[5] = Phase(name="run", kind="run", argv=("x",))
        await rig.say(frames.pack(Warden.SPAWNED, 5, struct.pack("<I", 70)))
        await rig.say(frames.pack(Warden.OUTPUT, 5, struct.pack("<I", 1) + b"first "))
        await rig.say(frames.pack(Warden.OUTPUT, 5, struct.pack("<I", 1) + b"last"))
        await rig.say(frames.pack(Warden.OUTPUT, 5, struct.pack("<I", 2) + b"still open"))
        await rig.say(frames.pack(Warden.OUTPUT_ENDED, 5, struct.pack("<QQ", 1, 90_000)))

    begun, out, err = run(script).events()
    assert (begun.kind, begun.process) == ("run", 1)
    assert (out.stream, out.data, out.size, out.process) == ("stdout", b"first last", 90_000, 1)
    assert (err.stream, err.data, err.size) == ("stderr", b"still open", 10)


def test_a_warden_that_dies_is_told_to_all_who_wait(run: Callable[..., Rig]) -> None:
    waiting: list[Future[bytes]] = []
    ended = []

    async def serve(stream: Stream) -> None:
        while await stream.read():
            pass
        ended.append(True)

    async def script(rig: Rig) -> None:
        await rig.connect()
        waiting.append(rig.link.expect(Warden.SURVEYED, 7))
        await rig.say(frames.pack(Warden.FAILED, 0, b"out of luck"))
        rig.warden.shutdown(socket.SHUT_RDWR)
        await asyncio.sleep(0.05)
        assert rig.link.gone
        waiting.append(rig.link.expect(Warden.SURVEYED, 8))
        rig.link.send(Host.END)  # to nobody: harmless

    [loss] = run(script, serve).events()
    assert (loss.sensor, loss.reason) == ("guest", "out of luck")
    assert ended == [True]
    for future in waiting:
        with pytest.raises(ConnectionResetError, match="out of luck"):
            future.result(0)


def test_an_answer_reaches_who_waits_for_it_and_nobody_else(run: Callable[..., Rig]) -> None:
    async def script(rig: Rig) -> None:
        future, other = rig.link.expect(Warden.CONTENT, 3), rig.link.expect(Warden.CONTENT, 4)
        await rig.say(frames.pack(Warden.CONTENT, 3, b"text") + frames.pack(Warden.CONTENT, 99, b"nobody's"))
        assert future.result(0) == b"text"
        assert not other.done()

    assert not run(script).events()


MALFORMED = [
    frames.pack(Warden.CALL, 1, b"short"),
    frames.pack(Warden.PROCESS, 1, b"short"),
    frames.pack(Warden.READY, 0, b"short"),
    frames.pack(Warden.SPAWNED, 1, b"xyz"),
    frames.pack(Warden.OUTPUT, 1, b""),
    frames.pack(Warden.OUTPUT_ENDED, 1, b""),
    frames.pack(Warden.OPENED, 1, b""),
    frames.pack(Warden.DATAGRAM, 1, b""),
    frames.pack(Warden.TOUCHED, 99, struct.pack("<QQ", 0, 0x20)),
    frames.pack(Warden.TOUCHED, 0, b""),
    frames.pack(Warden.LOST, 0, b"\1"),
    struct.pack("<III", frames.MAX_FRAME + 1, Warden.DATA, 0),
]


@pytest.mark.parametrize("frame", MALFORMED)
def test_a_frame_that_cannot_be_ends_the_link_and_is_told(run: Callable[..., Rig], frame: bytes) -> None:
    async def script(rig: Rig) -> None:
        await rig.say(frame)
        await asyncio.sleep(0.02)
        assert rig.link.gone

    losses = run(script).events()
    assert [loss.sensor for loss in losses] == ["warden", "guest"]
    assert "cannot be" in losses[0].reason


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(60, 90), st.sampled_from([0, 1, 4096, 2**32 - 1]), st.binary(max_size=80)), max_size=6
    )
)
def test_any_frames_are_taken_or_end_the_link(sent: list[tuple[int, int, bytes]]) -> None:
    async def whole(folder: Path) -> list[Any]:
        rig = Rig(folder)
        await rig.open()
        for kind, identity, payload in sent:
            rig.link.data_received(frames.pack(kind, identity, payload))
        await asyncio.sleep(0)
        await rig.link.settle(1.0)
        rig.warden.close()
        return rig.events()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(Path(folder)))
