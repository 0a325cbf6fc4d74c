"""What the store knows of a scan's packages, and what it is told of them. A store that fails is said, and no more."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from sandbox import fingerprints, pipeline, reuse
from sandbox.batches import Packed
from sandbox.errors import BaitboxError, StoreError
from sandbox.judged_again import Task, is_together, judge_all
from sandbox.plan import Artifact, Limits
from sandbox.report import PackageReport
from sandbox.store import Packed as PackedRecording
from sandbox.store import RunKey, ScanResult, Served, Store, StoredRun
from sandbox.together import Bench

SOURCES = ("batches", "ecosystems", "judge_batch.py", "plan.py", "settle.py", "side_by_side.py", "together.py")
"""What makes and judges a batch, beside what makes and judges every run."""


class Memory:
    """The store, as one scan uses it."""

    def __init__(self, bench: Bench, step: Callable[[str], None]) -> None:
        self._bench = bench
        self._settings = bench.settings
        self._step = step
        self._judges: dict[str, str] = {}
        self._personas = [persona.id for persona in pipeline.personas(bench.settings)]

    def judge_key(self, ecosystem: str) -> str:
        """The rules and profiles of today, and what shares a batch out among its packages."""
        key = self._judges.get(ecosystem)
        if key is None:
            key = fingerprints.judge_key(ecosystem, reuse.folders(self._settings))
            self._judges[ecosystem] = key
        return key

    def keys(self, artifact: Artifact) -> tuple[RunKey, RunKey]:
        """What a run alone, and a run among others, of this artifact is known by."""
        bench = self._bench
        alone = fingerprints.run_key(
            artifact, personas=self._personas, limits=Limits(), seconds=self._settings.timeout,
            registries=bench.registries, tools=bench.tools, backend=bench.backend,
        )  # fmt: skip
        text = f"together {alone.plan} {fingerprints.source_key(SOURCES)}"
        plan = f"together {hashlib.sha256(text.encode()).hexdigest()[:32]}"
        return alone, msgspec.structs.replace(alone, plan=plan)

    def known(self, artifacts: Iterable[Artifact]) -> dict[str, PackageReport]:
        """Reports that hold still, by package URL; those of other rules are judged again."""
        if self._settings.no_cache:
            return {}
        found: dict[str, PackageReport] = {}
        again: dict[str, list[StoredRun]] = defaultdict(list)
        try:
            with Store.open(self._settings.store) as store:
                now = time.time()
                for artifact in artifacts:
                    for key in self.keys(artifact):
                        run = store.find(key)
                        if run is None or not reuse.recent(run, self._settings, now):
                            continue
                        if run.judge != self.judge_key(artifact.ecosystem):
                            if run.recordings:
                                # Packages that ran together share one recording, which is judged once.
                                shared = run.recordings[0].digest if is_together(run) else key.text
                                again[shared].append(run)
                                break
                        elif reuse.usable(run, self._settings, now):
                            found[artifact.purl] = _stored(run)
                            break
                if again:
                    found.update(self._judge_again(store, [Task(tuple(runs)) for runs in again.values()], now))
        except StoreError as error:
            reuse.tell(f"what is stored is not used: {error}")
        return found

    def keep(
        self,
        reports: Mapping[str, PackageReport],
        packed: Mapping[str, Packed],
        recording: PackedRecording | None,
    ) -> None:
        """Keep what a batch cleared: each package with the recording that they share."""
        if recording is None or not reports:
            return
        results = [
            (self.keys(packed[purl].artifact)[1], report, [Served(packed[purl].url, packed[purl].artifact.digest)])
            for purl, report in reports.items()
        ]
        judge = self.judge_key(next(packed[purl].artifact.ecosystem for purl in reports))
        try:
            with Store.open(self._settings.store) as store:
                store.save_all(results, [recording], judge=judge)
        except StoreError as error:
            reuse.tell(f"results are not stored: {error}")

    def _judge_again(self, store: Store, tasks: Sequence[Task], now: float) -> dict[str, PackageReport]:
        """Packages judged by today's rules, as far as nothing more has to be run for them."""
        many = sum(len(task.runs) for task in tasks)
        self._step(f"judging what was recorded of {many} packages again: rules or profiles have changed")
        found = {}
        for task, reports in zip(tasks, judge_all(tasks, self._settings), strict=True):
            if isinstance(reports, BaitboxError):
                reuse.tell(f"what was recorded cannot be judged again: {reports}; it is run again")
                continue
            for run in task.runs:
                report = reports.get(run.key.purl)
                if report is None or report.digest != run.key.digest:
                    continue
                report = msgspec.structs.replace(report, purl=run.key.purl)
                ecosystem = run.key.purl.partition(":")[2].partition("/")[0]
                judged = store.judged(run, report, self.judge_key(ecosystem))
                if reuse.usable(judged, self._settings, now):
                    found[run.key.purl] = _stored(judged)
        return found


def _stored(run: StoredRun) -> PackageReport:
    return msgspec.structs.replace(run.report, stored=reuse.moment(run.ran))


def result(report: PackageReport, reason: str) -> ScanResult:
    """A package's line in the store's table of scans."""
    return ScanResult(purl=report.purl, digest=report.digest, verdict=report.verdict, reason=reason, report=report)
