"""Whose doing it was, where several packages ran in one guest at the same time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sandbox import discovery, events, profiles
from sandbox.events import ALL_TRIED, Member, PlannedPhase
from sandbox.judge_batch import Judgement, judge_batch
from tests.recording import HOME, NPM, PROJECT, Story

NODE = "/usr/bin/node"
MODULES = f"{PROJECT}/node_modules"


class Batch(Story):
    """Several npm packages, installed; then each is loaded."""

    def __init__(self, *names: str) -> None:
        members = [
            Member(name=name, version="1.0.0", purl=f"pkg:npm/{name}@1.0.0", digest=f"sha512:{name}", place=name)
            for name in names
        ]
        super().__init__(package="", version="", members=members)
        self.names = names
        for sensor in ("syscalls", "network"):
            self.add(events.SensorStarted, sensor=sensor)

    def install(self, served: tuple[str, ...] | None = None) -> int:
        """npm ci's root process; the phase is left open."""
        root = self.begin("install", "install", [*NPM[:2], "ci"])
        for name in self.names if served is None else served:
            self.add(events.ArtifactServed, process=root, url=f"https://x.test/{name}", digest=f"sha512:{name}", size=1)
        return root

    def planned(self) -> Batch:
        """What is to be loaded."""
        phases = [
            PlannedPhase(f"import:{name}", "import", package=name, version="1.0.0", complete=ALL_TRIED)
            for name in self.names
        ]
        self.add(events.PhasesPlanned, phases=[*phases, PlannedPhase("shell", "shell")], not_exercised=[])
        return self

    def load(self, name: str, code: int = ALL_TRIED) -> int:
        """The process that loads a package; it has ended well already, which only the order of lines says."""
        root = self.begin(f"import:{name}", "import", [NODE, "-e", f"require({name})"])
        self.end(root, code=code)
        self.phase = f"import:{name}"
        return root

    def judged(self) -> Judgement:
        """With the shell, and the end."""
        root = self.begin("shell", "shell", ["/bin/bash", "-l"])
        self.end(root)
        self.phase = ""
        counts: dict[str, int] = {}
        self.add(events.GuestEnded, counts=counts)
        recording = events.Recording(self.header, self.events)
        sheets = profiles.load([profiles.profile_folder()], "npm")
        return judge_batch(recording, sheets, discovery.load("rules", "RULE"))


def key(name: str) -> str:
    return f"pkg:npm/{name}@1.0.0"


def made(*names: str) -> Batch:
    """A batch that has been installed."""
    batch = Batch(*names)
    root = batch.install()
    batch.end(root)
    return batch.planned()


def steal(batch: Story, process: int, host: str = "drop.test") -> None:
    """Bait is read, and sent."""
    batch.read(process, f"{HOME}/.aws/credentials")
    batch.add(events.ConnectionOpened, process=process, protocol="tcp", address="10.1.2.3", port=443, host=host,
              connection=process)  # fmt: skip
    batch.add(events.RequestSent, process=process, connection=process, method="POST", url=f"https://{host}/",
              headers=[], body=b"x", body_size=1)  # fmt: skip
    batch.add(events.DecoySent, process=process, decoy="aws", token="key", connection=process, host=host, where="body")


def test_everybody_who_did_what_is_ordinary_is_cleared() -> None:
    batch = made("a", "b")
    for name in ("a", "b"):
        batch.read(batch.load(name), f"{MODULES}/{name}/index.js")
    judgement = batch.judged()
    assert judgement.unclear == ()
    assert sorted(judgement.cleared) == [key("a"), key("b")]
    assert "together with 1 others" in judgement.packages[key("a")].coverage.not_exercised[0]


def test_a_deed_in_a_packages_own_process_is_its_own() -> None:
    batch = made("a", "b")
    batch.load("a")
    steal(batch, batch.load("b"))
    judgement = batch.judged()
    assert judgement.cleared == [key("a")]
    assert judgement.packages[key("b")].verdict == "malicious"


def test_a_childs_deed_is_its_packages_while_another_is_loaded() -> None:
    batch = made("a", "b")
    parent = batch.load("a")
    batch.load("b")
    child = batch.child(parent, NODE, [NODE, f"{MODULES}/b/index.js"], cwd=f"{MODULES}/b")
    steal(batch, child)
    judgement = batch.judged()
    assert judgement.cleared == [key("b")]
    assert judgement.packages[key("a")].verdict == "malicious"


def test_a_lifecycle_script_is_the_package_whose_folder_it_runs_in() -> None:
    batch = Batch("a", "b")
    root = batch.install()
    steal(batch, batch.script(root, "b"))
    batch.end(root)
    batch.planned().load("a")
    batch.load("b")
    assert list(batch.judged().suspects) == [key("b")]


def test_a_packages_exceptions_are_for_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = profiles.Sheet(expect=(profiles.Expectation(why="it is known to", read=("~/.aws/credentials",)),))
    load = profiles.load

    def with_sheet(*arguments: Any) -> profiles.Profiles:
        found = load(*arguments)
        found._sheets["packages/npm/a"] = [(profiles.profile_folder(), sheet)]
        return found

    monkeypatch.setattr(profiles, "load", with_sheet)
    batch = made("a", "b")
    for name in ("a", "b"):
        batch.read(batch.load(name), f"{HOME}/.aws/credentials")
    assert list(batch.judged().suspects) == [key("b")]


