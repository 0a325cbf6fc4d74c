"""The Docker daemon that this machine is set up for: reaching it, and what baitbox has left with it.

Everything that baitbox makes there carries labels, which say what it is and whose. A run that was killed cannot tidy
up; the next one does, and touches nothing of a run that is still alive.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from sandbox.errors import BackendError

LABEL = "baitbox"
OWNER = "baitbox.owner"
RUN = "baitbox.run"
SECONDS = 120
"""For one answer of the daemon; builds and starts may take long on a busy machine."""
SOCKET = "unix:///var/run/docker.sock"
"""Where the SDK looks for a daemon unless it is told otherwise."""
_TRIAL = 10.0
BLIND = ("runsc", "gvisor")
"""Runtimes whose kernel has no seccomp user notification, on which the syscall sensor stands."""


_kept: set[str] = set()
"""The containers that this process is making or using."""
_spoken: dict[str, str] = {}
"""The version of the interface that was agreed on with each daemon: asking is one more round trip."""


@contextmanager
def client(seconds: int = SECONDS) -> Iterator[Any]:
    """A client of the daemon (`docker.APIClient`), closed at the end. Raises BackendError where there is none."""
    _load()
    import docker
    from docker.utils import kwargs_from_env

    try:
        settings = kwargs_from_env() if os.environ.get("DOCKER_HOST") else _context()
        url = str(settings.get("base_url") or SOCKET)
        _try(url)
        # The distributions' own versions of the SDK know it as a string, and ask the daemon for its version.
        version = _spoken.get(url, "auto")
        api = docker.APIClient(version=version, timeout=seconds, use_ssh_client=url.startswith("ssh:"), **settings)
        _spoken[url] = api.api_version
    except Exception as error:
        if not isinstance(error, (*failures(), ValueError, ImportError)):
            raise
        raise BackendError(f"the Docker daemon cannot be reached: {sentence(error)}", _hint(error)) from None
    with api:
        yield api


def _load() -> None:
    """Import the SDK, and Paramiko with it only where a daemon by ssh:// may be meant: it takes as long to load as the
    whole SDK, which loads it wherever it is installed and does without where it is not."""
    contexts = Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"), "contexts")
    host = os.environ.get("DOCKER_HOST", "")
    if host.startswith("ssh:") or (not host and contexts.is_dir()) or {"docker", "paramiko"} & sys.modules.keys():
        return
    sys.modules["paramiko"] = None  # type: ignore[assignment]  # the import system's own sign for "not there"
    try:
        import docker  # noqa: F401
    finally:
        del sys.modules["paramiko"]


def _try(url: str) -> None:
    """Connect to a daemon's socket on this machine. Raises OSError; the SDK would leave its own socket open then."""
    path = re.match(r"(?:http\+)?unix:/+(.+)", url)
    if path:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(_TRIAL)
            trial.connect(f"/{path[1]}")


def _context() -> dict[str, Any]:
    """What `docker context use` has chosen, where DOCKER_HOST says nothing."""
    from docker.context import ContextAPI

    with suppress(Exception):  # no configuration, or one that this SDK cannot read: the default socket
        context = ContextAPI.get_current_context()
        if context is not None and context.name != "default" and context.Host:
            return {"base_url": context.Host, **({"tls": context.TLSConfig} if context.TLSConfig else {})}
    return {}


def failures() -> tuple[type[Exception], ...]:
    """What the SDK raises where the daemon refuses, or is not there."""
    import docker.errors

    return (docker.errors.DockerException, OSError)  # what requests raises is an OSError


def sentence(error: BaseException) -> str:
    """What went wrong, in the daemon's own words, on one line."""
    text = str(getattr(error, "explanation", None) or error)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:400] or type(error).__name__


