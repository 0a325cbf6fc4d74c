"""Frames between the host and the warden: a 12-byte header and a payload, little endian. Pure.

`docs/warden.md` describes every payload. What the warden sends holds bytes from hostile processes: `decode` reads
them, and raises nothing but ValueError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum

import msgspec

HEADER = struct.Struct("<III")
MAX_FRAME = 1 << 20
WINDOW = 1 << 20
"""Bytes that may be under way to one connection of the guest before the warden gives credit."""


class Host(IntEnum):
    """What the host asks of the warden."""

    PLAN = 1
    PUT = 2
    SEAL = 3
    WATCH = 4
    SPAWN = 5
    STOP = 6
    DATA = 7
    FINISH = 8
    RESET = 9
    DATAGRAM = 10
    LIST = 11
    READ = 12
    SURVEY = 13
    END = 14
    LOOPBACK = 15
    LISTEN = 16
    HOLD = 17
    TAKE = 18
    ALIVE = 19


class Warden(IntEnum):
    """What the warden tells the host."""

    READY = 64
    FAILED = 65
    CALL = 66
    PROCESS = 67
    SPAWNED = 68
    EXITED = 69
    OUTPUT = 70
    OUTPUT_ENDED = 71
    OPENED = 72
    DATA = 73
    FINISHED = 74
    CLOSED = 75
    CREDIT = 76
    DATAGRAM = 77
    TOUCHED = 78
    LOST = 79
    LISTING = 80
    CONTENT = 81
    SURVEYED = 82
    ENDED = 83
    SPAWN_FAILED = 84


class Text(IntEnum):
    """What a string attached to a record is."""

    NUMBER_AND_NAME = 0
    PATH = 1
    BASE = 2
    PATH2 = 3
    BASE2 = 4
    ADDRESS = 5
    ARGUMENT = 6
    EXE = 7
    CWD = 8
    TIME = 9
    CUT = 10


class Put(msgspec.Struct, frozen=True):
    """Something to plant: kind 0 file, 2 directory, 3 symbolic link (content is its target); 4 what an open of `path`
    is answered with instead of the file, 5 a path that is said not to be there (both only in containers)."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    kind: int = 0
    modified: int = 0
    owned: bool = True


def pack(kind: int, identity: int = 0, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), kind, identity) + payload


def pack_plan(sleep: float, processes: int, open_files: int, cpus: int, memory: int, file_size: int) -> bytes:
    """The guest's limits, for the warden."""
    payload = struct.pack("<IIIIQQ", int(sleep * 1000), processes, open_files, cpus, memory, file_size)
    return pack(Host.PLAN, 0, payload)


def pack_put(put: Put) -> Iterator[bytes]:
    """A file to plant, in as many frames as it takes."""
    path = put.path.encode()
    step = MAX_FRAME - len(path) - 64
    if put.kind == 4 and len(put.content) > step:
        raise ValueError(f"the answer for {put.path} is too long")
    kind = put.kind
    for start in range(0, max(len(put.content), 1), step):
        head = struct.pack("<IIqII", kind, put.mode, put.modified, len(path), int(put.owned))
        yield pack(Host.PUT, 0, head + path + put.content[start : start + step])
        kind = 1


def pack_spawn(
    identity: int,
    argv: Sequence[str],
    environment: dict[str, str],
    cwd: str,
    *,
    file_size: int,
    memory: int,
    processes: int,
    open_files: int,
    traced: bool = True,
) -> bytes:
    """A program to start; untraced only where a benchmark needs a yardstick. Raises ValueError where a string holds
    a zero byte or all is too long."""
    strings = [cwd, *argv, *(f"{name}={value}" for name, value in environment.items())]
    if any("\0" in text for text in strings):
        raise ValueError("a zero byte in an argument")
    head = struct.pack(
        "<IIIQQIII", identity, len(argv), len(environment), file_size, memory, processes, open_files, traced
    )
    payload = head + b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in strings)
    if len(payload) > 128 * 1024:
        raise ValueError("the command is too long")
    return pack(Host.SPAWN, identity, payload)


def address_bytes(text: str) -> bytes:
    """An IP address as 16 bytes, IPv4 mapped."""
    import ipaddress

    address = ipaddress.ip_address(text)
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed


def address_text(raw: bytes) -> str:
    """The text of 16 address bytes."""
    import ipaddress

    if raw[:12] == b"\0" * 10 + b"\xff\xff":
        return ".".join(map(str, raw[12:16]))
    return str(ipaddress.IPv6Address(raw))


def pack_datagram(source: tuple[str, int], to: tuple[str, int], data: bytes) -> bytes:
    """A datagram for the guest, as if from the address that it asked."""
    head = address_bytes(source[0]) + struct.pack("<I", source[1])
    head += address_bytes(to[0]) + struct.pack("<I", to[1])
    return pack(Host.DATAGRAM, 0, head + data)


class Parser:
    """Cuts a stream of bytes into frames: `feed` returns those that are whole. Raises ValueError for a frame
    longer than any that the warden makes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Frames as (kind, id, payload)."""
        data = self._rest + data if self._rest else data
        frames = []
        at, size = 0, len(data)
        unpack = HEADER.unpack_from
        while size - at >= 12:
            length, kind, identity = unpack(data, at)
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes")
            end = at + 12 + length
            if end > size:
                break
            frames.append((kind, identity, data[at + 12 : end]))
            at = end
        self._rest = data[at:]
        return frames


def strings(payload: bytes, at: int) -> list[tuple[int, bytes]]:
    """The strings attached to a record, from offset `at`. Raises ValueError where they are cut short."""
    found = []
    size = len(payload)
    while at < size:
        if at + 3 > size:
            raise ValueError("a string's head is cut")
        kind = payload[at]
        end = at + 3 + payload[at + 1] + (payload[at + 2] << 8)
        if end > size:
            raise ValueError("a string is cut")
        found.append((kind, payload[at + 3 : end]))
        at = end
    return found
