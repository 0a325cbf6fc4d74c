"""Scans lockfiles: every package of each, from as few guests as that takes, going on where an earlier scan stopped.

What the store knows is not run again. The rest of a lockfile is installed together with all of it and settled
(`sandbox.settle`); what cannot be installed so, or is asked for so, is checked one by one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import psutil

from sandbox import (
    __version__,
    discovery,
    fingerprints,
    left_open,
    locked,
    pipeline,
    reuse,
    scan_items,
    schedule,
    settle,
    store,
    together,
)  # fmt: skip
from sandbox.batches import MakesBatch, Packed
from sandbox.cache import Cache
from sandbox.errors import BaitboxError, StoreError, UnfitError
from sandbox.judge_batch import Judgement
from sandbox.lock_search import Found, find, plain
from sandbox.plan import Artifact
from sandbox.progress import Progress
from sandbox.registries import registry_settings
from sandbox.report import Night, Note, PackageReport
from sandbox.scan_items import Item
from sandbox.scan_memory import Memory, result
from sandbox.settings import Settings
from sandbox.store import FinishedScan, Scan, Store
from sandbox.targets import Target, shown
from sandbox.upstream import Upstream

MANY_TOGETHER = 400
"""Packages in one guest; a larger lockfile takes several."""
FETCHES = 8
MEMORY_OF_ONE = 2 * 1024**3
"""Bytes that a guest and what watches it may take."""

Key = int
"""An item, by its identity."""


class Pace:
    """Says how far the scan is, and how long the rest may take by what it took so far."""

    def __init__(self, progress: Progress, every: int) -> None:
        self._progress = progress
        self._every = every
        self._began = time.monotonic()
        self.done = 0
        self._known = 0

    def knew(self, many: int) -> None:
        """So many were known, and took no time."""
        self._known += many
        self.done += many

    def step(self, text: str) -> None:
        """See `progress.Progress`."""
        run = self.done - self._known
        left = ""
        if run:
            seconds = (time.monotonic() - self._began) / run * (self._every - self.done)
            left = f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
        self._progress.step(f"{self.done} of {self._every} packages{left}: {text}")


class _Results:
    """What is known so far, here and in the store's table of scans."""

    def __init__(self, scan: Scan | None, pace: Pace) -> None:
        self._scan = scan
        self._pace = pace
        self.reports: dict[Key, PackageReport] = {}

    def take(self, found: dict[Key, PackageReport], reason: str) -> None:
        """Keep some packages' reports, at once."""
        new = {key: one for key, one in found.items() if key not in self.reports}
        self.reports.update(found)
        self._pace.done += len(new)
        if self._scan is not None:
            try:
                self._scan.add_all([result(one, reason) for one in found.values() if one.purl])
            except StoreError as error:
                reuse.tell(f"the scan's results are not stored: {error}")
                self._scan = None

    def finish(self) -> tuple[Night, ...]:
        """Every package has its result. Returns how the scans of the same came out so far, this one last."""
        if self._scan is None:
            return ()
        try:
            self._scan.finish()
            return tuple(Night(ended=reuse.moment(at), counts=counts) for at, counts in self._scan.nights())
        except StoreError as error:
            reuse.tell(f"the scan's end is not stored: {error}")
            return ()


