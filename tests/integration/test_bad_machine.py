"""Machines on which little works: one clear sentence, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import Machine
from tests.packages import build
from tests.packages.registry import Registry

native = pytest.mark.native
NO_DOCKER = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
"""`doctor` is content with one backend that works: so that it speaks of the native one alone."""
NO_NAMESPACES = ("unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh")
REFUSING_FILTERS = """
import ctypes, os, struct, sys
number = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50026), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program for which seccomp(2) is ENOSYS, as in a container with an old filter of its own."""


@pytest.fixture
def registry(machine: Machine) -> Iterator[Registry]:
    """What the machine's settings name."""
    archive = build.npm(machine.root, "plain-words", {"index.js": "module.exports = 1\n"})
    with Registry([archive], host="packages.test") as serving:
        machine.use(serving.npm_url, serving.pypi_url, serving.own_url)
        yield serving


def small(folder: Path, size: str) -> tuple[str, ...]:
    """Starts a program that has a file system of so many bytes at `folder`; skips where that cannot be had."""
    folder.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o size={size} none "{folder}" && exec "$@"'
    wrapped = ("unshare", "-rm", "sh", "-c", mount, "sh")
    if subprocess.run([*wrapped, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace of one's own can be had here")
    return wrapped


@native
@pytest.mark.parametrize(
    ("folder", "size", "words"),
    [
        ("cache", "8k", "cache/baitbox cannot be written: No space left on device"),
        ("scratch", "16k", "the recording cannot be written: No space left on device"),
        ("kept", "16k", "laptop.jsonl cannot be written: No space left on device"),
    ],
)
def test_a_disk_that_is_full(machine: Machine, registry: Registry, folder: str, size: str, words: str) -> None:
    keeping = ("--keep", "kept") if folder == "kept" else ()
    wrapped = small(machine.root / folder, size)
    machine.run("check", "npm:plain-words", *keeping, wrapped=wrapped).failed(4, words, "free some disk space")


def without(machine: Machine, *programs: str) -> str:
    """A search path with all of this machine's programs but some."""
    folder = machine.root / "programs"
    folder.mkdir()
    readable = [place for place in os.environ["PATH"].split(":") if os.access(place, os.R_OK | os.X_OK)]
    for path in (found for place in readable for found in Path(place).glob("*")):
        if path.name not in programs and not (folder / path.name).is_symlink():
            (folder / path.name).symlink_to(path)
    return str(folder)


def test_a_machine_without_bubblewrap(machine: Machine) -> None:
    path = without(machine, "bwrap")
    ended = machine.run("check", "npm:plain-words", PATH=path, **NO_DOCKER)
    ended.failed(4, "bubblewrap (bwrap) is not installed", "apt-get install")
    doctor = machine.run("doctor", PATH=path, **NO_DOCKER)
    assert doctor.code == 4
    assert "apt-get install bubblewrap" in doctor.stdout


@native
def test_a_machine_without_node(machine: Machine) -> None:
    path = without(machine, "node", "nodejs", "npm")
    machine.run("check", "npm:plain-words", PATH=path).failed(4, "the guest needs node", "install Node.js")


@native
def test_a_bubblewrap_that_fails(machine: Machine, registry: Registry) -> None:
    path = without(machine, "bwrap")
    Path(path, "bwrap").write_text("#!/bin/sh\necho 'bwrap: no such luck' >&2\nexit 1\n")
    Path(path, "bwrap").chmod(0o755)
    machine.run("check", "npm:plain-words", PATH=path).failed(4, "the guest could not start", "no such luck")


@native
def test_a_kernel_that_refuses_user_namespaces(machine: Machine, registry: Registry) -> None:
    machine.environment |= NO_DOCKER
    ended = machine.run("check", "npm:plain-words", wrapped=NO_NAMESPACES, timeout=10)
    ended.failed(4, "user namespaces: refused", "user.max_user_namespaces is 0", "`baitbox doctor`")
    ended = machine.run("check", "npm:plain-words", "--backend", "native", wrapped=NO_NAMESPACES, timeout=10)
    ended.failed(4, "a user namespace was refused", "`baitbox doctor`")
    doctor = machine.run("doctor", wrapped=NO_NAMESPACES)
    assert doctor.code == 4
    assert "user.max_user_namespaces is 0" in doctor.stdout


@native
def test_a_kernel_that_refuses_filters(machine: Machine, registry: Registry) -> None:
    machine.environment |= NO_DOCKER
    wrapped = (sys.executable, "-c", REFUSING_FILTERS)
    machine.run("check", "npm:plain-words", wrapped=wrapped).failed(4, "seccomp notification: refused: ENOSYS")
    ended = machine.run("check", "npm:plain-words", "--backend", "native", wrapped=wrapped)
    ended.failed(4, "Function not implemented", "`baitbox doctor`")
    doctor = machine.run("doctor", wrapped=wrapped)
    assert doctor.code == 4
    assert "seccomp notification   refused: ENOSYS" in doctor.stdout


@native
@pytest.mark.docker
def test_docker_serves_where_the_kernel_refuses_namespaces(machine: Machine, registry: Registry) -> None:
    ended = machine.run("check", "npm:plain-words", "--format", "json", wrapped=NO_NAMESPACES)
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["tool"]["backend"] == "docker"


@native
def test_a_namespace_with_a_single_user_is_enough(machine: Machine, registry: Registry) -> None:
    """As in a rootless container: root there has no number to spare for the guest's user."""
    ended = machine.run("check", "npm:plain-words", wrapped=("unshare", "-r"))
    assert (ended.code, ended.talk) == (0, [])
