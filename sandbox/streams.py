"""The seam between a guest's byte stream and the gateway that plays the internet to it.

The warden accepts a connection inside the guest; the link hands it to the gateway as a `Stream`. Nothing here does
I/O: the link implements these, and tests implement them in memory.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Peer(msgspec.Struct, kw_only=True):
    """Who reached for what: the address and port that the package asked for, and the process that did. `phase` is the
    one in which what was last read of it arrived, which may be over by the time that it is looked at; None where
    nothing waits between arriving and being looked at."""

    connection: int
    address: str
    port: int
    process: int = 0
    phase: str | None = None


class Stream(Protocol):
    """One TCP connection of a guest. All methods run on the gateway's event loop."""

    @property
    def peer(self) -> Peer:
        """The destination that the package asked for, and by whom."""
        ...

    async def read(self) -> bytes:
        """The next bytes from the package; b"" when it has finished sending. Raises ConnectionError if reset."""
        ...

    async def write(self, data: bytes) -> None:
        """Send to the package; waits while the package does not read. Raises ConnectionError if it is gone."""
        ...

    async def finish(self) -> None:
        """No more bytes will be written."""
        ...

    def reset(self) -> None:
        """Drop the connection at once."""
        ...