def scan(
    paths: Sequence[str],
    settings: Settings,
    progress: Progress,
    *,
    one_by_one: bool = False,
    since_last: bool = False,
) -> schedule.Outcome:
    """Scan the lockfiles that `paths` name or hold. Raises BaitboxError only where nothing at all can be done."""
    began = time.monotonic()
    found, unseen = find(paths)
    notes: list[Note] = []
    bench = _bench(settings, progress.step)
    if len(settings.personas) > 1 and not one_by_one:
        one_by_one = True
        notes.append(Note(text="each package is run alone: only so is it run for several personas"))
    items = scan_items.collect(found, bench.registries)
    every = list(items.items.values())
    pace = Pace(progress, len(every))
    what = _hashed("what", sorted(plain(str(one.path)) for one in found), one_by_one)
    with _scan_row(what, found, settings, one_by_one) as (row, last):
        results = _Results(row, pace)
        runs = _Runs(bench, results, pace, Memory(bench, pace.step))
        runs.known(every, row)
        for lock in found:
            own = items.by_lock.get(lock.name, [])
            if not one_by_one:
                runs.together(own, lock.name)
        runs.one_by_one(every)
        nights = results.finish()
    packages = [_placed(item, results.reports[id(item)]) for item in every] + items.lockfiles
    if unseen:
        packages.append(left_open.line(", ".join(shown(path) for path in paths[:3]), unseen))
    whole = schedule.assemble(packages, time.monotonic() - began, bench.backend.name)
    notes += items.notes
    if not packages:
        names = ", ".join(shown(one.name) for one in found[:5])
        notes.insert(0, Note(text=f"there is no package to look at in {names}"))
        whole = msgspec.structs.replace(whole, verdict="clean")
    if since_last:
        packages, more = since(packages, last)
        notes = more + notes
    errors = (*items.errors, *runs.errors)
    whole = msgspec.structs.replace(whole, packages=tuple(packages), notes=tuple(notes), nights=nights)
    return schedule.Outcome(whole, tuple(errors))


