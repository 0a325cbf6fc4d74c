"""Checks several targets, at the same time where that is wanted, and puts the results into one report.

Each running check has a process of its own (`concurrent.futures`): guests' traffic and events are handled
in Python, and one Ctrl-C must stop every guest at once. An error of one target never loses the others.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import psutil

from sandbox import __version__, report, subjects
from sandbox.errors import BaitboxError
from sandbox.progress import Prefixed, Progress, shown
from sandbox.settings import Settings
from sandbox.signals import LISTENED
from sandbox.targets import Target

TOLD = signal.SIGUSR1
"""What ends a worker. No signal that a terminal sends: those reach the workers too, and whether they count is for the
parent to say, which may have been started to ignore them (a background job, nohup)."""

STOP_SECONDS = 20.0
"""How long a worker may take to end its guest before it is killed (the guest then dies with it)."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of all targets: the report, and the targets that could not be checked, with the reason."""

    report: report.Report
    errors: tuple[tuple[str, BaitboxError], ...] = ()


class Remote:
    """The progress display of a worker process: steps travel through a queue to the one that shows them."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def step(self, text: str) -> None:
        """Send the step on."""
        self._queue.put(text)


def check_all(
    targets: Sequence[str | Target], settings: Settings, progress: Progress, *, keep_error: bool = False
) -> Outcome:
    """Check every target and report in the order given. The error of a single target is raised; of several,
    or with `keep_error`, it is kept in the outcome, and the package stands in the report as inconclusive,
    with the reason."""
    from sandbox.pipeline import choose_backend

    began = time.monotonic()
    backend = choose_backend(settings).name
    progress.step(f"guests are made by the {backend} backend")
    settings = msgspec.structs.replace(settings, backend=backend)
    jobs = min(workers(settings), len(targets))
    if len(targets) == 1:
        results: list[Any] = [_attempt(_check, targets[0], settings, progress)]
        if not keep_error and isinstance(results[0], BaitboxError):
            raise results[0]
    elif jobs == 1:
        results = [_attempt(_check, target, settings, Prefixed(progress, text(target))) for target in targets]
    else:
        with pool(jobs, progress) as executor:
            results = spread(executor, partial(work, _check), targets, settings)
    errors = tuple(
        (text(target), result)
        for target, result in zip(targets, results, strict=True)
        if isinstance(result, BaitboxError)
    )
    packages = tuple(
        unchecked(text(target), result) if isinstance(result, BaitboxError) else result
        for target, result in zip(targets, results, strict=True)
    )
    return Outcome(assemble(packages, time.monotonic() - began, backend), errors)


def recorded(texts: Sequence[str], settings: Settings) -> list[list[subjects.Named]]:
    """The recordings that each text stands for: a recording, or a target, which is run for each persona. One after
    the other, because the same one may stand there several times. Raises BaitboxError where one cannot be had."""
    from sandbox import pipeline

    found = []
    with tempfile.TemporaryDirectory(prefix="baitbox-") as scratch, shown(settings.quiet) as display:
        for number, text in enumerate(texts, start=1):
            paths = [text]
            if not subjects.is_recording(text):
                folder = (settings.keep or Path(scratch)) / (f"{number}" if len(texts) > 1 else "")
                again = text in texts[: number - 1]  # a repeat is a run, not the stored result of the first
                kept = msgspec.structs.replace(settings, keep=folder, no_cache=settings.no_cache or again)
                pipeline.vet(kept)  # makes the folder, or says why it cannot
                outcome = check_all([text], kept, display)
                paths = [path for package in outcome.report.packages for path in package.recordings]
            found.append([(Path(path).name, subjects.read(Path(path))) for path in paths])
    return found


def assemble(packages: Sequence[report.PackageReport], seconds: float, backend: str = "") -> report.Report:
    """One report over several packages: the worst verdict counts."""
    from sandbox import discovery

    return report.Report(
        tool=report.Tool(version=__version__, backend=backend, rules=discovery.count("rules")),
        verdict=report.worst([package.verdict for package in packages]),
        packages=tuple(packages),
        seconds=round(seconds, 3),
    )


def workers(settings: Settings) -> int:
    """How many checks run at the same time: as set, else half of the processors that we may use."""
    if settings.jobs:
        return settings.jobs
    return max(1, len(psutil.Process().cpu_affinity() or [0]) // 2)


def spread(
    executor: Executor, work: Callable[[Any, Settings], Any], targets: Sequence[Any], settings: Settings
) -> list[Any]:
    """Run `work` for every target on any executor; results in the targets' order. What is still waiting
    when one raises (an interrupt, a bug) is not begun."""
    # An interrupt that hits a worker while it starts would print its traceback: workers begin with it blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*LISTENED, TOLD})
    try:
        futures = {executor.submit(work, target, settings): place for place, target in enumerate(targets)}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*LISTENED, TOLD})
    results: list[Any] = [None] * len(targets)
    try:
        for future in as_completed(futures):
            results[futures[future]] = future.result()
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    return results


Check = Callable[[Any, Settings, Progress], Any]
"""What a worker does with one target (anything that has a `text`): a result, or a BaitboxError raised."""


def _check(target: str | Target, settings: Settings, progress: Progress) -> report.PackageReport:
    from sandbox.pipeline import check

    return check(target, settings, progress)


def _attempt(check: Check, target: Any, settings: Settings, progress: Progress) -> Any:
    try:
        return check(target, settings, progress)
    except BaitboxError as error:
        return error


def text(target: Any) -> str:
    """A target as the user wrote it."""
    return str(target if isinstance(target, str) else target.text)


def unchecked(target: str, error: BaitboxError) -> report.PackageReport:
    """A target that could not be checked, as the report states it: never left out."""
    missing = (f"not checked: {error}",)
    coverage = report.Coverage(missing=missing)
    return report.PackageReport(purl="", target=target, digest="", verdict="inconclusive", coverage=coverage)


_steps: Any = None
_stopped: Any = None


def _begin_worker(steps: Any, stopped: Any) -> None:
    """A worker minds its parent only while it works: an idle one would print a traceback."""
    global _steps, _stopped  # set once, before any work, in a process that does nothing else
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _steps, _stopped = steps, stopped
    for number in (*LISTENED, TOLD):  # the first three a whole process group gets: our parent tells us
        signal.signal(number, _deaf)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*LISTENED, TOLD})


def _end_with_parent() -> None:
    """A parent that is killed tells nobody; the guest goes when its end of the stream does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _deaf(_number: int, _frame: FrameType | None) -> None:
    """Does nothing. Not SIG_IGN, which the guest would inherit."""


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    # Once is enough: what follows is the guest's end, which must not be interrupted.
    signal.signal(TOLD, _deaf)
    raise KeyboardInterrupt


