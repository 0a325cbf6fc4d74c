"""The Docker backend: a guest in a throwaway container, on any image, near or far.

The container has no network, a read-only root, and no capability but those that the warden needs, of which none
reaches the package; Docker's own seccomp profile stays. The warden is process 1 and its child (`warden container`);
its stream is the container's own stdin and stdout, so that nothing of this machine is mounted or listened on, and a
remote daemon does as well as a local one. See docs/docker.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from sandbox import containers, image_tools, images
from sandbox.backends import GuestSpec, Running
from sandbox.backends._attached import Unwrapper, plain
from sandbox.errors import BackendError
from sandbox.plan import Limits, Tools
from sandbox.settings import Settings, default_cache
from sandbox.warden import PROGRAM
from sandbox.warden.frames import Put

CAPABILITIES = (
    "CHOWN",  # planting: files of the guest's user
    "FOWNER",  # planting: their modes and times
    "DAC_OVERRIDE",  # planting and reading back below folders of the guest's user
    "KILL",  # ending a phase
    "NET_ADMIN",  # the loopback's routes; given up once they are there
    "NET_BIND_SERVICE",  # answering on ports below 1024
    "SETGID",  # becoming the guest's user
    "SETPCAP",  # emptying the package's bounding set
    "SETUID",  # becoming the guest's user
    # With it Docker's own filter lets mount, unshare, setns, bpf and their like pass to the warden's, which refuses and
    # records them; without it they would be refused unseen. The first thing that the warden does is to give it up.
    "SYS_ADMIN",
    "SYS_PTRACE",  # reading what a call points to; making connections on the package's own sockets
)
"""What the warden needs in its container. The package runs as user 1000 with none of them, and cannot get any."""

PLACES = {"/etc": 0o755, "/home": 0o755, "/root": 0o700, "/run": 0o755, "/tmp": 0o1777, "/var/tmp": 0o1777}
"""What the guest has of its own, in memory, with modes: all else is the image's, and read-only."""
SMALL = 64 * 1024 * 1024
SLACK = 512 * 1024 * 1024
"""Memory of the container beyond what the guest may use: the warden's buffers, the kernel's."""
LEAVING_SECONDS = 10.0
GONE = ("/.dockerenv", "/run/.containerenv")
"""What tells a container, and is not the machine that is pretended."""
LOGIN = b"0::/user.slice/user-1000.slice/session-2.scope\n"
NOT_SEEN = (
    "What the container runtime's own filter refuses (the kernel's keyrings, and on newer engines io_uring) is refused "
    "without a record.",
)


