"""Recordings for the report: one in memory at a time, a missing one said, and none left behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandbox import cli, discovery, errors, events, kept, pipeline, report, schedule
from sandbox.reporters import Recordings, Reporter
from tests.launch import interruptible
from tests.recording import installed

ROOT = Path(__file__).parent.parent


def recorded(path: Path, **header: Any) -> Path:
    recording = installed(**header).whole()
    with path.open("wb") as file:
        events.write(file, recording.header, recording.events)
    return path


def of(*paths: Path) -> report.Report:
    package = report.PackageReport(
        purl="pkg:npm/x@1.0.0", target="npm:x", digest="sha512:00", verdict="clean", recordings=tuple(map(str, paths))
    )
    return report.Report(tool=report.Tool(), verdict="clean", packages=(package,))


def test_one_recording_at_a_time_is_in_memory(tmp_path: Path) -> None:
    paths = {name: recorded(tmp_path / name, package=name) for name in ("a", "b")}
    read: list[str] = []

    def reading(path: Path) -> events.Recording:
        read.append(path.name)
        return events.read(path)

    recordings = kept.Kept(paths, reading)
    first = recordings["a"]
    assert recordings["a"] is first
    assert recordings["b"].header.package == "b"
    assert recordings["a"] == first and recordings["a"] is not first
    assert read == ["a", "b", "a"]
    assert [(name, one.header.package) for name, one in recordings.items()] == [("a", "a"), ("b", "b")]
    assert len(recordings) == 2 and "a" in recordings and "c" not in recordings


@pytest.mark.parametrize("content", [None, b"", b"{}\n", b'{"baitbox":99}\n', b'{"baitbox":1}\nnothing\n'])
def test_a_recording_that_cannot_be_read_is_missing_and_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "gone.jsonl"
    if content is not None:
        path.write_bytes(content)
    recordings = kept.Kept({"gone": path, "here": recorded(tmp_path / "here")})
    assert recordings.get("gone") is None
    with pytest.raises(KeyError):
        recordings["gone"]
    assert [name for name, _ in recordings.items()] == ["here"]
    assert list(recordings.problems) == ["gone"]
    assert recordings.problems["gone"].startswith("the recording gone can")


def test_the_private_folder_is_private_and_goes(tmp_path: Path) -> None:
    with kept.folder(None, True) as folder:
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "x").write_text("y")
    assert not folder.exists()
    with kept.folder(None, False) as none, kept.folder(tmp_path, True) as own:
        assert none is None and own == tmp_path
    assert tmp_path.exists()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_a_folder_that_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(errors.BackendError, match="cannot be written"), kept.folder(None, True):
        pass


def test_of_a_private_folder_the_report_says_names_alone(tmp_path: Path) -> None:
    whole, recordings = kept.recordings(of(recorded(tmp_path / "x.jsonl")), tmp_path)
    assert whole.packages[0].recordings == ("x.jsonl",)
    assert recordings["x.jsonl"].header.package == "thing"
    same, recordings = kept.recordings(of(tmp_path / "x.jsonl"))
    assert same.packages[0].recordings == (str(tmp_path / "x.jsonl"),)
    assert list(recordings) == [str(tmp_path / "x.jsonl")]


@pytest.mark.parametrize("ending", ["time.sleep(60)", "while True: pass", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_an_interrupt_leaves_no_folder_behind(tmp_path: Path, ending: str) -> None:
    """Also where what is within does not end by itself (the second: a guest that hangs at its end)."""
    code = f"""
import os, signal, time
from sandbox import kept, signals
from tests.launch import interruptible
def command():
    with kept.folder(None, True) as folder:
        (folder / "recording").write_text("x")
        print(folder, flush=True)
        try:
            time.sleep(60)
        finally:
            {ending}
signals.run(command)
"""
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    child = subprocess.Popen(
        interruptible(sys.executable, "-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment,
    )  # fmt: skip
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip())
    assert folder.is_relative_to(tmp_path) and (folder / "recording").exists()
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130 and said == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, young, other = (tmp_path / f"{name}" for name in ("baitbox-recordings-a", "baitbox-recordings-b", "other"))
    for folder in (left, young, other):
        folder.mkdir()
        (folder / "x.jsonl").write_text("x")
    target = tmp_path / "elsewhere"
    target.mkdir()
    (tmp_path / "baitbox-recordings-link").symlink_to(target)
    with kept.folder(None, True) as running:
        assert running is not None and left.exists()
        for old in (left, other, running, target):
            os.utime(old, (1, 1))
        with kept.folder(None, True):
            assert not left.exists()
            assert running.exists(), "it is held"
    assert young.exists() and other.exists() and target.exists()


@pytest.fixture
def format_that_counts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A recorded format that says how many events each recording has, in place of the built-in ones."""
    seen: list[Any] = []

    def render(
        report: report.Report, *, width: int = 80, colour: bool = False, recordings: Recordings | None = None
    ) -> str:
        seen.append(recordings)
        assert recordings is not None
        found = [(path, recordings.get(path)) for one in report.packages for path in one.recordings]
        return "\n".join(f"{path}: {len(one.events) if one else 'gone'}" for path, one in found) + "\n"

    load = discovery.load
    formats = {"terminal": Reporter("counts", render, recorded=True)}
    monkeypatch.setattr(discovery, "load", lambda *what: formats if what[0] == "reporters" else load(*what))
    return seen


def test_judging_gives_the_recording_to_a_format_that_asks_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format_that_counts: list[Any]
) -> None:
    path = recorded(tmp_path / "x.jsonl")
    cli.run(["judge", str(path)])
    assert capsys.readouterr().out == f"{path}: {len(events.read(path).events)}\n"


@pytest.mark.parametrize("gone", [False, True])
def test_checking_keeps_recordings_until_the_report_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    format_that_counts: list[Any],
    gone: bool,
) -> None:
    places: list[Path] = []

    def check(target: str, settings: Any, progress: Any) -> report.PackageReport:
        assert settings.keep is not None
        places.append(settings.keep)
        path = recorded(settings.keep / "x.jsonl")
        judged = pipeline.judge_again(path, settings)
        if gone:
            path.unlink()
        return judged

    monkeypatch.setattr(pipeline, "check", check)
    monkeypatch.setattr(pipeline, "choose_backend", lambda _: msgspec.defstruct("Backend", [("name", str)])("native"))
    cli.run(["check", "npm:x", "--quiet"])
    out, err = capsys.readouterr()
    assert out == ("x.jsonl: gone\n" if gone else f"x.jsonl: {len(installed().whole().events)}\n")
    assert ("note: not all is in the report: the recording x.jsonl cannot be read" in err) == gone
    assert not places[0].exists()
    cli.run(["check", "npm:x", "--quiet", "--keep", str(tmp_path)])
    assert places[1] == tmp_path and ((tmp_path / "x.jsonl").exists() or gone)


def test_formats_that_need_no_recording_keep_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def check_all(targets: Any, settings: Any, progress: Any) -> schedule.Outcome:
        asked.append(settings.keep)
        return schedule.Outcome(of())

    monkeypatch.setattr(schedule, "check_all", check_all)
    assert cli.run(["check", "npm:x", "--quiet", "--format", "json"]) == 0
    assert asked == [None]
