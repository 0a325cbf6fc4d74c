"""Scans: which packages of a set of lockfiles are done, so that a scan that was killed goes on where it stopped, and
the next one can say what is new."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sandbox.report import PackageReport, Verdict
from sandbox.store.database import Database
from sandbox.store.rows import DAY, pack_report, seal, unpack_report

RESUMED_WITHIN = 7 * DAY
"""Seconds after which a scan that was never finished is begun anew: its first results are old."""


class ScanResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one package of a scan. Its report is that of the stored run `run`, or, for a package that has none
    of its own (it was judged among others, or could not be run), `report`. `reason` is free text."""

    purl: str
    digest: str
    verdict: Verdict
    reason: str = ""
    run: int | None = None
    report: PackageReport | None = None

    @property
    def package(self) -> tuple[str, str]:
        """What a result is known by: purl and digest."""
        return self.purl, self.digest


class FinishedScan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan that came to its end; times in seconds since 1970. `damaged` names results that cannot be read."""

    id: int
    fingerprint: str
    what: str
    started: float
    finished: float
    lockfiles: tuple[str, ...]
    settings: dict[str, str]
    results: dict[tuple[str, str], ScanResult]
    damaged: tuple[str, ...] = ()


class ScanRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `scan`."""

    id: int
    fingerprint: str
    what: str
    started: float
    finished: float | None
    lockfiles: str
    settings: str


class ResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `scan_result`."""

    scan: int
    purl: str
    digest: str
    verdict: Verdict
    reason: str
    run: int | None
    report: bytes | None
    seal: str


class Scan:
    """A scan under way; `resumed` says that an earlier process began it. Each `add` is kept at once. Two processes
    that scan the same at the same time share it."""

    def __init__(self, database: Database, row: ScanRow, *, resumed: bool) -> None:
        self._database = database
        self.id = row.id
        self.fingerprint = row.fingerprint
        self.what = row.what
        self.started = row.started
        self.resumed = resumed

    def done(self) -> dict[tuple[str, str], ScanResult]:
        """The results so far, by purl and digest. A damaged one is left out, so that it is made again."""
        return results(self._database, self.id)[0]

    def add(
        self,
        purl: str,
        digest: str,
        verdict: Verdict,
        reason: str = "",
        *,
        run: int | None = None,
        report: PackageReport | None = None,
    ) -> None:
        """Keep one package's result; a later one of the same package replaces it."""
        self.add_all([ScanResult(purl=purl, digest=digest, verdict=verdict, reason=reason, run=run, report=report)])

    def add_all(self, found: Iterable[ScanResult]) -> None:
        """Keep several results, all or none."""
        rows = [_result_values(self.id, result) for result in found]
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO scan_result (scan, purl, digest, verdict, reason, run, report, seal) "
                "VALUES (:scan, :purl, :digest, :verdict, :reason, :run, :report, :seal)",
                rows,
            )

    def nights(self, many: int = 30) -> list[tuple[float, dict[str, int]]]:
        """How the last finished scans of the same came out, the oldest first: when each ended (seconds since 1970), and
        how many packages had which verdict."""
        rows = self._database.rows(
            "WITH ended AS (SELECT id, finished FROM scan WHERE what = ? AND finished IS NOT NULL "
            "ORDER BY finished DESC, id DESC LIMIT ?) "
            "SELECT ended.id, ended.finished, verdict, count(*) AS many FROM ended JOIN scan_result ON scan = ended.id "
            "GROUP BY ended.id, verdict ORDER BY ended.finished, ended.id",
            self.what, many,
        )  # fmt: skip
        found: dict[int, tuple[float, dict[str, int]]] = {}
        for row in rows:
            found.setdefault(row["id"], (row["finished"], {}))[1][row["verdict"]] = row["many"]
        return list(found.values())

    def finish(self) -> None:
        """Say that everything is done: from now on it is what `last_finished` gives."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE scan SET finished = ? WHERE id = ? AND finished IS NULL", (time.time(), self.id)
            )


def open_scan(
    database: Database,
    fingerprint: str,
    what: str,
    lockfiles: Iterable[str],
    settings: Mapping[str, str],
    within: float,
) -> Scan:
    """See `Store.open_scan`."""
    with database.writing() as connection:
        now = time.time()  # now that we have waited for others
        found = connection.execute(
            "SELECT * FROM scan WHERE fingerprint = ? AND finished IS NULL AND started >= ? ORDER BY id DESC LIMIT 1",
            (fingerprint, now - within),
        ).fetchone()
        row = None if found is None else _scan_row(dict(found))
        if row is not None:
            return Scan(database, row, resumed=True)
        values = {
            "fingerprint": fingerprint,
            "what": what,
            "started": now,
            "lockfiles": msgspec.json.encode(list(lockfiles)).decode(),
            "settings": msgspec.json.encode(dict(settings)).decode(),
        }
        number = connection.execute(
            "INSERT INTO scan (fingerprint, what, started, lockfiles, settings) "
            "VALUES (:fingerprint, :what, :started, :lockfiles, :settings)",
            values,
        ).lastrowid
    return Scan(database, msgspec.convert({"id": number, "finished": None, **values}, ScanRow), resumed=False)


def last_finished(database: Database, what: str) -> FinishedScan | None:
    """See `Store.last_finished`."""
    rows = database.rows(
        "SELECT * FROM scan WHERE what = ? AND finished IS NOT NULL ORDER BY finished DESC, id DESC LIMIT 1", what
    )
    row = next(filter(None, map(_scan_row, rows)), None)
    if row is None:
        return None
    good, damaged = results(database, row.id)
    return FinishedScan(
        id=row.id,
        fingerprint=row.fingerprint,
        what=row.what,
        started=row.started,
        finished=row.finished or row.started,
        lockfiles=msgspec.json.decode(row.lockfiles, type=tuple[str, ...]),
        settings=msgspec.json.decode(row.settings, type=dict[str, str]),
        results=good,
        damaged=tuple(damaged),
    )


def results(database: Database, scan: int) -> tuple[dict[tuple[str, str], ScanResult], list[str]]:
    """The results of a scan by purl and digest, and the purls of those that are damaged."""
    good: dict[tuple[str, str], ScanResult] = {}
    damaged = []
    for row in database.rows("SELECT * FROM scan_result WHERE scan = ? ORDER BY purl, digest", scan):
        try:
            result = result_from(row)
        except ValueError:
            damaged.append(str(row["purl"]))
        else:
            good[result.package] = result
    return good, damaged


def result_from(row: dict[str, Any]) -> ScanResult:
    """A result out of its row. Raises ValueError where it is damaged."""
    found = msgspec.convert(row, ResultRow)
    if found.seal != _seal(found.scan, found.purl, found.digest, found.verdict, found.reason, found.report):
        raise ValueError("its seal is broken")
    report = None if found.report is None else unpack_report(found.report)
    if report is not None and report.verdict != found.verdict:
        raise ValueError("its verdict is not its report's")
    return ScanResult(
        purl=found.purl,
        digest=found.digest,
        verdict=found.verdict,
        reason=found.reason,
        run=found.run,
        report=report,
    )


def _result_values(scan: int, result: ScanResult) -> dict[str, Any]:
    if result.report is not None and result.report.verdict != result.verdict:
        raise ValueError(f"{result.purl}: the verdict {result.verdict} is not the report's")
    report = None if result.report is None else pack_report(result.report)
    return {
        "scan": scan,
        "purl": result.purl,
        "digest": result.digest,
        "verdict": result.verdict,
        "reason": result.reason,
        "run": result.run,
        "report": report,
        "seal": _seal(scan, result.purl, result.digest, result.verdict, result.reason, report),
    }


def _seal(*parts: object) -> str:
    return seal(*parts)  # without the run: it is set to NULL when that is pruned


def _scan_row(row: dict[str, Any]) -> ScanRow | None:
    try:
        found = msgspec.convert(row, ScanRow)
        msgspec.json.decode(found.lockfiles, type=tuple[str, ...])
        msgspec.json.decode(found.settings, type=dict[str, str])
    except ValueError:
        return None
    return found
