"""The store's SQLite database: opening it safely, its schema by version, and errors as sentences.

Readers and writers do not block each other (WAL). `synchronous=NORMAL`: a killed process loses nothing, and a loss of
power can lose the last transactions but never spoil the file; what is lost then is run once more. FULL would cost an
`fsync` for each of a scan's thousands of results, to save a run that can be made again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sandbox.errors import StoreError

FILE = "store.sqlite"
LOCK = "lock"
APPLICATION = 0x42414954
"""`PRAGMA application_id`: BAIT. Another number is another program's file."""
PATIENCE = 10.0
"""Seconds to wait for others who write."""
OURS = frozenset({FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal", LOCK, "recordings", "partial", "tended"})

MIGRATIONS = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        purl TEXT NOT NULL,
        digest TEXT NOT NULL,
        plan TEXT NOT NULL,
        personas TEXT NOT NULL,
        guest TEXT NOT NULL,
        sensors TEXT NOT NULL,
        ran REAL NOT NULL,
        verdict TEXT NOT NULL,
        judge TEXT NOT NULL,
        report BLOB NOT NULL,
        seal TEXT NOT NULL
    );
    CREATE INDEX run_by_key ON run (key, id);
    CREATE INDEX run_by_purl ON run (purl);
    CREATE TABLE recording (
        run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        place INTEGER NOT NULL,
        persona TEXT NOT NULL,
        digest TEXT NOT NULL,
        size INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        PRIMARY KEY (run, place)
    ) WITHOUT ROWID;
    CREATE INDEX recording_by_digest ON recording (digest);
    CREATE TABLE artifact (
        id INTEGER PRIMARY KEY,
        digest TEXT NOT NULL,
        url TEXT NOT NULL,
        UNIQUE (digest, url)
    );
    CREATE TABLE served (
        run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
        artifact INTEGER NOT NULL REFERENCES artifact,
        PRIMARY KEY (run, artifact)
    ) WITHOUT ROWID;
    CREATE INDEX served_by_artifact ON served (artifact);
    """,
    """
    CREATE TABLE scan (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL,
        what TEXT NOT NULL,
        started REAL NOT NULL,
        finished REAL,
        lockfiles TEXT NOT NULL,
        settings TEXT NOT NULL
    );
    CREATE INDEX scan_by_fingerprint ON scan (fingerprint);
    CREATE INDEX scan_by_what ON scan (what, finished);
    CREATE TABLE scan_result (
        scan INTEGER NOT NULL REFERENCES scan ON DELETE CASCADE,
        purl TEXT NOT NULL,
        digest TEXT NOT NULL,
        verdict TEXT NOT NULL,
        reason TEXT NOT NULL,
        run INTEGER REFERENCES run ON DELETE SET NULL,
        report BLOB,
        seal TEXT NOT NULL,
        PRIMARY KEY (scan, purl, digest)
    );
    CREATE INDEX scan_result_by_run ON scan_result (run);
    """,
    """
    ALTER TABLE run ADD COLUMN complete INTEGER NOT NULL DEFAULT 1;
    """,
)
"""What makes version n of version n - 1, in order; a published one is never changed."""

_PRIMARY = 0xFF
_FULL = (errno.ENOSPC, errno.EDQUOT)
_BEYOND_REPAIR = "move it away (a new one is made), or name another folder with --store"


class Database:
    """One connection, for one thread."""

    def __init__(self, folder: Path) -> None:
        """Open the store's database in `folder`, made or brought up to date where need be. Raises StoreError."""
        self.folder = folder
        self.path = folder / FILE
        self._connection: sqlite3.Connection | None = None
        with self.speaking():
            prepare(folder)
            self._connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
            try:
                self._set_up(self._connection)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close it; a second time is no harm."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def rows(self, statement: str, *values: Any, **named: Any) -> list[dict[str, Any]]:
        """The rows that a statement gives. Raises StoreError."""
        with self.speaking():
            return [dict(row) for row in self.connection.execute(statement, named or values)]

    def one(self, statement: str, *values: Any) -> Any:
        """The first column of the first row. Raises StoreError."""
        with self.speaking():
            found = self.connection.execute(statement, values).fetchone()
            return None if found is None else found[0]

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection; for use within `writing` or `speaking`."""
        if self._connection is None:
            raise RuntimeError("the store is closed")
        return self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of the block or nothing. Raises StoreError."""
        with self.speaking():
            connection = self.connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def holding(self, *, alone: bool) -> Iterator[None]:
        """Hold the store's lock: everybody who puts files there shares it, who takes files away is alone. The kernel
        lets go of it when its holder is killed. Raises StoreError."""
        with self.speaking(), (self.folder / LOCK).open("ab") as file:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise self._busy() from None
                    time.sleep(0.02)
            yield

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turns what SQLite and the system say into a StoreError."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._said(error) from error
        except OSError as error:
            raise self._unusable(error) from error

    def _set_up(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        if self._version(connection) != len(MIGRATIONS):
            with self.holding(alone=True):
                self._migrate(connection)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")

    def _version(self, connection: sqlite3.Connection) -> int:
        """The schema's version. Raises StoreError for a file of another program, or of a newer baitbox."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if mark != APPLICATION and (tables or version or mark):
            raise StoreError(f"{self.path} is a database of another program, not a store", _BEYOND_REPAIR)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the store {self.folder} is of version {version}, made by a newer baitbox; this one knows "
                f"{len(MIGRATIONS)}",
                "update baitbox, or name another folder with --store",
            )
        return version

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"the store {self.folder} is on a file system that databases cannot share",
                "name a folder on a local disk with --store",
            )
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number in range(self._version(connection), len(MIGRATIONS)):
                for statement in MIGRATIONS[number].split(";"):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _busy(self) -> StoreError:
        return StoreError(
            f"the store {self.folder} has been in use by another process for more than {PATIENCE:.0f} s", "try again"
        )

    def _said(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return error  # a mistake of ours: wrong number of values, a closed connection
        primary = code & _PRIMARY
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._busy()
        if primary == sqlite3.SQLITE_FULL:
            return self._unusable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT):
            return StoreError(f"the store {self.folder} is damaged: {self.path.name}: {error}", _BEYOND_REPAIR)
        return self._unusable(OSError(errno.EIO, str(error)))

    def _unusable(self, error: OSError) -> StoreError:
        hint = "free some disk space" if error.errno in _FULL else "name a folder of your own with --store"
        return StoreError(f"the store {self.folder} cannot be used: {error.strerror or error}", hint)


def prepare(folder: Path) -> None:
    """Make the folder, for its owner only: recordings hold what packages printed. Raises OSError, or StoreError for
    a folder with something else in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    strange = sorted(set(os.listdir(folder)) - OURS)
    if strange and not (folder / FILE).exists():
        raise StoreError(
            f"{folder} is not a store: there is {strange[0]!r} in it", "name a new or an empty folder with --store"
        )
    status = folder.stat()
    if os.geteuid() not in (0, status.st_uid):
        raise StoreError(f"the store {folder} belongs to another user", "name a folder of your own with --store")
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "it cannot be written")


def exists(folder: Path) -> bool:
    """Whether there is a store in a folder that we may look into."""
    return os.path.isfile(folder / FILE)
