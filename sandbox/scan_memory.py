"""What the store knows of a scan's packages, and what it is told of them. A store that fails is said, and no more."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from sandbox import discovery, events, fingerprints, judge_batch, pipeline, reuse
from sandbox.batches import Packed
from sandbox.errors import StoreError
from sandbox.judge_batch import Judgement
from sandbox.plan import Artifact, Limits
from sandbox.report import PackageReport
from sandbox.settings import Settings
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
                        if run.judge == self.judge_key(artifact.ecosystem):
                            if reuse.usable(run, self._settings, now):
                                found[artifact.purl] = _stored(run)
                                break
                        elif key.plan.startswith("together") and len(run.recordings) == 1:
                            again[run.recordings[0].digest].append(run)
                            break
                for runs in again.values():
                    found.update(self._judge_again(store, runs))
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

    def _judge_again(self, store: Store, runs: Sequence[StoredRun]) -> dict[str, PackageReport]:
        """The packages of one batch, judged by today's rules; only those that they clear still."""
        self._step("judging what was recorded again: rules or profiles have changed")
        try:
            with store.opened(runs[0].recordings[0]) as path:
                judgement = judge_file(path, self._settings)
        except (StoreError, ValueError) as error:
            reuse.tell(f"what was recorded cannot be judged again: {error}; it is run again")
            return {}
        cleared, found = set(judgement.cleared), {}
        for run in runs:
            if run.key.purl in cleared and judgement.packages[run.key.purl].digest == run.key.digest:
                ecosystem = run.key.purl.partition(":")[2].partition("/")[0]
                found[run.key.purl] = _stored(
                    store.judged(run, judgement.packages[run.key.purl], self.judge_key(ecosystem))
                )
        return found


def judge_file(recording: Path, settings: Settings) -> Judgement:
    """Judge a recording of several packages with today's rules and profiles. Raises ValueError."""
    read = events.read(recording)
    sheets = reuse.sheets(reuse.folders(settings), read.header.ecosystem)
    return judge_batch.judge_batch(read, sheets, discovery.load("rules", "RULE"))


def _stored(run: StoredRun) -> PackageReport:
    return msgspec.structs.replace(run.report, stored=reuse.moment(run.ran))


def result(report: PackageReport, reason: str) -> ScanResult:
    """A package's line in the store's table of scans."""
    return ScanResult(purl=report.purl, digest=report.digest, verdict=report.verdict, reason=reason, report=report)
