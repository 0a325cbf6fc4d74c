"""Starts programs on the host, and is the only module that does: bounded in time and memory, no shell.

What runs here are tools that we trust (node, a Python to be asked about itself); what is under test runs in a
guest. Both pipes are read at once, so that a child that fills one cannot hang us on the other.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

_READ = 64 * 1024
_GRACE = 0.5
"""Seconds that a child gets between SIGTERM and SIGKILL, and that its pipes stay open for once it is gone."""


class Completed(msgspec.Struct, frozen=True):
    """How a program ended. `code` is negative for a signal. `stdout` and `stderr` are each cut at the limit;
    `dropped` counts the bytes that were read and not kept."""

    code: int
    stdout: bytes
    stderr: bytes
    dropped: int = 0
    timed_out: bool = False


def run(
    argv: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
    limit: int = 1024 * 1024,
    cwd: Path | None = None,
) -> Completed:
    """Run a program to its end, without input, keeping at most `limit` bytes of each of its outputs.

    After `timeout` seconds its whole process group is ended. Raises OSError where it cannot be started.
    """
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        outputs, dropped, timed_out = _collect(child, time.monotonic() + timeout, limit)
    finally:
        # Also on KeyboardInterrupt; and grandchildren outlive a child that merely exited.
        _signal_group(child, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return Completed(child.returncode, bytes(outputs[0]), bytes(outputs[1]), dropped, timed_out)


def _collect(
    child: subprocess.Popen[bytes], deadline: float, limit: int
) -> tuple[tuple[bytearray, bytearray], int, bool]:
    """Read both pipes until they close, the child is gone, or the deadline passes and the group is ended."""
    outputs = (bytearray(), bytearray())
    dropped = 0
    timed_out = False
    with selectors.DefaultSelector() as selector:
        for pipe, output in zip((child.stdout, child.stderr), outputs, strict=True):
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ, output)
        gone = False
        while selector.get_map() or not gone:
            now = time.monotonic()
            if not gone and _has_exited(child):
                # A grandchild may hold the pipes open for ever: what is in them is read, then we leave.
                gone, deadline = True, min(deadline, now + _GRACE)
            elif now >= deadline and not timed_out and not gone:
                timed_out, deadline = True, now + _GRACE
                _signal_group(child, signal.SIGTERM)
            elif now >= deadline:
                break
            patience = 0.05 if selector.get_map() else 0.005
            for key, _events in selector.select(min(max(0.0, deadline - now), patience)):
                chunk = os.read(key.fd, _READ)
                if not chunk:
                    selector.unregister(key.fileobj)
                kept = chunk[: max(0, limit - len(key.data))]
                key.data.extend(kept)
                dropped += len(chunk) - len(kept)
    return outputs, dropped, timed_out


def _has_exited(child: subprocess.Popen[bytes]) -> bool:
    """Without reaping: the pid must stay taken until its group has been killed, or a stranger may be hit."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Suppressed: the group is gone, or only processes of another user are left in it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
