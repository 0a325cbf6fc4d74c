"""The Docker backend without a daemon: what a container is asked to be, and dockerd's stream."""

from __future__ import annotations

import gc
import socket
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import containers
from sandbox.backends import GuestSpec, docker
from sandbox.backends._attached import LONGEST, SAID, Unwrapper, plain
from sandbox.errors import BackendError
from sandbox.plan import Limits
from sandbox.settings import Settings

LIMITS = Limits(memory=1 << 30, disk=1 << 30, processes=100)


def spec(**fields: Any) -> GuestSpec:
    return GuestSpec(host_name="nl-thinkpad", home="/home/dev", uptime=300_000, cpus=8, limits=LIMITS, **fields)


def chunk(data: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


def test_a_container_gets_nothing_that_it_does_not_need() -> None:
    options = docker._options(spec(), (), 2)
    assert options["network_mode"] == "none"
    assert options["cap_drop"] == ["ALL"]
    assert not {"NET_RAW", "SYS_MODULE", "DAC_READ_SEARCH", "MKNOD"} & set(options["cap_add"])
    assert options["security_opt"] == ["no-new-privileges"]  # and no seccomp=: Docker's own profile stays
    assert options["read_only"] is True
    assert options["auto_remove"] is True
    assert options["log_config"] == {"Type": "none"}
    assert not {"binds", "mounts", "volumes_from", "devices", "privileged", "pid_mode"} & set(options)
    assert options["nano_cpus"] == 2_000_000_000
    assert options["mem_limit"] == options["memswap_limit"] >= LIMITS.memory + LIMITS.disk
    assert options["pids_limit"] >= LIMITS.processes


def test_every_place_that_can_be_written_has_a_size() -> None:
    tmpfs = docker._options(spec(), ("/data", "/tmp"), 2)["tmpfs"]
    assert set(tmpfs) >= {"/home", "/tmp", "/var/tmp", "/run", "/root", "/etc", "/data"}
    assert all("size=" in options and "nosuid" in options and "nodev" in options for options in tmpfs.values())
    assert "mode=1777" in tmpfs["/tmp"]  # what an image declares does not loosen what is there


def test_podman_is_asked_to_leave_what_is_covered_empty() -> None:
    docker_tmpfs, podman_tmpfs = (docker._options(spec(), (), 2, podman=it)["tmpfs"] for it in (False, True))
    assert podman_tmpfs == {folder: f"{options},notmpcopyup" for folder, options in docker_tmpfs.items()}
    assert containers.is_podman({"BuildahVersion": "1.28.2", "NCPU": 2})
    assert not containers.is_podman({"NCPU": 2})


def test_open_files_are_enough_for_the_warden_and_no_more_than_daemons_have() -> None:
    (files,) = (one for one in docker._options(spec(), (), 2)["ulimits"] if one["Name"] == "nofile")
    connections, listeners, spare = 4096, 512, 512  # warden.h, connection.c
    assert connections + listeners + spare <= files["Hard"] == files["Soft"] <= 20_000


def test_files_of_the_pretended_machine_are_answered_for() -> None:
    puts = {put.path: put for put in docker._feigned(spec(files=(("/proc/cpuinfo", b"eight"),)))}
    assert puts["/proc/cpuinfo"].kind == 4
    assert puts["/proc/cpuinfo"].content == b"eight"
    assert puts["/proc/uptime"].content.startswith(b"300000.")
    assert puts["/.dockerenv"].kind == 5


def test_the_settings_name_image_and_runtime() -> None:
    made = docker.BACKEND.configure(Settings(image="node:22-alpine", runtime="kata"))
    assert (made.image, made.runtime, made.name) == ("node:22-alpine", "kata", "docker")


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300)), max_size=20), st.data())
def test_the_stream_is_unwrapped_however_it_is_cut(chunks: list[tuple[int, bytes]], data: st.DataObject) -> None:
    wire = b"".join(chunk(content, stream) for stream, content in chunks)
    unwrapper, got, at = Unwrapper(), b"", 0
    while at < len(wire):
        size = data.draw(st.integers(1, 400))
        got += unwrapper(wire[at : at + size])
        at += size
    assert got == b"".join(content for stream, content in chunks if stream == 1)
    assert unwrapper.said == b"".join(content for stream, content in chunks if stream == 2)[:SAID]


@given(st.binary(max_size=200))
def test_what_is_no_stream_is_a_value_error_at_most(wire: bytes) -> None:
    with suppress(ValueError):
        assert len(Unwrapper()(wire)) <= len(wire)


def test_a_chunk_longer_than_any_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk"):
        Unwrapper()(struct.pack(">BxxxI", 1, LONGEST + 1))
    with pytest.raises(ValueError, match="stream 3"):
        Unwrapper()(chunk(b"x", 3))


class Channel:
    """A stream that is no plain socket, as TLS and SSH are."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner

    def recv(self, size: int) -> bytes:
        return self.inner.recv(size)

    def sendall(self, data: bytes) -> None:
        self.inner.sendall(data)

    def shutdown(self, how: int) -> None:
        self.inner.shutdown(how)

    def close(self) -> None:
        self.inner.close()


def test_a_stream_of_another_kind_is_carried_over_and_ends_with_either_side() -> None:
    near, far = socket.socketpair()
    carried = plain(Channel(near))
    carried.settimeout(10)
    far.settimeout(10)
    carried.sendall(b"to the container")
    assert far.recv(100) == b"to the container"
    far.sendall(b"from it")
    assert carried.recv(100) == b"from it"
    carried.close()
    assert far.recv(100) == b""
    far.close()

    near, far = socket.socketpair()
    carried = plain(Channel(near))
    carried.settimeout(10)
    far.close()
    assert carried.recv(100) == b""
    carried.close()


def test_a_plain_socket_is_taken_as_it_is() -> None:
    near, far = socket.socketpair()
    assert plain(near) is near
    near.close()
    far.close()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the SDK's, where it cannot connect
def test_no_daemon_is_a_sentence_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    problem = docker.BACKEND.missing()
    assert problem is not None
    assert "cannot be reached" in problem[0]
    assert "DOCKER_HOST is unix:///nowhere/docker.sock" in problem[1]
    with pytest.raises(BackendError, match="cannot be reached"):
        docker.BACKEND.start(spec())
    gc.collect()


@pytest.mark.parametrize("name", ["runsc", "runsc-kvm", "io.containerd.gvisor.v1"])
def test_a_runtime_without_notifications_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BackendError, match="seccomp user notification"):
        containers.runtime({"Runtimes": {name: {}}}, name)
    with pytest.raises(BackendError, match="seccomp user notification"):
        containers.runtime({"Runtimes": {name: {}}, "DefaultRuntime": name}, "")


def test_a_runtime_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(BackendError, match="no runtime kata") as caught:
        containers.runtime({"Runtimes": {"runc": {}, "crun": {}}}, "kata")
    assert caught.value.hint == "it has: crun, runc"
    assert containers.runtime({"Runtimes": {"runc": {}}, "DefaultRuntime": "runc"}, "") == ""
    assert containers.runtime({"Runtimes": {"kata": {}}}, "kata") == "kata"
