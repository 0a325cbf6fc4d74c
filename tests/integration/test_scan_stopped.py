"""A scan that is stopped leaves nothing running, loses nothing that was certain, and goes on where it was."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import StoreError
from sandbox.store import Store
from tests import locks
from tests.integration.command_line import Machine, await_moment, orphans_come_here, still_running
from tests.integration.scanned import PLANTED, locked, verdicts
from tests.packages.registry import Registry

pytestmark = [pytest.mark.native, pytest.mark.together]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with orphans_come_here():
        assert still_running() == []
        yield Machine(tmp_path)


@pytest.fixture
def lock(machine: Machine) -> Iterator[Path]:
    """Of honest packages, a thief, and one that takes its time alone."""
    with locked(machine, {"slow-start": {"index.js": "setTimeout(() => process.exit(0), 2000);\n"}}) as path:
        yield path


def stored(folder: Path) -> int:
    """How many results a scan has put into the store."""
    try:
        with Store.open(folder, create=False) as store:
            return len(store._database.rows("SELECT * FROM scan_result"))
    except StoreError:
        return 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_where_it_was(machine: Machine, lock: Path, number: signal.Signals) -> None:
    store, other = machine.root / "store", machine.root / "undisturbed"
    arguments = ("scan", str(lock), "--format", "json", "--jobs", "1", "--store")
    command = machine.start(*arguments, str(store))
    await_moment(lambda: stored(store) >= 4, command, 120)
    command.send_signal(number)
    machine.wait(command)
    assert still_running(5) == []
    assert machine.left_behind() == [] or number == signal.SIGKILL
    before = stored(store)

    again = machine.run(*arguments, str(store), timeout=240)
    whole = machine.run(*arguments, str(other), timeout=240)
    assert before >= 4
    assert (again.code, whole.code) == (11, 11), (again.stderr, whole.stderr)
    assert "0 of 6 packages" in whole.stderr
    assert "0 of 6 packages" not in again.stderr
    assert verdicts(again.stdout) == verdicts(whole.stdout)
    page = machine.root / "page.html"
    quick = machine.run(*arguments, str(store), "--since-last", "--report", f"html={page}", timeout=60)
    nights = json.loads(quick.stdout)["nights"]
    assert [night["counts"] for night in nights] == [{"clean": 5, "malicious": 1}] * 2
    assert "Over the nights" in page.read_text("utf-8")
    assert "packages are clean as they were" in quick.stdout


def test_a_lockfile_without_packages_is_clean_and_says_so(machine: Machine) -> None:
    path = machine.root / "requirements.txt"
    path.write_text("# nothing yet\n")
    ended = machine.run("scan", str(path))
    assert ended.code == 0, ended.stderr
    assert f"there is no package to look at in {path}" in " ".join(ended.stdout.split())


def test_folders_that_are_not_looked_into_are_not_clean(machine: Machine) -> None:
    top = machine.root / "deep"
    below = top.joinpath(*"abcdefghijklmnopqr")
    below.mkdir(parents=True)
    (top / "requirements.txt").write_text("# nothing yet\n")
    (below / "requirements.txt").write_text("six==1.17.0\n")
    ended = machine.run("scan", str(top))
    assert ended.code == 5, ended.stderr
    assert "are not looked into: too deep" in " ".join(ended.stdout.split())


def test_other_package_managers_lockfiles_mean_the_same_packages(machine: Machine) -> None:
    """The first is run, in one guest and then the thief alone; the others are the same packages, and known."""
    folder = machine.root / "archives"
    folder.mkdir()
    archives = list(PLANTED.build(folder))
    contents = {path.name.partition("-1.0.0")[0]: path.read_bytes() for path in archives}
    written = {"pnpm-lock.yaml": locks.pnpm_lock, "yarn.lock": locks.yarn_classic_lock, "bun.lock": locks.bun_lock}
    found, kept = {}, []
    with Registry(archives, host="packages.test") as registry:
        machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
        for name, write in written.items():
            place = machine.root / name.partition(".")[0]
            place.mkdir()
            (place / name).write_text(write(contents), encoding="utf-8")
            ended = machine.run("scan", str(place / name), "--format", "json", timeout=240)
            assert ended.code == 11, ended.stderr
            found[name] = verdicts(ended.stdout)
            kept.append(machine.run("store", "list").stdout)
    assert len(found["pnpm-lock.yaml"]) == len(contents)
    assert all(name in kept[0] for name in contents)
    assert kept[1:] == kept[:1] * 2, "a run that there was no need for"
    assert all(one == found["pnpm-lock.yaml"] for one in found.values())
