"""What the witness writes down: each loss once a phase, each piece of bait with the host that it was meant for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import events
from sandbox.bait import Token
from sandbox.gateway.capture import Pool
from sandbox.gateway.http import Request
from sandbox.gateway.recognise import Recogniser
from sandbox.gateway.witness import Witness
from sandbox.recorder import Recorder
from sandbox.streams import Peer

SECRET = "glpat-7Qm2Zx8Ks4Tv9Wb3Yc6N"
PEER = Peer(connection=5, address="203.0.113.9", port=443, process=3)

Made = tuple[Witness, Callable[[], list[events.AnyEvent]]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A witness, and a function that gives what it has recorded."""
    recorder = Recorder(tmp_path / "recording.jsonl", events.Header(), 1000)
    witness = Witness(recorder, Recogniser([Token("gitlab", "access token", SECRET)]), Pool(1024 * 1024))

    def recorded() -> list[events.AnyEvent]:
        witness.close()
        recorder.close()
        return events.read(recorder.path).events[:-1]

    return witness, recorded


def test_bait_is_told_once_for_each_host_that_a_request_names(made: Made) -> None:
    witness, recorded = made
    witness.look(PEER, ("a.test", "b.test"), "body", f"key={SECRET}".encode())
    witness.look(PEER, ("a.test", "b.test"), "body", f"key={SECRET}".encode())
    sent = [event for event in recorded() if isinstance(event, events.DecoySent)]
    assert [(event.host, event.decoy, event.where, event.process) for event in sent] == [
        ("a.test", "gitlab", "body", 3),
        ("b.test", "gitlab", "body", 3),
    ]


def test_pieces_of_bait_sent_one_after_another_are_put_together(made: Made) -> None:
    witness, recorded = made
    for piece in (SECRET[:9], SECRET[9:18], SECRET[18:]):
        witness.look(PEER, ("a.test",), "body", piece.encode())
    assert any(isinstance(event, events.DecoySent) and event.host == "a.test" for event in recorded())


def test_what_is_seen_late_is_of_the_phase_in_which_it_arrived(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "recording.jsonl", events.Header(), 1000)
    recorder.phase = "shell"
    witness = Witness(recorder, Recogniser([Token("gitlab", "access token", SECRET)]), Pool(1024 * 1024))
    late = Peer(connection=5, address="203.0.113.9", port=443, process=3, phase="import:a")
    for peer in (late, PEER):
        witness.add(events.ConnectionClosed, peer, connection=peer.connection, sent=1, received=0)
        witness.look(peer, ("a.test",), "body", SECRET.encode())
    recorder.close()
    seen = [(type(event), event.phase) for event in events.read(recorder.path).events[:-1]]
    kinds = (events.ConnectionClosed, events.DecoySent)
    assert seen == [(kind, phase) for phase in ("import:a", "shell") for kind in kinds]


def test_the_same_loss_is_said_once(made: Made) -> None:
    witness, recorded = made
    for _ in range(50):
        witness.lost("something", 1)
    witness.failed(ValueError("boom"), "connection 5")
    lost = [event for event in recorded() if isinstance(event, events.SensorLost)]
    assert [event.reason for event in lost] == ["something", "connection 5: ValueError: boom"]


def test_nothing_innocent_is_told(made: Made) -> None:
    witness, recorded = made
    witness.look(PEER, ("a.test",), "body", b"nothing to see here, " * 1000)
    assert recorded() == []


@pytest.mark.parametrize(("encoding", "body", "said"), [
    ("br", b"\x0b\x02\x80abc\x03", "br"), ("BR ", b"\x0b", "br"), ("", b"\x28\xb5\x2f\xfdabc", "zstd"),
    ("br", b"", ""), ("gzip", b"abc", ""), ("utf-8", b"abc", ""), ("", b"abc", ""),
])  # fmt: skip
def test_a_body_that_nobody_can_read_is_said(made: Made, encoding: str, body: bytes, said: str) -> None:
    witness, recorded = made
    headers = (("Content-Encoding", encoding),) if encoding else ()
    request = Request("POST", "/", headers, body, len(body), (body,))
    witness.request(PEER, witness.now(PEER), "https://a.test/", request, None)
    lost = [event.reason for event in recorded() if isinstance(event, events.SensorLost)]
    assert lost == ([f"a body that is encoded as {said} could not be read"] if said else [])