class Docker(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `image` and `runtime` are empty for the runner image and the daemon's own runtime."""

    image: str = ""
    runtime: str = ""
    cache: Path = msgspec.field(default_factory=default_cache)

    @property
    def name(self) -> str:
        """The id that users type."""
        return "docker"

    def configure(self, settings: Settings) -> Docker:
        """See `Backend.configure`."""
        return Docker(image=settings.image, runtime=settings.runtime, cache=settings.cache)

    def missing(self) -> tuple[str, str] | None:
        """See `Backend.missing`."""
        problem = containers.unreachable()
        if problem is not None:
            return problem
        if not PROGRAM.is_file():
            hint = "reinstall it with a C compiler present: apt-get install gcc libc6-dev"
            return "the warden was not built with this baitbox", hint
        return None

    def refused(self) -> None:
        """See `Backend.refused`: the daemon has answered, and what it may do is its own."""
        return

    def tools(self, step: Callable[[str], None]) -> Tools:
        """See `Backend.tools`: the image's own. Builds the runner image where it is not there yet."""
        with containers.client() as api:
            containers.sweep(api)
            return image_tools.examine(api, images.ready(api, self.image, step), self.cache)

    def start(self, spec: GuestSpec) -> Running:
        """See `Backend.start`."""
        with ExitStack() as stack:
            api = stack.enter_context(containers.client())
            daemon = _described(api)
            base = images.ready(api, self.image, lambda _: None)
            tools = image_tools.examine(api, base, self.cache)
            podman = containers.is_podman(daemon)
            options = _options(spec, tools.volumes, int(daemon.get("NCPU", 1)), podman=podman)
            runtime = containers.runtime(daemon, self.runtime)
            if runtime:
                options["runtime"] = runtime
            marks = containers.labels("guest")
            container, attached = _begin(api, base, spec, options, marks)
            held = stack.pop_all()  # the stream is one of this client's: over SSH it ends with it
        unwrapper = Unwrapper()

        def stop() -> str:
            with suppress(OSError):
                attached.close()
            held.close()
            problem = _end(container, marks)
            return problem or unwrapper.said.decode("utf-8", "replace").strip()

        return Running(
            stream=plain(attached),
            stop=stop,
            unwrap=unwrapper,
            puts=(*_modes(), *tools.configuration, *_feigned(spec)),
            provided=PROVIDED - {"/etc/resolv.conf"} if podman else PROVIDED,  # which has none without a network
            not_seen=NOT_SEEN,
        )


def _described(api: Any) -> dict[str, Any]:
    try:
        described: dict[str, Any] = api.info()
    except containers.failures() as error:
        raise BackendError(f"the Docker daemon does not answer: {containers.sentence(error)}") from None
    return described


def _begin(
    api: Any, base: images.Image, spec: GuestSpec, options: dict[str, Any], marks: dict[str, str]
) -> tuple[str, Any]:
    """A started container, and its attached stream. Nothing is left where that fails."""
    container = ""
    try:
        # A name in no image: the command is the warden's, the environment is nobody's.
        guest = images.with_warden(api, base)
        made = api.create_container(
            guest,
            [images.WARDEN, "container"],
            hostname=spec.host_name,
            user="0:0",
            stdin_open=True,
            detach=False,
            environment={"PATH": "/usr/bin:/bin"},
            entrypoint=[],
            working_dir="/",
            healthcheck={"test": ["NONE"]},
            labels=marks,
            host_config=api.create_host_config(**options),
        )
        container = made["Id"]
        parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = api.attach_socket(container, parameters)
        api.start(container)
    except containers.failures() as error:
        _end(container, marks)
        raise BackendError(
            f"the container could not be made: {containers.sentence(error)}",
            "`baitbox doctor` says what works here; is the disk full, or was an image removed meanwhile?",
        ) from None
    except BaseException:
        _end(container, marks)
        raise
    return container, attached


PROVIDED = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
"""Files that the engine mounts itself."""
FILES = 8192
"""Open files of the warden: all its connections and listeners. More than a daemon itself may have is refused."""


def _options(spec: GuestSpec, volumes: tuple[str, ...], processors: int, *, podman: bool = False) -> dict[str, Any]:
    """The host's side of the container: see docs/docker.md for each."""
    limits: Limits = spec.limits
    covers = ",notmpcopyup" if podman else ""  # Podman fills a tmpfs with what the image has there
    sizes = {"/home": limits.disk // 2, "/tmp": limits.disk // 2, "/root": 4096}
    # An image's own volumes would else be on the host's disk, without a bound.
    tmpfs = {
        folder: f"rw,nosuid,nodev,exec,size={sizes.get(folder, SMALL)},mode={mode:04o}{covers}"
        for folder, mode in {**dict.fromkeys(volumes, 0o755), **PLACES}.items()
    }
    bound = limits.memory + limits.disk + SLACK  # what is written to a tmpfs counts as memory
    return {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "tmpfs": tmpfs,
        "mem_limit": bound,
        "memswap_limit": bound,
        "pids_limit": limits.processes + 64,
        "nano_cpus": min(spec.cpus, processors) * 1_000_000_000,
        "shm_size": SMALL,
        "ipc_mode": "private",
        "log_config": {"Type": "none"},
        "auto_remove": True,
        "sysctls": {"net.ipv6.conf.all.disable_ipv6": "0", "net.ipv4.ip_unprivileged_port_start": "1024"},
        "ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": FILES, "Hard": FILES},
        ],
        "dns": ["192.168.1.1"],
        "dns_search": ["."],
        "extra_hosts": {spec.host_name: "127.0.1.1"},
    }


def _modes() -> list[Put]:
    """runc gives a tmpfs the mode of the folder that it covers, whatever mode was asked for."""
    return [Put(folder, kind=2, mode=mode, owned=False) for folder, mode in PLACES.items()]


def _feigned(spec: GuestSpec) -> list[Put]:
    """What the warden answers in place of files that cannot be covered from outside of a container."""
    uptime = f"{spec.uptime}.53 {spec.uptime * 7}.18\n".encode()
    own = {"/proc/uptime": uptime, "/proc/self/cgroup": LOGIN, "/proc/1/cgroup": b"0::/init.scope\n"}
    files = {**dict(spec.files), **own}
    return [Put(path, content, kind=4) for path, content in files.items()] + [Put(path, kind=5) for path in GONE]


def _end(container: str, marks: dict[str, str]) -> str:
    """Make sure that a container is gone; what prevents it is returned, and it is swept up at the next start."""
    containers.forget(marks)
    if not container:
        return ""
    deadline = time.monotonic() + LEAVING_SECONDS
    try:
        with containers.client() as api:
            while time.monotonic() < deadline:
                if containers.removed(api, container):
                    return ""
                time.sleep(0.02)
    except BackendError as error:
        return str(error)
    except containers.failures() as error:
        return containers.sentence(error)
    return "the container could not be removed"


BACKEND = Docker()