class _Runs:
    """Runs what has to be run."""

    def __init__(self, bench: together.Bench, results: _Results, pace: Pace, memory: Memory) -> None:
        self._bench = bench
        self._results = results
        self._pace = pace
        self._memory = memory
        self._packed: dict[Key, Packed] = {}
        self._problems: dict[Key, BaitboxError] = {}
        self.errors: list[tuple[str, BaitboxError]] = []
        self._batches = 0

    def known(self, items: Sequence[Item], row: Scan | None) -> None:
        """Take what need not be run: what cannot be, what this scan had done before it was stopped, what is stored."""
        unfit = [item for item in items if item.target is None]
        said = {id(item): item.report([f"not checked: {why}" for why in item.missing]) for item in unfit}
        self._results.take(said, "cannot be run")
        bench = self._bench
        light = {
            id(item): locked.light(item.target, bench.cache, bench.registries, bench.tools.toolchain)
            for item in items
            if item.target is not None and item.is_registry
        }
        self._recall({key: one for key, one in light.items() if one is not None}, row)

    def _recall(self, wanted: dict[Key, Artifact], row: Scan | None) -> None:
        earlier = row.done() if row is not None and row.resumed else {}
        done = {
            key: earlier[artifact.purl, artifact.digest].report
            for key, artifact in wanted.items()
            if (artifact.purl, artifact.digest) in earlier
        }
        kept = {key: one for key, one in done.items() if one is not None and one.verdict != "inconclusive"}
        self._results.take(kept, "done before the scan was stopped")
        known = self._memory.known([one for key, one in wanted.items() if key not in kept])
        stored = {key: known[one.purl] for key, one in wanted.items() if key not in kept and one.purl in known}
        self._results.take(stored, "stored")
        self._pace.knew(0)

    def together(self, items: Sequence[Item], name: str) -> None:
        """Settle what is not known of one lockfile, with all of it installed."""
        open_ = [item for item in items if id(item) not in self._results.reports]
        if not any(item.is_registry for item in open_):
            return
        self._fetch([item for item in items if item.is_registry])
        light = {id(item): self._packed[id(item)].artifact for item in open_ if id(item) in self._packed}
        self._recall({key: one for key, one in light.items() if key not in self._results.reports}, None)
        by_key = {self._packed[id(item)].key: item for item in reversed(items) if id(item) in self._packed}
        for ecosystem in ("npm", "pypi"):
            makes: MakesBatch | None = discovery.load("batches", "BATCH").get(ecosystem)
            every = [self._packed[id(item)] for item in by_key.values() if item.entry.ecosystem == ecosystem][::-1]
            if makes is None or len(every) < 2:
                continue
            held, _ = makes.together(every)
            wanted = [one for one in held if id(by_key[one.key]) not in self._results.reports]
            for start in range(0, len(wanted), MANY_TOGETHER):
                part = wanted[start : start + MANY_TOGETHER]
                support = held if len(held) <= MANY_TOGETHER else makes.needed(held, part)
                self._settle(makes, support, part, by_key, name)

    def _settle(
        self, makes: MakesBatch, held: list[Packed], wanted: list[Packed], by_key: dict[str, Item], name: str
    ) -> None:
        world = _World(self, makes, by_key, self._bench.persona.id)
        packed = {one.key: one for one in held}

        def told(reports: settle.Reports) -> None:
            self._results.take({id(by_key[key]): one for key, one in reports.items()}, "clean among others")
            self._memory.keep(reports, packed, world.recording)

        self._pace.step(f"{len(held)} packages of {name} together")
        reports = settle.settle(held, world, told, [one.key for one in wanted])
        self._results.take({id(by_key[key]): one for key, one in reports.items()}, "settled")

    def batch(self, packed: Sequence[Packed], took: Callable[[Path], None]) -> Judgement:
        """Run some packages in one guest."""
        self._batches += 1
        return together.run(packed, self._bench, self._pace, f"together-{self._batches}", took)

    def one_by_one(self, items: Sequence[Item]) -> None:
        """Check each that is left in a guest of its own."""
        left = [item for item in items if id(item) not in self._results.reports]
        self._results.take(self.alone(left), "alone")

    def alone(self, items: Sequence[Item]) -> dict[Key, PackageReport]:
        """Check each in a guest of its own; a report for every one."""
        wanted = [(item, item.target) for item in items if item.target is not None and id(item) not in self._problems]
        found = {
            id(item): item.report([f"not checked: {self._problems[id(item)]}"])
            for item in items
            if id(item) in self._problems
        }
        problems = [(item.text, self._problems[id(item)]) for item in items if id(item) in self._problems]
        # What is not for this machine is inconclusive, and no mistake of anybody's.
        self.errors += [(text, error) for text, error in problems if not isinstance(error, UnfitError)]
        if wanted:
            self._pace.step(f"{len(wanted)} alone")
            targets: list[str | Target] = [target for _, target in wanted]
            outcome = schedule.check_all(targets, self._bench.settings, self._pace, keep_error=True)
            self.errors += [(text, error) for text, error in outcome.errors if not isinstance(error, UnfitError)]
            for (item, _), one in zip(wanted, outcome.report.packages, strict=True):
                found[id(item)] = one if one.purl else item.report(one.coverage.missing)
        return found

    def _fetch(self, items: Sequence[Item]) -> None:
        """Fetch files by the lockfile's digests. What is not there, or is another, is not run, and said."""
        left = [item for item in items if id(item) not in self._packed and id(item) not in self._problems]
        if not left:
            return
        self._pace.step(f"fetching {len(left)} packages")
        with Upstream(self._bench.registries, self._bench.cache) as upstream, ThreadPoolExecutor(FETCHES) as pool:

            def fetch(item: Item) -> Packed | BaitboxError:
                assert item.target is not None
                try:
                    return locked.packed(item.target, item.entry.location, upstream, self._bench.tools.toolchain)
                except BaitboxError as error:
                    return error

            for item, got in zip(left, pool.map(fetch, left), strict=True):
                if isinstance(got, Packed):
                    self._packed[id(item)] = got
                else:
                    self._problems[id(item)] = got


