"""A container's attached stream: dockerd wraps what the container prints, and carries it over sockets of many kinds."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Any, Protocol

HEADER = struct.Struct(">BxxxI")
STDOUT, STDERR = 1, 2
LONGEST = 16 * 1024 * 1024
"""Bytes of one chunk; dockerd's own are 32 KiB."""
SAID = 4096
"""Bytes of stderr that are kept."""
CHUNK = 256 * 1024


class Unwrapper:
    """Takes what a container wrote to stdout out of dockerd's stream of chunks; keeps a little of stderr in `said`."""

    def __init__(self) -> None:
        self._rest = b""
        self.said = b""

    def __call__(self, data: bytes) -> bytes:
        """The bytes of stdout in `data`, which may begin and end anywhere. Raises ValueError for what is no chunk."""
        data = self._rest + data if self._rest else data
        at, size, found = 0, len(data), []
        while size - at >= HEADER.size:
            stream, length = HEADER.unpack_from(data, at)
            if stream not in (STDOUT, STDERR) or length > LONGEST:
                raise ValueError(f"a chunk of stream {stream} with {length} bytes")
            end = at + HEADER.size + length
            if end > size:
                break
            if stream == STDOUT:
                found.append(data[at + HEADER.size : end])
            else:
                self.said = (self.said + data[at + HEADER.size : end])[:SAID]
            at = end
        self._rest = data[at:]
        return found[0] if len(found) == 1 else b"".join(found)


class Attached(Protocol):
    """What the SDK gives for an attached stream that is no plain socket: TLS, or a program that speaks SSH."""

    def recv(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...

    def sendall(self, data: bytes, /) -> object:
        """Send all of it."""
        ...

    def close(self) -> object:
        """End both directions."""
        ...


class _Piped:
    """A program that speaks SSH, at the end of two pipes. The SDK's own `recv` waits for all that was asked."""

    def __init__(self, attached: Any) -> None:
        self._attached = attached

    def recv(self, size: int, /) -> bytes:
        """See `Attached.recv`."""
        data: bytes = self._attached.proc.stdout.read1(size)
        return data

    def sendall(self, data: bytes, /) -> None:
        """See `Attached.sendall`."""
        self._attached.sendall(data)

    def close(self) -> None:
        """End the program; its stdout then ends too."""
        self._attached.close()
        self._attached.proc.wait(10)


def plain(attached: Any) -> socket.socket:
    """A plain socket with the stream's bytes. asyncio takes no other: TLS and SSH are carried over by two threads,
    which end with either side."""
    inner = getattr(attached, "_sock", attached)
    if type(inner) is socket.socket:
        return inner
    if hasattr(inner, "proc"):
        inner = _Piped(inner)
    ours, theirs = socket.socketpair()
    for source, sink in ((inner, theirs), (theirs, inner)):
        threading.Thread(target=_carry, args=(source, sink), name="attached", daemon=True).start()
    return ours


def _carry(source: Attached, sink: Attached) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError, ValueError):
            # A close alone does not wake the other thread, which waits in recv.
            getattr(end, "shutdown", lambda _how: None)(socket.SHUT_RDWR)
        with suppress(OSError, ValueError):
            end.close()
