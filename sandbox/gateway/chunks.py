"""What a chunked body carries beside its data: the extensions of its chunks, which `h11` reads and drops, and a line
that was never finished. Pure, bounded, and written for hostile input: nothing here raises.
"""

from __future__ import annotations

_MOST_KEPT = 64 * 1024
_LONGEST_LINE = 256 * 1024
_LONGEST_SIZE = 20


class Framing:
    """Follows the chunks of one body, from the first byte after its head. `skipped`: bytes there was no room for."""

    def __init__(self) -> None:
        self.skipped = 0
        self._line = bytearray()
        self._left = 0
        self._over = False
        self._kept: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """The next bytes, however they are cut."""
        place = 0
        while place < len(data) and not self._over:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            end = data.find(b"\n", place) + 1 or len(data)
            self._line += data[place:end]
            place = end
            if self._line.endswith(b"\n"):
                self._head(bytes(self._line))
                self._line.clear()
            elif len(self._line) > _LONGEST_LINE:
                self._over = True  # `h11` gives up on it too, and what came is looked at as no HTTP

    def extensions(self) -> tuple[bytes, ...]:
        """What stood after the sizes of chunks, as it was, and the beginning of a line that did not end."""
        unfinished = bytes(self._line.partition(b";")[2])
        if not unfinished and len(self._line) > _LONGEST_SIZE:
            unfinished = bytes(self._line)
        return (*self._kept, unfinished[:_MOST_KEPT]) if unfinished else tuple(self._kept)

    def _head(self, line: bytes) -> None:
        digits, _, extension = line.strip().partition(b";")
        try:
            size = int(digits[:_LONGEST_SIZE], 16)
        except ValueError:
            self._over = True
            return
        if extension:
            room = max(0, _MOST_KEPT - self._size)
            self._size += len(extension[:room])
            self.skipped += len(extension[room:])
            if room:
                self._kept.append(extension[:room])
        self._left = max(0, size) + 2
        self._over = size <= 0  # trailers follow, and `h11` gives them
