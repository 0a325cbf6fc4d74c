"""Where guests run: one file a backend, each defining `BACKEND`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

import msgspec

from sandbox.plan import Limits, Tools
from sandbox.settings import Settings
from sandbox.warden.frames import Put


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend needs to make a guest. `mounts` are (host path, guest path), read-only; `links` are (guest
    path, target); `masks` are folders that the guest sees empty; `files` are laid over what is there, read-only:
    the kernel's that the persona answers itself (`/proc/cpuinfo`), certificates."""

    host_name: str
    home: str
    uptime: int
    cpus: int
    limits: Limits
    mounts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    masks: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


class Running(msgspec.Struct, frozen=True):
    """A guest that is being made: its stream, and how to make sure that it is gone (returns what it said last)."""

    stream: socket.socket
    stop: Callable[[], str]
    unwrap: Callable[[bytes], bytes] | None = None
    """Takes the warden's bytes out of what arrives on the stream, where something wraps them. Raises ValueError."""
    puts: tuple[Put, ...] = ()
    """What the warden has to put where this backend could not, before all else."""
    provided: frozenset[str] = frozenset()
    """Files that are there already and cannot be planted."""
    not_seen: tuple[str, ...] = ()
    """What cannot be looked at in such a guest, one sentence each; the report says it."""


class Backend(Protocol):
    """One way to make guests."""

    name: str

    def configure(self, settings: Settings) -> Backend:
        """This backend, as the settings want it. Raises UsageError for one that it cannot follow."""
        ...

    def tools(self, step: Callable[[str], None]) -> Tools:
        """The package managers that its guests have; `step` is told what takes long. Raises BackendError."""
        ...

    def missing(self) -> tuple[str, str] | None:
        """(what is missing here, what to do about it), or None where guests can be made. Quick."""
        ...

    def refused(self) -> tuple[str, str] | None:
        """What this machine forbids, found out by trying, as `missing`. Asked only where another backend could do."""
        ...

    def start(self, spec: GuestSpec) -> Running:
        """Make a guest. Raises BackendError."""
        ...
