"""A daemon that is not on the local socket: by TCP, and by the program that SSH runs on the other side."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sandbox import containers
from tests.integration.command_line import Machine
from tests.packages import build

pytestmark = pytest.mark.docker

SSH = """#!/bin/sh
# Instead of SSH: what it would run on the other machine is run on this one. The last argument is the command.
for command; do :; done
unset DOCKER_HOST
exec sh -c "$command"
"""


def local_socket() -> str:
    """Where the daemon of these tests listens."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the daemon of these tests is remote already")
    return host.removeprefix("unix://")


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def forward(listener: socket.socket, target: str) -> None:
    """Carry every connection to the daemon's own socket, until the listener is closed."""
    made: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(target)
            made += [near, far]
            for ends in ((near, far), (far, near)):
                threads.append(threading.Thread(target=pump, args=ends, daemon=True))
                threads[-1].start()
    for one in made:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(10)
    for one in made:
        one.close()


@pytest.fixture
def tcp() -> Iterator[str]:
    """The daemon, by TCP on the loopback."""
    target = local_socket()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=forward, args=(listener, target), daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def checked(tmp_path: Path, **environment: str) -> None:
    """A thief, by the whole command, on the daemon that the environment names; nothing of it is left there."""
    machine = Machine(tmp_path / "machine")
    package = build.build("npm-postinstall", tmp_path / "package")
    ended = machine.run("check", "--backend", "docker", "--format", "json", str(package), timeout=120, **environment)
    assert ended.code == 11, ended.stderr
    assert '"decoy_sent"' in ended.stdout
    with containers.client() as api:
        containers.sweep(api)
        assert api.containers(all=True, filters={"label": f"{containers.LABEL}=guest"}) == []


def test_a_daemon_by_tcp(tcp: str, tmp_path: Path) -> None:
    checked(tmp_path, DOCKER_HOST=tcp)


def test_a_daemon_by_ssh(tmp_path: Path) -> None:
    local_socket()
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(SSH)
    program.chmod(0o755)
    checked(tmp_path, DOCKER_HOST="ssh://somebody@far.test", PATH=f"{folder}:{os.environ['PATH']}")
