"""The store with real guests: what is unchanged is not run again, and what is judged otherwise is judged again."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from typing import Any

import pytest

from tests.integration.command_line import Ended, Machine, still_running
from tests.packages import build

pytestmark = [pytest.mark.native, pytest.mark.slow, pytest.mark.together]
WRITES = "require('fs').writeFileSync('/home/dev/notes.txt', 'x')\n"
SHEET = "expect:\n  - why: it keeps its notes beside the user's own\n    write: [~/notes.txt]\n"


def checked(machine: Machine, *arguments: str) -> tuple[Ended, dict[str, Any]]:
    """How a check of `left-pad` ended, and its package's report."""
    ended = machine.run("check", "./left-pad-1.3.0.tgz", "--format", "json", *arguments)
    assert ended.talk == []
    (package,) = json.loads(ended.stdout)["packages"]
    return ended, package


def runs(machine: Machine) -> int:
    """How often something was run, as the store has it."""
    return len(machine.run("store", "list").stdout.splitlines())


def seconds_of_processor() -> float:
    """What the programs that were run so far have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_package_is_run_once_and_judged_again_when_profiles_change(machine: Machine) -> None:
    build.npm(
        machine.root, "left-pad", {"index.js": "module.exports = 1\n", "note.js": WRITES}, version="1.3.0",
        scripts={"postinstall": "node note.js"},
    )  # fmt: skip
    _, first = checked(machine)
    assert (first["verdict"], first["stored"]) == ("suspicious", "")
    store = machine.home / ".local" / "share" / "baitbox"
    assert store.stat().st_mode & 0o777 == 0o700

    before = seconds_of_processor()
    _, second = checked(machine)
    assert seconds_of_processor() - before < 2  # on an idle machine 0.7 s, of which most is Python's start
    assert second.pop("stored") != first.pop("stored")
    assert second == first
    shown = machine.run("check", "./left-pad-1.3.0.tgz").stdout
    assert "from the store: it was run at 20" in shown

    sheet = machine.root / "own" / "packages" / "npm" / "left-pad.yaml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(SHEET, encoding="utf-8")
    _, third = checked(machine, "--profile", "own")
    assert third["verdict"] == "clean"
    assert third["stored"]
    assert checked(machine, "--profile", "own")[1] == third
    assert checked(machine)[1]["verdict"] == "suspicious"
    assert runs(machine) == 1

    ended, kept = checked(machine, "--keep", "kept")
    assert kept["stored"]
    (name,) = kept["recordings"]
    assert machine.run("judge", name, "--format", "json").code == ended.code == 10

    _, anew = checked(machine, "--no-cache")
    assert (anew["verdict"], anew["stored"]) == ("suspicious", "")
    assert checked(machine, "--timeout", "200")[1]["stored"] == ""
    assert runs(machine) == 3
    assert machine.run("store", "verify").stdout == "everything is as it was stored\n"


def test_changed_bytes_under_the_same_name_are_another_package(machine: Machine) -> None:
    build.npm(machine.root, "left-pad", {"index.js": "module.exports = 1\n"}, version="1.3.0")
    assert checked(machine)[1]["verdict"] == "clean"
    build.npm(
        machine.root, "left-pad", {"index.js": "module.exports = 1\n", "note.js": WRITES}, version="1.3.0",
        scripts={"postinstall": "node note.js"},
    )  # fmt: skip
    _, package = checked(machine)
    assert (package["verdict"], package["stored"]) == ("suspicious", "")


def test_a_store_that_cannot_be_used_does_not_stop_a_check(machine: Machine) -> None:
    build.npm(machine.root, "left-pad", {"index.js": "module.exports = 1\n"}, version="1.3.0")
    (machine.root / "broken").mkdir()
    (machine.root / "broken" / "store.sqlite").write_bytes(os.urandom(5000))
    ended, package = checked(machine, "--store", "broken")
    assert (ended.code, package["verdict"]) == (0, "clean")
    (note,) = [line for line in ended.stderr.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: the result is not stored: the store broken is damaged: store.sqlite: file is not a ")


def test_a_check_that_is_killed_leaves_a_sound_store(machine: Machine) -> None:
    build.npm(machine.root, "left-pad", {"index.js": "module.exports = 1\n"}, version="1.3.0")
    checked(machine)
    for moment in (0.6, 1.2, 1.8):
        command = machine.start("check", "./left-pad-1.3.0.tgz", "--no-cache", "--quiet")
        time.sleep(moment)
        os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
        assert still_running(5) == []
    assert machine.run("store", "verify").stdout == "everything is as it was stored\n"
    _, package = checked(machine)
    assert package["verdict"] == "clean"
    assert package["stored"]