class _World:
    """What runs packages, for `settle`."""

    def __init__(self, runs: _Runs, makes: MakesBatch, by_key: dict[str, Item], persona: str) -> None:
        self._runs = runs
        self._persona = persona
        self._makes = makes
        self._by_key = by_key
        self.recording: store.Packed | None = None

    def together(self, packed: Sequence[Packed]) -> Judgement:
        """See `settle.World`."""

        def took(recording: Path) -> None:
            self.recording = store.pack(recording, self._persona)

        self.recording = None
        return self._runs.batch(packed, took)

    def alone(self, packed: Sequence[Packed]) -> settle.Reports:
        """See `settle.World`."""
        found = self._runs.alone([self._by_key[one.key] for one in packed])
        return {one.key: found[id(self._by_key[one.key])] for one in packed}

    def needed(self, packed: Sequence[Packed], some: Sequence[Packed]) -> list[Packed]:
        """See `settle.World`."""
        return self._makes.needed(packed, some)


def since(packages: Sequence[PackageReport], last: FinishedScan | None) -> tuple[list[PackageReport], list[Note]]:
    """What is new, what has another verdict than in the last scan, and everything that is not clean; and notes on what
    has disappeared and on what is left out."""
    if last is None:
        return list(packages), [Note(text="there is no earlier scan of the same to compare with: all of it is listed")]
    when = reuse.moment(last.finished)
    notes: list[Note] = []
    listed: list[PackageReport] = []
    for one in packages:
        before = last.results.get((one.purl, one.digest))
        if before is None:
            notes.append(Note(text=f"new since {when}: {one.purl or one.target} ({one.verdict})"))
        elif before.verdict != one.verdict:
            notes.append(Note(text=f"changed since {when}: {one.purl} was {before.verdict} and is {one.verdict}"))
        if before is None or before.verdict != one.verdict or one.verdict != "clean":
            listed.append(one)
    held = {(one.purl, one.digest) for one in packages}
    gone = [one for key, one in last.results.items() if key not in held]
    notes += [Note(text=f"gone since {when}: {one.purl} ({one.verdict})") for one in gone]
    if len(listed) < len(packages):
        # The first, because it is all that a quiet night has to say.
        notes.insert(0, Note(text=f"{len(packages) - len(listed)} packages are clean as they were at {when}"))
    return listed, notes


def jobs(settings: Settings) -> int:
    """How many packages run alone at the same time: as set, else one for each processor that we may use, as far as
    there is memory. A package alone runs one program after another, and waits now and then."""
    if settings.jobs:
        return settings.jobs
    processors = len(psutil.Process().cpu_affinity() or [0])
    return max(1, min(processors, psutil.virtual_memory().available // MEMORY_OF_ONE))


def _bench(settings: Settings, step: Callable[[str], None]) -> together.Bench:
    backend = pipeline.choose_backend(settings)
    return together.Bench(
        settings=msgspec.structs.replace(settings, backend=backend.name, jobs=jobs(settings)),
        tools=backend.tools(step),
        registries=registry_settings(project=Path()),
        cache=Cache(settings.cache),
        persona=pipeline.personas(settings)[0],
        backend=backend,
    )


@contextmanager
def _scan_row(
    what: str, found: Sequence[Found], settings: Settings, one_by_one: bool
) -> Iterator[tuple[Scan | None, FinishedScan | None]]:
    """The store's line for this scan, and the last finished one of the same."""
    contents = [(one.name, one.lock) for one in found]
    chosen = {"personas": ",".join(settings.personas), "timeout": str(settings.timeout), "alone": str(one_by_one)}
    fingerprint = _hashed("scan", contents, chosen, __version__, fingerprints.sensors_key())
    with ExitStack() as stack:
        row: tuple[Scan | None, FinishedScan | None] = (None, None)
        try:
            opened = stack.enter_context(Store.open(settings.store))
            last = opened.last_finished(what)
            names = [one.name for one in found]
            row = (opened.open_scan(fingerprint, what=what, lockfiles=names, settings=chosen), last)
        except StoreError as error:
            reuse.tell(f"the scan is not stored: {error}")
        yield row


def _placed(item: Item, found: PackageReport) -> PackageReport:
    """A report with the places that name the package."""
    return msgspec.structs.replace(found, origins=tuple(item.origins), target=item.text)


def _hashed(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str)).hexdigest()[:32]
