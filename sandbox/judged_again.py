"""Judges stored recordings again, by the rules and profiles of today: on all processors where there is much to judge.

A recording of several packages is judged once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from sandbox import discovery, events, judge_batch, pipeline, reuse, schedule
from sandbox.errors import BaitboxError, TargetError
from sandbox.judge_batch import Judgement
from sandbox.progress import Progress, Silent
from sandbox.report import PackageReport
from sandbox.settings import Settings
from sandbox.store import Store, StoredRun

MANY_BYTES = 40_000_000
"""Of recordings: more than a second of work. Less is done here, as starting processes takes a second too."""

Reports = dict[str, PackageReport]


class Task(msgspec.Struct, frozen=True):
    """Runs that share their recordings: one alone, or packages that ran together."""

    runs: tuple[StoredRun, ...]

    @property
    def text(self) -> str:
        """For progress."""
        return self.runs[0].key.purl

    @property
    def size(self) -> int:
        """Bytes of its recordings."""
        return sum(one.size for one in self.runs[0].recordings)


def is_together(run: StoredRun) -> bool:
    """Whether a run's recording is that of several packages."""
    return run.key.plan.startswith("together")


def judge_all(tasks: Sequence[Task], settings: Settings) -> list[Reports | BaitboxError]:
    """For each task the reports of its packages by package URL (of packages that ran together only those that are
    cleared still), or why there is none."""
    jobs = min(schedule.workers(settings), len(tasks))
    if jobs < 2 or sum(task.size for task in tasks) < MANY_BYTES:
        return [_attempt(task, settings) for task in tasks]
    # The longest first, so that none is left over at the end.
    order = sorted(range(len(tasks)), key=lambda place: -tasks[place].size)
    with schedule.pool(jobs, Silent()) as executor:
        found = schedule.spread(executor, partial(schedule.work, _judged), [tasks[place] for place in order], settings)
    results: list[Any] = [None] * len(tasks)
    for place, result in zip(order, found, strict=True):
        results[place] = result
    return results


def judge_file(recording: Path, settings: Settings) -> Judgement:
    """Judge a recording of several packages with today's rules and profiles. Raises ValueError."""
    read = events.read(recording)
    sheets = reuse.sheets(reuse.folders(settings), read.header.ecosystem)
    return judge_batch.judge_batch(read, sheets, discovery.load("rules", "RULE"))


def _attempt(task: Task, settings: Settings) -> Reports | BaitboxError:
    try:
        return _judged(task, settings, Silent())
    except BaitboxError as error:
        return error


def _judged(task: Task, settings: Settings, progress: Progress) -> Reports:
    """Judge a task's recordings. Raises StoreError where they are not there, TargetError where they cannot be
    judged."""
    del progress  # too many, and too quick, to be told one by one
    first = task.runs[0]
    with Store.open(settings.store) as store, ExitStack() as stack:
        paths = [stack.enter_context(store.opened(one)) for one in first.recordings]
        if not is_together(first):
            return {first.key.purl: pipeline.together([pipeline.judge_again(path, settings) for path in paths])}
        try:
            judgement = judge_file(paths[0], settings)
        except ValueError as error:
            raise TargetError(str(error)) from None
    cleared = set(judgement.cleared)
    return {run.key.purl: judgement.packages[run.key.purl] for run in task.runs if run.key.purl in cleared}
