"""The native backend without a guest: what it asks of bubblewrap, and what it says where it cannot be used."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.backends import GuestSpec, native
from sandbox.backends.native import BACKEND
from sandbox.errors import BackendError
from sandbox.plan import Limits


def spec(**fields: object) -> GuestSpec:
    return GuestSpec(host_name="nl-thinkpad", home="/home/dev", uptime=300_000, cpus=8, limits=Limits(), **fields)  # type: ignore[arg-type]


def test_nothing_of_the_host_but_its_toolchains_is_mounted() -> None:
    arguments = native._file_system(spec(mounts=(("/opt/node", "/opt/node"),)))
    bound = {arguments[i + 1] for i, word in enumerate(arguments) if word.endswith("bind") or word == "--ro-bind-try"}
    writable = [word for word in arguments if word in ("--bind", "--dev-bind")]
    assert not writable
    systems = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
    assert bound <= {"/usr", "/opt/node", *native.CONFIGURATION, *systems}
    assert "--share-net" not in arguments


def test_every_scratch_folder_has_a_size() -> None:
    arguments = native._file_system(spec(masks=("/usr/lib/node_modules/x",)))
    for place, word in enumerate(arguments):
        if word == "--tmpfs":
            assert "--size" in arguments[place - 4 : place], arguments[place + 1]


def test_files_are_laid_over_read_only_and_come_last() -> None:
    arguments, sources = native._laid_over(spec(files=(("/proc/cpuinfo", b"one"), ("/etc/machine-id", b"two"))))
    try:
        assert arguments[-2:] == ["--remount-ro", "/"]
        assert [os.read(source, 10) for source in sources] == [b"one", b"two"]
        one, two = arguments[:5], arguments[5:10]
        assert one == ["--perms", "0444", "--ro-bind-data", str(sources[0]), "/proc/cpuinfo"]
        assert two == ["--perms", "0444", "--ro-bind-data", str(sources[1]), "/etc/machine-id"]
    finally:
        for source in sources:
            os.close(source)


def test_a_missing_bubblewrap_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    problem = BACKEND.missing()
    assert problem is not None
    assert "bubblewrap" in problem[0]
    with pytest.raises(BackendError, match="bubblewrap") as caught:
        BACKEND.start(spec())
    assert "apt-get install" in caught.value.hint


def test_a_missing_warden_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "PROGRAM", tmp_path / "warden")
    monkeypatch.setattr(native.shutil, "which", lambda _name: "/usr/bin/bwrap")
    problem = BACKEND.missing()
    assert problem is not None
    assert "warden" in problem[0]


def test_another_system_than_linux_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native.sys, "platform", "darwin")
    problem = BACKEND.missing()
    assert problem is not None
    assert "Linux" in problem[0]


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with a warden that is a script; descriptors that a start leaves open are an error."""
    monkeypatch.setattr(native, "PROGRAM", tmp_path / "warden")
    monkeypatch.setattr(native.shutil, "which", lambda _name: "/usr/bin/bwrap")
    before = set(os.listdir("/proc/self/fd"))
    yield tmp_path
    left = [fd for fd in set(os.listdir("/proc/self/fd")) - before if os.path.exists(f"/proc/self/fd/{fd}")]
    assert not left, [os.readlink(f"/proc/self/fd/{fd}") for fd in left]


def test_what_the_warden_said_last_is_kept_and_nothing_is_left(pretending: Path) -> None:
    program(pretending / "warden", 'echo "a user namespace was refused: no" >&2; exit 111')
    running = BACKEND.start(spec(files=(("/proc/cpuinfo", b"x"),)))
    assert running.stream.recv(1) == b"", "its end of the stream is closed when it is gone"
    said = running.stop()
    assert said == "a user namespace was refused: no"
    assert running.stop() == "", "safe to call again"
    running.stream.close()


def test_a_warden_that_goes_on_is_killed(pretending: Path) -> None:
    marker = pretending / "pid"
    program(pretending / "warden", f"trap '' TERM INT HUP; echo $$ > {marker}; while :; do sleep 1; done")
    running = BACKEND.start(spec())
    limit = time.monotonic() + 10
    while not (marker.exists() and marker.read_text().endswith("\n")) and time.monotonic() < limit:
        time.sleep(0.01)
    running.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)
    running.stream.close()


def test_a_warden_that_cannot_be_started_leaves_nothing(pretending: Path) -> None:
    (pretending / "warden").write_bytes(b"\x7fELF not really")
    (pretending / "warden").chmod(0o755)
    with pytest.raises(BackendError, match="could not be started"):
        BACKEND.start(spec(files=(("/proc/cpuinfo", b"x"),)))


def test_the_stream_is_not_inherited_by_others(pretending: Path) -> None:
    program(pretending / "warden", "exit 0")
    running = BACKEND.start(spec())
    assert isinstance(running.stream, socket.socket)
    assert not os.get_inheritable(running.stream.fileno())
    running.stop()
    running.stream.close()
