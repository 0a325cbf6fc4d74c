"""What the version before the change did, for packages of a gate that are not clean: which finding is new, and which
is known because that version did the same.

It is told beside the finding and counts for nothing: no verdict comes from it, and what is malicious stays so. A clean
package costs nothing more. What the store has recorded is not run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from sandbox import (
    behaviour,
    differences,
    discovery,
    events,
    fingerprints,
    kept,
    local_packages,
    pinned,
    reuse,
    schedule,
)
from sandbox.behaviour import Difference
from sandbox.errors import BackendError, BaitboxError, StoreError
from sandbox.events import Recording
from sandbox.locked_targets import Earlier, Unchecked
from sandbox.plaintext import shorten
from sandbox.profiles import Profiles
from sandbox.progress import Progress
from sandbox.report import WORST_FIRST, Finding, PackageReport, Previous
from sandbox.settings import Settings
from sandbox.store import Store
from sandbox.targets import Target

MOST_COMPARED = 8
"""Packages of one gate whose previous version is run as well, the worst first."""
MOST_NEW = 20
"""New behaviours that are told of one package."""
_MOST_STORED = 50
"""Stored runs that are looked through for one file."""
_ANY_AGE = 36500.0
"""Days. What a file did is as true later; and what its dependencies have learned since is then no part of it."""


Reports = dict[Target | Unchecked | None, PackageReport]
"""What came of targets; nothing came of what is none."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One package of the change: what its run showed, the target that was run, and the version before."""

    report: PackageReport
    target: Target | None = None
    earlier: Earlier | None = None


def compare(every: Sequence[Subject], settings: Settings, progress: Progress) -> list[PackageReport]:
    """The reports, in order; those of changed packages that are not clean with what came of the comparison. Raises
    nothing for a comparison's sake: what cannot be compared is said."""
    reports = [one.report for one in every]
    wanted = [number for number, one in enumerate(every) if one.earlier is not None and _is_telling(one.report)]
    wanted.sort(key=lambda number: WORST_FIRST.index(reports[number].verdict))
    if not wanted:
        return reports
    given = [every[number] for number in wanted]
    try:
        with kept.folder(None, True) as folder:
            assert folder is not None
            found = _Comparison(settings, progress, folder).of(given)
    except BackendError as error:  # there is no room for recordings
        found = [_unable(one, str(error)) for one in given]
    for number, report in zip(wanted, found, strict=True):
        reports[number] = report
    return reports


def _is_telling(report: PackageReport) -> bool:
    """Whether it was run, and is not clean."""
    return bool(report.purl and report.coverage.phases) and report.verdict != "clean"


class _Comparison:
    """One gate's comparisons. `folder` is for recordings that nobody keeps."""

    def __init__(self, settings: Settings, progress: Progress, folder: Path) -> None:
        self._settings = settings
        self._progress = progress
        self._folder = folder

    def of(self, given: Sequence[Subject]) -> list[PackageReport]:
        """Their reports, with what came of it; the worst stand first."""
        problems: dict[int, str] = {}
        for number, one in enumerate(given):
            assert one.earlier is not None
            if isinstance(one.earlier.target, Unchecked):
                problems[number] = one.earlier.target.why
        open_ = [number for number in range(len(given)) if number not in problems]
        many = f"only {MOST_COMPARED} packages of one gate are compared, the worst first"
        problems |= dict.fromkeys(open_[MOST_COMPARED:], many)
        open_ = open_[:MOST_COMPARED]
        new = self._now([given[number] for number in open_], problems, open_)
        before = self._before([given[number] for number in new])
        found = []
        for number, one in enumerate(given):
            if number in new:
                assert one.earlier is not None
                found.append(self._told(one, new[number], before.get(one.earlier.target)))
            elif number in problems:
                found.append(_unable(one, problems[number]))
            else:
                found.append(one.report)
        return found

    def _now(
        self, given: Sequence[Subject], problems: dict[int, str], numbers: Sequence[int]
    ) -> dict[int, list[Recording]]:
        """What was recorded of the new versions: kept, or in the store, or run again where that failed. What did
        nothing that a rule or no profile expects has nothing to compare."""
        asked = [one.target for one in given if one.target is not None and not one.report.recordings]
        again = msgspec.structs.replace(
            self._settings, keep=self._folder / "now", no_cache=False, reuse_inconclusive=True,
            max_age=max(self._settings.max_age, 1.0),
        )  # fmt: skip
        ran = self._run(asked, again)
        found: dict[int, list[Recording]] = {}
        for number, one in zip(numbers, given, strict=True):
            report = one.report if one.report.recordings else ran.get(one.target, one.report)
            try:
                if not report.recordings:
                    raise BaitboxError(_reason(report))
                recordings = _read(report.recordings, one.report.digest)
            except BaitboxError as error:
                problems[number] = f"what this version did cannot be looked at again: {error}"
                continue
            if one.report.findings or self._unexpected(recordings):
                found[number] = recordings
        return found

    def _before(self, given: Sequence[Subject]) -> Reports:
        """What the previous versions did, from the store or in a guest."""
        targets = [one.earlier.target for one in given if one.earlier is not None]
        asked = list(dict.fromkeys(target for target in targets if isinstance(target, Target)))
        if asked:
            self._progress.step(f"comparing {len(asked)} packages with the versions before the change")
        keep = (self._settings.keep or self._folder) / "previous"
        max_age = _ANY_AGE if self._settings.max_age > 0 else 0.0
        settings = msgspec.structs.replace(self._settings, keep=keep, max_age=max_age)
        found = self._run(asked, settings)
        for one in given:
            target = one.earlier.target if one.earlier is not None else None
            if isinstance(target, Target) and not found[target].purl and one.earlier is not None:
                found[target] = _stored(target, one.earlier.version, settings) or found[target]
        return found

    def _run(self, targets: Sequence[Target], settings: Settings) -> Reports:
        """The reports of some targets, with their recordings in the folder `settings.keep`."""
        if not targets:
            return {}
        assert settings.keep is not None
        try:
            settings.keep.mkdir(parents=True, exist_ok=True)
            outcome = schedule.check_all(targets, settings, self._progress, keep_error=True)
        except OSError as error:
            problem = BaitboxError(f"recordings cannot be kept in {settings.keep}: {error.strerror}")
            return {target: schedule.unchecked(target.text, problem) for target in targets}
        except BaitboxError as error:
            return {target: schedule.unchecked(target.text, error) for target in targets}
        return dict(zip(targets, outcome.report.packages, strict=True))

    def _unexpected(self, recordings: Iterable[Recording]) -> bool:
        return any(
            not seen.expected
            for recording in recordings
            for seen in behaviour.behaviours(recording, self._profiles(recording)).values()
        )

    def _profiles(self, recording: Recording) -> Profiles:
        return reuse.sheets(reuse.folders(self._settings), recording.header.ecosystem)

    def _told(self, one: Subject, now: list[Recording], before: PackageReport | None) -> PackageReport:
        """A report with what came of the comparison."""
        if before is None or before.verdict == "inconclusive":
            ran = before is not None and bool(before.purl)
            why = _reason(before) if before is not None else "it was not run"
            return _unable(one, f"it is inconclusive itself: {why}" if ran else why)
        try:
            recordings = _read(before.recordings, before.digest)
            found = behaviour.compare_all(
                recordings, now, self._profiles(now[0]), discovery.load("rules", "RULE")
            )  # fmt: skip
        except (BaitboxError, ValueError) as error:
            return _unable(one, f"what it did cannot be looked at: {error}")
        return _compared(one, found, before)


