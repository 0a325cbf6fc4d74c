"""The native backend: a guest made of namespaces by bubblewrap, without root and without a daemon.

The warden makes a user, network, process and time namespace of its own and runs bubblewrap inside them; it stays
outside the guest's mounts and processes, so the package can neither see nor signal it. As root it maps the guest's
user to a number that owns nothing on the host; as an ordinary user the guest is that user, without capabilities.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sandbox import toolchain
from sandbox.backends import GuestSpec, Running
from sandbox.errors import BackendError, UsageError
from sandbox.plan import Tools
from sandbox.settings import Settings
from sandbox.warden import PROGRAM

GUEST_USER_ON_HOST = 1_879_048_192
"""First of a range of user numbers that no distribution gives out; each guest of root's takes one of them."""

LEAVING_SECONDS = 0.25
"""How long the warden may take to leave by itself once its guest is over."""

MASKED = ("/usr/local", "/usr/lib/python3/dist-packages", "/usr/share/doc", "/usr/src")
"""Parts of /usr that tell of the host rather than serve as a toolchain."""

CONFIGURATION = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
"""What programs under /usr need of the host's /etc; everything else there is the persona's."""


def _file_system(spec: GuestSpec) -> list[str]:
    """bubblewrap's arguments for what the guest sees of a file system."""
    half = str(spec.limits.disk // 2)
    small = str(64 * 1024 * 1024)
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    for masked in MASKED:
        if os.path.isdir(masked):
            arguments += _empty(masked)
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    arguments += ["--size", small, "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    arguments += ["--size", small, "--perms", "0755", "--tmpfs", "/etc"]
    for path_text in CONFIGURATION:
        arguments += ["--ro-bind-try", path_text, path_text]
    for scratch in ("/tmp", "/var/tmp"):
        size = half if scratch == "/tmp" else small
        arguments += ["--size", size, "--perms", "1777", "--tmpfs", scratch]
    arguments += ["--size", small, "--perms", "0755", "--tmpfs", "/run"]
    arguments += ["--size", half, "--perms", "0755", "--tmpfs", spec.home]
    arguments += ["--perms", "0700", "--dir", "/root"]
    places = {parent for _, place in spec.mounts for parent in Path(place).parents if len(parent.parts) > 1}
    for folder in sorted({Path("/srv"), Path("/opt"), Path("/mnt")} | places):
        if not folder.is_relative_to("/usr"):
            arguments += ["--perms", "0755", "--dir", str(folder)]
    for host, guest in spec.mounts:
        arguments += ["--ro-bind", host, guest]
    for path_text in spec.masks:
        arguments += _empty(path_text)
    for path_text, target in spec.links:
        arguments += ["--symlink", target, path_text]
    return arguments


def _empty(folder: str) -> list[str]:
    return ["--size", "4096", "--perms", "0755", "--tmpfs", folder, "--remount-ro", folder]


def _laid_over(spec: GuestSpec) -> tuple[list[str], list[int]]:
    """Arguments that put the spec's files over the real ones, and the files in memory that they are read from: on
    disk they would outlive a baitbox that is killed."""
    arguments, sources = [], []
    for path, content in spec.files:
        sources.append(os.memfd_create("file", os.MFD_CLOEXEC))
        with open(sources[-1], "wb", closefd=False) as file:
            file.write(content)
        os.lseek(sources[-1], 0, os.SEEK_SET)
        arguments += ["--perms", "0444", "--ro-bind-data", str(sources[-1]), path]
    return [*arguments, "--remount-ro", "/"], sources


class Native:
    """See the module."""

    name = "native"

    def configure(self, settings: Settings) -> Native:
        """See `Backend.configure`."""
        for flag, value in (("--image", settings.image), ("--runtime", settings.runtime)):
            if value:
                raise UsageError(f"the native backend has no {flag}", "add --backend docker, or leave it out")
        return self

    def tools(self, step: Callable[[str], None]) -> Tools:
        """See `Backend.tools`: this machine's own, lent read-only."""
        del step
        return toolchain.find()

    def missing(self) -> tuple[str, str] | None:
        """See `Backend.missing`. Only what is quick to see; the kernel's refusals show when a guest starts."""
        if not sys.platform.startswith("linux"):
            return "the native backend needs Linux", "run baitbox on Linux"
        if shutil.which("bwrap") is None:
            return "bubblewrap (bwrap) is not installed", "apt-get install bubblewrap"
        if not os.access(PROGRAM, os.X_OK):
            return (
                "the warden was not built with this baitbox",
                "reinstall it with a C compiler present: apt-get install gcc libc6-dev",
            )
        return None

    def refused(self) -> tuple[str, str] | None:
        """See `Backend.refused`: namespaces, /proc and the filter, as a distribution or a container may
        forbid them."""
        from sandbox import doctor, probe

        tried = probe.ask()
        checks = (doctor.notification(tried), doctor.namespaces(tried), doctor.own_proc(tried))
        return next(((f"{check.name}: {check.detail}", check.hint) for check in checks if not check.ok), None)

    def start(self, spec: GuestSpec) -> Running:
        """See `Backend.start`."""
        problem = self.missing()
        if problem:
            raise BackendError(*problem)
        bwrap = shutil.which("bwrap") or "bwrap"
        arguments = [bwrap, "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--as-pid-1"]
        arguments += ["--hostname", spec.host_name, "--chdir", "/"]
        over, sources = _laid_over(spec)
        arguments += [*_file_system(spec), *over]
        ours, theirs = socket.socketpair()
        messages = open(os.memfd_create("messages"), "w+b")  # noqa: SIM115  # `stop` closes it
        head = [str(PROGRAM), "native", str(theirs.fileno()), str(spec.uptime), str(_guest_user()), "--"]
        try:
            process = subprocess.Popen(
                head + arguments,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                pass_fds=[theirs.fileno(), *sources],
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            messages.close()
            raise BackendError(f"the warden could not be started: {error.strerror}") from error
        finally:
            theirs.close()
            for source in sources:
                os.close(source)

        def stop() -> str:
            _end(process)
            if messages.closed:
                return ""
            messages.seek(0)
            said = messages.read(2000).decode("utf-8", "replace").strip()
            messages.close()
            return said

        return Running(ours, stop)


def _guest_user() -> int:
    """The host's number for the guest's user; 0 where only our own can be had: without root, and for the root of a
    container or namespace that has not got that many numbers."""
    wanted = GUEST_USER_ON_HOST + os.getpid() % 65536
    if os.geteuid() != 0:
        return 0
    for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines():
        first, _, count = map(int, line.split())
        if first <= wanted < first + count:
            return wanted
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment for the warden's end, and end whatever is left of its process group."""
    if process.returncode is not None:
        return
    until = time.monotonic() + LEAVING_SECONDS
    # Not reaped while its group is ended: until then the number cannot become a stranger's.
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > until:
            break
        time.sleep(0.002)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


BACKEND = Native()
