"""A guest as the pipeline uses it, against a warden that is a thread with a script: every way a phase can end."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox import events, guest
from sandbox.backends import Running
from sandbox.errors import BackendError
from sandbox.guest import Guest, LoopThread, Survivor
from sandbox.plan import Limits, Phase
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden import frames
from sandbox.warden.frames import Host, Put, Text, Warden

Answer = Callable[[int, bytes], bytes]
READY = frames.pack(Warden.READY, 0, struct.pack("<QI", 0, 2))


class Internet:
    """A gateway that answers nothing."""

    async def serve(self, stream: Stream) -> None:
        """Ends at once."""

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        """No answer."""
        del peer, data
        return []


def attached(kind: int, text: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<H", len(text)) + text


class Playing:
    """The warden's end: answers each kind of frame with what a test says, until the host hangs up."""

    def __init__(self, first: bytes = READY) -> None:
        self.stream, self._ours = socket.socketpair()
        self.answers: dict[int, Answer] = {
            Host.SEAL: lambda identity, _: frames.pack(Warden.READY, identity),
            Host.END: lambda identity, _: frames.pack(Warden.ENDED, identity),
        }
        self.got: list[tuple[int, int, bytes]] = []
        self.stops = 0
        self._ours.sendall(first)
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        parser = frames.Parser()
        try:
            while data := self._ours.recv(1 << 20):
                for kind, identity, payload in parser.feed(data):
                    self.got.append((kind, identity, payload))
                    if kind in self.answers:
                        self._ours.sendall(self.answers[kind](identity, payload))
        except OSError:
            pass  # the test hung up

    def hang_up(self) -> None:
        with suppress(OSError):  # the host did before
            self._ours.shutdown(socket.SHUT_RDWR)

    def stop(self) -> str:
        """What a backend does to make sure; says what the warden said last."""
        self.stops += 1
        return "last words"

    def close(self) -> None:
        self.hang_up()
        self._thread.join(5)
        self._ours.close()
        self.stream.close()


class Setting:
    """A guest, its playing warden and its recording."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "recording"
        self.recorder = Recorder(self.path, events.Header(), 1000)
        self.loop = LoopThread()
        self.warden: Playing | None = None
        self.made: list[Guest] = []

    def start(self, first: bytes = READY) -> tuple[Guest, Playing]:
        self.warden = Playing(first)
        watched = [("ssh", "/home/dev/.ssh/key")]
        running = Running(self.warden.stream, self.warden.stop)
        made = Guest(self.loop, running, self.recorder, Internet(), watched, Limits())
        self.made.append(made)
        return made, self.warden

    def events(self) -> list[Any]:
        self.recorder.close()
        return events.read(self.path).events[:-1]

    def close(self) -> None:
        for made in self.made:
            made.end()
        if self.warden is not None:
            self.warden.close()
        self.loop.close()
        self.recorder.close()


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that waits a quarter of a second where it waits five."""
    monkeypatch.setattr(guest, "GRACE_SECONDS", 0.25)
    monkeypatch.setattr(guest, "START_SECONDS", 0.25)


def spawning(*frames_after: Callable[[int], bytes]) -> Answer:
    """A warden that starts what it is asked to, and then says this."""

    def answer(identity: int, _payload: bytes) -> bytes:
        return frames.pack(Warden.SPAWNED, identity, struct.pack("<I", 70)) + b"".join(
            made(identity) for made in frames_after
        )

    return answer


def exited(status: int) -> Callable[[int], bytes]:
    return lambda identity: frames.pack(Warden.EXITED, identity, struct.pack("<i", status))


PHASE = Phase(name="install", kind="install", argv=("/bin/x", "-a"), environment={"B": "2"}, seconds=2.0)


def test_preparing_says_the_limits_first_and_seals_last(setting: Setting) -> None:
    made, warden = setting.start()
    made.prepare([Put("/home/dev/.ssh/key", b"text", 0o600)], 8, [8200])
    kinds = [kind for kind, _, _ in warden.got]
    assert kinds == [Host.PLAN, Host.LOOPBACK, Host.PUT, Host.WATCH, Host.SEAL]
    assert warden.got[1][1] == 8200
    assert warden.got[3][1:] == (0, b"/home/dev/.ssh/key")
    sensors = [event.sensor for event in setting.events()]
    assert sensors == ["syscalls", "network", "witness", "gateway"]


