"""The store of runs: what is saved is found again by its key alone, and nothing that is damaged is believed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sandbox import events
from sandbox.errors import StoreError
from sandbox.report import Origin
from sandbox.store import Packed, Served, Store, pack
from tests import stored

RAN = float(int(time.time()) - 3600)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def tamper(store: Store, statement: str, *values: object) -> None:
    """Change the database as a broken disk, or another program, might."""
    connection = sqlite3.connect(store.folder / "store.sqlite")
    with connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


def test_a_run_is_found_by_its_key_with_all_that_was_kept(store: Store, tmp_path: Path) -> None:
    packed = stored.packed(tmp_path)
    saved = store.save(stored.key(), stored.report("malicious"), [packed], judge="j1", ran=RAN)
    found = store.find(stored.key())
    assert found == saved
    assert found is not None
    assert (found.report, found.judge, found.ran) == (stored.report("malicious"), "j1", RAN)
    assert (found.verdict, found.final) == ("malicious", True)
    assert [one.digest for one in found.recordings] == [packed.digest]
    assert store.served(found) == [Served(stored.URL, stored.DIGEST)]


@pytest.mark.parametrize(
    "change",
    [
        {"purl": "pkg:npm/left-pod@1.0.1"}, {"digest": "sha512:" + "2" * 128}, {"plan": "p2"},
        {"personas": ("laptop", "server")}, {"guest": "native, node 22"}, {"sensors": "s2"},
    ],
)  # fmt: skip
def test_another_part_of_the_key_is_another_run(store: Store, tmp_path: Path, change: dict[str, object]) -> None:
    store.save(stored.key(), stored.report(), [stored.packed(tmp_path)], judge="j1")
    assert store.find(stored.key(**change)) is None
    assert store.find(stored.key()) is not None


def test_the_newest_run_of_a_key_is_the_one_found(store: Store, tmp_path: Path) -> None:
    for number, verdict in enumerate(["clean", "inconclusive"]):
        store.save(stored.key(), stored.report(verdict), [stored.packed(tmp_path, number)], judge="j1")
    found = store.find(stored.key())
    assert found is not None
    assert (found.verdict, found.final) == ("inconclusive", False)


def test_what_belongs_to_one_invocation_is_not_kept(store: Store) -> None:
    report = stored.report(
        stored="2026-01-01T00:00:00Z", recordings=("runs/x.jsonl",), origins=(Origin(file="package-lock.json"),)
    )
    store.save(stored.key(), report, [], judge="j1")
    found = store.find(stored.key())
    assert found is not None
    assert found.report == stored.report()


def test_a_report_of_another_package_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="cannot be kept as one of"):
        store.save(stored.key(), stored.report(purl="pkg:npm/other@1.0.0"), [], judge="j1")
    with pytest.raises(ValueError, match="cannot be kept as one of"):
        store.save(stored.key(), stored.report(digest="sha512:" + "3" * 128), [], judge="j1")
    run = store.save(stored.key(), stored.report(), [], judge="j1")
    with pytest.raises(ValueError, match="cannot be kept as one of"):
        store.judged(run, stored.report(digest="sha512:" + "3" * 128), "j2")
    assert [one.report for one in store.runs()] == [stored.report()]


def test_packages_of_one_run_are_kept_together_or_not_at_all(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purls = [f"pkg:npm/left-pod@1.0.{number}" for number in range(3)]
    served = [Served("https://packages.test/left-pod.tgz", stored.DIGEST)]
    results = [(stored.key(purl=purl), stored.report(purl=purl), served) for purl in purls]
    packed = stored.packed(tmp_path)
    with pytest.raises(ValueError, match="cannot be kept as one of"):
        store.save_all([*results, (stored.key(), stored.report(purl="pkg:npm/x@1"), ())], [packed], judge="j1")
    assert list(store.runs()) == []
    written = []
    put = store._recordings.put

    def counted(one: Packed) -> None:
        written.append(one.digest)
        put(one)

    monkeypatch.setattr(store._recordings, "put", counted)
    saved = store.save_all(results, [packed], judge="j1", ran=RAN)
    assert written == [packed.digest]
    assert [store.find(stored.key(purl=purl)) for purl in purls] == saved
    assert [store.served(run) for run in saved] == [served] * 3
    assert store.verify() == []


@pytest.mark.parametrize(
    ("verdict", "missing", "final"),
    [
        ("clean", (), True), ("suspicious", (), True), ("malicious", (), True), ("malicious", ("a phase",), True),
        ("suspicious", ("a phase",), False), ("inconclusive", ("a phase",), False), ("inconclusive", (), False),
    ],
)  # fmt: skip
def test_only_a_result_with_nothing_left_to_see_is_final(
    store: Store, verdict: str, missing: tuple[str, ...], final: bool
) -> None:
    report = stored.report(verdict)
    report = msgspec.structs.replace(report, coverage=msgspec.structs.replace(report.coverage, missing=missing))
    assert store.save(stored.key(), report, [], judge="j1").final == final


@pytest.mark.parametrize(("verdict", "final"), [("clean", False), ("suspicious", False), ("malicious", True)])
def test_a_run_in_which_a_registry_failed_is_not_final(
    store: Store, tmp_path: Path, verdict: str, final: bool
) -> None:
    path = stored.recording(tmp_path)
    asked = events.RequestSent(
        at=1.0, connection=1, method="GET", url="https://packages.test/b", headers=[], status=403,
        answered_by="registry",
    )  # fmt: skip
    with path.open("ab") as file:
        file.write(events.encode(asked))
    store.save(stored.key(), stored.report(verdict), [pack(path, "laptop")], judge="j1")
    found = store.find(stored.key())
    assert found is not None
    assert (found.complete, found.final) == (False, final)
    assert store.judged(found, found.report, "j2").complete is False


def test_a_run_judged_again_keeps_its_time_and_recordings(store: Store, tmp_path: Path) -> None:
    run = store.save(stored.key(), stored.report(), [stored.packed(tmp_path)], judge="j1", ran=RAN)
    judged = store.judged(run, stored.report("malicious"), "j2")
    found = store.find(stored.key())
    assert found == judged
    assert found is not None
    assert (found.id, found.ran, found.recordings) == (run.id, run.ran, run.recordings)
    assert (found.verdict, found.judge) == ("malicious", "j2")


def test_runs_are_listed_newest_first_and_can_be_chosen(store: Store, tmp_path: Path) -> None:
    for number, verdict in enumerate(["clean", "malicious", "clean"]):
        stored.save(store, tmp_path, number, verdict)
    numbers = [run.id for run in store.runs()]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 3
    assert [run.key.purl for run in store.runs(verdict="malicious")] == ["pkg:npm/left-pod@1.0.1"]
    assert [run.key.purl for run in store.runs("@1.0.2")] == ["pkg:npm/left-pod@1.0.2"]
    assert len(list(store.runs("npm/left", many=2))) == 2
    assert len(list(store.runs(served=stored.URL[8:30]))) == 3
    assert len(list(store.runs(served=stored.DIGEST))) == 3
    assert list(store.runs(served="elsewhere")) == []
    assert list(store.runs("%")) == []


def test_a_recording_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    path = stored.recording(tmp_path)
    run = store.save(stored.key(), stored.report(), [stored.packed(tmp_path)], judge="j1")
    with store.opened(run.recordings[0]) as copy:
        assert copy.read_bytes() == path.read_bytes()
        assert events.read(copy).header.digest == stored.DIGEST
    assert b"".join(store.chunks(run.recordings[0])) == path.read_bytes()
    assert store.place(run.recordings[0]).stat().st_mode & 0o777 == 0o600


def test_a_recording_that_is_gone_or_damaged_is_said(store: Store, tmp_path: Path) -> None:
    run = store.save(stored.key(), stored.report(), [stored.packed(tmp_path)], judge="j1")
    other = store.place(stored.packed(tmp_path, 7).stored)
    other.parent.mkdir(exist_ok=True)
    store.place(run.recordings[0]).write_bytes(stored.packed(tmp_path, 7).content)
    with pytest.raises(StoreError, match="its digest is another"), store.opened(run.recordings[0]):
        pass
    store.place(run.recordings[0]).unlink()
    with pytest.raises(StoreError, match="is not in the store any more"), store.opened(run.recordings[0]):
        pass


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE run SET verdict = ?", "clean"),
        ("UPDATE run SET verdict = ?", "fine"),
        ("UPDATE run SET report = ?", msgspec.json.encode(stored.report("clean"))),
        ("UPDATE run SET report = ?", b"\xff\x00"),
        ("UPDATE run SET report = ?", b"[" * 100_000),
        ("UPDATE run SET ran = ?", 4e9),
        ("UPDATE run SET judge = ?", "j2"),
        ("UPDATE run SET complete = ?", 0),
        ("UPDATE run SET digest = ?", "sha512:" + "4" * 128),
        ("UPDATE run SET plan = ?", 7),
        ("UPDATE run SET seal = ?", "0" * 64),
        ("UPDATE run SET seal = ?", b"\xff"),
        ("UPDATE recording SET digest = ?", "5" * 64),
        ("UPDATE recording SET size = ?", "large"),
        ("DELETE FROM recording WHERE place = ?", 0),
    ],
)
def test_a_row_that_was_changed_is_not_believed(store: Store, tmp_path: Path, statement: str, value: object) -> None:
    run = store.save(stored.key(), stored.report("malicious"), [stored.packed(tmp_path)], judge="j1")
    tamper(store, statement, value)
    assert store.find(stored.key()) is None
    assert list(store.runs()) == []
    assert len(store.damaged) == 2
    assert all(f"run {run.id} of the store {store.folder} is damaged" in text for text in store.damaged)
    with pytest.raises(StoreError, match=f"run {run.id} .* is damaged"):
        store.run(run.id)
    assert any(f"run {run.id}: " in problem for problem in store.verify())


def test_a_row_under_another_key_is_not_believed(store: Store, tmp_path: Path) -> None:
    store.save(stored.key(), stored.report(), [stored.packed(tmp_path)], judge="j1")
    tamper(store, "UPDATE run SET key = ?", stored.key(plan="p2").text)
    assert store.find(stored.key(plan="p2")) is None
    assert store.damaged


def test_an_interrupt_while_saving_leaves_nothing_half_done(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sandbox.store.run_values", lambda *_: {"key": "k", "nonsense": 1})
    with pytest.raises(StoreError):
        stored.save(store, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("sandbox.store.upkeep.tend", interrupted)  # when all is written, and before it is said
    with pytest.raises(KeyboardInterrupt):
        stored.save(store, tmp_path)
    assert len(list(store.runs())) == 1
    assert store.verify() == []


def test_a_damaged_run_does_not_hide_the_others_from_a_list(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        stored.save(store, tmp_path, number)
    tamper(store, "UPDATE run SET verdict = 'suspicious' WHERE id = 2")
    assert [run.id for run in store.runs()] == [3, 1]


def test_a_run_that_there_is_not_is_said(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no run 5"):
        store.run(5)


def test_a_closed_store_is_a_mistake_of_ours(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.find(stored.key())


def test_without_create_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store in"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
