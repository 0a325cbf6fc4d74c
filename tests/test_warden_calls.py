"""What each system call becomes as an event: by hand for what matters, by Hypothesis for what nobody would send."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import events
from sandbox.warden import calls
from sandbox.warden.calls import ANSWERED, DENIED, FOREIGN
from sandbox.warden.frames import Text
from sandbox.warden.tracker import Tracker

NAMES = sorted({*calls.HANDLERS, "ptrace", "kill", "io_uring_setup", "prlimit64", "memfd_create", "unshare", "mystery"})


class Guest:
    """A tracker that knows every call by its place in NAMES, with one process, and what it recorded."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.tracker = Tracker(self._record)
        names = b"".join(attached(Text.NUMBER_AND_NAME, struct.pack("<I", i) + n.encode()) for i, n in enumerate(NAMES))
        self.tracker.ready(struct.pack("<QI", 0, 1) + names, 0.0)
        self.tracker.root(10)

    def _record(self, kind: type[events.Event], /, **fields: Any) -> None:
        self.events.append(kind(**fields))

    def call(self, name: str, *args: int, texts: Sequence[tuple[int, bytes]] = (), flags: int = 0) -> Any:
        """The one event that a call becomes."""
        before = len(self.events)
        raw = b"".join(attached(kind, text) for kind, text in texts)
        values = (*args, 0, 0, 0, 0, 0, 0)[:6]
        payload = struct.pack("<QII6QI", 5_000_000_000, 10, NAMES.index(name), *values, flags) + raw
        self.tracker.call(10, payload)
        made = self.events[before:]
        assert len(made) <= 1
        return made[0] if made else None


def attached(kind: int, text: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<H", len(text)) + text


def path(text: bytes, base: bytes = b"") -> list[tuple[int, bytes]]:
    return [(Text.PATH, text), *([(Text.BASE, base)] if base else [])]


@pytest.mark.parametrize(
    ("name", "args", "access", "created", "directory"),
    [
        ("open", (0, 0), "read", False, False),
        ("openat", (0, 0, 0o1), "write", False, False),
        ("openat", (0, 0, 0o2), "readwrite", False, False),
        ("openat", (0, 0, 0o1101), "write", True, False),
        ("openat", (0, 0, 0o1000), "write", False, False),
        ("openat", (0, 0, 0o200000), "read", False, True),
        ("openat", (0, 0, 0o10000000), "path", False, False),
        ("creat", (0, 0o644), "write", True, False),
    ],
)
def test_opens(name: str, args: tuple[int, ...], access: str, created: bool, directory: bool) -> None:
    event = Guest().call(name, *args, texts=path(b"x/../y", b"/home/dev"))
    assert event == events.FileOpened(
        at=5.0, process=1, path="/home/dev/y", access=access, created=created, directory=directory  # type: ignore[arg-type]
    )


def test_openat2_keeps_its_flags_in_memory() -> None:
    how = struct.pack("<QQQ", 0o101, 0o644, 0)
    event = Guest().call("openat2", texts=[*path(b"/x"), (Text.TIME, how)])
    assert (event.access, event.created) == ("write", True)
    assert Guest().call("openat2", texts=path(b"/x")).access == "read"


@pytest.mark.parametrize("name", ["stat", "newfstatat", "statx", "access", "readlink", "faccessat2"])
def test_probes(name: str) -> None:
    event = Guest().call(name, texts=path(b"/etc/x"))
    assert event == events.FileProbed(at=5.0, process=1, path="/etc/x", call=name)


def test_changes() -> None:
    guest = Guest()
    renamed = guest.call("renameat2", texts=[*path(b"a", b"/t"), (Text.PATH2, b"../b"), (Text.BASE2, b"/t/u")])
    assert (renamed.change, renamed.path, renamed.target) == ("renamed", "/t/a", "/t/b")
    linked = guest.call("symlinkat", texts=[*path(b"/link"), (Text.PATH2, b"../as/written")])
    assert (linked.change, linked.path, linked.target) == ("symlinked", "/link", "../as/written")
    assert guest.call("chmod", 0, 0o100755, texts=path(b"/x")).mode == 0o755
    assert guest.call("fchmodat", 0, 0, 0o4755, texts=path(b"/x")).mode == 0o4755
    assert guest.call("unlink", texts=path(b"/x")).change == "removed"
    assert guest.call("mkdirat", texts=path(b"/x")).change == "made"
    assert guest.call("unlinkat").path == ""


def test_programs_and_their_ends() -> None:
    guest = Guest()
    asked = guest.call("execve", texts=[*path(b"/bin/sh"), (Text.ARGUMENT, b"sh"), (Text.ARGUMENT, b"\xff\n")])
    assert asked == events.ProgramRequested(at=5.0, process=1, path="/bin/sh", argv=["sh", "\\xff\n"])
    assert guest.call("exit_group", 0x103).code == 3
    assert guest.call("clone", 17) is None
    refused = guest.call("clone", 0x10000000, flags=DENIED)
    assert (refused.name, refused.denied) == ("clone", True)


def inet(address: bytes, port: int) -> bytes:
    return struct.pack("<H", 2) + struct.pack(">H", port) + address + bytes(8)


def inet6(address: bytes) -> bytes:
    return struct.pack("<H", 10) + b"\x01\xbb" + bytes(4) + address


def test_a_connection_that_the_gateway_will_record_is_not_recorded_twice() -> None:
    guest = Guest()
    to = [(Text.ADDRESS, inet(bytes([192, 0, 2, 1]), 443))]
    assert guest.call("connect", texts=to, flags=ANSWERED) is None
    local = guest.call("connect", texts=to)
    assert (local.protocol, local.address, local.port) == ("tcp", "192.0.2.1", 443)
    assert guest.call("sendto", texts=to).protocol == "udp"
    failed = guest.call("connect", texts=to, flags=ANSWERED | DENIED)
    assert failed.address == "192.0.2.1", "what failed never reaches the gateway"
    unix = guest.call("connect", texts=[(Text.ADDRESS, b"\1\0/run/x.sock\0junk")], flags=0)
    assert (unix.protocol, unix.address) == ("unix", "/run/x.sock")
    assert guest.call("connect", texts=[(Text.ADDRESS, struct.pack("<H", 0) + bytes(14))]) is None


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (inet(bytes([10, 0, 0, 1]), 80), ("inet", "10.0.0.1", 80)),
        (inet6(bytes(15) + b"\1") + bytes(4), ("inet6", "::1", 443)),
        (inet6(bytes(10) + b"\xff\xff\x7f\0\0\1"), ("inet6", "127.0.0.1", 443)),
        (b"\1\0/tmp/s\0", ("unix", "/tmp/s", 0)),
        (b"\1\0\0abstract\0x", ("unix", "@abstract\0x", 0)),
        (b"\1\0", ("unix", "", 0)),
        (b"\1\0\xff", ("unix", "\\xff", 0)),
        (struct.pack("<H", 16) + bytes(10), ("netlink", "", 0)),
        (struct.pack("<H", 40) + bytes(14), ("vsock", "", 0)),
        (struct.pack("<H", 999) + bytes(14), ("", "", 0)),
        (struct.pack("<H", 2) + bytes(4), ("inet", "", 0)),
        (struct.pack("<H", 10) + bytes(20), ("inet6", "", 0)),
        (b"\2", ("", "", 0)),
        (b"", ("", "", 0)),
    ],
)
def test_addresses(raw: bytes, found: tuple[str, str, int]) -> None:
    assert calls.address_of(raw) == found


