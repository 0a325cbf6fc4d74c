"""The store under real processes: many that write, one that prunes, and writers that are killed at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from sandbox.store import Store
from tests.store_writers import EACH

ROOT = Path(__file__).parent.parent
WRITERS, ROUNDS = 8, 20


def started(work: str, folder: Path, scratch: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store_writers", work, str(folder), str(scratch), str(number)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_eight_writers_and_a_pruner_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    work = [started("write", folder, tmp_path, number) for number in range(WRITERS)]
    work.append(started("prune", folder, tmp_path, 3))
    for process in work:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    for process in work:  # they begin together, with a store that there is not yet
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in work]
    assert [(process.returncode, err) for process, (_, err) in zip(work, said, strict=True)] == [(0, "")] * len(work)
    purls = {line for out, _ in said for line in out.splitlines()}
    assert len(purls) == WRITERS * EACH
    with Store.open(folder) as store:
        assert {run.key.purl for run in store.runs()} == purls
        assert {run.judge for run in store.runs()} == {"j2"}
        assert {purl for purl, _ in store.open_scan("shared").done()} == purls
        assert store._database.one("SELECT count(*) FROM scan") == 1
        assert store.verify() == []
        assert store.prune().orphans == 0


def test_a_writer_that_is_killed_at_any_moment_spoils_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    process = started("kill", folder, tmp_path, ROUNDS)
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, "")
    seen = json.loads(out)
    assert seen["problems"] == []
    told = {(what, which) for what, which in seen["told"]}
    assert told
    with Store.open(folder) as store:  # what was said to be done is there
        runs = {("saved", run.id) for run in store.runs()}
        scanned = {("scanned", purl) for purl, _ in store.open_scan("killed").done()}
        assert told <= runs | scanned
        assert {run.verdict for run in store.runs()} <= {"clean", "malicious"}
        store.prune()
        assert store.verify() == []
        assert list((folder / "partial").iterdir()) == []
