"""Processes for `test_store_concurrency`: `python -m tests.store_writers write|prune|kill FOLDER SCRATCH NUMBER`.

Programs of their own, so that the tests' process has no child left, and none of its threads is forked.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from sandbox.store import Store
from tests import stored

EACH = 12


def write(folder: Path, scratch: Path, writer: int) -> None:
    """Save, find, judge again and scan; a line for everything that is done."""
    mine = scratch / str(writer)
    mine.mkdir()
    wait_for_all()
    with Store.open(folder) as store:
        for number in range(EACH):
            run = stored.save(store, mine, writer * 1000 + number)
            assert store.find(run.key) == run
            assert store.judged(run, run.report, "j2").judge == "j2"
            store.open_scan("shared").add(run.key.purl, run.key.digest, "clean", run=run.id)
            print(run.key.purl)


def prune(folder: Path, _scratch: Path, seconds: int) -> None:
    """Prune and verify all the time."""
    wait_for_all()
    until = time.monotonic() + seconds
    with Store.open(folder) as store:
        while time.monotonic() < until:
            store.prune(keep_days=1)
            store.verify()


def kill(folder: Path, scratch: Path, rounds: int) -> None:
    """Start a writer, kill it at some moment, and look at what it left; `rounds` times. Says what the writers had said
    to be done, and what was wrong after each."""
    told: list[list[object]] = []
    problems: list[str] = []
    for number in range(rounds):
        end, said = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(end)
            write_without_end(folder, scratch / str(number), number, said)
        os.close(said)
        with os.fdopen(end, "rb") as lines:
            assert lines.readline() == b'["ready"]\n'
            time.sleep(random.uniform(0, 0.12))
            os.kill(child, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
            told += [json.loads(line) for line in lines]
        with Store.open(folder) as store:
            problems += [text for text in store.verify() if "belongs to no run" not in text]
    print(json.dumps({"told": told, "problems": problems}))


def write_without_end(folder: Path, scratch: Path, round_: int, out: int) -> None:
    """Store things until the end comes, and tell of each that it is done."""

    def tell(*what: object) -> None:
        os.write(out, json.dumps(what).encode() + b"\n")

    scratch.mkdir()
    packed = [stored.packed(scratch, round_ * 10_000 + number, lines=2000) for number in range(4)]
    tell("ready")
    with Store.open(folder) as store:
        scan = store.open_scan("killed")
        for number in range(10_000):
            report = stored.report(purl=f"pkg:npm/left-pod@{round_}.0.{number}")
            run = store.save(stored.key(purl=report.purl), report, [packed[number % 4]], judge="j1")
            tell("saved", run.id)
            store.judged(run, stored.report("malicious", purl=report.purl), "j2")
            scan.add(report.purl, report.digest, "malicious", run=run.id)
            tell("scanned", report.purl)
            if number % 3 == 2:
                store.prune(most_bytes=10**9)
    os._exit(1)


def wait_for_all() -> None:
    """Say that we are here, and go on when everybody is."""
    print("here", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    work, folder_text, scratch_text, number_text = sys.argv[1:]
    {"write": write, "prune": prune, "kill": kill}[work](Path(folder_text), Path(scratch_text), int(number_text))
