"""Keeps the beginning and the end of what was sent, counts the rest, and keeps all connections together in bounds."""

from __future__ import annotations

from collections import deque

RECORDED = 64 * 1024
"""How much of a body or a stream goes into the recording."""

_ALWAYS = 16 * 1024


class Pool:
    """Memory that all connections share. What cannot be had is not kept, and the capture counts it as skipped."""

    def __init__(self, size: int) -> None:
        self.free = size

    def take(self, size: int) -> int:
        """As much of `size` as there is."""
        size = max(0, min(size, self.free))
        self.free -= size
        return size


class Capture:
    """The first `most` bytes and the last `ending` bytes of something long."""

    def __init__(self, pool: Pool, most: int, ending: int) -> None:
        self.size = 0
        self._pool = pool
        self._most = most
        self._ending = ending
        self._head = bytearray()
        self._full = False
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._taken = 0

    @property
    def head(self) -> bytes:
        """The beginning, as far as it is kept."""
        return bytes(self._head)

    @property
    def recorded(self) -> bytes:
        """The part for the recording."""
        return bytes(self._head[:RECORDED])

    @property
    def skipped(self) -> int:
        """How many bytes between the beginning and the end were not kept."""
        return self.size - len(self._head) - self._tail_size

    def add(self, data: bytes) -> None:
        """Keep as much of `data` as there is room for."""
        self.size += len(data)
        if not self._full:
            room = self._room(min(len(data), self._most - len(self._head)))
            self._head += data[:room]
            data = data[room:]
            if not data:
                return
            self._full = True
            taken = self._pool.take(self._ending)
            self._taken += taken
            self._ending = max(taken, min(self._ending, _ALWAYS))
        self._tail.append(data[-self._ending :] if self._ending else b"")
        self._tail_size += len(self._tail[-1])
        while self._tail and self._tail_size - len(self._tail[0]) >= self._ending:
            self._tail_size -= len(self._tail.popleft())

    def _room(self, wanted: int) -> int:
        """How much of the beginning may be kept: a little always, more while the pool lasts."""
        free = max(0, min(wanted, _ALWAYS - len(self._head)))
        taken = self._pool.take(wanted - free)
        self._taken += taken
        return free + taken

    def parts(self) -> list[bytes]:
        """What is kept, in one part where nothing is missing between."""
        tail = b"".join(self._tail)
        if not tail:
            return [bytes(self._head)] if self._head else []
        return [bytes(self._head) + tail] if self.skipped == 0 else [bytes(self._head), tail]

    def release(self) -> None:
        """Forget everything and give the memory back."""
        self._pool.free += self._taken
        self._taken = 0
        self._head = bytearray()
        self._tail.clear()
        self._tail_size = 0
