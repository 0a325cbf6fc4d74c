"""WebSocket as far as a listener needs it: accepts, unmasks what the client says, answers pings. Pure."""

from __future__ import annotations

import base64
import hashlib

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 8, 9, 10


def accept_key(key: str) -> str:
    """The answer to a client's `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()).decode()


class Frames:
    """Unmasks frames as they come; of a long frame the parts are told as they arrive."""

    def __init__(self) -> None:
        self._buffer = b""
        self._place = 0
        self._mask = b""
        self._left = 0
        self._opcode = 0
        self._control = b""
        self.closed = False

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """(what the client said in the clear, what to send back)."""
        self._buffer = self._buffer[self._place :] + data
        self._place = 0
        said, reply = [], []
        while not self.closed:
            if self._left == 0 and not self._begin():
                break
            piece = self._buffer[self._place : self._place + self._left]
            self._place += len(piece)
            if not piece and self._left:
                break
            plain = _unmask(piece, self._mask)
            self._left -= len(piece)
            if len(self._mask) == 4:
                turn = len(piece) % 4
                self._mask = self._mask[turn:] + self._mask[:turn]
            if self._opcode < _CLOSE:
                said.append(plain)
                continue
            said.append(plain)
            self._control = (self._control + plain)[:125]
            if self._left == 0:
                reply.append(self._answer())
        return b"".join(said), b"".join(reply)

    def _begin(self) -> bool:
        """Read the head of a frame; False where it is not complete."""
        head = self._buffer[self._place : self._place + 14]
        if len(head) < 2:
            return False
        size, place = head[1] & 127, 2
        if size >= 126:
            place = 4 if size == 126 else 10
            size = int.from_bytes(head[2:place], "big")
        end = place + (4 if head[1] & 128 else 0)
        if len(head) < end:
            return False
        self._opcode, self._mask, self._left = head[0] & 15, head[place:end], size
        self._control = b""
        self._place += end
        return True

    def _answer(self) -> bytes:
        if self._opcode == _CLOSE:
            self.closed = True
            return bytes((128 | _CLOSE, len(self._control))) + self._control
        if self._opcode == _PING:
            return bytes((128 | _PONG, len(self._control))) + self._control
        return b""


def _unmask(data: bytes, mask: bytes) -> bytes:
    if not mask or not data:
        return data
    repeated = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")
