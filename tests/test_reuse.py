"""Taking results from the store: only what is recent, final and sound stands for a run; the store never stops one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandbox import pipeline, profiles, reuse
from sandbox.backends.native import BACKEND
from sandbox.errors import BackendError, TargetError, UsageError
from sandbox.persona import load_personas
from sandbox.plan import Artifact, Limits
from sandbox.registries import Registries
from sandbox.report import PackageReport
from sandbox.settings import Settings
from sandbox.store import Store
from sandbox.store.rows import DAY
from sandbox.toolchain import HostTools
from tests import stored

NAME = "npm-left-pod-1.0.0-laptop.jsonl"


def names() -> dict[str, str]:
    return {"laptop": NAME}


class Judge:
    """Judges whatever it is given as it was told to, and notes what that was."""

    def __init__(self, report: PackageReport | Exception) -> None:
        self.report = report
        self.seen: list[list[bytes]] = []

    def __call__(self, recordings: Sequence[Path]) -> PackageReport:
        self.seen.append([path.read_bytes() for path in recordings])
        if isinstance(self.report, Exception):
            raise self.report
        return self.report


class Place:
    """A store in a folder of its own, and what is asked of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.steps: list[str] = []
        self.settings = Settings(store=tmp_path / "store", cache=tmp_path / "cache")

    def memory(self, judge: str = "j1", **settings: Any) -> reuse.Memory:
        return reuse.Memory(
            msgspec.structs.replace(self.settings, **settings), stored.key(), judge, self.steps.append, names
        )

    def keep(self, report: PackageReport | None = None, **settings: Any) -> PackageReport:
        memory = self.memory(**settings)
        memory.take(stored.recording(self.folder), "laptop")
        return memory.keep(report or stored.report())

    def recall(self, judge: Judge | None = None, key: str = "j1", **settings: Any) -> PackageReport | None:
        return self.memory(key, **settings).recall(judge or Judge(ZeroDivisionError()))

    def change(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.folder / "store" / "store.sqlite")
        with connection:
            assert connection.execute(statement, values).rowcount
        connection.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(reuse, "_said", set())
    return Place(tmp_path)