def work(check: Check, target: Any, settings: Settings) -> Any:
    """Check one target in a worker: what `check` gives, or the BaitboxError that it raises."""
    signal.signal(TOLD, _interrupted)
    try:
        if _stopped.is_set():
            raise KeyboardInterrupt
        return _attempt(check, target, settings, Prefixed(Remote(_steps), text(target)))
    finally:
        signal.signal(TOLD, _deaf)


@contextmanager
def pool(jobs: int, progress: Progress) -> Iterator[Executor]:
    """Worker processes whose steps are shown by `progress`; an exception inside the block stops them all."""
    # Spawned, not forked: this process has threads (the progress display), and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    # The process that Python starts beside us to clean up after us must not go before us.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    steps, stopped = context.Queue(maxsize=1000), context.Event()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    shower = threading.Thread(target=_show, args=(steps, progress), daemon=True)
    shower.start()
    try:
        with ProcessPoolExecutor(jobs, context, _begin_worker, (steps, stopped)) as executor:
            try:
                yield executor
            except BaseException:
                stopped.set()
                executor.shutdown(wait=False, cancel_futures=True)
                _stop_workers()
                raise
    finally:
        steps.put(None)
        shower.join(timeout=5)
        steps.close()
        steps.join_thread()


def _stop_workers() -> None:
    """Interrupt every worker, and again until it is gone: one that is only just beginning does not listen yet."""
    deadline = time.monotonic() + STOP_SECONDS
    while workers_left := multiprocessing.active_children():
        late = time.monotonic() > deadline
        for worker in workers_left:
            with suppress(ProcessLookupError):
                os.kill(worker.pid or 0, signal.SIGKILL if late else TOLD)
        workers_left[0].join(timeout=0.2)


def _show(steps: Any, progress: Progress) -> None:
    while (text := steps.get()) is not None:
        progress.step(text)