@given(st.binary(max_size=140))
def test_any_bytes_are_an_address_or_none(raw: bytes) -> None:
    family, address, port = calls.address_of(raw)
    assert 0 <= port < 65536
    assert family or not address
    calls.is_local(address)


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", True), ("::", True), ("192.0.2.1", False),
     ("", False), ("2001:db8::1", False), ("::ffff:127.0.0.1", True)],
)  # fmt: skip
def test_what_is_the_guest_itself(address: str, local: bool) -> None:
    assert calls.is_local(address) is local


def test_sockets_and_ports() -> None:
    guest = Guest()
    raw = guest.call("socket", 2, 3 | 0o2000000, 1)
    assert (raw.family, raw.kind, raw.denied) == ("inet", "raw", False)
    assert guest.call("socket", 40, 1, flags=DENIED).denied
    odd = guest.call("socket", 77, 9)
    assert (odd.family, odd.kind) == ("77", "9")
    bound = guest.call("bind", texts=[(Text.ADDRESS, inet(bytes(4), 8080))])
    assert (bound.address, bound.port) == ("0.0.0.0", 8080)
    named = guest.call("bind", texts=[(Text.ADDRESS, b"\1\0/x")])
    assert (named.address, named.port) == ("unix:/x", 0)
    assert guest.call("bind", texts=[(Text.ADDRESS, b"\x10\0/x")]) is None


def test_sleeps_are_news_only_where_they_were_skipped() -> None:
    guest = Guest()
    asked = [(Text.TIME, struct.pack("<Q", 90_000_000_000))]
    assert guest.call("nanosleep", texts=asked, flags=ANSWERED).seconds == 90.0
    assert guest.call("nanosleep", texts=asked) is None
    assert guest.call("poll", texts=[(Text.TIME, b"short")], flags=ANSWERED) is None


def test_telling_calls_say_whom_they_are_aimed_at() -> None:
    guest = Guest()
    event = guest.call("ptrace", 16, 4242)
    assert (event.name, event.detail, event.args[:2]) == ("ptrace", "pid 4242", [16, 4242])
    for everybody in (2**64 - 1, 2**32 - 1):  # as programs of 64 and of 32 bits pass it
        event = guest.call("kill", everybody, 9)
        assert (event.args[:2], event.detail) == ([-1, 9], "pid -1")
    assert guest.call("memfd_create", texts=path(b"payload")).detail == "payload"
    assert guest.call("io_uring_setup", 8, flags=DENIED).denied
    assert guest.call("mystery").name == "mystery"


def test_a_foreign_architecture_is_told_whatever_its_number_means_here() -> None:
    event = Guest().call("exit_group", 1, flags=DENIED | FOREIGN | 0x03 << 8)
    assert event.name == "foreign_architecture"
    assert event.denied
    assert "0x3" in event.detail


STRINGS = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=150)), max_size=5)


@given(
    st.sampled_from(NAMES), st.lists(st.integers(0, 2**64 - 1), max_size=6), STRINGS, st.integers(0, 2**32 - 1)
)
def test_any_call_becomes_an_event_that_can_be_written_and_read_again(
    name: str, args: list[int], texts: list[tuple[int, bytes]], flags: int
) -> None:
    guest = Guest()
    guest.call(name, *args, texts=texts, flags=flags)
    written = [events.encode(event) for event in guest.events]  # type: ignore[arg-type]
    assert list(events.lines(written)) == guest.events