def _hint(error: BaseException) -> str:
    text = str(error)
    if "paramiko" in text:
        return "a daemon by ssh:// needs one more package; from your clone of baitbox: pip install '.[ssh]'"
    if "Permission" in text or "EACCES" in text:
        return "you may not use its socket: join the group docker and log in again, or run baitbox with sudo"
    where = os.environ.get("DOCKER_HOST", "")
    if where:
        return f"DOCKER_HOST is {where}: is a daemon there?"
    return "start it (sudo systemctl start docker), or name another with DOCKER_HOST or docker context use"


def is_podman(daemon: Mapping[str, Any]) -> bool:
    """Whether this description of a daemon (`info`) is Podman's, which serves Docker's interface too."""
    return "BuildahVersion" in daemon


def unreachable() -> tuple[str, str] | None:
    """Why no daemon can be used, and what to do; None where one answers."""
    try:
        with client(seconds=10) as api:
            system = api.version().get("Os", "linux")
    except BackendError as error:
        return str(error), error.hint
    except failures() as error:
        return f"the Docker daemon does not answer: {sentence(error)}", _hint(error)
    if system != "linux":
        return f"the Docker daemon makes {system} containers", "switch it to Linux containers"
    return None


def runtime(daemon: dict[str, Any], wanted: str) -> str:
    """The name of the OCI runtime to use, empty for the daemon's own. Raises BackendError for one that is not there,
    and for those in which the sensors cannot work. `daemon` is its own description (`info`)."""
    name = wanted or str(daemon.get("DefaultRuntime", ""))
    if any(blind in name.lower() for blind in BLIND):
        raise BackendError(
            f"the runtime {name} cannot be used: its kernel has no seccomp user notification, by which calls are seen",
            "use runc or crun, or a runtime with a real kernel (kata)",
        )
    if wanted and wanted not in daemon.get("Runtimes", {}):
        names = ", ".join(sorted(daemon.get("Runtimes", {})))
        raise BackendError(f"the Docker daemon has no runtime {wanted}", f"it has: {names}")
    return wanted


def labels(kind: str) -> dict[str, str]:
    """The labels of a container that this process makes, and that is its own until `forget`. `kind`: guest, probe,
    image."""
    run = secrets.token_hex(8)
    _kept.add(run)
    return {LABEL: kind, OWNER: _owner(os.getpid()), RUN: run}


def forget(marks: dict[str, str]) -> None:
    """A container with these labels is nobody's from here on: removed, or to be swept up by whoever comes next."""
    _kept.discard(marks[RUN])


@cache
def _machine() -> str:
    """This machine, until it restarts."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return socket.gethostname()


def _owner(process: int) -> str:
    with suppress(psutil.Error):
        return f"{_machine()}:{process}:{int(psutil.Process(process).create_time() * 100)}"
    return ""


def abandoned(marks: dict[str, str], state: str) -> bool:
    """Whether a container's maker is gone, or has given it up. Of another machine's nothing is known: its warden ends
    by itself when its maker does, so only what runs no more is taken."""
    owner = marks.get(OWNER, "")
    machine, _, rest = owner.partition(":")
    if machine != _machine():
        return state in ("exited", "dead")
    process = rest.partition(":")[0]
    if process == str(os.getpid()) and _owner(os.getpid()) == owner:
        return marks.get(RUN) not in _kept
    return not process.isdecimal() or _owner(int(process)) != owner


def sweep(api: Any) -> int:
    """Remove what killed runs have left; how many containers that were. Never raises for one that cannot be."""
    found = 0
    try:
        listed = api.containers(all=True, filters={"label": LABEL})
    except failures():
        return 0
    for container in listed:
        if abandoned(container.get("Labels") or {}, container.get("State", "")):
            with suppress(*failures()):
                removed(api, container["Id"])
                found += 1
    return found


def removed(api: Any, container: str) -> bool:
    """Ask for a container's end; whether it is gone. Raises what the SDK raises where the daemon is not there."""
    import docker.errors

    try:
        api.remove_container(container, force=True, v=True)
    except docker.errors.NotFound:
        return True
    except docker.errors.APIError:
        return False  # being removed already, most often: ask again
    return True
