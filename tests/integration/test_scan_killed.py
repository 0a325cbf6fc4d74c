"""A scan that is killed again and again, at any moment: the store stays whole, what was certain stays known, nothing
is left running, and what comes out in the end is what an undisturbed scan says."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.store import Store
from tests.integration.command_line import Ended, Machine, orphans_come_here, still_running
from tests.integration.scanned import locked, verdicts

pytestmark = [pytest.mark.native, pytest.mark.slow, pytest.mark.together]
KILLS = 20
MOST_STARTS = 80
NEVER_WRITTEN = "belongs to no run"
"""How `Store.verify` names a file whose writer ended before its row was there; `prune` removes it."""

Rows = set[tuple[object, ...]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with orphans_come_here():
        assert still_running() == []
        yield Machine(tmp_path)


@pytest.fixture
def lock(machine: Machine) -> Iterator[Path]:
    with locked(machine, {}) as path:
        yield path


def kept(folder: Path) -> Rows:
    """Every result that a store holds, of scans and of runs; nothing where there is no store yet."""
    path = folder / "store.sqlite"
    if not path.exists():
        return set()
    connection = sqlite3.connect(path, timeout=10)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'scan_result'").fetchone():
            return set()
        rows = connection.execute("SELECT 'scan', scan, purl, digest, verdict FROM scan_result").fetchall()
        return {*rows, *connection.execute("SELECT 'run', id, purl, digest, verdict FROM run").fetchall()}
    finally:
        connection.close()


def sound(folder: Path) -> None:
    """Assert that nothing in a store is spoilt."""
    if not (folder / "store.sqlite").exists():
        return
    with Store.open(folder) as store:
        assert [problem for problem in store.verify() if NEVER_WRITTEN not in problem] == []


def killed_after(command: subprocess.Popen[str], seconds: float) -> bool:
    """Kill the command after so long; False where it ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if command.poll() is not None:
            return False
        time.sleep(0.01)
    command.send_signal(signal.SIGKILL)
    return command.wait() == -signal.SIGKILL


def test_whenever_it_is_killed(machine: Machine, lock: Path) -> None:
    seed = int(os.environ.get("BAITBOX_TEST_SEED") or random.randrange(10**6))
    print(f"BAITBOX_TEST_SEED={seed} gives the same moments")
    moments = random.Random(seed)
    arguments = ("scan", str(lock), "--format", "json", "--store")
    whole = machine.run(*arguments, str(machine.root / "undisturbed"), timeout=240)
    assert whole.code == 11, whole.stderr
    expected = verdicts(whole.stdout)
    assert {verdict for verdict, _ in expected.values()} == {"clean", "malicious"}

    kills = scans = starts = halfway = 0
    before: Rows = set()
    while kills < KILLS or before:
        starts += 1
        assert starts <= MOST_STARTS, f"only {kills} kills"
        store = machine.root / f"store-{scans}"
        command = machine.start(*arguments, str(store))
        # When there were kills enough, the last scan may come to its end.
        moment = moments.uniform(0.1, 0.8 * whole.seconds) if kills < KILLS else 240
        if killed_after(command, moment):
            command.communicate()
            kills += 1
        else:
            same(machine.wait(command), expected)
            scans += 1
        where = f"kill {kills}, start {starts}, {moment:.2f} s"
        assert still_running(10) == [], where
        now = kept(store)
        assert before <= now, where
        sound(store)
        before = now if command.returncode == -signal.SIGKILL else set()
        halfway += bool(before)
    assert halfway, "no kill came when there was something to lose"
    print(f"{kills} kills, {starts} starts, {scans} scans came to their end")


def same(ended: Ended, expected: dict[str, object]) -> None:
    """Assert that a scan said what the undisturbed one says."""
    assert ended.code == 11, ended.stderr
    assert verdicts(ended.stdout) == expected
