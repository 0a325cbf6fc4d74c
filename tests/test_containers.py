"""Whose a container is, and which are nobody's any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import containers


def test_what_a_living_process_made_is_its_own() -> None:
    marks = containers.labels("guest")
    assert str(os.getpid()) in marks[containers.OWNER].split(":")
    assert not containers.abandoned(marks, "running")
    assert not containers.abandoned(marks, "exited")  # it may be about to look at it


def test_what_it_could_not_remove_is_nobodys() -> None:
    marks, other = containers.labels("guest"), containers.labels("guest")
    containers.forget(marks)
    assert containers.abandoned(marks, "created")
    assert not containers.abandoned(other, "created")
    containers.forget(other)


def test_what_a_process_made_that_is_gone_is_abandoned() -> None:
    machine, _, start = containers.labels("guest")[containers.OWNER].split(":")
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert containers.abandoned({containers.OWNER: f"{machine}:{child.pid}:{start}"}, "running")
    # The number is used again, by a process that began at another time.
    assert containers.abandoned({containers.OWNER: f"{machine}:{os.getpid()}:{int(start) - 1000}"}, "running")
    assert containers.abandoned({containers.OWNER: f"{machine}:what:is this"}, "running")


def test_of_another_machine_only_what_has_ended_is_taken() -> None:
    assert not containers.abandoned({containers.OWNER: "another:7:7"}, "running")
    assert not containers.abandoned({containers.OWNER: "another:7:7"}, "created")
    assert containers.abandoned({containers.OWNER: "another:7:7"}, "exited")
    assert not containers.abandoned({containers.OWNER: ""}, "running")


def test_the_daemons_words_are_one_line_that_can_be_printed() -> None:
    assert containers.sentence(ValueError("one\ntwo\x1b[31m three")) == "one two [31m three"
    assert containers.sentence(ValueError("")) == "ValueError"
    assert len(containers.sentence(ValueError("x" * 5000))) == 400


@pytest.mark.parametrize(
    ("host", "context", "loaded"),
    [("", False, False), ("tcp://192.0.2.1:2376", False, False), ("ssh://far.test", False, True), ("", True, True)],
)
def test_paramiko_is_loaded_only_where_a_daemon_by_ssh_may_be_meant(
    tmp_path: Path, host: str, context: bool, loaded: bool
) -> None:
    if context:
        (tmp_path / "contexts").mkdir()
    program = (
        "import sys; from sandbox import containers\n"
        "with __import__('contextlib').suppress(containers.BackendError):\n"
        "    with containers.client(1): pass\n"
        "import docker.transport as transport\n"
        "assert 'paramiko' not in sys.modules or sys.modules['paramiko']\n"
        "print(hasattr(transport, 'SSHHTTPAdapter'))"
    )
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": host}
    if host:
        program = program.replace("with containers.client(1): pass", "containers._load()")  # nobody is asked
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == str(loaded)
