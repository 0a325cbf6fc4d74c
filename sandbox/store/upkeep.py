"""Keeping the store sound and small: what is wrong in it, and what is removed from it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from sandbox.errors import StoreError
from sandbox.store.database import Database
from sandbox.store.recordings import Recordings
from sandbox.store.rows import DAY, RUN_COLUMNS, StoredRecording, run_from
from sandbox.store.scans import result_from

KEEP_DAYS = 90.0
MOST_BYTES = 10 * 1024**3
"""What `check` keeps to by itself, once a day."""

_MANY = 500
"""Runs that one transaction removes: others who write wait no longer than that takes."""
_MOST_PROBLEMS = 1000


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be: `freed` are bytes of files, `kept` those of the recordings that stay."""

    runs: int = 0
    recordings: int = 0
    scans: int = 0
    orphans: int = 0
    freed: int = 0
    kept: int = 0


def verify(database: Database, recordings: Recordings) -> list[str]:
    """See `Store.verify`."""
    problems = []
    for problem in _verify(database, recordings):
        problems.append(problem)
        if len(problems) == _MOST_PROBLEMS:
            problems.append("and perhaps more")
            break
    return problems


def _verify(database: Database, recordings: Recordings) -> Iterator[str]:
    for row in database.rows("PRAGMA integrity_check(20)"):
        said = next(iter(row.values()))
        if said != "ok":
            yield f"the database: {said}"
    for row in database.rows("PRAGMA foreign_key_check"):
        yield f"the database: a row of {row['table']} belongs to no {row['parent']}"
    for row in database.rows("SELECT id FROM run ORDER BY id"):
        yield from _verify_run(database, row["id"])
    for row in database.rows("SELECT * FROM scan_result"):
        try:
            result_from(row)
        except ValueError as error:
            yield f"scan {row['scan']}: the result of {row['purl']}: {error}"
    # Nobody adds or removes meanwhile: a file whose row is about to be written would look like an orphan.
    with database.holding(alone=True):
        rows = database.rows("SELECT DISTINCT digest, size, stored FROM recording")
        known = {str(row["digest"]): row for row in rows}
        found = dict(recordings.files())
    for path, digest in found.items():
        if digest not in known:
            yield f"{path.relative_to(database.folder)} belongs to no run"
    for digest, row in known.items():
        yield from _verify_recording(recordings, digest, row)


def _verify_run(database: Database, number: int) -> Iterator[str]:
    kept = database.rows(
        "SELECT persona, digest, size, stored FROM recording WHERE run = ? ORDER BY place", number
    )
    for row in database.rows(f"SELECT {RUN_COLUMNS} FROM run WHERE id = ?", number):
        try:
            run_from(row, kept)
        except ValueError as error:
            yield f"run {number}: {error}"


def _verify_recording(recordings: Recordings, digest: str, row: dict[str, Any]) -> Iterator[str]:
    try:
        recording = msgspec.convert({"persona": "", **row}, StoredRecording)
        for _ in recordings.chunks(recording):
            pass
    except FileNotFoundError:
        yield f"the recording {digest[:16]} is missing"
    except OSError as error:
        yield f"the recording {digest[:16]} cannot be read: {error.strerror}"
    except ValueError as error:
        yield str(error)


def prune(
    database: Database,
    recordings: Recordings,
    *,
    keep_days: float | None,
    most_bytes: int | None,
    dry_run: bool,
    now: float | None = None,
) -> Pruned:
    """See `Store.prune`."""
    moment = time.time() if now is None else now
    before = None if keep_days is None else moment - keep_days * DAY
    old_scans = _old_scans(database, before)
    going = _going(database, before, most_bytes, old_scans)
    named = {str(row["digest"]) for row in database.rows("SELECT digest FROM recording")}
    if not dry_run:
        _remove_scans(database, old_scans)
        for start in range(0, len(going), _MANY):
            _remove_runs(database, going[start : start + _MANY])
    removed = set(going)
    with database.holding(alone=True):
        rows = database.rows("SELECT run, digest FROM recording")
        left = {str(row["digest"]) for row in rows if row["run"] not in removed}
        tally: dict[str, int] = defaultdict(int)
        for path, digest in list(recordings.files()):
            with suppress(OSError):
                size = path.stat().st_size
                if digest in left:
                    tally["kept"] += size
                    continue
                if not dry_run:
                    path.unlink()
                tally["freed"] += size
                tally["recordings" if digest in named else "orphans"] += 1
        if not dry_run and recordings.partial.is_dir():
            for path in recordings.partial.iterdir():
                path.unlink(missing_ok=True)
    if not dry_run and (going or old_scans):
        _shrink(database)
    return Pruned(runs=len(going), scans=len(old_scans), **tally)


def _old_scans(database: Database, before: float | None) -> list[int]:
    if before is None:
        return []
    return [row["id"] for row in database.rows("SELECT id FROM scan WHERE coalesce(finished, started) < ?", before)]


def _going(database: Database, before: float | None, most_bytes: int | None, old_scans: list[int]) -> list[int]:
    """The runs to remove, oldest first."""
    unfinished = {
        row["run"]
        for row in database.rows(
            "SELECT scan, run FROM scan_result JOIN scan ON scan.id = scan WHERE finished IS NULL AND run IS NOT NULL"
        )
        if row["scan"] not in old_scans
    }
    rows = database.rows(
        "SELECT id, ran, length(report) + coalesce((SELECT sum(stored) FROM recording WHERE run = id), 0) AS bytes "
        "FROM run ORDER BY ran, id"
    )
    total = sum(row["bytes"] for row in rows)
    going = []
    for row in rows:
        old = before is not None and row["ran"] < before
        if (old or (most_bytes is not None and total > most_bytes)) and row["id"] not in unfinished:
            going.append(row["id"])
            total -= row["bytes"]
    return going


def _remove_scans(database: Database, numbers: list[int]) -> None:
    with database.writing() as connection:
        connection.executemany("DELETE FROM scan WHERE id = ?", [(number,) for number in numbers])


def _remove_runs(database: Database, numbers: list[int]) -> None:
    with database.writing() as connection:
        connection.executemany("DELETE FROM run WHERE id = ?", [(number,) for number in numbers])
        connection.execute("DELETE FROM artifact WHERE id NOT IN (SELECT artifact FROM served)")


def _shrink(database: Database) -> None:
    """Give the space back to the disk. It can wait where somebody reads."""
    with suppress(StoreError), database.speaking():
        # As a script: it gives one row without columns for each page, and `execute` stops at the first.
        database.connection.executescript("PRAGMA incremental_vacuum")
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")


def tend(database: Database, recordings: Recordings) -> None:
    """Prune to the limits that are always kept, unless that was done within the last day; for who has just added."""
    stamp = database.folder / "tended"
    with suppress(OSError, StoreError):
        with suppress(FileNotFoundError):
            if 0 <= time.time() - stamp.stat().st_mtime < DAY:
                return
        stamp.touch()
        prune(database, recordings, keep_days=KEEP_DAYS, most_bytes=MOST_BYTES, dry_run=False)
