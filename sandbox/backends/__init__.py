"""Where guests run: one file a backend, each defining `BACKEND`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

import msgspec

from sandbox.plan import Limits


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend needs to make a guest. `mounts` are (host path, guest path), read-only; `links` are (guest
    path, target); `masks` are folders that the guest sees empty; `files` are laid over what is there, read-only:
    the kernel's that the persona answers itself (`/proc/cpuinfo`), certificates."""

    host_name: str
    home: str
    uptime: int
    limits: Limits
    mounts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    masks: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()


class Running(msgspec.Struct, frozen=True):
    """A guest that is being made: its stream, and how to make sure that it is gone (returns what it said last)."""

    stream: socket.socket
    stop: Callable[[], str]


class Backend(Protocol):
    """One way to make guests."""

    name: str

    def missing(self) -> tuple[str, str] | None:
        """(what is missing here, what to do about it), or None where guests can be made."""
        ...

    def start(self, spec: GuestSpec) -> Running:
        """Make a guest. Raises BackendError."""
        ...