@pytest.mark.parametrize("status", [0, 3, 255])
def test_a_phase_that_exits(setting: Setting, status: int) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning(exited(status << 8))
    outcome = made.run(PHASE, {"A": "1"}, "/home/dev/project")
    assert (outcome.status, outcome.code) == ("exited", status)
    payload = warden.got[-1][2]
    assert payload[40:] == b"/home/dev/project\0/bin/x\0-a\0A=1\0B=2\0"
    begun, ended = setting.events()
    assert (begun.phase, begun.kind, begun.process) == ("install", "install", 1)
    assert (ended.phase, ended.status, ended.code, ended.process) == ("install", "exited", status, 1)


def test_a_phase_that_is_killed(setting: Setting) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning(exited(9 | 0x80))
    assert made.run(PHASE, {}, "/").status == "killed"
    assert setting.events()[-1].signal == 9


def test_a_phase_that_is_stopped_at_its_limit(setting: Setting) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning()
    warden.answers[Host.STOP] = lambda identity, _: exited(9)(identity)
    outcome = made.run(Phase(name="run", kind="run", argv=("/x",), seconds=0.1), {}, "/")
    assert outcome.status == "timeout"
    assert 0.1 <= outcome.seconds < 2
    assert made.alive


@pytest.mark.parametrize(
    ("waits", "open_ended", "status"),
    [
        (9.0, True, "exited"),
        (9.0, False, "timeout"),
        (30.0, True, "timeout"),
        (8.0, True, "timeout"),
        (0, True, "timeout"),
    ],
)
def test_a_program_that_has_set_itself_a_time_gets_it_once(
    setting: Setting, waits: float, open_ended: bool, status: str
) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning()
    warden.answers[Host.STOP] = lambda identity, _: exited(9)(identity)
    asked: list[int] = []

    def surveyed(identity: int, _payload: bytes) -> bytes:
        asked.append(identity)
        payload = struct.pack("<I", 70) + attached(Text.EXE, b"/x") + attached(Text.ARGUMENT, b"x\0")
        payload += struct.pack("<II", int(waits * 1000), 1)
        return frames.pack(Warden.SURVEYED, identity, payload) + exited(0)(1) * (status == "exited")

    warden.answers[Host.SURVEY] = surveyed
    phase = Phase(name="run", kind="run", argv=("/x",), seconds=0.1, open_ended=open_ended)
    assert made.run(phase, {}, "/").status == status
    assert len(asked) == open_ended


def test_a_program_that_cannot_be_started(setting: Setting) -> None:
    made, warden = setting.start()

    def failed(identity: int) -> bytes:
        return frames.pack(Warden.SPAWN_FAILED, identity, struct.pack("<i", errno.ENOENT))

    warden.answers[Host.SPAWN] = spawning(failed, exited(127 << 8))
    outcome = made.run(PHASE, {}, "/")
    assert (outcome.status, outcome.refused) == ("failed", "No such file or directory")
    assert setting.events()[-1].reason == "No such file or directory"


def test_a_command_that_cannot_be_sent(setting: Setting) -> None:
    made, warden = setting.start()
    assert made.run(PHASE, {"A": "zero\0byte"}, "/").status == "failed"
    assert not warden.got
    [ended] = setting.events()
    assert "zero byte" in ended.reason


def test_a_guest_that_dies_in_a_phase(setting: Setting) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning()
    threading.Timer(0.1, warden.hang_up).start()
    assert made.run(PHASE, {}, "/").status == "failed"
    assert not made.alive
    assert made.run(PHASE, {}, "/").status == "failed"
    with pytest.raises(BackendError):
        made.survivors()
    made.end()
    assert {event.sensor for event in setting.events() if isinstance(event, events.SensorLost)} == {"guest"}


