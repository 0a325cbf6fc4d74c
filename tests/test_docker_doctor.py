"""What `doctor` says of a daemon, by how it describes itself."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from sandbox import docker_doctor
from sandbox.docker_doctor import Check

DAEMON: dict[str, Any] = {
    "SecurityOptions": ["name=seccomp,profile=default"], "CgroupVersion": "2", "MemoryLimit": True, "PidsLimit": True,
    "CpuCfsQuota": True, "Runtimes": {"runc": {}, "runsc": {}}, "DefaultRuntime": "runc", "KernelVersion": "6.8.0",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the SDK's, where it cannot connect
def test_without_a_daemon_only_docker_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    (check,) = docker_doctor.examine()
    gc.collect()
    assert (check.name, check.ok, check.needed) == ("docker", False, False)
    assert "only --backend docker needs it" in check.hint
    assert not docker_doctor.works([check])


def test_a_daemon_that_serves() -> None:
    checks = [docker_doctor._filter(DAEMON), docker_doctor._bounds(DAEMON), docker_doctor._runtime(DAEMON)]
    assert all(check.ok for check in checks)
    assert checks[1].detail == "cgroup v2"
    assert checks[2].detail == "runc (of runc, runsc)"


def test_what_does_not_hold_is_named() -> None:
    assert not docker_doctor._filter({**DAEMON, "SecurityOptions": ["name=rootless"]}).ok
    bounds = docker_doctor._bounds({**DAEMON, "MemoryLimit": False, "PidsLimit": False})
    assert not bounds.ok
    assert bounds.detail == "cgroup v2, no limit on memory and processes"
    runtime = docker_doctor._runtime({**DAEMON, "DefaultRuntime": "runsc"})
    assert not runtime.ok
    assert "seccomp user notification" in runtime.detail


@pytest.mark.parametrize(
    ("version", "ok", "words"),
    [
        ({"Version": "28.2.2"}, True, "Docker 28.2.2"),
        ({"Version": "20.10.24+dfsg1"}, True, "Docker 20.10.24"),
        ({"Version": "19.03.1"}, False, "Docker 19.03.1"),
        ({"Version": "5.2.0", "Components": [{"Name": "Podman Engine"}]}, True, "Podman 5.2.0"),
    ],
)
def test_engines_by_their_versions(version: dict[str, Any], ok: bool, words: str) -> None:
    check = docker_doctor._engine(DAEMON, version)
    assert check.ok is ok
    assert words in check.detail


def test_a_rootless_engine_says_so() -> None:
    daemon = {**DAEMON, "SecurityOptions": [*DAEMON["SecurityOptions"], "name=rootless"]}
    assert "rootless" in docker_doctor._engine(daemon, {"Version": "28.0.0"}).detail


def test_an_image_that_is_not_built_yet_is_no_obstacle() -> None:
    fine = [Check(name="docker", ok=True, detail=""), Check(name="docker seccomp", ok=True, detail="")]
    unbuilt = Check(name="docker image", ok=False, detail="")
    assert docker_doctor.works([*fine, unbuilt])
    assert not docker_doctor.works([*fine, Check(name="docker limits", ok=False, detail="")])
    assert not docker_doctor.works([])