def _stored(target: Target, version: str, settings: Settings) -> PackageReport | None:
    """What the store has recorded of a file that no registry gives out any more, where it is that very file and was
    seen as everything is today."""
    digests, wanted = pinned.strongest(target.digests), local_packages.purl(target.ecosystem, target.name, version)
    if settings.no_cache or settings.max_age <= 0 or settings.keep is None:
        return None
    try:
        with Store.open(settings.store, create=False) as store:
            for run in store.runs(wanted, many=_MOST_STORED):
                known = (run.key.purl, run.key.sensors) == (wanted, fingerprints.sensors_key())
                alone = [one.persona for one in run.recordings] and not run.key.plan.startswith("together")
                if known and alone and run.key.digest in digests and set(run.key.personas) == set(settings.personas):
                    paths = [settings.keep / f"stored-{run.id}-{number}.jsonl" for number in range(len(run.recordings))]
                    for path, one in zip(paths, run.recordings, strict=True):
                        reuse.copy(store, one, path)
                    return msgspec.structs.replace(
                        run.report, recordings=tuple(map(str, paths)), stored=reuse.moment(run.ran)
                    )
    except (StoreError, OSError) as error:
        reuse.tell(f"what is stored of {target.text} cannot be used: {error}")
    return None


def _compared(one: Subject, found: Difference, before: PackageReport) -> PackageReport:
    known: dict[tuple[str, ...], bool] = {}
    for told in found.findings:
        name = _identity(told.finding)
        known[name] = known.get(name, True) and told.known
    # One that the recording gave at first and does not give again was not shown to be known.
    findings = tuple(
        msgspec.structs.replace(finding, novelty="known" if known.get(_identity(finding), False) else "new")
        for finding in one.report.findings
    )
    assert one.earlier is not None
    new = [differences.words(change.behaviour) for change in found.unexpected]
    previous = Previous(
        version=one.earlier.version,
        purl=before.purl,
        digest=before.digest,
        verdict=found.before.verdict,
        stored=before.stored,
        missing=found.before.missing,
        new=tuple(new[:MOST_NEW]),
        more=max(0, len(new) - MOST_NEW),
    )
    return msgspec.structs.replace(one.report, findings=findings, previous=previous)


def _identity(finding: Finding) -> tuple[str, ...]:
    """What tells a finding of one recording from all others of it (see `judge.merged`)."""
    return finding.rule, finding.verdict, finding.package, finding.phase


def _unable(one: Subject, why: str) -> PackageReport:
    assert one.earlier is not None
    previous = Previous(version=one.earlier.version, problem=why)
    return msgspec.structs.replace(one.report, previous=previous)


def _reason(report: PackageReport) -> str:
    """Why nothing can be made of a run."""
    missing = "; ".join(text.removeprefix("not checked: ") for text in report.coverage.missing)
    return shorten(missing or "there is no recording of it", 400)


def _read(paths: Sequence[str], digest: str) -> list[Recording]:
    """Recordings of the file with this digest. Raises BaitboxError where there is none, or it is another's."""
    try:
        found = [events.read(Path(path)) for path in paths]
    except OSError as error:
        raise BaitboxError(f"its recording cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BaitboxError(f"its recording cannot be read: {error}") from None
    if not found:  # a comparison with nothing would call everything new
        raise BaitboxError("there is no recording of it")
    if any(recording.header.digest != digest for recording in found):
        raise BaitboxError("the recording is of another file")
    return found
