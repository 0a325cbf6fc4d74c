"""What goes wrong with a daemon or a container ends in a clear error or `inconclusive`, and nothing is left."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from sandbox import containers, events
from sandbox.backends.docker import Docker
from sandbox.errors import BackendError
from tests.integration.command_line import Machine, await_moment
from tests.integration.docker_guest import Contained
from tests.integration.test_user_images import busybox, remove
from tests.packages import build

pytestmark = pytest.mark.docker

BARE = "baitbox-test-faults:1"


def beside(test: Callable[..., None]) -> Callable[..., None]:
    """It has a daemon of its own, so it may run beside others; one such daemon at a time."""
    return pytest.mark.together(pytest.mark.xdist_group("daemons")(test))


class Daemon:
    """A Docker daemon of the test's own, whose end hurts nobody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "--data-root": "data", "--exec-root": "exec", "--pidfile": "docker.pid", "--host": f"unix://{self.socket}",
        }  # fmt: skip
        command = ["dockerd", "--bridge", "none", "--iptables=false", "--ip6tables=false", "--group", "root"]
        for option, value in options.items():
            command += [option, value if ":" in value else str(self.folder / value)]
        # One that was killed leaves work behind, for which the next may need longer than it gives itself: it is begun
        # again, as a service manager does.
        for _ in range(4):
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            until = time.monotonic() + 60
            while self.process.poll() is None and time.monotonic() < until:
                if listens(self.socket):
                    return
                time.sleep(0.1)
            self.stop(signal.SIGKILL)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)
            if number == signal.SIGKILL:
                self._end_containerd()
            self.process = None

    def _end_containerd(self) -> None:
        """A killed daemon's own, which would not let the next one begin."""
        with suppress(OSError, ValueError, psutil.Error):
            found = psutil.Process(int((self.folder / "exec/containerd/containerd.pid").read_text()))
            if str(self.folder) in " ".join(found.cmdline()):
                found.kill()
                found.wait(10)


def unmount_below(folder: Path) -> None:
    """What a killed daemon has left mounted in its own folders."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    for place in sorted((line.split()[1] for line in mounts), reverse=True):
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False)


def listens(path: Path) -> bool:
    """Whether a daemon answers there: it listens before it can."""
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(5)
            one.connect(str(path))
            one.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in one.recv(100)
    except OSError:
        return False


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """One with the bare image in it."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a daemon of its own needs root and dockerd")
    made = Daemon(tmp_path_factory.mktemp("d"))
    root = busybox()  # from the daemon that is here, before another takes its place
    monkeypatch.setenv("DOCKER_HOST", f"unix://{made.socket}")
    made.start()
    try:
        root.imported(BARE)
        yield made
    finally:
        if made.process is None or not listens(made.socket):
            made.stop()
            made.start()
        with containers.client() as api:
            for container in api.containers(all=True):
                containers.removed(api, container["Id"])
        made.stop()
        unmount_below(made.folder)


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """The SDK leaves its socket to the collector where a daemon is gone."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def left() -> list[str]:
    """What of baitbox's is still there."""
    with containers.client() as api:
        return [container["Id"] for container in api.containers(all=True, filters={"label": containers.LABEL})]


def backend(folder: Path) -> Docker:
    return Docker(image=BARE, cache=folder / "cache")


@beside
def test_a_daemon_that_is_stopped_is_an_error_that_says_what_to_do(daemon: Daemon, tmp_path: Path) -> None:
    daemon.stop()
    machine = Machine(tmp_path / "machine")
    package = build.build("npm-postinstall", tmp_path / "package")
    ended = machine.run("check", "--backend", "docker", str(package), DOCKER_HOST=os.environ["DOCKER_HOST"])
    ended.failed(4, "the Docker daemon cannot be reached", "DOCKER_HOST is")
    daemon.start()
    assert left() == []


@beside
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_daemon_that_goes_in_the_middle_of_a_phase(daemon: Daemon, tmp_path: Path, how: int) -> None:
    guest = Contained(backend(tmp_path), tmp_path)
    threading.Timer(1.5, daemon.stop, (how,)).start()
    began = time.monotonic()
    guest.shell("while :; do sleep 1; done", seconds=60)
    assert time.monotonic() - began < 55
    assert not guest.guest.alive
    lost = guest.events(events.SensorLost)
    assert any(loss.sensor == "guest" for loss in lost), lost
    while daemon.process is not None:
        time.sleep(0.05)
    daemon.start()
    with containers.client() as api:
        containers.sweep(api)
    assert left() == []