def test_an_orphan_of_an_unknown_session_is_nobodys_and_clears_nobody() -> None:
    batch = made("a", "b")
    batch.load("a")
    batch.load("b")
    orphan = batch.fork(0, known=False, session=77)
    steal(batch, orphan)
    judgement = batch.judged()
    assert judgement.cleared == []
    assert {one.rule for one in judgement.unattributed} >= {"decoy_sent"}


def test_what_points_to_an_orphans_maker_makes_it_a_suspect() -> None:
    batch = made("a", "b")
    batch.load("a")
    maker = batch.load("b")
    orphan = batch.fork(maker, known=False, session=77)
    steal(batch, orphan)
    judgement = batch.judged()
    assert judgement.unattributed
    assert key("b") in judgement.suspects


@pytest.mark.parametrize("code", [0, 1, 97])
def test_a_package_that_does_not_come_to_its_end_is_a_suspect(code: int) -> None:
    batch = made("a", "b")
    batch.load("a")
    batch.load("b", code=code)
    judgement = batch.judged()
    assert judgement.cleared == [key("a")]
    assert "import:b" in judgement.suspects[key("b")][0]


def test_a_package_whose_file_was_never_served_is_a_suspect() -> None:
    batch = Batch("a", "b")
    batch.end(batch.install(served=("a",)))
    batch.planned().load("a")
    batch.load("b")
    assert list(batch.judged().suspects) == [key("b")]


def test_a_phase_that_never_ran_is_no_clearance() -> None:
    batch = made("a", "b")
    batch.load("a")
    assert list(batch.judged().suspects) == [key("b")]


def test_a_lost_record_clears_nobody() -> None:
    batch = made("a", "b")
    batch.load("a")
    batch.load("b")
    batch.add(events.SensorLost, sensor="syscalls", reason="a queue ran over", count=3)
    judgement = batch.judged()
    assert judgement.broken
    assert judgement.cleared == []


def test_what_one_sent_and_nobody_could_look_into_is_a_gap_in_that_one() -> None:
    batch = made("a", "b")
    batch.load("a")
    sender = batch.load("b")
    batch.add(events.SensorLost, process=sender, sensor="gateway", reason="more layers than are undone", count=1)
    judgement = batch.judged()
    assert not judgement.broken
    assert judgement.cleared == [key("a")]


def test_a_failed_installation_points_to_whose_script_failed() -> None:
    batch = Batch("a", "b")
    root = batch.install()
    script = batch.script(root, "b")
    batch.add(events.ProcessExited, process=script, code=1)
    batch.end(root, code=1)
    judgement = batch.judged()
    assert judgement.broken
    assert list(judgement.suspects) == [key("b")]


def test_who_changed_what_another_runs_is_told() -> None:
    batch = Batch("a", "b")
    root = batch.install()
    script = batch.script(root, "a")
    batch.read(script, f"{MODULES}/b/index.js", access="write", created=True)
    batch.end(root)
    batch.planned().load("a")
    loader = batch.load("b")
    batch.read(loader, f"{MODULES}/b/index.js")
    batch.read(loader, f"{MODULES}/a/index.js")
    judgement = batch.judged()
    assert judgement.changed_by == {key("b"): (key("a"),)}
    assert judgement.loads == {key("b"): (key("a"),)}
    assert key("a") in judgement.suspects


def test_two_versions_of_a_name_are_both_meant_by_it() -> None:
    batch = made("a", "b")
    twin = msgspec.structs.replace(batch.header.members[1], version="2.0.0", purl="pkg:npm/b@2.0.0")
    batch.header = msgspec.structs.replace(batch.header, members=[*batch.header.members, twin])
    batch.load("a")
    steal(batch, batch.load("b"))
    assert set(batch.judged().suspects) == {key("b"), "pkg:npm/b@2.0.0"}


def test_an_old_recording_of_one_package_is_read_as_before() -> None:
    line = b'{"baitbox":1,"ecosystem":"npm","package":"x","phases":[{"name":"install","kind":"install"}]}'
    header = msgspec.json.decode(line, type=events.Header)
    assert (header.members, header.phases[0].package, header.phases[0].complete) == ([], "", 0)


def test_a_recording_by_itself_gives_a_report_of_each_and_of_what_is_nobodys() -> None:
    batch = made("a", "b")
    batch.load("a")
    steal(batch, batch.load("b"))
    steal(batch, batch.fork(0, known=False, session=77), "other.test")
    reports = {one.purl: one for one in batch.judged().reports("batch.jsonl")}
    assert set(reports) == {key("a"), key("b"), ""}
    assert [reports[name].verdict for name in (key("a"), key("b"), "")] == ["inconclusive", "malicious", "malicious"]
    assert any("to be run alone" in text for text in reports[key("b")].coverage.missing)
