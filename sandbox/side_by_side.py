"""Runs the phases of several packages in one guest, several at the same time.

A phase of one package waits for nobody; one that is of all of them (a start of Python, a login shell) is run when all
before it are over, and alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import psutil

from sandbox.plan import Phase

MOST = 32
"""The warden can hold 64 phases at once."""


def width() -> int:
    """How many phases run at once: twice the processors that we may use, since many wait for something now and then."""
    return max(2, min(MOST, 2 * len(psutil.Process().cpu_affinity() or [0])))


def run_all(
    phases: Sequence[Phase],
    run: Callable[[Phase], object],
    alive: Callable[[], bool],
    step: Callable[[str], None],
    at_once: int = 0,
) -> None:
    """Run every phase, in order where order counts. Stops where the guest is gone. What `run` raises is raised."""
    done = itertools.count(1)

    def one(phase: Phase) -> None:
        if alive():
            step(f"{next(done)} of {len(phases)}: {phase.name}")
            run(phase)

    for is_of_one, group in itertools.groupby(phases, key=lambda phase: bool(phase.package)):
        if not is_of_one:
            for phase in group:
                one(phase)
            continue
        # Not as a context: an interrupt must not wait for what runs, which ends with the guest.
        pool = ThreadPoolExecutor(at_once or width(), thread_name_prefix="phase")
        try:
            futures = [pool.submit(one, phase) for phase in group]
            for future in futures:
                future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
