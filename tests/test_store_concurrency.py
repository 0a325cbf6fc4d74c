"""The store under real processes: many that write, one that prunes, and writers that are killed at any moment."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from sandbox.report import PackageReport
from sandbox.store import Store
from tests import stored

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.stored"])
WRITERS, EACH, ROUNDS = 8, 12, 20


def write(folder: Path, scratch: Path, writer: int, gate: object, out: Connection) -> None:
    """Save, find, judge again and scan, in a process of its own; a message for everything that is done."""
    mine = scratch / str(writer)
    mine.mkdir()
    gate.wait(30)  # type: ignore[attr-defined]  # a barrier
    with Store.open(folder) as store:
        for number in range(EACH):
            run = stored.save(store, mine, writer * 1000 + number)
            assert store.find(run.key) == run
            assert store.judged(run, run.report, "j2").judge == "j2"
            store.open_scan("shared").add(run.key.purl, run.key.digest, "clean", run=run.id)
            out.send(run.key.purl)
    out.send("done")


def prune(folder: Path, gate: object, out: Connection) -> None:
    gate.wait(30)  # type: ignore[attr-defined]
    until = time.monotonic() + 3
    with Store.open(folder) as store:
        while time.monotonic() < until:
            store.prune(keep_days=1)
            store.verify()
    out.send("done")


def test_eight_writers_and_a_pruner_lose_nothing(tmp_path: Path) -> None:
    folder, gate = tmp_path / "store", CONTEXT.Barrier(WRITERS + 1)
    ends, said = zip(*(CONTEXT.Pipe(duplex=False) for _ in range(WRITERS + 1)), strict=True)
    work = [
        CONTEXT.Process(target=write, args=(folder, tmp_path, number, gate, said[number])) for number in range(WRITERS)
    ]
    work.append(CONTEXT.Process(target=prune, args=(folder, gate, said[-1])))
    for process in work:
        process.start()
    for process in work:
        process.join(120)
        assert process.exitcode == 0
    for end in ends[:-1]:
        assert [end.recv() for _ in range(EACH + 1)][-1] == "done"
    with Store.open(folder) as store:
        assert len(list(store.runs())) == WRITERS * EACH
        assert {run.judge for run in store.runs()} == {"j2"}
        assert len(store.open_scan("shared").done()) == WRITERS * EACH
        assert store._database.one("SELECT count(*) FROM scan") == 1
        assert store.verify() == []
        assert store.prune().orphans == 0


def write_without_end(folder: Path, scratch: Path, round_: int, out: Connection) -> None:
    scratch.mkdir()
    packed = [stored.packed(scratch, round_ * 10_000 + number, lines=2000) for number in range(4)]
    out.send("ready")
    with Store.open(folder) as store:
        scan = store.open_scan("killed")
        for number in range(10_000):
            report: PackageReport = stored.report(purl=f"pkg:npm/left-pod@{round_}.0.{number}")
            run = store.save(stored.key(purl=report.purl), report, [packed[number % 4]], judge="j1")
            out.send(("saved", run.id))
            store.judged(run, stored.report("malicious", purl=report.purl), "j2")
            scan.add(report.purl, report.digest, "malicious", run=run.id)
            out.send(("scanned", report.purl))
            if number % 3 == 2:
                store.prune(most_bytes=10**9)


def test_a_writer_that_is_killed_at_any_moment_spoils_nothing(tmp_path: Path) -> None:
    folder, dice = tmp_path / "store", random.Random(os.urandom(8))
    told: set[tuple[str, object]] = set()
    for number in range(ROUNDS):
        end, said = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=write_without_end, args=(folder, tmp_path / str(number), number, said))
        process.start()
        said.close()
        assert end.recv() == "ready"
        time.sleep(dice.uniform(0, 0.12))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(20)
        assert process.exitcode == -signal.SIGKILL
        try:
            while True:
                told.add(end.recv())
        except EOFError:
            end.close()
        with Store.open(folder) as store:  # a new process would see the same: what was said to be done is there
            problems = store.verify()
            assert [text for text in problems if "belongs to no run" not in text] == []
    with Store.open(folder) as store:
        runs = {("saved", run.id) for run in store.runs()}
        scanned = {("scanned", purl) for purl, _ in store.open_scan("killed").done()}
        assert told
        assert told <= runs | scanned
        assert {run.verdict for run in store.runs()} <= {"clean", "malicious"}
        store.prune()
        assert store.verify() == []
        assert list((folder / "partial").iterdir()) == []
