"""What each system call means as an event. One function a kind of call; `HANDLERS` says which takes which. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from posixpath import normpath
from typing import Literal, NamedTuple, Protocol

from sandbox import events
from sandbox.warden.frames import Text, address_text

DENIED, ANSWERED, FOREIGN = 1, 2, 4

O_ACCMODE, O_WRONLY, O_RDWR = 3, 1, 2
O_CREAT, O_TRUNC, O_DIRECTORY, O_PATH = 0o100, 0o1000, 0o200000, 0o10000000
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
FAMILIES = {
    1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock", 31: "bluetooth",
    29: "can", 44: "xdp",
}  # fmt: skip
KINDS = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}


def absolute(path: bytes, base: bytes) -> str:
    """A path as text, joined to where it was relative to, and folded."""
    joined = path if path[:1] == b"/" or not base else (base + b"/" + path if path else base)
    plain = joined.decode("utf-8", "backslashreplace")
    if "/." in plain or "//" in plain or plain[-1:] == "/":
        folded = normpath(plain)
        return folded[1:] if folded.startswith("//") else folded
    return plain


class Lineage(Protocol):
    """Who keeps the processes: the tracker."""

    def forked(self, pid: int, at: float) -> None:
        """A process is about to make another."""
        ...

    def exited(self, pid: int) -> None:
        """A process asked to end."""
        ...


class Call(NamedTuple):
    """A call record: whose, when, which, with what."""

    tracker: Lineage
    pid: int
    process: int
    at: float
    name: str
    args: tuple[int, ...]
    flags: int
    strings: list[tuple[int, bytes]]

    def first(self, kind: int) -> bytes | None:
        """The first attached string of a kind."""
        for found, raw in self.strings:
            if found == kind:
                return raw
        return None

    def path(self, kind: int = Text.PATH, base: int = Text.BASE) -> str:
        """An attached path, absolute; empty where it could not be read."""
        raw = self.first(kind)
        return "" if raw is None else absolute(raw, self.first(base) or b"")


Record = Callable[..., None]
Handler = Callable[[Call, Record], None]


def _open(call: Call, record: Record, flags: int) -> None:
    access: Literal["read", "write", "readwrite", "path"] = "read"
    if flags & O_PATH:
        access = "path"
    elif flags & O_ACCMODE == O_RDWR:
        access = "readwrite"
    elif flags & O_ACCMODE == O_WRONLY or flags & O_TRUNC:
        access = "write"
    record(
        events.FileOpened,
        at=call.at,
        process=call.process,
        path=call.path(),
        access=access,
        created=bool(flags & O_CREAT),
        directory=bool(flags & O_DIRECTORY),
    )


def _opened(call: Call, record: Record) -> None:
    _open(call, record, call.args[1])


def _opened_at(call: Call, record: Record) -> None:
    _open(call, record, call.args[2])


def _opened_how(call: Call, record: Record) -> None:
    raw = call.first(Text.TIME) or b""
    _open(call, record, struct.unpack("<Q", raw[:8])[0] if len(raw) >= 8 else 0)


def _created(call: Call, record: Record) -> None:
    _open(call, record, O_WRONLY | O_CREAT | O_TRUNC)


def _probed(call: Call, record: Record) -> None:
    record(events.FileProbed, at=call.at, process=call.process, path=call.path(), call=call.name)


_CHANGES = {
    "rename": "renamed", "renameat": "renamed", "renameat2": "renamed", "unlink": "removed",
    "unlinkat": "removed", "rmdir": "removed", "link": "linked", "linkat": "linked", "symlink": "symlinked",
    "symlinkat": "symlinked", "chmod": "mode", "fchmodat": "mode", "fchmodat2": "mode", "chown": "owner",
    "lchown": "owner", "fchownat": "owner", "truncate": "truncated", "mkdir": "made", "mkdirat": "made",
    "mknod": "made", "mknodat": "made", "utime": "times", "utimes": "times", "utimensat": "times",
    "futimesat": "times",
}  # fmt: skip


def _changed(call: Call, record: Record) -> None:
    target = call.path(Text.PATH2, Text.BASE2) if call.first(Text.PATH2) is not None else ""
    if call.name.startswith("symlink"):
        raw = call.first(Text.PATH2) or b""
        target = raw.decode("utf-8", "backslashreplace")
    mode = {"chmod": 1, "fchmodat": 2, "fchmodat2": 2}.get(call.name)
    record(
        events.FileChanged,
        at=call.at,
        process=call.process,
        path=call.path(),
        change=_CHANGES[call.name],
        target=target,
        mode=call.args[mode] & 0o7777 if mode else 0,
    )


def _program(call: Call, record: Record) -> None:
    argv = [raw.decode("utf-8", "backslashreplace") for kind, raw in call.strings if kind == Text.ARGUMENT]
    record(events.ProgramRequested, at=call.at, process=call.process, path=call.path(), argv=argv)


def _ended(call: Call, record: Record) -> None:
    call.tracker.exited(call.pid)
    record(events.ProcessExited, at=call.at, process=call.process, code=call.args[0] & 0xFF)


def _forked(call: Call, record: Record) -> None:
    if call.flags & DENIED:
        telling(call, record)
    call.tracker.forked(call.pid, call.at)


def address_of(raw: bytes) -> tuple[str, str, int]:
    """A sockaddr as (family, address, port); ("", "", 0) where it is none that we know."""
    if len(raw) < 2:
        return "", "", 0
    family = struct.unpack("<H", raw[:2])[0]
    if family == AF_INET and len(raw) >= 8:
        return "inet", ".".join(map(str, raw[4:8])), struct.unpack(">H", raw[2:4])[0]
    if family == AF_INET6 and len(raw) >= 24:
        return "inet6", address_text(raw[8:24]), struct.unpack(">H", raw[2:4])[0]
    if family == AF_UNIX:
        name = raw[2:]
        name = b"@" + name[1:] if name[:1] == b"\0" else name.split(b"\0")[0]
        return "unix", name.decode("utf-8", "backslashreplace"), 0
    return FAMILIES.get(family, ""), "", 0


def is_local(address: str) -> bool:
    """Whether an address means the guest itself."""
    return address.startswith("127.") or address in ("::1", "0.0.0.0", "::") or address.startswith("::ffff:127.")


def _connected(call: Call, record: Record) -> None:
    """Connections to elsewhere are recorded by the gateway, when they arrive; the rest, and what failed, here."""
    for kind, raw in call.strings:
        if kind != Text.ADDRESS:
            continue
        family, address, port = address_of(raw)
        if family == "unix":
            record(
                events.ConnectionOpened, at=call.at, process=call.process, protocol="unix", address=address
            )
        elif family and (call.flags & ANSWERED == 0 or call.flags & DENIED):
            record(
                events.ConnectionOpened,
                at=call.at,
                process=call.process,
                protocol="udp" if call.name.startswith("send") else "tcp",
                address=address,
                port=port,
            )


def _bound(call: Call, record: Record) -> None:
    family, address, port = address_of(call.first(Text.ADDRESS) or b"")
    if family == "unix":
        address = f"unix:{address}"
    if family in ("inet", "inet6", "unix"):
        record(events.PortBound, at=call.at, process=call.process, address=address, port=port)


def _socket(call: Call, record: Record) -> None:
    record(
        events.SocketCreated,
        at=call.at,
        process=call.process,
        family=FAMILIES.get(call.args[0] & 0xFFFFFFFF, str(call.args[0] & 0xFFFFFFFF)),
        kind=KINDS.get(call.args[1] & 0xF, str(call.args[1] & 0xF)),
        denied=bool(call.flags & DENIED),
    )


def _slept(call: Call, record: Record) -> None:
    raw = call.first(Text.TIME) or b""
    if call.flags & ANSWERED and len(raw) == 8:
        seconds = struct.unpack("<Q", raw)[0] / 1e9
        record(events.SleepSkipped, at=call.at, process=call.process, seconds=seconds)


_TARGETS = {"kill": 0, "ptrace": 1, "process_vm_readv": 0, "process_vm_writev": 0, "prlimit64": 0}


def telling(call: Call, record: Record) -> None:
    """A call that tells something by itself."""
    args = [value - (value >> 63 << 64) for value in call.args]
    target = 0
    if call.name in _TARGETS:  # a process number: signed, and 32 bits of its register
        target = args[_TARGETS[call.name]] & 0xFFFFFFFF
        target -= target >> 31 << 32
        args[_TARGETS[call.name]] = target
    path = call.path()
    record(
        events.SyscallCalled,
        at=call.at,
        process=call.process,
        name=call.name,
        args=args,
        denied=bool(call.flags & DENIED),
        detail=path or (f"pid {target}" if target else ""),
    )


def foreign(call: Call, record: Record) -> None:
    """A call through another architecture's door (int 0x80, x32), which would pass a sensor that knows one."""
    record(
        events.SyscallCalled,
        at=call.at,
        process=call.process,
        name="foreign_architecture",
        args=[value - (1 << 64) if value >> 63 else value for value in call.args],
        denied=True,
        detail=f"architecture {call.flags >> 8:#x}, {call.name}",
    )


HANDLERS: dict[str, Handler] = {
    "open": _opened, "openat": _opened_at, "openat2": _opened_how, "creat": _created,
    "execve": _program, "execveat": _program, "exit_group": _ended,
    "fork": _forked, "vfork": _forked, "clone": _forked,
    "connect": _connected, "sendto": _connected, "sendmsg": _connected, "sendmmsg": _connected,
    "bind": _bound, "socket": _socket,
    **dict.fromkeys(_CHANGES, _changed),
    **dict.fromkeys(
        ("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
        _probed,
    ),
    **dict.fromkeys(("nanosleep", "clock_nanosleep", "poll", "ppoll", "select", "pselect6"), _slept),
}  # fmt: skip