@pytest.mark.usefixtures("impatient")
def test_a_guest_that_hangs_in_a_phase(setting: Setting) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning()
    outcome = made.run(Phase(name="run", kind="run", argv=("/x",), seconds=0.1), {}, "/")
    assert outcome.status == "failed"
    assert setting.events()[-1].reason == "the guest hangs"


def test_a_guest_that_cannot_be_made_says_why(setting: Setting) -> None:
    first = frames.pack(Warden.FAILED, 0, b"namespaces were refused: Operation not permitted")

    def hang_up() -> None:
        assert setting.warden is not None
        setting.warden.hang_up()

    timer = threading.Timer(0.2, hang_up)
    timer.start()
    with pytest.raises(BackendError, match="namespaces were refused") as caught:
        setting.start(first)
    timer.join()
    assert caught.value.hint.startswith("last words")
    assert "baitbox doctor" in caught.value.hint, "what to do about a refusal"
    assert setting.warden is not None
    assert setting.warden.stops == 1


@pytest.mark.usefixtures("impatient")
def test_a_warden_that_says_nothing_is_not_waited_for(setting: Setting) -> None:
    with pytest.raises(BackendError, match="did not start within"):
        setting.start(b"")
    assert setting.warden is not None
    assert setting.warden.stops == 1


def test_what_an_installation_left_is_read(setting: Setting) -> None:
    made, warden = setting.start()
    names = attached(2, b"lib") + attached(1, b"index.js") + attached(1, b"\xff")
    warden.answers[Host.LIST] = lambda identity, _: frames.pack(Warden.LISTING, identity, names)
    warden.answers[Host.READ] = lambda identity, path: frames.pack(Warden.CONTENT, identity, b"text of " + path)
    assert made.listing("/x") == (("lib", True), ("index.js", False), ("\ufffd", False))
    assert made.read("/x/y") == b"text of /x/y"
    assert not setting.events()


def test_a_listing_that_is_cut_is_a_loss(setting: Setting) -> None:
    made, warden = setting.start()
    names = attached(1, b"a") + attached(Text.CUT, b"")
    warden.answers[Host.LIST] = lambda identity, _: frames.pack(Warden.LISTING, identity, names)
    assert made.listing("/x") == (("a", False),)
    [loss] = setting.events()
    assert loss.sensor == "guest"
    assert "/x" in loss.reason


def test_survivors(setting: Setting) -> None:
    made, warden = setting.start()
    warden.answers[Host.SPAWN] = spawning(exited(0))
    made.run(PHASE, {}, "/")
    one = struct.pack("<I", 70) + attached(Text.EXE, b"/usr/bin/node") + attached(Text.ARGUMENT, b"node\0x.js\0")
    one += struct.pack("<I", 20_500)
    two = struct.pack("<I", 71) + attached(Text.EXE, b"") + attached(Text.ARGUMENT, b"") + struct.pack("<I", 0)
    payload = one + two + struct.pack("<I", 2)
    warden.answers[Host.SURVEY] = lambda identity, _: frames.pack(Warden.SURVEYED, identity, payload)
    assert made.survivors() == [Survivor(1, "/usr/bin/node", ["node", "x.js"], 20.5), Survivor(0, "", [])]
    nobody = struct.pack("<I", 0)
    warden.answers[Host.SURVEY] = lambda identity, _: frames.pack(Warden.SURVEYED, identity, nobody)
    assert made.survivors() == []


def test_the_end_is_asked_for_and_made_sure_of(setting: Setting) -> None:
    made, warden = setting.start()
    made.end()
    assert warden.got[-1][0] == Host.END
    assert warden.stops == 1
    assert not made.alive
    assert not setting.events()


@pytest.mark.usefixtures("impatient")
def test_a_guest_that_does_not_end_is_stopped_and_told_of(setting: Setting) -> None:
    made, warden = setting.start()
    del warden.answers[Host.END]
    made.end()
    assert warden.stops >= 1
    [loss] = setting.events()
    assert loss.sensor == "guest"
    assert "did not end" in loss.reason


def test_a_loop_runs_what_it_is_given_and_closes() -> None:
    loop = LoopThread()
    assert loop.call(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 // 0)
    loop.close()
    assert loop.loop.is_closed()
