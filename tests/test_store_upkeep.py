"""Keeping the store sound and small: what `verify` says, and what `prune` takes and leaves."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import store_commands
from sandbox.errors import StoreError
from sandbox.store import Pruned, Store, upkeep
from sandbox.store.rows import DAY
from tests import stored


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        (opened.folder / "tended").touch()  # nothing is pruned but what a test prunes
        yield opened


def files(store: Store) -> set[Path]:
    return {path for path in (store.folder / "recordings").rglob("*") if path.is_file()}


def days_ago(days: float) -> float:
    return time.time() - days * DAY


def test_a_sound_store_has_nothing_to_say(store: Store, tmp_path: Path) -> None:
    assert store.verify() == []
    for number in range(3):
        stored.save(store, tmp_path, number)
    assert store.verify() == []


def test_every_kind_of_trouble_with_files_is_named(store: Store, tmp_path: Path) -> None:
    missing, changed, replaced = (stored.save(store, tmp_path, number).recordings[0] for number in range(3))
    store.place(missing).unlink()
    content = bytearray(store.place(changed).read_bytes())
    content[len(content) // 2] ^= 1
    store.place(changed).write_bytes(content)
    store.place(replaced).unlink()
    store.place(replaced).mkdir()
    orphan = store.folder / "recordings" / "00" / ("0" * 64 + ".jsonl.gz")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"")
    problems = store.verify()
    assert f"the recording {missing.digest[:16]} is missing" in problems
    assert any(text.startswith(f"the recording {changed.digest[:16]} is damaged: ") for text in problems)
    assert f"the recording {replaced.digest[:16]} cannot be read: Is a directory" in problems
    assert f"{orphan.relative_to(store.folder)} belongs to no run" in problems
    assert len(problems) == 4


def test_rows_that_belong_to_nothing_are_named(store: Store, tmp_path: Path) -> None:
    run = stored.save(store, tmp_path)
    connection = sqlite3.connect(store.folder / "store.sqlite")
    with connection:
        connection.execute("DELETE FROM run WHERE id = ?", (run.id,))  # without foreign keys: what is below it stays
    connection.close()
    assert "the database: a row of recording belongs to no run" in store.verify()


def test_a_spoilt_index_is_named(store: Store, tmp_path: Path) -> None:
    for number in range(50):
        stored.save(store, tmp_path, number)
    page = sqlite3.connect(store.folder / "store.sqlite")
    root = page.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'run_by_purl'").fetchone()[0]
    page.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    page.close()
    with (store.folder / "store.sqlite").open("r+b") as file:
        file.seek((root - 1) * 4096 + 3000)
        file.write(os.urandom(500))
    with Store.open(store.folder) as again:
        try:
            problems = again.verify()
        except StoreError as error:
            problems = [str(error)]
    assert problems


def test_what_is_wrong_a_thousand_times_is_cut_short(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_MOST_PROBLEMS", 3)
    for number in range(5):
        store.place(stored.save(store, tmp_path, number).recordings[0]).unlink()
    assert store.verify()[3:] == ["and perhaps more"]


def test_old_runs_go_with_their_files(store: Store, tmp_path: Path) -> None:
    old = stored.save(store, tmp_path, 0, ran=days_ago(10))
    new = stored.save(store, tmp_path, 1, ran=days_ago(1))
    would = store.prune(keep_days=5, dry_run=True)
    assert len(files(store)) == 2
    done = store.prune(keep_days=5)
    assert done == would
    assert (done.runs, done.recordings, done.orphans, done.scans) == (1, 1, 0, 0)
    assert (done.freed, done.kept) == (old.recordings[0].stored, new.recordings[0].stored)
    assert [run.id for run in store.runs()] == [new.id]
    assert files(store) == {store.place(new.recordings[0])}
    assert store.verify() == []
    assert store.served(new) != []
    assert store.prune(keep_days=5) == Pruned(kept=done.kept)


def test_over_the_limit_the_oldest_go_and_no_more_than_need_be(store: Store, tmp_path: Path) -> None:
    runs = [stored.save(store, tmp_path, number, ran=days_ago(9 - number)) for number in range(6)]
    sizes = store._database.rows(
        "SELECT id, length(report) + (SELECT sum(stored) FROM recording WHERE run = id) AS bytes FROM run ORDER BY id"
    )
    limit = sum(row["bytes"] for row in sizes[-3:]) + 1
    assert store.prune(most_bytes=limit).runs == 3
    assert [run.id for run in store.runs()] == [run.id for run in runs[:2:-1]]
    assert store.prune(most_bytes=limit).runs == 0
    assert store.prune(most_bytes=0).runs == 3
    assert files(store) == set()
    assert store.verify() == []


def test_a_recording_that_another_run_still_needs_stays(store: Store, tmp_path: Path) -> None:
    packed = stored.packed(tmp_path)
    store.save(stored.key(), stored.report(), [packed], judge="j1", ran=days_ago(10))
    kept = store.save(stored.key(), stored.report(), [packed], judge="j1", ran=days_ago(1))
    assert store.prune(keep_days=5, dry_run=True).recordings == 0
    done = store.prune(keep_days=5)
    assert (done.runs, done.recordings) == (1, 0)
    assert b"".join(store.chunks(kept.recordings[0]))


def test_files_that_belong_to_no_run_go(store: Store, tmp_path: Path) -> None:
    run = stored.save(store, tmp_path)
    orphan = store.folder / "recordings" / "00" / ("0" * 64 + ".jsonl.gz")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"12345")
    partial = store.folder / "partial" / "0123"
    partial.write_bytes(b"")
    assert store.prune(dry_run=True).orphans == 1
    assert orphan.exists() and partial.exists()
    done = store.prune()
    assert (done.runs, done.orphans, done.freed) == (0, 1, 5)
    assert files(store) == {store.place(run.recordings[0])}
    assert not partial.exists()


def test_what_an_unfinished_scan_needs_stays(store: Store, tmp_path: Path) -> None:
    run = stored.save(store, tmp_path, ran=days_ago(10))
    scan = store.open_scan("f1")
    scan.add(run.key.purl, run.key.digest, "clean", run=run.id)
    assert store.prune(keep_days=5, most_bytes=0).runs == 0
    scan.finish()
    assert store.prune(keep_days=5).runs == 1


def test_old_scans_go_and_with_them_their_hold_on_runs(store: Store, tmp_path: Path) -> None:
    run = stored.save(store, tmp_path, ran=days_ago(30))
    scan = store.open_scan("f1")
    scan.add(run.key.purl, run.key.digest, "clean", run=run.id)
    store._database.rows("UPDATE scan SET started = ?", days_ago(20))
    done = store.prune(keep_days=5)
    assert (done.scans, done.runs) == (1, 1)
    assert store._database.one("SELECT count(*) FROM scan_result") == 0


def test_the_space_is_given_back(store: Store, tmp_path: Path) -> None:
    for number in range(60):
        report = stored.report(purl=f"pkg:npm/left-pod@1.0.{number}", expected=(os.urandom(8000).hex(),))
        store.save(stored.key(purl=report.purl), report, [], judge="j1")
    store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (store.folder / "store.sqlite").stat().st_size
    assert store.prune(most_bytes=0).runs == 60
    assert (store.folder / "store.sqlite").stat().st_size < before / 4


def test_more_runs_than_one_transaction_takes_all_go(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_MANY", 2)
    for number in range(5):
        stored.save(store, tmp_path, number)
    assert store.prune(most_bytes=0).runs == 5
    assert list(store.runs()) == []


def test_saving_prunes_by_itself_but_not_every_time(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        old = stored.save(store, tmp_path, 0, ran=days_ago(upkeep.KEEP_DAYS + 1))
        assert list(store.runs()) == []
        stored.save(store, tmp_path, 1, ran=old.ran)
        assert len(list(store.runs())) == 1
        os.utime(store.folder / "tended", (0, days_ago(2)))
        stored.save(store, tmp_path, 2)
        assert [run.key.purl for run in store.runs()] == ["pkg:npm/left-pod@1.0.2"]


def test_saving_does_not_fail_where_pruning_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.store.database.PATIENCE", 0.1)
    with Store.open(tmp_path / "store") as store, Store.open(tmp_path / "store") as other:
        with other._database.holding(alone=False):
            stored.save(store, tmp_path)
        assert len(list(store.runs())) == 1


def test_the_command_prunes_to_what_is_kept_anyway() -> None:
    assert (store_commands.KEEP_DAYS, store_commands.MOST_BYTES) == (upkeep.KEEP_DAYS, upkeep.MOST_BYTES)
