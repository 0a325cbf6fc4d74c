"""Ctrl-C and every other end from outside, at every kind of moment: soon, with one word, and nothing left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.command_line import Machine, await_moment, below, orphans_come_here, still_running
from tests.packages import build
from tests.packages.registry import Registry

Number = signal.Signals
FOREVER = ["tail", "-f", "/dev/null"]
STAYS = f"""require("child_process").spawnSync("{FOREVER[0]}", {FOREVER[1:]})\n"""
DETACHES = """
const how = {detached: true, stdio: "ignore"};
require("child_process").spawn("sh", ["-c", "trap '' INT TERM HUP; while :; do tail -f /dev/null; done"], how).unref();
setInterval(() => {}, 1000);
"""
CODES = {Number.SIGINT: 130, Number.SIGTERM: 143, Number.SIGHUP: 129, Number.SIGKILL: -9}
EVERY = pytest.mark.parametrize("number", CODES)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with orphans_come_here():
        assert still_running() == []
        yield Machine(tmp_path)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("packages")
    packages = [
        build.npm(folder, "plain-words", {"index.js": "module.exports = 1\n"}),
        build.npm(folder, "slow-install", {"index.js": "", "wait.js": STAYS}, scripts={"install": "node wait.js"}),
        build.npm(folder, "slow-import", {"index.js": STAYS}),
        build.npm(folder, "detaching", {"index.js": DETACHES}),
        build.wheel(folder, "slow-words", {"slow_words.py": f"import subprocess; subprocess.run({FOREVER})\n"}),
    ]
    with Registry(packages, host="packages.test") as serving:
        yield serving


class Stalling:
    """A registry that says `given` and then nothing more, with the connection open."""

    def __init__(self, given: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._given = given
        self._held: list[socket.socket] = []
        self.asked = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(connection)
            connection.recv(65536)
            connection.sendall(self._given)
            self.asked.set()

    def close(self) -> None:
        for one in (self._listener, *self._held):
            one.close()


def end(machine: Machine, command: subprocess.Popen[str], number: Number, *, group: bool = True) -> None:
    """Send the signal, to the whole group as a terminal does or to the command alone, and check all that is left."""
    if group:
        os.killpg(command.pid, number)
    else:
        command.send_signal(number)
    ended = machine.wait(command, 10)
    running = still_running(1.0)
    assert (ended.code, ended.stdout) == (CODES[number], ""), ended
    assert ended.seconds < 2
    if number != Number.SIGKILL:  # then only Python's own tidying may have something to say
        assert ended.talk == ["interrupted"]
    assert running == []
    assert machine.left_behind() == []


def started(command: subprocess.Popen[str], what: list[str]) -> Callable[[], bool]:
    """Whether the command has, at any depth, a process with this command line."""
    return lambda: what in below(psutil.Process(command.pid))


def busy_in(
    machine: Machine, registry: Registry, *targets: str, wrapped: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """A check that has come to where every package waits for ever."""
    machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
    command = machine.start("check", *targets, "--jobs", str(len(targets)), wrapped=wrapped)
    process = psutil.Process(command.pid)
    await_moment(lambda: below(process).count(FOREVER) >= len(targets), command)
    return command


def test_while_the_command_is_being_loaded(machine: Machine) -> None:
    stub = machine.root / "stub"
    stub.mkdir()
    (stub / "typer.py").write_text("open('loading', 'w').close()\nimport time\ntime.sleep(60)\n")
    command = machine.start("doctor", PYTHONPATH=f"{stub}:{machine.environment['PYTHONPATH']}")
    await_moment((machine.root / "loading").exists, command)
    end(machine, command, Number.SIGINT)


@pytest.mark.native
@pytest.mark.parametrize("target", ["npm:some-words", "pypi:some-words"])
@pytest.mark.parametrize(
    "given",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nContent-Type: application/json\r\n\r\n{"],
    ids=["no answer", "half an answer"],
)
def test_while_a_registry_is_silent(machine: Machine, target: str, given: bytes) -> None:
    stalling = Stalling(given)
    machine.use(stalling.url, stalling.url)
    command = machine.start("check", target)
    await_moment(stalling.asked.is_set, command)
    end(machine, command, Number.SIGINT)
    stalling.close()


@pytest.mark.native
@pytest.mark.parametrize("part", ["warden", "bwrap", "npm-cli.js"])
def test_while_the_guest_begins(machine: Machine, registry: Registry, part: str) -> None:
    machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
    command = machine.start("check", "npm:plain-words")
    process = psutil.Process(command.pid)
    await_moment(lambda: any(part in word for line in below(process) for word in line[:8]), command)
    end(machine, command, Number.SIGINT)


@pytest.mark.native
@pytest.mark.parametrize("target", ["npm:slow-install", "npm:slow-import", "npm:detaching", "pypi:slow-words"])
def test_while_a_package_runs(machine: Machine, registry: Registry, target: str) -> None:
    end(machine, busy_in(machine, registry, target), Number.SIGINT)


@pytest.mark.native
@EVERY
def test_whatever_ends_it(machine: Machine, registry: Registry, number: Number) -> None:
    end(machine, busy_in(machine, registry, "npm:slow-import"), number, group=False)


@pytest.mark.native
@EVERY
@pytest.mark.parametrize("group", [True, False], ids=["group", "alone"])
def test_while_several_are_checked(machine: Machine, registry: Registry, number: Number, group: bool) -> None:
    end(machine, busy_in(machine, registry, "npm:slow-import", "npm:detaching"), number, group=group)


@pytest.mark.native
@pytest.mark.parametrize("targets", [["npm:slow-import"], ["npm:slow-import", "npm:detaching"]], ids=["one", "several"])
def test_an_interrupt_that_was_to_be_ignored_is(machine: Machine, registry: Registry, targets: list[str]) -> None:
    """A background job of a shell without job control must outlive a Ctrl-C that is meant for the foreground."""
    command = busy_in(machine, registry, *targets, wrapped=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    os.killpg(command.pid, Number.SIGINT)
    time.sleep(0.5)
    running = below(psutil.Process(command.pid))
    assert running.count(FOREVER) == len(targets), running
    end(machine, command, Number.SIGTERM)


@pytest.mark.native
def test_a_recording_that_was_to_be_kept_shows_that_it_was_cut(machine: Machine, registry: Registry) -> None:
    machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
    command = machine.start("check", "npm:slow-import", "--keep", "kept")
    await_moment(started(command, FOREVER), command)
    end(machine, command, Number.SIGINT)
    [recording] = (machine.root / "kept").iterdir()
    judged = machine.run("judge", str(recording))
    assert judged.code == 5
    assert "INCONCLUSIVE" in judged.stdout
