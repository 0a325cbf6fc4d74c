"""Bytes to and from a package, plain or under TLS, with time limits. Over `Stream`s: no sockets here either."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Protocol

from sandbox.streams import Stream

IDLE = 120.0
"""Seconds after which a connection on which nothing moves is dropped."""

_PIECE = 256 * 1024


class Carrier(Protocol):
    """What a `Channel` runs over: a `Stream`, or TLS over another channel."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def finish(self) -> None: ...


class Counted:
    """A `Stream` that counts, as seen on the wire."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.sent = 0
        self.received = 0

    async def read(self) -> bytes:
        """The next bytes from the package, counted as sent by it."""
        data = await self._stream.read()
        self.sent += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Send to the package, which must take it within the time limit."""
        self.received += len(data)
        async with asyncio.timeout(IDLE):
            await self._stream.write(data)

    async def finish(self) -> None:
        """No more will be written."""
        await self._stream.finish()


class Channel:
    """Reads with a time limit, takes back what was read too far.

    A read that is not done in time goes on in the background and is waited for next time: nothing is lost.
    """

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._reading: asyncio.Task[bytes] | None = None
        self._returned = b""
        self._ended = False

    async def read(self, seconds: float = IDLE) -> bytes | None:
        """The next bytes, b"" at the end, None where none came in time. Raises ConnectionError."""
        if self._returned:
            data, self._returned = self._returned, b""
            return data
        if self._ended:
            return b""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._carrier.read())
        done, _ = await asyncio.wait((self._reading,), timeout=seconds)
        if not done:
            return None
        task, self._reading = self._reading, None
        data = task.result()
        self._ended = not data
        return data

    def give_back(self, data: bytes) -> None:
        """Read `data` again next time."""
        self._returned = data + self._returned

    async def write(self, data: bytes) -> None:
        """Send to the package. Raises ConnectionError or TimeoutError."""
        await self._carrier.write(data)

    async def finish(self) -> None:
        """No more will be written."""
        await self._carrier.finish()

    def close(self) -> None:
        """Stop waiting for bytes."""
        if self._reading is not None:
            self._reading.cancel()
            # Its end, whatever it is, has nobody to hear of it any more.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._reading = None


class Tls:
    """The server's side of TLS over a channel."""

    def __init__(self, lower: Channel, context: ssl.SSLContext) -> None:
        self._lower = lower
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._sending = asyncio.Lock()

    async def handshake(self) -> None:
        """Raises ssl.SSLError where the client refuses, ConnectionError where it goes away."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                await self._flush()
                raise
            else:
                await self._flush()
                return

    async def read(self) -> bytes:
        """The next bytes in the clear; b"" at the end, whether it was announced or not."""
        while True:
            try:
                return self._object.read(_PIECE)
            except ssl.SSLWantReadError:
                # Who has gone away does not take what we still had to say, but may have left something behind.
                with contextlib.suppress(ConnectionError):
                    await self._flush()
                if not await self._fill():
                    return b""
            except ssl.SSLError as error:
                if error.reason in ("UNEXPECTED_EOF_WHILE_READING", None) or isinstance(error, ssl.SSLZeroReturnError):
                    return b""
                raise ConnectionResetError(f"TLS failed: {error.reason}") from error

    async def write(self, data: bytes) -> None:
        """Encrypt and send, in pieces large enough to be fast and small enough to be bounded."""
        view = memoryview(data)
        for place in range(0, len(view), _PIECE):
            try:
                self._object.write(view[place : place + _PIECE])
            except ssl.SSLError as error:
                raise ConnectionResetError(f"TLS failed: {error.reason}") from error
            await self._flush()

    async def finish(self) -> None:
        """Say that no more comes; the other side may already be gone."""
        with contextlib.suppress(ssl.SSLError):  # it has not answered yet, and need not
            self._object.unwrap()
        await self._flush()
        await self._lower.finish()

    async def _fill(self) -> bool:
        """Take in more ciphertext; False at its end."""
        data = await self._lower.read()
        if data is None:
            raise TimeoutError("nothing came under TLS")
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)

    async def _flush(self) -> None:
        """Send what has been encrypted; in order, although a reader and a writer may both come here."""
        if self._outgoing.pending:
            async with self._sending:
                data = self._outgoing.read()
                if data:
                    await self._lower.write(data)
