"""A guest of the Docker backend without a package in it, for tests of what it can and cannot do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar

from sandbox import events
from sandbox.backends import GuestSpec
from sandbox.backends.docker import Docker
from sandbox.guest import Guest, LoopThread, Outcome
from sandbox.plan import Limits, Phase
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden.frames import Put

Kind = TypeVar("Kind", bound=events.Event)
HOME = "/home/dev"
KEY = f"{HOME}/.ssh/id_rsa"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "USER": "dev", "LANG": "C.UTF-8"}


class Internet:
    """Says hello to every connection, and answers no datagram."""

    def __init__(self) -> None:
        self.connections: list[Peer] = []

    async def serve(self, stream: Stream) -> None:
        """One greeting for each piece that comes."""
        self.connections.append(stream.peer)
        while data := await stream.read():
            await stream.write(b"hello " + data[:20])

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        """None."""
        del peer, data
        return []


class Contained:
    """A container that runs, and its recording."""

    def __init__(self, backend: Docker, folder: Path, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.path = folder / f"recording-{time.monotonic_ns()}"
        self.recorder = Recorder(self.path, events.Header(), 500_000)
        self.internet = Internet()
        self.loop = LoopThread()
        files = (("/proc/cpuinfo", b"processor\t: 0\n" * 8),)
        spec = GuestSpec(host_name="nl-thinkpad", home=HOME, uptime=300_000, cpus=8, limits=limits, files=files)
        self._ended = False
        try:
            self.running = backend.start(spec)
            self.guest = Guest(self.loop, self.running, self.recorder, self.internet, [("ssh", KEY)], limits)
            puts = [
                *self.running.puts,
                Put(HOME, kind=2, mode=0o755),
                Put(KEY, b"secret\n", 0o600),
                Put(f"{HOME}/project", kind=2, mode=0o755),
                Put("/etc/passwd", b"root:x:0:0::/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/sh\n", owned=False),
            ]
            self.guest.prepare(puts, 8, [])
        except BaseException:
            self.recorder.abandon()
            self.loop.close()
            raise

    def shell(self, text: str, seconds: float = 30.0) -> Outcome:
        """Run a text in the guest's shell."""
        phase = Phase(name="run", kind="run", argv=("/bin/sh", "-c", text), seconds=seconds)
        return self.guest.run(phase, ENVIRONMENT, f"{HOME}/project")

    def told(self, text: str, seconds: float = 30.0) -> str:
        """What a text in the guest's shell writes to a file, read by the warden."""
        self.shell(f"{{ {text}\n}} >/tmp/told 2>&1", seconds)
        return self.guest.read("/tmp/told").decode("utf-8", "replace")

    def end(self) -> None:
        """End it, once."""
        if not self._ended:
            self._ended = True
            self.guest.end()
            self.recorder.close()
            self.loop.close()

    def events(self, kind: type[Kind]) -> list[Kind]:
        """Events of that kind; ends the guest."""
        self.end()
        return [event for event in events.read(self.path).events if isinstance(event, kind)]
