"""Scans: one that was killed goes on where it stopped, and a finished one can be compared with."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.store import ScanResult, Store
from sandbox.store.rows import DAY
from sandbox.store.scans import ResultRow, result_from
from tests import stored


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def test_a_scan_goes_on_where_it_stopped(store: Store, tmp_path: Path) -> None:
    run = stored.save(store, tmp_path)
    scan = store.open_scan("f1", what="w1", lockfiles=["a/package-lock.json"], settings={"jobs": "2"})
    assert not scan.resumed
    assert scan.done() == {}
    scan.add(run.key.purl, run.key.digest, "clean", "ran alone", run=run.id)
    scan.add("pkg:npm/b@1.0.0", "sha512:b", "malicious", report=stored.report("malicious"))
    scan.add("pkg:npm/c@1.0.0", "", "inconclusive", "git dependency")
    with Store.open(store.folder) as later:  # what a new process does
        again = later.open_scan("f1", what="w1")
        assert (again.id, again.resumed, again.started) == (scan.id, True, scan.started)
        assert again.done() == {
            (run.key.purl, run.key.digest): ScanResult(
                purl=run.key.purl, digest=run.key.digest, verdict="clean", reason="ran alone", run=run.id
            ),
            ("pkg:npm/b@1.0.0", "sha512:b"): ScanResult(
                purl="pkg:npm/b@1.0.0", digest="sha512:b", verdict="malicious", report=stored.report("malicious")
            ),
            ("pkg:npm/c@1.0.0", ""): ScanResult(
                purl="pkg:npm/c@1.0.0", digest="", verdict="inconclusive", reason="git dependency"
            ),
        }
        assert later.last_finished("w1") is None
        again.finish()
        found = later.last_finished("w1")
    assert found is not None
    assert (found.id, found.fingerprint, found.lockfiles) == (scan.id, "f1", ("a/package-lock.json",))
    assert found.settings == {"jobs": "2"}
    assert found.started == scan.started <= found.finished <= time.time()
    assert found.results == scan.done()


def test_a_later_result_of_a_package_replaces_the_first(store: Store) -> None:
    scan = store.open_scan("f1")
    scan.add("pkg:npm/a@1.0.0", "sha512:a", "inconclusive", "in a batch")
    scan.add("pkg:npm/a@1.0.0", "sha512:a", "clean", "alone")
    assert [(one.verdict, one.reason) for one in scan.done().values()] == [("clean", "alone")]


def test_only_an_unfinished_and_recent_scan_of_the_same_is_gone_on_with(store: Store) -> None:
    first = store.open_scan("f1", what="w1")
    assert store.open_scan("f2", what="w1").id != first.id
    assert not store.open_scan("f1", what="w1", within=-1.0).resumed
    newest = store.open_scan("f1", what="w1")
    assert newest.resumed
    newest.finish()
    first.finish()
    assert not store.open_scan("f1", what="w1").resumed


def test_an_old_unfinished_scan_is_not_gone_on_with(store: Store) -> None:
    scan = store.open_scan("f1")
    change(store, "UPDATE scan SET started = ?", time.time() - 8 * DAY)
    assert store.open_scan("f1").id != scan.id


def test_a_clock_that_was_put_back_begins_no_second_scan(store: Store) -> None:
    scan = store.open_scan("f1")
    change(store, "UPDATE scan SET started = ?", time.time() + 3600)
    assert store.open_scan("f1").id == scan.id


def test_finished_scans_of_the_same_are_found(store: Store) -> None:
    numbers = []
    for night, verdict in enumerate(["clean", "malicious"]):
        scan = store.open_scan(f"f{night}", what="w1")
        scan.add("pkg:npm/a@1.0.0", "sha512:a", verdict)  # type: ignore[arg-type]
        scan.finish()
        numbers.append(scan.id)
    other = store.open_scan("f9", what="w2")
    other.finish()
    last = store.last_finished("w1")
    assert last is not None
    assert last.id == numbers[-1]
    assert [one.verdict for one in last.results.values()] == ["malicious"]
    nights = store.open_scan("f3", what="w1").nights()
    assert [counts for _, counts in nights] == [{"clean": 1}, {"malicious": 1}]
    assert nights == sorted(nights, key=lambda night: night[0])
    assert [counts for _, counts in store.open_scan("f3", what="w1").nights(many=1)] == [{"malicious": 1}]


def test_finishing_twice_keeps_the_first_time(store: Store) -> None:
    scan = store.open_scan("f1")
    scan.finish()
    first = store.last_finished("f1")
    scan.finish()
    assert store.last_finished("f1") == first


def test_several_results_are_kept_together_or_not_at_all(store: Store) -> None:
    scan = store.open_scan("f1")
    good = [ScanResult(purl=f"pkg:npm/a@1.0.{n}", digest="sha512:a", verdict="clean") for n in range(3)]
    scan.add_all(good)
    assert list(scan.done().values()) == good
    wrong = ScanResult(purl="pkg:npm/b@1.0.0", digest="", verdict="clean", report=stored.report("malicious"))
    with pytest.raises(ValueError, match="is not the report's"):
        scan.add_all([ScanResult(purl="pkg:npm/c@1.0.0", digest="", verdict="clean"), wrong])
    assert list(scan.done().values()) == good


def test_a_result_outlives_its_run(store: Store, tmp_path: Path) -> None:
    run = stored.save(store, tmp_path, 0, "malicious")
    scan = store.open_scan("f1")
    scan.add(run.key.purl, run.key.digest, "malicious", run=run.id)
    scan.finish()
    assert store.prune(most_bytes=0).runs == 1
    last = store.last_finished("f1")
    assert last is not None
    assert [(one.verdict, one.run) for one in last.results.values()] == [("malicious", None)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE scan_result SET verdict = 'clean' WHERE purl = 'pkg:npm/a@1.0.0'",
        "UPDATE scan_result SET report = x'00' WHERE purl = 'pkg:npm/a@1.0.0'",
        "UPDATE scan_result SET digest = 'sha512:c' WHERE purl = 'pkg:npm/a@1.0.0'",
    ],
)
def test_a_damaged_result_is_made_again_and_said(store: Store, statement: str) -> None:
    scan = store.open_scan("f1")
    scan.add("pkg:npm/a@1.0.0", "sha512:a", "malicious")
    scan.add("pkg:npm/b@1.0.0", "sha512:b", "clean")
    scan.finish()
    change(store, statement)
    assert [one.purl for one in scan.done().values()] == ["pkg:npm/b@1.0.0"]
    last = store.last_finished("f1")
    assert last is not None
    assert last.damaged == ("pkg:npm/a@1.0.0",)
    assert store.verify() == [f"scan {scan.id}: the result of pkg:npm/a@1.0.0: its seal is broken"]


@pytest.mark.parametrize("column", ["lockfiles", "settings"])
@pytest.mark.parametrize("value", ["", "{", "7", b"\xff"])
def test_a_damaged_scan_is_passed_over(store: Store, column: str, value: object) -> None:
    scan = store.open_scan("f1")
    change(store, f"UPDATE scan SET {column} = ?", value)
    assert store.open_scan("f1").id != scan.id
    scan.finish()
    assert store.last_finished("f1") is None


@given(
    st.dictionaries(
        st.sampled_from(ResultRow.__struct_fields__), st.one_of(st.none(), st.integers(), st.text(), st.binary())
    )
)
def test_no_row_is_more_than_a_value_error(row: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec's is one
        result_from(row)


def test_a_thousand_results_are_kept_and_read_in_little_time(store: Store) -> None:
    scan = store.open_scan("f1")
    began = time.process_time()
    for number in range(1000):
        scan.add(f"pkg:npm/a@1.0.{number}", "sha512:a", "clean")
    assert len(scan.done()) == 1000
    assert time.process_time() - began < 2


def change(store: Store, statement: str, *values: object) -> None:
    connection = sqlite3.connect(store.folder / "store.sqlite")
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()