def test_nothing_is_recalled_before_something_is_kept(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.recall() is None
    report = stored.report("malicious")
    assert place.keep(report) is report
    found = place.recall()
    assert found is not None
    assert found == msgspec.structs.replace(report, stored=found.stored)
    assert abs(time.time() - time.mktime(time.strptime(found.stored, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 5
    assert capsys.readouterr() == ("", "")


def test_without_the_cache_nothing_is_recalled_but_the_new_result_is_kept(place: Place) -> None:
    place.keep(stored.report("clean"))
    assert place.recall(no_cache=True) is None
    place.keep(stored.report("malicious"), no_cache=True)
    found = place.recall()
    assert found is not None
    assert found.verdict == "malicious"


@pytest.mark.parametrize(
    ("age", "most", "taken"),
    [
        (6.9, 7.0, True), (7.1, 7.0, False), (7.1, 30.0, True), (0.0, 0.0, False), (-0.5, 7.0, False),
        (-0.01, 7.0, True),
    ],
)  # fmt: skip
def test_only_a_recent_run_stands_for_a_new_one(place: Place, age: float, most: float, taken: bool) -> None:
    with Store.open(place.settings.store) as store:
        packed = stored.packed(place.folder)
        store.save(stored.key(), stored.report(), [packed], judge="j1", ran=time.time() - age * DAY)
    assert (place.recall(max_age=most) is not None) == taken


def test_a_result_that_is_not_final_is_run_again_unless_asked(place: Place) -> None:
    place.keep(stored.report("inconclusive"))
    assert place.recall() is None
    found = place.recall(reuse_inconclusive=True)
    assert found is not None
    assert (found.verdict, found.coverage.missing) == ("inconclusive", ("the recording was cut",))


def test_other_rules_judge_what_was_recorded(place: Place) -> None:
    place.keep(stored.report("clean"))
    judge = Judge(stored.report("malicious", recordings=("/proc/self/fd/9",)))
    found = place.recall(judge, "j2")
    assert found is not None
    assert (found.verdict, found.recordings) == ("malicious", ())
    assert found.stored
    assert judge.seen == [[stored.recording(place.folder).read_bytes()]]
    assert place.steps == ["judging what was recorded again: rules or profiles have changed"]
    assert place.recall(Judge(ZeroDivisionError()), "j2") == found  # kept: not judged a third time


def test_rules_that_were_put_right_make_an_inconclusive_result_final(place: Place) -> None:
    place.keep(stored.report("inconclusive"))
    found = place.recall(Judge(stored.report("clean")), "j2")
    assert found is not None
    assert found.verdict == "clean"


def test_rules_that_fail_make_it_run_again(place: Place) -> None:
    place.keep(stored.report("clean"))
    assert place.recall(Judge(stored.report("inconclusive")), "j2") is None


def test_what_is_too_old_is_not_judged_again(place: Place) -> None:
    place.keep()
    judge = Judge(stored.report())
    assert place.recall(judge, "j2", max_age=0.0) is None
    assert judge.seen == []


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (TargetError("it is no recording"), "cannot be judged again: it is no recording"),
        (stored.report(digest="sha512:" + "9" * 128), "holds a recording of something else"),
    ],
)
def test_a_recording_that_cannot_be_judged_is_run_again(
    place: Place, report: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place.keep(stored.report("clean"))
    assert place.recall(Judge(report), "j2") is None
    assert words in capsys.readouterr().err


def test_a_mistake_in_a_profile_is_not_hidden(place: Place) -> None:
    place.keep()
    with pytest.raises(UsageError):
        place.recall(Judge(UsageError("no such key")), "j2")


def gone(place: Place) -> None:
    for path in (place.settings.store / "recordings").rglob("*.gz"):
        path.unlink()


def cut(place: Place) -> None:
    for path in (place.settings.store / "recordings").rglob("*.gz"):
        path.write_bytes(path.read_bytes()[:-9])


def swapped(place: Place) -> None:
    other = stored.packed(place.folder, 5)
    for path in (place.settings.store / "recordings").rglob("*.gz"):
        path.write_bytes(other.content)


@pytest.mark.parametrize("damage", [gone, cut, swapped])
def test_a_recording_that_is_gone_or_damaged_is_run_again(
    place: Place, damage: Callable[[Place], None], capsys: pytest.CaptureFixture[str]
) -> None:
    place.keep(stored.report("clean"))
    damage(place)
    judge = Judge(stored.report("clean"))
    assert place.recall(judge, "j2") is None
    assert judge.seen == []
    assert "it is run again" in capsys.readouterr().err
    keep = place.folder / "keep"
    keep.mkdir()
    assert place.recall(keep=keep) is None  # the report is there, but not the recording that was asked for
    assert list(keep.iterdir()) == []
    assert place.recall() is not None  # the report alone needs none
    place.keep(stored.report("malicious"))
    assert place.recall(keep=keep) is not None


def test_recordings_are_kept_where_that_is_asked_for(place: Place) -> None:
    place.keep()
    keep = place.folder / "keep"
    keep.mkdir()
    found = place.recall(keep=keep)
    assert found is not None
    path = keep / NAME
    assert found.recordings == (str(path),)
    assert path.read_bytes() == stored.recording(place.folder).read_bytes()
    assert list(keep.iterdir()) == [path]


def test_a_folder_that_recordings_cannot_be_kept_in_is_said(place: Place) -> None:
    place.keep()
    with pytest.raises(BackendError, match="cannot be kept in"):
        place.recall(keep=place.folder / "nowhere")


def test_a_changed_row_is_run_again_and_said(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.keep(stored.report("malicious"))
    place.change("UPDATE run SET verdict = 'clean', report = ?", msgspec.json.encode(stored.report("clean")))
    assert place.recall() is None
    assert "is damaged: its seal is broken; it is run again" in capsys.readouterr().err


def test_a_store_that_cannot_be_used_stops_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.settings.store.write_text("a file")
    memory = place.memory()
    assert memory.recall(Judge(ZeroDivisionError())) is None
    memory.take(stored.recording(place.folder), "laptop")
    report = stored.report()
    assert memory.keep(report) is report
    said = capsys.readouterr().err
    assert said.startswith(f"note: the result is not stored: the store {place.settings.store} cannot be used: File")
    assert len(said.splitlines()) == 1


def test_a_store_that_others_hold_stops_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.keep(stored.report("clean"))
    monkeypatch.setattr("sandbox.store.database.PATIENCE", 0.1)
    other = sqlite3.connect(place.settings.store / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found = place.recall(Judge(stored.report("malicious")), "j2")
    assert found is not None
    assert found.verdict == "malicious"  # judged again, though that could not be kept
    place.keep(stored.report("malicious"))
    other.execute("ROLLBACK")
    other.close()
    assert "has been in use by another process" in capsys.readouterr().err
    found = place.recall()
    assert found is not None
    assert found.verdict == "clean"


def test_a_recording_that_cannot_be_read_again_is_not_kept(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    memory = place.memory()
    memory.take(place.folder / "gone.jsonl", "laptop")
    assert memory.keep(stored.report()) == stored.report()
    assert "a recording cannot be read again: No such file" in capsys.readouterr().err
    assert place.recall() is None


def test_profiles_are_read_again_only_when_they_changed(tmp_path: Path) -> None:
    folders = [profiles.profile_folder(), tmp_path]
    first = reuse.sheets(folders, "npm")
    assert reuse.sheets(folders, "npm") is first
    (tmp_path / "npm.yaml").write_text("expect:\n  - why: because it is so\n    read: [/srv/x]\n")
    second = reuse.sheets(folders, "npm")
    assert second is not first
    assert len(second) == len(first) + 1
    (tmp_path / "npm.yaml").write_text("nonsense: 1\n")
    with pytest.raises(UsageError):
        reuse.sheets(folders, "npm")


def test_a_stored_recording_of_a_real_run_is_judged_as_it_was(place: Place) -> None:
    """By the real judge, from the store and from the file: the same report."""
    path = next(iter(sorted((Path(__file__).parent / "recordings" / "clean").glob("npm*.jsonl"))))
    direct = pipeline.judge_again(path, place.settings)
    key = stored.key(purl=direct.purl, digest=direct.digest)
    memory = reuse.Memory(place.settings, key, "j1", place.steps.append, names)
    memory.take(path, "laptop")
    memory.keep(direct)
    again = reuse.Memory(place.settings, key, "j2", place.steps.append, names).recall(
        lambda paths: pipeline.together([pipeline.judge_again(one, place.settings) for one in paths])
    )
    assert again is not None
    assert msgspec.structs.replace(again, stored="") == msgspec.structs.replace(direct, recordings=())


def test_every_personas_recording_is_kept_and_judged(place: Place) -> None:
    key = stored.key(personas=("laptop", "server"))
    files = {"laptop": NAME, "server": NAME.replace("laptop", "server")}

    def memory(judge: str, **settings: Any) -> reuse.Memory:
        return reuse.Memory(
            msgspec.structs.replace(place.settings, **settings), key, judge, place.steps.append, lambda: files
        )

    first = memory("j1")
    who = ["server", "laptop"]
    paths = {name: stored.recording(place.folder, number, persona=name) for number, name in enumerate(who)}
    for name, path in paths.items():  # in the order in which they were run
        first.take(path, name)
    first.keep(stored.report())
    keep = place.folder / "keep"
    keep.mkdir()
    judge = Judge(stored.report("suspicious"))
    found = memory("j2", keep=keep).recall(judge)
    assert found is not None
    assert judge.seen == [[path.read_bytes() for path in paths.values()]]
    assert found.recordings == tuple(str(keep / files[name]) for name in who)
    assert all((keep / files[name]).read_bytes() == path.read_bytes() for name, path in paths.items())


def test_the_settings_that_decide_a_run_are_in_its_key(place: Place, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "npm.yaml").write_text("about: mine\n")
    artifact = Artifact(
        ecosystem="npm", name="left-pod", version="1.0.0", target="npm:left-pod", purl=stored.PURL,
        digest=stored.DIGEST, spec="left-pod@1.0.0",
    )  # fmt: skip
    who = [load_personas([profiles.profile_folder() / "personas"])["laptop"]]

    def memory(**settings: Any) -> reuse.Memory:
        chosen = msgspec.structs.replace(place.settings, **settings)
        return reuse.memory(
            chosen, artifact, who, Limits(), Registries(), HostTools(), BACKEND, place.steps.append
        )

    assert memory().recall(Judge(ZeroDivisionError())) is None
    first = memory()
    first.take(stored.recording(tmp_path), "laptop")
    first.keep(stored.report())
    assert memory().recall(Judge(ZeroDivisionError())) is not None
    assert memory(jobs=7, quiet=True).recall(Judge(ZeroDivisionError())) is not None
    assert memory(timeout=60.0).recall(Judge(ZeroDivisionError())) is None
    judge = Judge(stored.report())
    assert memory(profiles=(tmp_path / "own",)).recall(judge) is not None
    assert len(judge.seen) == 1


def test_a_run_without_a_recording_is_not_judged_again(place: Place) -> None:
    place.memory().keep(stored.report())
    judge = Judge(stored.report())
    assert place.recall(judge, "j2") is None
    assert judge.seen == []
    assert place.recall() is not None
