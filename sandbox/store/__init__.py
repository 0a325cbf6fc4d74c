"""The store: what was run and what came of it, so that nothing is run again that need not be.

    <folder>/store.sqlite                       runs, their reports, scans
    <folder>/recordings/<two digits>/<digest>.jsonl.gz
    <folder>/lock                               shared by who adds recordings, held alone by who removes some

Safe for any number of processes. A recording is on disk before the row that names it, so a process that is killed
leaves at most a file that `prune` removes. What is read back is believed only where its digests agree.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

import msgspec

from sandbox.errors import StoreError
from sandbox.report import PackageReport, Verdict
from sandbox.store import scans, upkeep
from sandbox.store.database import Database, exists
from sandbox.store.recordings import Packed, Recordings, pack
from sandbox.store.rows import (
    RUN_COLUMNS,
    RunKey,
    Served,
    StoredRecording,
    StoredRun,
    plain_report,
    run_from,
    run_values,
)
from sandbox.store.scans import FinishedScan, Scan, ScanResult
from sandbox.store.upkeep import Pruned

__all__ = [
    "FinishedScan", "Packed", "Pruned", "RunKey", "Scan", "ScanResult", "Served", "Store", "StoredRecording",
    "StoredRun", "pack",
]  # fmt: skip


class Store:
    """An open store, for one thread. Every method raises StoreError where the store cannot be used."""

    def __init__(self, folder: Path) -> None:
        """Use `Store.open`."""
        self.folder = folder
        self._database = Database(folder)
        self._recordings = Recordings(folder)
        self.damaged: list[str] = []
        """What was passed over because it cannot be believed, one sentence each."""

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> Store:
        """Open the store in a folder; without `create` there must be one."""
        if not create and not exists(folder):
            raise StoreError(f"there is no store in {folder}", "`baitbox check` makes one; --store names another")
        return cls(folder)

    def close(self) -> None:
        """Close it."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Runs

    def find(self, key: RunKey) -> StoredRun | None:
        """The last run of this key, whatever its age and verdict (see `StoredRun.final`); None where there is none, or
        where what is kept of it is damaged."""
        rows = self._database.rows(
            f"SELECT {RUN_COLUMNS} FROM run WHERE key = ? ORDER BY id DESC LIMIT 1", key.text
        )
        found = next(self._runs(rows), None)
        return found if found is not None and found.key == key else None

    def save(
        self,
        key: RunKey,
        report: PackageReport,
        recordings: Sequence[Packed],
        *,
        judge: str,
        served: Iterable[Served] = (),
        ran: float | None = None,
    ) -> StoredRun:
        """Keep a run: its report, its recordings (see `pack`), and the package files that it was served, by default
        those that its recordings tell of. `judge` stands for the rules and profiles that made the report, `ran` is
        seconds since 1970 (default: now). `StoredRun.complete` comes from the recordings."""
        return self.save_all([(key, report, tuple(served))], recordings, judge=judge, ran=ran)[0]

    def save_all(
        self,
        results: Sequence[tuple[RunKey, PackageReport, Sequence[Served]]],
        recordings: Sequence[Packed],
        *,
        judge: str,
        ran: float | None = None,
    ) -> list[StoredRun]:
        """Keep several packages (at least one) of one run, which share its recordings: all or none. See `save`."""
        for key, report, _ in results:
            if (report.purl, report.digest) != (key.purl, key.digest):
                raise ValueError(f"a report of {report.purl} cannot be kept as one of {key.purl}")
        told = {one for packed in recordings for one in packed.served}
        base = StoredRun(
            id=0,
            key=results[0][0],
            ran=time.time() if ran is None else ran,
            judge=judge,
            report=results[0][1],
            complete=not any(packed.troubled for packed in recordings),
            recordings=tuple(packed.stored for packed in recordings),
        )
        runs = [
            msgspec.structs.replace(base, key=key, report=plain_report(report)) for key, report, _ in results
        ]
        with self._database.holding(alone=False), ExitStack() as undoing:
            for packed in recordings:
                undoing.callback(self._take_back, packed.digest)
                self._recordings.put(packed)
            with self._database.writing() as connection:
                kept = [
                    msgspec.structs.replace(run, id=_insert(connection, run, set(served) or told))
                    for run, (_, _, served) in zip(runs, results, strict=True)
                ]
            undoing.pop_all()
        upkeep.tend(self._database, self._recordings)
        return kept

    def judged(self, run: StoredRun, report: PackageReport, judge: str) -> StoredRun:
        """Keep what the recordings of a stored run mean by other rules or profiles."""
        if (report.purl, report.digest) != (run.key.purl, run.key.digest):
            raise ValueError(f"a report of {report.purl} cannot be kept as one of {run.key.purl}")
        judged = msgspec.structs.replace(run, judge=judge, report=plain_report(report))
        values = run_values(judged)
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE run SET verdict = :verdict, judge = :judge, report = :report, seal = :seal WHERE id = :id",
                {"id": run.id, **{name: values[name] for name in ("verdict", "judge", "report", "seal")}},
            )
        return judged

    def run(self, number: int) -> StoredRun:
        """The run with this number (`StoredRun.id`)."""
        rows = self._database.rows(f"SELECT {RUN_COLUMNS} FROM run WHERE id = ?", number)
        if not rows:
            raise StoreError(f"there is no run {number} in the store {self.folder}", "`baitbox store list` shows them")
        found = next(self._runs(rows), None)
        if found is None:
            raise StoreError(self.damaged[-1], "`baitbox store verify` says what is wrong")
        return found

    def runs(
        self, purl: str = "", verdict: Verdict | None = None, *, served: str = "", many: int = -1
    ) -> Iterator[StoredRun]:
        """Runs, newest first: of packages whose purl contains `purl`, with this verdict, whose guest was served a file
        whose URL or digest contains `served`; at most `many`. Damaged ones are passed over."""
        conditions: list[str] = ["1"]
        values: list[str] = []
        if purl:
            conditions.append("instr(purl, ?)")
            values.append(purl)
        if verdict is not None:
            conditions.append("verdict = ?")
            values.append(verdict)
        if served:
            conditions.append(
                "id IN (SELECT served.run FROM served JOIN artifact ON artifact.id = served.artifact "
                "WHERE instr(artifact.url, ?) OR instr(artifact.digest, ?))"
            )
            values += [served, served]
        statement = f"SELECT id FROM run WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
        for row in self._database.rows(statement, *values, many):
            # One by one: a store holds more reports than fit into memory.
            yield from self._runs(
                self._database.rows(f"SELECT {RUN_COLUMNS} FROM run WHERE id = ?", row["id"])
            )

    def served(self, run: StoredRun) -> list[Served]:
        """The package files that the guest of a run was served."""
        rows = self._database.rows(
            "SELECT url, digest FROM served JOIN artifact ON artifact.id = served.artifact WHERE run = ? ORDER BY url",
            run.id,
        )
        return [Served(row["url"], row["digest"]) for row in rows]

    @contextmanager
    def opened(self, recording: StoredRecording) -> Iterator[Path]:
        """A stored recording's text as a file, for the time of the block; its digest has been checked."""
        with self._reading(recording), self._recordings.opened(recording) as path:
            yield path

    def chunks(self, recording: StoredRecording) -> Iterator[bytes]:
        """A stored recording's text in pieces; StoreError at the end where its digest is another."""
        with self._reading(recording):
            yield from self._recordings.chunks(recording)

    def place(self, recording: StoredRecording) -> Path:
        """Where a recording's compressed file is."""
        return self._recordings.path(recording.digest)

    # Scans

    def open_scan(
        self,
        fingerprint: str,
        *,
        what: str = "",
        lockfiles: Iterable[str] = (),
        settings: Mapping[str, str] | None = None,
        within: float = scans.RESUMED_WITHIN,
    ) -> Scan:
        """Begin a scan, or go on with the unfinished one of the same `fingerprint` (which should cover what is scanned,
        its content and the settings that matter) that began at most `within` seconds ago. `what` stands for what is
        scanned, whatever is in it today, and is what `last_finished` compares by."""
        return scans.open_scan(self._database, fingerprint, what or fingerprint, lockfiles, settings or {}, within)

    def last_finished(self, what: str) -> FinishedScan | None:
        """The last scan of the same that came to its end."""
        return scans.last_finished(self._database, what)

    # Upkeep

    def verify(self) -> list[str]:
        """Everything that is wrong, one sentence each: the database, rows, recordings, files without a row."""
        return upkeep.verify(self._database, self._recordings)

    def prune(self, *, keep_days: float | None = None, most_bytes: int | None = None, dry_run: bool = False) -> Pruned:
        """Remove runs older than `keep_days`, then the oldest until recordings and reports take at most `most_bytes`;
        and files that belong to no run. A run that an unfinished scan refers to stays."""
        return upkeep.prune(
            self._database, self._recordings, keep_days=keep_days, most_bytes=most_bytes, dry_run=dry_run
        )

    def _take_back(self, digest: str) -> None:
        """Remove a recording's file unless a row names it: on a full disk it would be in the way."""
        with suppress(StoreError, OSError):
            if self._database.one("SELECT 1 FROM recording WHERE digest = ?", digest) is None:
                self._recordings.path(digest).unlink(missing_ok=True)

    @contextmanager
    def _reading(self, recording: StoredRecording) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise StoreError(f"the recording {recording.digest[:16]} is not in the store any more") from None
        except OSError as error:
            raise StoreError(f"a recording of the store {self.folder} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise StoreError(f"in the store {self.folder}, {error}", "`baitbox store verify` says more") from None

    def _runs(self, rows: Iterable[dict[str, object]]) -> Iterator[StoredRun]:
        for row in rows:
            recordings = self._database.rows(
                "SELECT persona, digest, size, stored FROM recording WHERE run = ? ORDER BY place", row["id"]
            )
            try:
                yield run_from(row, recordings)
            except ValueError as error:
                self.damaged.append(f"run {row['id']} of the store {self.folder} is damaged: {error}")


def _insert(connection: sqlite3.Connection, run: StoredRun, files: Iterable[Served]) -> int:
    """Add a run with its recordings and what it was served, within a transaction; its number."""
    values = run_values(run)
    columns, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    number = connection.execute(f"INSERT INTO run ({columns}) VALUES ({marks})", values).lastrowid or 0
    connection.executemany(
        "INSERT INTO recording (run, place, persona, digest, size, stored) "
        "VALUES (:run, :place, :persona, :digest, :size, :stored)",
        [{"run": number, "place": place, **msgspec.structs.asdict(one)} for place, one in enumerate(run.recordings)],
    )
    pairs = sorted((one.digest, one.url) for one in files)
    connection.executemany("INSERT OR IGNORE INTO artifact (digest, url) VALUES (?, ?)", pairs)
    connection.executemany(
        "INSERT INTO served (run, artifact) SELECT ?, id FROM artifact WHERE digest = ? AND url = ?",
        [(number, *pair) for pair in pairs],
    )
    return number
