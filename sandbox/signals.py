"""Ends the program when its user (Ctrl-C) or the system (SIGTERM, SIGHUP) asks: at any moment, once, and soon.

Imports next to nothing, so that it listens before anything else is imported.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

LISTENED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 1.5
"""Seconds to end in good order: guests are stopped, half-written files removed. Then the end comes without it; the
guests' supervisors see that, and end them."""

_said = False
_owed: list[Callable[[], object]] = []


class Interrupted(BaseException):
    """Raised wherever the program just is. No KeyboardInterrupt, which libraries handle in ways of their own."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = 128 + number


def run(command: Callable[[], int]) -> NoReturn:
    """Run `command` and end the process with the exit code that it returns, or that a signal asks for."""
    try:
        listen()
        _open_streams()
        code = command()
        _ignore()
    except Interrupted as asked:
        code = asked.exit_code
    if code > 128:
        _say()
    sys.exit(code)


def listen() -> None:
    """Raise `Interrupted` at the first signal, unless that one was to be ignored from the start (nohup)."""
    for number in LISTENED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _asked)


@contextmanager
def at_the_latest(act: Callable[[], object]) -> Iterator[None]:
    """Do `act` when the block ends, and also where the end of the process does not wait for that. It must be quick,
    and may be done twice."""
    _owed.append(act)
    try:
        yield
    finally:
        act()
        _owed.remove(act)


def _asked(number: int, _frame: FrameType | None) -> None:
    _ignore()  # once is enough: what follows is the end, which must not be interrupted
    threading.Thread(target=_insist, args=(128 + number,), daemon=True).start()
    raise Interrupted(number)


def _ignore() -> None:
    for number in LISTENED:
        signal.signal(number, signal.SIG_IGN)


def _insist(code: int) -> None:
    time.sleep(PATIENCE)
    for act in _owed[:]:
        with suppress(Exception):
            act()
    _say()
    os._exit(code)


def _say() -> None:
    """One word, once."""
    global _said  # there is one process to end
    if not _said:
        _said = True
        with suppress(OSError, ValueError):
            print("interrupted", file=sys.stderr, flush=True)


def _open_streams() -> None:
    """Where the caller closed a standard stream: else the next file opened gets its number, and our talk."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # for the life of the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