@beside
def test_a_daemon_that_goes_while_the_container_starts(daemon: Daemon, tmp_path: Path) -> None:
    threading.Timer(0.3, daemon.stop, (signal.SIGKILL,)).start()

    def until_it_is_gone() -> None:
        for _ in range(20):
            Contained(backend(tmp_path), tmp_path).end()

    with pytest.raises(BackendError, match=r"cannot be|could not be|does not answer|did not start"):
        until_it_is_gone()
    while daemon.process is not None:
        time.sleep(0.05)
    daemon.start()
    with containers.client() as api:
        containers.sweep(api)
    assert left() == []


def test_a_container_that_is_killed_from_outside(tmp_path: Path) -> None:
    busybox().imported(BARE)
    try:
        guest = Contained(backend(tmp_path), tmp_path)
        (container,) = left()

        def kill() -> None:
            with containers.client() as api:
                api.kill(container)

        threading.Timer(1.0, kill).start()
        outcome = guest.shell("while :; do sleep 1; done", seconds=60)
        assert outcome.status == "failed"
        assert any(loss.sensor == "guest" for loss in guest.events(events.SensorLost))
        assert left() == []
    finally:
        remove(BARE)


def test_an_image_that_is_removed_while_it_is_used(tmp_path: Path) -> None:
    busybox().imported(BARE)
    guest = Contained(backend(tmp_path), tmp_path)
    try:
        with containers.client() as api:
            base = api.inspect_image(BARE)["Id"]
            for image in api.images(filters={"label": f"{containers.LABEL}.base={base}"}):
                for name in image["RepoTags"]:
                    api.remove_image(name, force=True)  # its names are gone; what runs of it goes on
            api.remove_image(BARE, force=True)
        assert guest.told("echo here") == "here\n"
        assert not guest.events(events.SensorLost)
        with pytest.raises(BackendError, match=f"no image {BARE}"):
            Contained(backend(tmp_path), tmp_path)
    finally:
        guest.end()
    assert left() == []


@beside
def test_a_full_disk_is_an_error_that_says_so(daemon: Daemon, tmp_path: Path) -> None:
    """The daemon's disk, as far as it concerns us: no layer, and so no container, can be written."""
    full = daemon.folder / "data"
    daemon.stop()
    shutil.rmtree(full)
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(full)], check=True)
    try:
        daemon.start()
        busybox_there(tmp_path)
        (full / "filler").write_bytes(b"")
        with (full / "filler").open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
                    file.flush()
            except OSError:
                pass
        with pytest.raises(BackendError, match=r"(?i)no space left"):
            Contained(backend(tmp_path), tmp_path)
        (full / "filler").unlink()
        assert left() == []
    finally:
        daemon.stop()
        subprocess.run(["umount", str(full)], check=True)


def busybox_there(_folder: Path) -> None:
    """The bare image once more, in a daemon that has lost its disk."""
    host = os.environ.pop("DOCKER_HOST")
    root = busybox()
    os.environ["DOCKER_HOST"] = host
    root.imported(BARE)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=["kill", "interrupt", "term"])
def test_a_command_that_is_ended_leaves_nothing_after_the_next_start(how: int, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    package = build.build("npm-detached", tmp_path / "package")
    before = set(left())
    command = machine.start("check", "--backend", "docker", str(package), DOCKER_HOST=os.environ.get("DOCKER_HOST", ""))
    await_moment(lambda: set(left()) - before, command, seconds=60)
    time.sleep(1)
    command.send_signal(how)
    ended = machine.wait(command)
    assert ended.code in (-signal.SIGKILL, 130, 143)
    for _ in range(100):  # its warden hears of it by itself
        with containers.client() as api:
            containers.sweep(api)
        if not set(left()) - before:
            break
        time.sleep(0.1)
    assert not set(left()) - before


def test_runs_side_by_side_do_not_touch_each_other(tmp_path: Path) -> None:
    busybox().imported(BARE)
    try:
        one, two = Contained(backend(tmp_path), tmp_path), Contained(backend(tmp_path), tmp_path)
        with containers.client() as api:
            containers.sweep(api)
        one.end()
        assert two.told("echo here") == "here\n"
        two.end()
        assert left() == []
    finally:
        remove(BARE)
