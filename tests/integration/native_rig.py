"""A real guest on the native backend and its recording, for the tests that run programs in one."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from sandbox import events
from sandbox.backends import GuestSpec, Running
from sandbox.backends.native import BACKEND
from sandbox.guest import Guest, LoopThread, Outcome
from sandbox.plan import Limits, Phase
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden.frames import Put

ROOT = Path(__file__).parent.parent.parent

PYTHON = "/usr/bin/python3"

KEY = "/home/dev/.ssh/id_rsa"

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home/dev", "USER": "dev", "LANG": "C.UTF-8"}

Kind = TypeVar("Kind", bound=events.Event)


class Internet:
    """Answers every connection with what was asked, and every datagram."""

    def __init__(self) -> None:
        self.connections: list[Peer] = []
        self.sent: dict[int, int] = {}
        self.datagrams: list[tuple[Peer, bytes]] = []

    async def serve(self, stream: Stream) -> None:
        """Says hello to what comes, and counts it."""
        self.connections.append(stream.peer)
        while data := await stream.read():
            self.sent[stream.peer.connection] = self.sent.get(stream.peer.connection, 0) + len(data)
            if data.startswith(b"big"):
                await stream.write(bytes(int(data[3:])))
            elif data.startswith(b"wait"):
                await asyncio.sleep(0.5)
            else:
                await stream.write(b"hello " + data[:20])

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        """Echoes."""
        self.datagrams.append((peer, data))
        return [b"re:" + data]


class Real:
    """A guest that runs, and its recording."""

    def __init__(self, folder: Path, limits: Limits, files: tuple[tuple[str, bytes], ...] = ()) -> None:
        self.path = folder / f"recording-{time.monotonic_ns()}"
        self.recorder = Recorder(self.path, events.Header(), 500_000)
        self.internet = Internet()
        self.loop = LoopThread()
        self.limits = limits
        cpuinfo = ("/proc/cpuinfo", b"processor\t: 0\n" * 8)
        self.running: Running = BACKEND.start(
            GuestSpec(
                host_name="nl-thinkpad", home="/home/dev", uptime=300_000, cpus=8, limits=limits, files=(cpuinfo,)
            )
        )
        self.guest = Guest(self.loop, self.running, self.recorder, self.internet, [("ssh", KEY)], limits)
        puts = [
            Put(KEY, b"secret\n", 0o600),
            Put("/home/dev/project", kind=2, mode=0o755),
            Put("/etc/passwd", b"root:x:0:0::/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/sh\n", owned=False),
            Put("/etc/resolv.conf", b"nameserver 192.168.1.1\n", owned=False),
            *(Put(path, content, 0o755) for path, content in files),
        ]
        self.guest.prepare(puts, 8, [])
        self._ended = False

    def run(self, *argv: str, seconds: float = 30.0) -> Outcome:
        phase = Phase(name="run", kind="run", argv=argv, seconds=seconds)
        return self.guest.run(phase, ENVIRONMENT, "/home/dev/project")

    def shell(self, text: str, seconds: float = 30.0) -> Outcome:
        return self.run("/bin/bash", "-c", text, seconds=seconds)

    def python(self, text: str, seconds: float = 30.0) -> Outcome:
        if not os.path.exists(PYTHON):
            pytest.skip(f"no {PYTHON} here to run in the guest")
        return self.run(PYTHON, "-c", textwrap.dedent(text), seconds=seconds)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self.guest.end()
            self.recorder.close()
            self.loop.close()

    def events(self, kind: type[Kind]) -> list[Kind]:
        self.end()
        return [event for event in events.read(self.path).events if isinstance(event, kind)]

    def printed(self, stream: str = "stdout") -> str:
        return b"".join(e.data for e in self.events(events.OutputWritten) if e.stream == stream).decode()

    def calls(self, name: str) -> list[events.SyscallCalled]:
        return [event for event in self.events(events.SyscallCalled) if event.name == name]

    def losses(self) -> list[str]:
        return [f"{loss.sensor}: {loss.reason}" for loss in self.events(events.SensorLost)]


Make = Callable[..., Real]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run. One that is reaped between two questions about it does not."""
    found = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


def gone(processes: list[psutil.Process], seconds: float = 1.0) -> bool:
    """Whether all of them are gone within that time."""
    limit = time.monotonic() + seconds
    while alive(processes) and time.monotonic() < limit:
        time.sleep(0.02)
    return not alive(processes)


def making(tmp_path: Path) -> Iterator[Make]:
    """For a fixture: makes guests; whatever a test does, each is ended, and must then be gone."""
    made: list[Real] = []
    before = set(psutil.Process().children(recursive=True))

    def make(files: tuple[tuple[str, bytes], ...] = (), **limits: Any) -> Real:
        made.append(Real(tmp_path, Limits(**limits), files))
        return made[-1]

    yield make
    ours = [one for one in psutil.Process().children(recursive=True) if one not in before]
    for one in made:
        one.end()
    assert gone(ours), f"still alive a second after the end: {alive(ours)}"


def compiling() -> str:
    """For a fixture: a C compiler, for programs that no interpreter can be."""
    found = shutil.which("cc") or shutil.which("gcc")
    if not found:
        pytest.skip("no C compiler here: apt-get install gcc libc6-dev")
    return found


def built(compiler: str, folder: Path, text: str) -> bytes:
    """A static program."""
    source = folder / "program.c"
    source.write_text(text)
    flags = ["-D_GNU_SOURCE", "-static", "-O1", "-pthread"]
    subprocess.run([compiler, *flags, "-o", str(folder / "program"), str(source)], check=True)
    return (folder / "program").read_bytes()


SURVIVORS = """
setsid nohup sleep 1000000 >/dev/null 2>&1 </dev/null &
(setsid bash -c 'trap "" TERM INT HUP QUIT; (while :; do read -t 0.1 </dev/zero; sleep 0.1; done) & disown' &)
( ( ( trap '' TERM; exec -a innocent tail -f /dev/null ) & ) & )
exec 1>&- 2>&-
"""

HOST = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from sandbox.plan import Limits
import importlib.util
specification = importlib.util.spec_from_file_location("rig", {file!r})
rig = importlib.util.module_from_spec(specification)
sys.modules["rig"] = rig
specification.loader.exec_module(rig)
guest = rig.Real(Path({folder!r}), Limits(sleep=2_000_000.0))
{script}
"""


def host_script(folder: Path, script: str) -> str:
    return HOST.format(root=str(ROOT), file=__file__, folder=str(folder), script=textwrap.dedent(script))
