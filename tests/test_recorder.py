"""Evidence reaches the disk in order; what does not fit is counted; a recording that was cut shows it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sandbox import events
from sandbox.errors import BackendError
from sandbox.recorder import Recorder

HEADER = events.Header(package="left-pad")


def made(path: Path, limit: int = 1000) -> Recorder:
    return Recorder(path, HEADER, limit)


def test_events_carry_the_phase_and_a_time_that_grows(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r")
    recorder.add(events.SensorStarted, sensor="syscalls")
    recorder.phase = "install"
    recorder.add(events.ProcessStarted, pid=7)
    recorder.add(events.ProcessStarted, pid=8, at=9.0, phase="run")
    recorder.close()
    first, second, third, last = events.read(tmp_path / "r").events
    assert (first.phase, second.phase, third.phase) == ("", "install", "run")
    assert 0 <= first.at <= second.at
    assert third.at == 9.0
    assert isinstance(last, events.GuestEnded)
    assert last.counts == {"sensor.started": 1, "process.started": 2}


def test_an_event_may_have_a_field_called_kind(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r")
    try:
        recorder.add(events.NameLookedUp, name="a.test", kind="A")
    finally:
        recorder.close()
    assert events.read(tmp_path / "r").events[0].phase == ""


def test_what_is_over_the_limit_is_reported_as_lost(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r", limit=2)
    for _ in range(5):
        recorder.add(events.ProcessStarted, pid=7)
    recorder.close()
    *kept, lost, _ = events.read(tmp_path / "r").events
    assert len(kept) == 2
    assert isinstance(lost, events.SensorLost)
    assert (lost.sensor, lost.count) == ("recorder", 3)
    assert "process.started" in lost.reason


def test_what_matters_most_is_kept_even_over_the_limit(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r", limit=0)
    recorder.add(events.DecoyTouched, decoy="aws", path="/x", how="opened")
    recorder.add(events.DecoySent, decoy="aws", token="key", connection=1, host="a.test", where="body")
    recorder.add(events.PhaseEnded, status="exited")
    recorder.add(events.SensorLost, sensor="syscalls", reason="queue full", count=2)
    recorder.close()
    found = [type(event) for event in events.read(tmp_path / "r").events]
    assert found == [
        events.DecoyTouched, events.DecoySent, events.PhaseEnded, events.SensorLost, events.GuestEnded,
    ]  # fmt: skip


def test_several_threads_lose_and_tear_nothing(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r", limit=10_000)

    def work() -> None:
        for _ in range(500):
            recorder.add(events.OutputWritten, stream="stdout", data=b"x" * 100, size=100)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    assert len(events.read(tmp_path / "r").events) == 2001


def test_closing_twice_or_adding_after_it_changes_nothing(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r")
    recorder.close()
    before = (tmp_path / "r").read_bytes()
    recorder.add(events.SensorStarted, sensor="late")
    recorder.close()
    recorder.abandon()
    assert (tmp_path / "r").read_bytes() == before


def test_an_abandoned_recording_reads_as_cut(tmp_path: Path) -> None:
    recorder = made(tmp_path / "r")
    recorder.add(events.SensorStarted, sensor="syscalls")
    recorder.abandon()
    recorder.abandon()
    found = events.read(tmp_path / "r").events
    assert not any(isinstance(event, events.GuestEnded) for event in found)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"no/r cannot be written: No such file"):
        made(tmp_path / "no" / "r")


def test_a_full_disk_is_said_once_and_at_the_end(tmp_path: Path) -> None:
    recorder = made(Path("/dev/full"))
    for _ in range(3):
        recorder.add(events.OutputWritten, stream="stdout", data=b"x" * 1_000_000, size=1_000_000)
    with pytest.raises(BackendError, match=r"/dev/full cannot be written: No space left") as caught:
        recorder.close()
    assert "--keep" in caught.value.hint
    recorder.close()


def test_a_full_disk_does_not_hide_why_a_recording_is_abandoned() -> None:
    recorder = made(Path("/dev/full"))
    recorder.abandon()
    recorder.abandon()


def test_where_phases_run_at_the_same_time_each_event_bears_its_processs(tmp_path: Path) -> None:
    members = [events.Member(name="a", version="1", purl="pkg:npm/a@1")]
    recorder = Recorder(tmp_path / "r", events.Header(members=members), 100)
    recorder.phase = "what the guest was told last"
    for process, phase in ((1, "import:a"), (2, "import:b")):
        recorder.add(events.PhaseStarted, phase=phase, process=process, kind="import", argv=[], cwd="")
        recorder.add(events.ProcessStarted, process=process, pid=process)
    recorder.add(events.ProcessStarted, process=3, pid=3, parent=1)
    recorder.add(events.ProcessExited, process=3)
    recorder.add(events.PhaseEnded, phase="import:a", process=1, status="exited")
    recorder.add(events.ProcessExited, process=3)
    recorder.add(events.ProcessExited, process=2)
    recorder.add(events.ProcessExited, process=9)
    recorder.close()
    exits = [one.phase for one in events.read(tmp_path / "r").events if isinstance(one, events.ProcessExited)]
    assert exits == ["import:a", "linger", "import:b", ""]
    assert recorder.phase_of(3, "now") == "linger"
