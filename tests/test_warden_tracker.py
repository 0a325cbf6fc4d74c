"""Who is who: serials that are never used twice, parents, orphans, paths, and nothing but ValueError for garbage."""

from __future__ import annotations

import struct
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import events
from sandbox.warden import tracker
from sandbox.warden.calls import absolute
from sandbox.warden.frames import Text
from sandbox.warden.tracker import Tracker

INIT = 2
SECOND = 1_000_000_000
NUMBERS = {"openat": 257, "clone": 56, "exit_group": 231, "connect": 42}


def attached(kind: int, text: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<H", len(text)) + text


class Guest:
    """A tracker and what it recorded; time goes on by a second with each record."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.clock = 100 * SECOND
        self.tracker = Tracker(self._record)
        names = b"".join(attached(0, struct.pack("<I", nr) + name.encode()) for name, nr in NUMBERS.items())
        self.tracker.ready(struct.pack("<QI", self.clock, INIT) + names, 0.0)

    def _record(self, kind: type[events.Event], /, **fields: Any) -> None:
        self.events.append(kind(**fields))

    def process(self, pid: int, parent: int, *, start: int = 7, session: int = 10, exe: bytes = b"/bin/x") -> int:
        self.clock += SECOND
        head = struct.pack("<QIIQI", self.clock, parent, session, start, pid - 1)
        texts = attached(Text.EXE, exe) + attached(Text.CWD, b"/w") + attached(Text.ARGUMENT, b"x\0-a\0")
        return self.tracker.process(pid, head + texts)

    def call(self, pid: int, name: str, texts: bytes = b"", flags: int = 0, number: int | None = None) -> None:
        self.clock += SECOND
        nr = NUMBERS[name] if number is None else number
        self.tracker.call(pid, struct.pack("<QII6QI", self.clock, pid, nr, *[0] * 6, flags) + texts)

    def root(self, pid: int = 10) -> int:
        serial = self.tracker.root(pid)
        self.process(pid, INIT)
        return serial

    def started(self) -> list[tuple[int, int, bool]]:
        return [(e.process, e.parent, e.parent_known) for e in self.events if isinstance(e, events.ProcessStarted)]


def test_a_phase_s_root_is_no_orphan_and_has_one_serial() -> None:
    guest = Guest()
    serial = guest.root()
    assert guest.started() == [(serial, 0, True)]
    assert not [event for event in guest.events if isinstance(event, events.ProgramStarted)]
    assert guest.process(10, INIT) == serial
    [program] = [event for event in guest.events if isinstance(event, events.ProgramStarted)]
    assert (program.exe, program.argv, program.cwd) == ("/bin/x", ["x", "-a"], "/w")


def test_time_is_the_recording_s() -> None:
    guest = Guest()
    guest.root()
    assert guest.events[0].at == 1.0
    assert guest.tracker.seconds(guest.clock) == 1.0


def test_children_know_their_parent() -> None:
    guest = Guest()
    guest.root()
    assert guest.process(11, 10) == 2
    assert guest.process(12, 11) == 3
    assert guest.started()[1:] == [(2, 1, True), (3, 2, True)]
    assert [guest.tracker.serial(pid) for pid in (10, 11, 12, 13)] == [1, 2, 3, 0]


def test_another_program_is_the_same_process() -> None:
    guest = Guest()
    guest.root()
    first = guest.process(11, 10)
    assert guest.process(11, 10, exe=b"/usr/bin/curl") == first
    assert len(guest.started()) == 2
    assert guest.events[-1].exe == "/usr/bin/curl"


def test_a_number_used_again_is_another_process() -> None:
    guest = Guest()
    guest.root()
    first = guest.process(11, 10, start=7)
    guest.call(11, "exit_group")
    second = guest.process(11, 10, start=8)
    assert second != first
    assert guest.tracker.serial(11) == second
    guest.call(11, "openat", attached(Text.PATH, b"/x"))
    assert guest.events[-1].process == second


def test_a_second_phase_may_have_the_same_number() -> None:
    guest = Guest()
    first = guest.root(10)
    second = guest.root(10)
    assert first != second
    assert guest.tracker.serial(10) == second


def test_an_orphan_is_the_child_of_the_last_that_forked_in_its_session() -> None:
    guest = Guest()
    guest.root(10)
    guest.process(11, 10)
    guest.process(20, 10, session=20)
    guest.call(11, "clone")
    guest.call(20, "clone")
    orphan = guest.process(12, INIT, session=10)
    assert guest.started()[-1] == (orphan, 2, False)
    other = guest.process(21, INIT, session=20)
    assert guest.started()[-1] == (other, 3, False)
    new_session = guest.process(30, INIT, session=30)
    assert guest.started()[-1] == (new_session, 3, False), "of no session that forked: the last that forked at all"


def test_an_orphan_before_anybody_forked_has_no_parent() -> None:
    guest = Guest()
    orphan = guest.process(12, INIT)
    assert guest.started() == [(orphan, 0, False)]


def test_a_parent_that_was_never_seen_is_inferred_too() -> None:
    guest = Guest()
    guest.root(10)
    guest.call(10, "clone")
    child = guest.process(13, 4000)
    assert guest.started()[-1] == (child, 1, False)


def test_calls_of_an_unknown_process_and_unknown_calls_are_kept() -> None:
    guest = Guest()
    guest.call(77, "openat", attached(Text.PATH, b"/x"))
    assert guest.events[-1].process == 0
    guest.call(77, "", number=9999)
    assert guest.events[-1].name == "call 9999"
    assert guest.tracker.calls == 2


def test_a_foreign_architecture_s_call_ends_nobody() -> None:
    guest = Guest()
    guest.root(10)
    guest.call(10, "exit_group", flags=5 | 0x40000003 << 8 & 0xFFFFFFFF)
    assert guest.events[-1].name == "foreign_architecture"
    assert not [event for event in guest.events if isinstance(event, events.ProcessExited)]


def test_a_guest_that_forks_for_ever_does_not_fill_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "PROCESSES", 100)
    guest = Guest()
    root = guest.root(10)
    for pid in range(1000, 3000):
        guest.process(pid, 10)
        guest.call(10, "clone")
        guest.call(pid, "exit_group")
    assert guest.tracker.serial(10) == root, "who lives is remembered"
    assert len(guest.tracker._by_pid) <= 101
    for _ in range(5000):
        guest.call(10, "clone")
    assert len(guest.tracker._forkers) <= 4096
    assert len({serial for serial, _, _ in guest.started()}) == 2001


@pytest.mark.parametrize(
    ("path", "base", "whole"),
    [
        (b"/a/b", b"/c", "/a/b"),
        (b"b", b"/a", "/a/b"),
        (b"", b"/a", "/a"),
        (b"", b"", ""),
        (b"b", b"", "b"),
        (b"../x", b"/a/b", "/a/x"),
        (b"./x/./y", b"/a", "/a/x/y"),
        (b"//etc//passwd", b"", "/etc/passwd"),
        (b"/a/../../../etc", b"", "/etc"),
        (b"/a/.hidden", b"", "/a/.hidden"),
        (b"x/", b"/a", "/a/x"),
        (b"/", b"", "/"),
        (b".", b"/", "/"),
        (b"..", b"/", "/"),
        (b"x", b"/", "/x"),
        (b"\xff\n", b"/a", "/a/\\xff\n"),
        (b"", b"/memfd:x (deleted)", "/memfd:x (deleted)"),
    ],
)
def test_paths(path: bytes, base: bytes, whole: str) -> None:
    assert absolute(path, base) == whole


SEGMENTS = st.lists(st.sampled_from([b"", b".", b"..", b"a", b"b.c", b"\xff"]), max_size=8)


@given(SEGMENTS, SEGMENTS)
def test_a_path_below_an_absolute_one_is_absolute_and_has_nothing_to_fold(
    path: list[bytes], base: list[bytes]
) -> None:
    whole = absolute(b"/".join(path), b"/" + b"/".join(base))
    assert whole.startswith("/")
    assert not whole.startswith("//")
    assert ".." not in PurePosixPath(whole).parts
    assert whole == "/" or not whole.endswith("/")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_a_value_error(payload: bytes) -> None:
    for read in (
        lambda guest: guest.tracker.ready(payload, 0.0),
        lambda guest: guest.tracker.process(11, payload),
        lambda guest: guest.tracker.call(10, payload),
    ):
        guest = Guest()
        guest.root(10)
        try:
            read(guest)
        except ValueError:
            continue
        written = [events.encode(event) for event in guest.events]
        assert list(events.lines(written)) == guest.events


RECORDS = st.lists(
    st.one_of(
        st.tuples(st.just("process"), st.integers(9, 13), st.integers(0, 13), st.integers(0, 2)),
        st.tuples(st.just("call"), st.integers(9, 13), st.sampled_from(sorted(NUMBERS.values())), st.integers(0, 7)),
        st.tuples(st.just("root"), st.integers(9, 13), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@given(RECORDS)
def test_serials_are_given_once_and_parents_are_older(records: list[tuple[str, int, int, int]]) -> None:
    guest = Guest()
    for kind, pid, one, other in records:
        if kind == "process":
            guest.process(pid, one, start=other)
        elif kind == "call":
            guest.call(pid, "", flags=other, number=one)
        else:
            guest.tracker.root(pid)
    started = guest.started()
    serials = [serial for serial, _, _ in started]
    assert len(serials) == len(set(serials))
    assert all(parent < serial for serial, parent, _ in started)
