"""One connection of a guest against a warden that is only bytes: windows, holding, and who goes first."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from sandbox import link_stream
from sandbox.streams import Peer, Stream
from sandbox.warden import frames
from sandbox.warden.frames import Host, Warden
from tests.link_rig import ADDRESS, Rig, playing

run = pytest.fixture(playing)


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
    assert peers == [Peer(connection=4096, address="192.0.2.1", port=443, phase="")]


def test_what_arrived_in_a_phase_is_of_that_phase_however_late_it_is_read(run: Callable[..., Rig]) -> None:
    read = asyncio.Event()
    seen: list[tuple[str | None, bytes]] = []

    async def serve(stream: Stream) -> None:
        await read.wait()
        seen.append((stream.peer.phase, b""))
        while data := await stream.read():
            seen.append((stream.peer.phase, data))

    async def script(rig: Rig) -> None:
        for phase, data in (("import:a", b"one"), ("import:a", b"two"), ("shell", b"three")):
            rig.recorder.phase = phase
            if data == b"one":
                await rig.connect()
            await rig.say(frames.pack(Warden.DATA, 4096, data))
        rig.recorder.phase = "linger"
        read.set()
        await rig.say(frames.pack(Warden.FINISHED, 4096))
        assert await rig.heard() == (Host.FINISH, 4096, b"")

    run(script, serve)
    assert seen == [("import:a", b""), ("import:a", b"one"), ("import:a", b"two"), ("shell", b"three")]


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
            assert len(payload) <= link_stream.CHUNK
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
            await rig.say(frames.pack(Warden.DATA, 4096, bytes(link_stream.QUEUED // 4)))
        assert await rig.heard() == (Host.HOLD, 4096, b"")
        await rig.say(frames.pack(Warden.DATA, 4096, bytes(1000)))
        await rig.silence()
        await rig.say(frames.pack(Warden.DATA, 4097, bytes(1000)))
        assert rig.link.queued == 5 * (link_stream.QUEUED // 4) + 1000
        go.set()
        assert await rig.heard() == (Host.TAKE, 4096, b"")
        assert rig.link.queued == 0

    run(script, serve)


def test_all_connections_together_are_held_before_they_fill_the_host(
    run: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_stream, "QUEUED_TOGETHER", 10_000)

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
            await rig.say(frames.pack(Warden.DATA, 4096, bytes(link_stream.QUEUED // 4)))
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
