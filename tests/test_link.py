"""The link against a warden that is only bytes: losses, answers, and what happens when the other end lies."""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import events, link
from sandbox.plan import Phase
from sandbox.streams import Peer, Stream
from sandbox.warden import frames
from sandbox.warden.frames import Host, Warden
from tests.link_rig import ADDRESS, Rig, playing

run = pytest.fixture(playing)


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
