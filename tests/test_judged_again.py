"""Stored recordings judged again: the same in this process as in several, and a failure is one task's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import judged_again
from sandbox.errors import BaitboxError
from sandbox.judged_again import Reports, Task
from sandbox.report import PackageReport
from sandbox.settings import Settings
from sandbox.store import Store, StoredRun, pack
from tests import stored
from tests.recording import installed
from tests.test_judge_batch import Batch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def kept(store: Store, folder: Path, number: int, text: bytes = b"") -> StoredRun:
    """A run of one package alone; its report is of other rules."""
    path = folder / f"{number}.jsonl"
    purl = f"pkg:npm/thing@1.0.{number}"
    story = installed(version=f"1.0.{number}")
    path.write_bytes(text or story.text())
    report = stored.report(purl=purl, digest="sha512:00")
    return store.save(stored.key(purl=purl, digest="sha512:00"), report, [pack(path, "laptop")], judge="old")


def together(store: Store, folder: Path) -> Task:
    """Three packages that ran together; the last did something that nobody expects."""
    batch = Batch("aa", "bb", "cc")
    batch.end(batch.install())
    batch.planned().load("aa")
    batch.load("bb")
    batch.read(batch.load("cc"), "/opt/strange", "write")
    batch.end(batch.begin("shell", "shell", ["/bin/bash", "-l"]))
    path = folder / "batch.jsonl"
    path.write_bytes(batch.text())
    results = [
        (
            stored.key(purl=f"pkg:npm/{name}@1.0.0", digest=f"sha512:{name}", plan="together p1"),
            stored.report(purl=f"pkg:npm/{name}@1.0.0", digest=f"sha512:{name}"),
            (),
        )
        for name in batch.names
    ]
    return Task(tuple(store.save_all(results, [pack(path, "laptop")], judge="old")))


def told(results: list[Reports | BaitboxError]) -> list[dict[str, str] | str]:
    """The verdicts of each task, or that it failed."""

    def verdicts(found: dict[str, PackageReport]) -> dict[str, str]:
        return {purl.rpartition("/")[2]: one.verdict for purl, one in found.items()}

    return ["failed" if isinstance(one, BaitboxError) else verdicts(one) for one in results]


@pytest.mark.parametrize("in_processes", [False, True])
def test_each_task_gives_its_packages_or_says_why_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_processes: bool
) -> None:
    tasks = [Task((kept(store, tmp_path, 1),)), Task((kept(store, tmp_path, 2, b"no recording\n"),))]
    tasks += [together(store, tmp_path), Task((kept(store, tmp_path, 3),))]
    monkeypatch.setattr(judged_again, "MANY_BYTES", 0 if in_processes else 10**9)
    found = judged_again.judge_all(tasks, Settings(store=store.folder, jobs=2))
    assert told(found) == [
        {"thing@1.0.1": "clean"}, "failed", {"aa@1.0.0": "clean", "bb@1.0.0": "clean"}, {"thing@1.0.3": "clean"},
    ]  # fmt: skip


def test_a_recording_that_is_gone_fails_alone(store: Store, tmp_path: Path) -> None:
    runs = [kept(store, tmp_path, number) for number in (1, 2)]
    store.place(runs[0].recordings[0]).unlink()
    found = judged_again.judge_all([Task((run,)) for run in runs], Settings(store=store.folder, jobs=1))
    assert told(found) == ["failed", {"thing@1.0.2": "clean"}]
