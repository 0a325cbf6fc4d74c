"""What `doctor` says of Docker: whether the Docker backend works, with what, and what does not."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from sandbox import containers, images
from sandbox.errors import BackendError

OLDEST = (20, 10)
"""The oldest engine that was tried."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `needed`: no native guest without it. `hint` is what to do where it is not ok."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    needed: bool = False


def works(checks: list[Check]) -> bool:
    """Whether the Docker backend can make a guest here: a runner image is built where there is none yet."""
    found = {check.name: check.ok for check in checks if check.name.startswith("docker")}
    return bool(found) and all(ok for name, ok in found.items() if name != "docker image")


def examine() -> list[Check]:
    """Everything about Docker. Changes nothing and starts nothing."""
    problem = containers.unreachable()
    if problem is not None:
        what, hint = problem
        unless = f"{hint}; only --backend docker needs it"
        return [Check(name="docker", ok=False, detail=what, hint=unless)]
    try:
        with containers.client(seconds=20) as api:
            daemon = api.info()
            version = api.version()
            return [_engine(daemon, version), _filter(daemon), _bounds(daemon), _runtime(daemon), _image(api)]
    except BackendError as error:
        return [Check(name="docker", ok=False, detail=str(error), hint=error.hint)]
    except containers.failures() as error:
        return [Check(name="docker", ok=False, detail=containers.sentence(error), hint="is the daemon restarting?")]


def _engine(daemon: dict[str, Any], version: dict[str, Any]) -> Check:
    where = os.environ.get("DOCKER_HOST") or "the local daemon"
    names = [str(part.get("Name", "")) for part in version.get("Components") or ()]
    kind = "Podman" if any("podman" in name.lower() for name in names) else "Docker"
    rootless = any("rootless" in str(option) for option in daemon.get("SecurityOptions") or ())
    number = str(version.get("Version", ""))
    parts = tuple(int(part) for part in number.split("+")[0].split(".")[:2] if part.isdecimal())
    ok = kind == "Podman" or parts >= OLDEST
    detail = f"{kind} {number}, {'rootless, ' if rootless else ''}{daemon.get('KernelVersion', '?')}, {where}"
    if kind == "Podman":
        detail += " (by the interface of Docker)"
    return Check(name="docker", ok=ok, detail=detail, hint="Docker 20.10 or later is needed")


def _filter(daemon: dict[str, Any]) -> Check:
    options = [str(option) for option in daemon.get("SecurityOptions") or ()]
    seccomp = any("seccomp" in option for option in options)
    hint = "the daemon's kernel needs CONFIG_SECCOMP_FILTER: without it calls cannot be seen"
    return Check(name="docker seccomp", ok=seccomp, detail=", ".join(options) or "none", hint=hint)


def _bounds(daemon: dict[str, Any]) -> Check:
    """Whether the container's limits hold. Rootless engines have them with cgroup v2 and delegation only."""
    missing = [
        name
        for name, key in (("memory", "MemoryLimit"), ("processes", "PidsLimit"), ("CPU time", "CpuCfsQuota"))
        if daemon.get(key) is False
    ]
    without = f", no limit on {' and '.join(missing)}" if missing else ""
    detail = f"cgroup v{daemon.get('CgroupVersion', '1')}{without}"
    hint = "rootless engines need cgroup v2 with delegation (systemd), so that a guest cannot take the whole machine"
    return Check(name="docker limits", ok=not missing, detail=detail, hint=hint)


def _runtime(daemon: dict[str, Any]) -> Check:
    known = ", ".join(sorted(daemon.get("Runtimes") or {}))
    try:
        containers.runtime(daemon, "")
    except BackendError as error:
        return Check(name="docker runtime", ok=False, detail=str(error), hint="name another with --runtime")
    return Check(name="docker runtime", ok=True, detail=f"{daemon.get('DefaultRuntime', '')} (of {known})")


def _image(api: Any) -> Check:
    name = images.tag()
    there = any(name in image.tags for image in images.kept(api))
    detail = name if there else "the runner image is not built yet"
    return Check(name="docker image", ok=there, detail=detail, hint="baitbox image build (or wait for the first check)")
