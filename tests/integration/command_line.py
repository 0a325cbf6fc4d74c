"""The real command, run as a user runs it: in a process, home, cache and temporary folder of its own."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from tests.launch import interruptible

ROOT = Path(__file__).parents[2]
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROGRESS = re.compile(r"(?:baitbox|note): ")
SECRET = "nUk3-xEqv9"
"""A password that stands in registry settings, and nowhere else."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How the command ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float = 0.0

    @property
    def talk(self) -> list[str]:
        """Every line of stderr that is no progress."""
        return [line for line in self.stderr.splitlines() if not PROGRESS.match(line)]

    def failed(self, code: int, *words: str) -> None:
        """Assert that it ended with `code`, one error line that has all `words`, perhaps a hint, and no data."""
        assert self.code == code, (self.code, self.stderr, self.stdout)
        kinds = [line.partition(": ")[0] for line in self.talk]
        assert kinds in (["error"], ["error", "hint"]), self.stderr
        assert all(word in "\n".join(self.talk) for word in words), self.stderr
        assert self.stdout == ""
        assert SECRET not in self.stderr
        assert "\x1b" not in self.stderr


class Machine:
    """A user's machine as the command sees it: everything that a run could leave behind is below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.cache, self.scratch = root / "home", root / "cache", root / "scratch"
        for folder in (self.home, self.cache, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.cache),
            "TMPDIR": str(self.scratch),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def use(self, npm: str, pypi: str, proxy: str = "") -> None:
        """Set the registries, as a user does, with a password of the user's."""
        npm, pypi = (url.replace("://", f"://dev:{SECRET}@", 1) for url in (npm, pypi))
        self.environment |= {"npm_config_registry": npm, "PIP_INDEX_URL": pypi, "http_proxy": proxy}

    def run(self, *arguments: str, timeout: float = 60, wrapped: tuple[str, ...] = (), **more: str) -> Ended:
        """Run the command to its end; `wrapped` is a program that starts it, `more` its further environment."""
        return self.wait(self.start(*arguments, wrapped=wrapped, **more), timeout)

    def start(self, *arguments: str, wrapped: tuple[str, ...] = (), **more: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own, as a shell does."""
        return subprocess.Popen(
            interruptible(*wrapped, sys.executable, "-m", "sandbox", *arguments),
            env=self.environment | more,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait(self, command: subprocess.Popen[str], timeout: float = 60) -> Ended:
        """Wait for its end, and no longer than `timeout`."""
        began = time.monotonic()
        try:
            stdout, stderr = command.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            command.kill()
            raise AssertionError(f"it hangs: {command.communicate()}") from None
        seconds = time.monotonic() - began
        return Ended(code=command.returncode, stdout=stdout, stderr=stderr, seconds=seconds)

    def left_behind(self) -> list[str]:
        """Temporary files, half-written downloads."""
        partial = self.cache / "baitbox" / "partial"
        found = [*self.scratch.iterdir(), *(partial.iterdir() if partial.exists() else ())]
        return [str(path.relative_to(self.root)) for path in found]


def with_own_registries(root: Path) -> Machine:
    """A machine that uses the registries that this one is set up for."""
    made = Machine(root)
    for name, value in os.environ.items():
        if name.lower().startswith(("npm_config_", "pip_", "https_proxy", "http_proxy", "no_proxy", "node_extra")):
            made.environment[name] = value
    for file in (".npmrc", ".config/pip/pip.conf", ".pip/pip.conf"):
        if (Path.home() / file).exists():
            (made.home / file).parent.mkdir(parents=True, exist_ok=True)
            (made.home / file).write_bytes((Path.home() / file).read_bytes())
    return made


@contextmanager
def real_machine(root: Path) -> Iterator[Machine]:
    """Such a machine, on which nothing may be left running or lying about."""
    made = with_own_registries(root)
    with orphans_come_here():
        yield made
        assert still_running() == []
        assert made.left_behind() == []


def npm_lock(folder: Path, machine: Machine, wanted: Mapping[str, str], *flags: str) -> str:
    """What npm itself locks, without installing or running anything."""
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"name": "shop", "version": "1.0.0", "dependencies": wanted}))
    command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", *flags]
    subprocess.run(command, cwd=folder, env=machine.environment, check=True, capture_output=True)
    return (folder / "package-lock.json").read_text()


@contextmanager
def orphans_come_here() -> Iterator[None]:
    """Whatever a command started becomes a child of the tests' process when the command is gone."""
    prctl = ctypes.CDLL(None).prctl
    prctl(SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(SUBREAPER, 0, 0, 0, 0)


def below(process: psutil.Process) -> list[list[str]]:
    """The command lines of everything that a process started and that is alive."""
    found = []
    for child in process.children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child.cmdline())
            elif child.ppid() == os.getpid():
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue
    return found


def still_running(seconds: float = 1.0) -> list[list[str]]:
    """What is alive below this process after at most `seconds`."""
    until = time.monotonic() + seconds
    while (alive := below(psutil.Process())) and time.monotonic() < until:
        time.sleep(0.02)
    return alive


def await_moment(here: Callable[[], object], command: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait until `here()`, which must come before the command's end; a command that is too late is ended."""
    until = time.monotonic() + seconds
    while not here():
        assert command.poll() is None, command.communicate()
        if time.monotonic() > until:
            command.kill()
            raise AssertionError(f"that moment does not come: {command.communicate()}")
        time.sleep(0.005)
