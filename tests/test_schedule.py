"""Several targets: in order, none lost to another's error, and all stopped by one interrupt."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox import discovery, progress, report, schedule
from sandbox.errors import BackendError, RegistryError, TargetError
from sandbox.settings import Settings


def checked(target: str, verdict: report.Verdict = "clean") -> report.PackageReport:
    return report.PackageReport(purl=f"pkg:{target}", target=target, digest="sha512:00", verdict=verdict)


class Steps:
    """A progress display that remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def step(self, text: str) -> None:
        self.texts.append(text)


VERDICTS: dict[str, report.Verdict] = {"npm:thief": "malicious", "npm:odd": "suspicious"}


def check(target: str, settings: Settings, display: progress.Progress) -> report.PackageReport:
    """Stands in for the pipeline."""
    display.step("installing")
    if target == "npm:gone":
        raise TargetError("there is no npm package `gone`", "look at the name")
    if target == "npm:down":
        raise RegistryError("the registry does not answer")
    return checked(target, VERDICTS.get(target, "clean"))


class Backend:
    name = "native"


def chosen(settings: Settings) -> Backend:
    if settings.backend == "docker":
        raise BackendError("no guest can be made here", "start Docker")
    return Backend()


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sandbox.pipeline")
    module.check = check  # type: ignore[attr-defined]  # that is how the stand-in gets it
    module.choose_backend = chosen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sandbox.pipeline", module)
    monkeypatch.setattr(discovery, "count", lambda _: 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_single_target_is_checked_and_its_error_raised(jobs: int) -> None:
    steps = Steps()
    outcome = schedule.check_all(["npm:left-pad"], Settings(jobs=jobs), steps)
    assert outcome.report.verdict == "clean"
    assert outcome.report.tool.rules == 1
    assert steps.texts == ["guests are made by the native backend", "installing"]
    assert outcome.report.tool.backend == "native"
    with pytest.raises(TargetError):
        schedule.check_all(["npm:gone"], Settings(jobs=jobs), steps)


def test_without_a_backend_nothing_is_begun() -> None:
    steps = Steps()
    with pytest.raises(BackendError):
        schedule.check_all(["npm:left-pad", "npm:odd"], Settings(backend="docker"), steps)
    assert steps.texts == []


def test_of_several_the_worst_counts_and_the_order_stays() -> None:
    targets = ["npm:odd", "npm:left-pad", "npm:thief"]
    outcome = schedule.check_all(targets, Settings(jobs=1), Steps())
    assert [package.target for package in outcome.report.packages] == targets
    assert outcome.report.verdict == "malicious"
    assert outcome.errors == ()


def test_the_error_of_one_does_not_lose_the_others() -> None:
    steps = Steps()
    outcome = schedule.check_all(["npm:gone", "npm:left-pad", "npm:down"], Settings(jobs=1), steps)
    gone, fine, down = outcome.report.packages
    assert (gone.verdict, fine.verdict, down.verdict) == ("inconclusive", "clean", "inconclusive")
    assert gone.coverage.missing == ("not checked: there is no npm package `gone`",)
    assert [target for target, _ in outcome.errors] == ["npm:gone", "npm:down"]
    assert outcome.report.verdict == "inconclusive"
    assert "npm:left-pad: installing" in steps.texts


def test_any_executor_will_do() -> None:
    targets = [f"npm:p{number}" for number in range(20)]

    def slow(target: str, _settings: Settings) -> str:
        time.sleep(0.01 if target.endswith("0") else 0)
        return target

    with ThreadPoolExecutor(4) as executor:
        assert schedule.spread(executor, slow, targets, Settings()) == targets


def test_what_waits_is_not_begun_after_a_bug() -> None:
    begun = []

    def broken(target: str, _settings: Settings) -> str:
        begun.append(target)
        time.sleep(0.005)  # or all are done before anybody can stop them
        raise ZeroDivisionError

    with ThreadPoolExecutor(1) as executor, pytest.raises(ZeroDivisionError):
        schedule.spread(executor, broken, ["a"] * 500, Settings())
    assert len(begun) < 500


def test_workers_are_separate_processes_whose_steps_are_shown() -> None:
    steps = Steps()
    with schedule.pool(2, steps) as executor:
        results = schedule.spread(
            executor, partial(schedule.work, check), ["npm:thief", "npm:gone"], Settings()
        )
    thief, gone = results
    assert thief.verdict == "malicious"
    assert isinstance(gone, TargetError)
    assert gone.hint == "look at the name"
    assert sorted(steps.texts) == ["npm:gone: installing", "npm:thief: installing"]


def linger(target: str, settings: Settings, _display: progress.Progress) -> report.PackageReport:
    """Works until it is interrupted, and says that its guest was ended."""
    note = Path(str(settings.keep)) / target
    note.with_suffix(".begun").touch()
    try:
        time.sleep(60)
    finally:
        time.sleep(0.5)  # the end of a guest takes a while, and a second interrupt must not cut it short
        note.with_suffix(".ended").touch()
    raise BackendError("unreachable")


def interrupt_when(files: list[Path]) -> None:
    while not all(file.exists() for file in files):
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Path]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored
    yield tmp_path
    signal.signal(signal.SIGINT, before)
    assert multiprocessing.active_children() == []


def test_an_interrupt_of_this_process_alone_ends_every_guest(watched: Path) -> None:
    settings = Settings(keep=watched)
    begun = [watched / "one.begun", watched / "two.begun"]
    threading.Thread(target=interrupt_when, args=(begun,), daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), schedule.pool(2, Steps()) as executor:
        schedule.spread(executor, partial(schedule.work, linger), ["one", "two", "three", "four"], settings)
    assert time.monotonic() - started < 20
    ended = {file.stem for file in watched.glob("*.ended")}
    assert ended == {"one", "two"}
    assert not (watched / "four.begun").exists()


@pytest.mark.parametrize(("processors", "expected"), [([0], 1), ([0, 1], 1), (list(range(8)), 4), ([], 1)])
def test_half_of_the_processors_work(
    monkeypatch: pytest.MonkeyPatch, processors: list[int], expected: int
) -> None:
    class Process:
        def cpu_affinity(self) -> list[int]:
            return processors

    monkeypatch.setattr("psutil.Process", Process)
    assert schedule.workers(Settings()) == expected
    assert schedule.workers(Settings(jobs=7)) == 7


def test_settings_and_reports_travel_between_processes() -> None:
    import pickle

    for value in (Settings(keep=Path("x")), checked("npm:x")):
        copied: Any = pickle.loads(pickle.dumps(value))  # our own
        assert copied == value
