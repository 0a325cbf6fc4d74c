"""The comparison with the version before, without guests: what is asked for, what is told, and what never changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_behaviour import RULES, sheets, story

from sandbox import events, fingerprints, previous, progress, report, schedule
from sandbox.errors import BackendError, BaitboxError, TargetError
from sandbox.events import Recording
from sandbox.judge import judge
from sandbox.locked_targets import Earlier, Unchecked
from sandbox.previous import MOST_COMPARED, MOST_NEW, Subject
from sandbox.report import PackageReport
from sandbox.settings import Settings
from sandbox.store import RunKey, Store, pack
from sandbox.targets import Target
from tests.recording import HOME, NPM, Story, installed

THIEF = events.read(Path(__file__).parent / "recordings" / "decoy_sent" / "fires.jsonl")


class Guests:
    """Stands in for the guests: what each target did, or why it could not be run; and what was asked for."""

    def __init__(self) -> None:
        self.does: dict[str, Recording | Exception] = {}
        self.asked: list[tuple[str, Settings]] = []
        self.broken: BaitboxError | None = None

    def subject(self, now: Recording, before: Recording | Exception | None = None, name: str = "thing") -> Subject:
        """A package that did one thing before the change, and does another now."""
        targets = [
            Target(text=f"npm:{name}@{version}", ecosystem="npm", name=name, requested=version)
            for version in ("1.1.0", "1.0.0")
        ]
        self.does[targets[0].text] = now
        if before is not None:
            self.does[targets[1].text] = before
        judged = msgspec.structs.replace(judge(now, sheets(), RULES), target=targets[0].text)
        return Subject(report=judged, target=targets[0], earlier=Earlier("1.0.0", targets[1]))

    def check_all(
        self, targets: Sequence[Target], settings: Settings, display: progress.Progress, *, keep_error: bool = False
    ) -> schedule.Outcome:
        """As `schedule.check_all` does it."""
        assert keep_error
        assert settings.keep is not None
        self.asked += [(target.text, settings) for target in targets]
        if self.broken is not None:
            raise self.broken
        return schedule.Outcome(schedule.assemble([self._one(target, settings.keep) for target in targets], 0.0))

    def _one(self, target: Target, keep: Path) -> PackageReport:
        did = self.does[target.text]
        if isinstance(did, BaitboxError):
            return schedule.unchecked(target.text, did)
        assert isinstance(did, Recording)
        path = keep / f"{target.name}-{target.requested}.jsonl"
        with path.open("wb") as file:
            events.write(file, did.header, did.events)
        return msgspec.structs.replace(judge(did, sheets(), RULES), recordings=(str(path),))


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Guests:
    made = Guests()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(schedule, "check_all", made.check_all)
    return made


def compared(*subjects: Subject, **settings: object) -> list[PackageReport]:
    found = previous.compare(subjects, Settings(**settings), progress.Silent())  # type: ignore[arg-type]
    for subject, one in zip(subjects, found, strict=True):
        plain = tuple(msgspec.structs.replace(finding, novelty="") for finding in one.findings)
        assert msgspec.structs.replace(one, findings=plain, previous=None) == subject.report, "more than told"
    return found


def beside(package: PackageReport) -> report.Previous:
    assert package.previous is not None
    return package.previous


def novelties(package: PackageReport) -> dict[str, str]:
    return {finding.rule: finding.novelty for finding in package.findings}


def test_the_same_again_is_known(guests: Guests) -> None:
    (one,) = compared(guests.subject(story("a.test", version="1.1.0"), story("a.test")))
    assert (one.verdict, novelties(one)) == ("suspicious", {"unexpected_host": "known"})
    before = beside(one)
    assert (before.version, before.verdict, before.problem, before.new) == ("1.0.0", "suspicious", "", ())
    assert before.purl == "pkg:npm/thing@1.0.0"


def test_what_is_new_is_new_and_listed_in_words(guests: Guests) -> None:
    (one,) = compared(guests.subject(story("a.test", "b.test"), story("a.test")))
    assert novelties(one) == {"unexpected_host": "new"}
    assert beside(one).new == (
        "lookup b.test, by thing, in install", "request GET https://b.test/v<version>/x, by thing, in install",
    )  # fmt: skip


def test_a_theft_that_was_there_before_is_known_and_malicious(guests: Guests) -> None:
    (one,) = compared(guests.subject(THIEF, THIEF))
    assert one.verdict == "malicious"
    assert novelties(one)["decoy_sent"] == "known"
    assert {finding.verdict for finding in one.findings if finding.rule == "decoy_sent"} == {"malicious"}


def test_clean_new_and_unrun_packages_are_not_compared(guests: Guests) -> None:
    clean = guests.subject(installed().whole())
    assert clean.report.verdict == "clean"
    new = msgspec.structs.replace(guests.subject(story("a.test")), earlier=None)
    failed = schedule.unchecked("npm:thing@1.1.0", TargetError("there is none"))
    unrun = msgspec.structs.replace(guests.subject(story("a.test")), report=failed)
    assert [one.previous for one in compared(clean, new, unrun)] == [None, None, None]
    assert guests.asked == []


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (TargetError("r.test has no version 1.0.0"), "r.test has no version 1.0.0"),
        (BackendError("no guest"), "no guest"),
        (Story(version="1.0.0").recording(), "it is inconclusive itself: "),
    ],
)
def test_what_cannot_be_compared_is_said_and_nothing_is_known(
    guests: Guests, before: Recording | Exception, words: str
) -> None:
    (one,) = compared(guests.subject(story("a.test"), before))
    assert novelties(one) == {"unexpected_host": ""}
    assert beside(one).problem.startswith(words)
    assert (beside(one).verdict, beside(one).new) == ("", ())


def test_what_cannot_be_run_at_all_is_said_without_trying(guests: Guests) -> None:
    subject = msgspec.structs.replace(
        guests.subject(story("a.test")), earlier=Earlier("1.0.0", Unchecked("it is a git checkout"))
    )
    (one,) = compared(subject)
    assert (beside(one).problem, guests.asked, novelties(one)) == (
        "it is a git checkout", [], {"unexpected_host": ""},
    )  # fmt: skip


def test_a_comparison_that_fails_loses_no_report(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = guests.subject(story("a.test"), story("a.test"))
    guests.broken = BackendError("the daemon is gone")
    (one,) = compared(subject)
    assert "the daemon is gone" in beside(one).problem

    def full(*_: object) -> None:
        raise BackendError("the recordings cannot be written: No space left on device")

    monkeypatch.setattr(previous.kept, "folder", full)
    (one,) = compared(subject)
    assert "No space left" in beside(one).problem
    assert one.verdict == "suspicious"


def test_a_version_before_of_which_not_all_was_seen_is_compared_and_the_gap_told(guests: Guests) -> None:
    half = story("a.test")
    half = Recording(half.header, [event for event in half.events if not isinstance(event, events.GuestEnded)])
    (one,) = compared(guests.subject(story("a.test"), half))
    assert novelties(one) == {"unexpected_host": "known"}
    assert beside(one).missing == ("the recording was cut before the guest's end",)


def test_the_recording_of_another_file_is_not_taken(guests: Guests) -> None:
    subject = guests.subject(story("a.test"), story("a.test"))
    other = msgspec.structs.replace(subject.report, digest="sha512:11")
    (one,) = compared(msgspec.structs.replace(subject, report=other))
    assert "the recording is of another file" in beside(one).problem
    assert [text for text, _ in guests.asked] == ["npm:thing@1.1.0"]


def test_inconclusive_without_anything_unexpected_costs_no_second_guest(guests: Guests) -> None:
    silent, busy = installed(), Story()
    root = busy.begin("install", "install", NPM)
    # A rule minds nothing of it; no profile expects it.
    busy.add(events.FileChanged, process=busy.script(root), path=f"{HOME}/.other", change="times")
    busy.end(root)
    subjects = [
        guests.subject(told.recording(), installed().whole(), name)
        for told, name in ((silent, "silent"), (busy, "busy"))
    ]
    assert [one.report.verdict for one in subjects] == ["inconclusive", "inconclusive"]
    first, second = compared(*subjects)
    assert first.previous is None
    assert (second.findings, beside(second).verdict) == ((), "clean")
    assert beside(second).new == ("change ~/.other, by thing, in install",)
    assert [text for text, _ in guests.asked] == ["npm:silent@1.1.0", "npm:busy@1.1.0", "npm:busy@1.0.0"]


def test_the_worst_are_compared_and_the_rest_is_counted_out_loud(guests: Guests) -> None:
    names = [f"thing-{number}" for number in range(MOST_COMPARED + 1)]
    subjects = [guests.subject(story("a.test"), story("a.test"), name) for name in names]
    subjects.append(guests.subject(THIEF, THIEF, "thief"))
    found = compared(*subjects)
    assert novelties(found[-1])["decoy_sent"] == "known"
    told = [beside(one).problem for one in found]
    assert told.count("") == MOST_COMPARED
    assert told[-3:] == ["only 8 packages of one gate are compared, the worst first"] * 2 + [""]
    assert len(guests.asked) == 2 * MOST_COMPARED


def test_new_behaviours_are_bounded_and_the_rest_counted(guests: Guests) -> None:
    hosts = [f"h{number}.test" for number in range(MOST_NEW)]
    (one,) = compared(guests.subject(story(*hosts), story()))
    assert (len(beside(one).new), beside(one).more) == (MOST_NEW, MOST_NEW)  # a lookup and a request of each


def test_how_the_store_is_used(guests: Guests, tmp_path: Path) -> None:
    subject = guests.subject(story("a.test"), story("a.test"))
    compared(subject, no_cache=True)
    (_, now), (_, before) = guests.asked
    assert (now.no_cache, now.reuse_inconclusive) == (False, True)  # what has just been run and stored
    assert (before.no_cache, before.reuse_inconclusive) == (True, False)
    guests.asked.clear()
    compared(subject)
    assert guests.asked[1][1].max_age > 3650  # what that file did is as true later
    assert not any(settings.keep and settings.keep.exists() for _, settings in guests.asked)  # nothing is left behind
    guests.asked.clear()
    compared(subject, max_age=0)
    assert [settings.max_age for _, settings in guests.asked] == [1.0, 0.0]
    guests.asked.clear()
    kept = tmp_path / "kept"
    kept.mkdir()
    with (kept / "now.jsonl").open("wb") as file:
        events.write(file, story("a.test").header, story("a.test").events)
    there = msgspec.structs.replace(subject.report, recordings=(str(kept / "now.jsonl"),))
    compared(msgspec.structs.replace(subject, report=there), keep=kept)
    assert [text for text, _ in guests.asked] == ["npm:thing@1.0.0"]
    assert [path.name for path in (kept / "previous").iterdir()] == ["thing-1.0.0.jsonl"]


@pytest.mark.parametrize(
    ("stored", "taken"),
    [
        ({}, True),
        ({"digest": "sha512:" + "22" * 64}, False),  # another content of the same version
        ({"sensors": "others"}, False),
        ({"personas": ("other",)}, False),
        ({"plan": "together 0123"}, False),
        ({"purl": "pkg:npm/thing@1.0.0-rc.1"}, False),
    ],
)
def test_what_the_registry_has_lost_is_taken_from_the_store_where_it_is_the_pinned_file(
    guests: Guests, tmp_path: Path, stored: dict[str, Any], taken: bool
) -> None:
    pinned = "sha512:" + "11" * 64
    subject = guests.subject(story("a.test"), TargetError("r.test has no version 1.0.0"))
    assert subject.earlier is not None
    assert isinstance(subject.earlier.target, Target)
    target = msgspec.structs.replace(subject.earlier.target, digests=(pinned, "sha1:00"))
    subject = msgspec.structs.replace(subject, earlier=Earlier("1.0.0", target))
    base: dict[str, Any] = {
        "purl": "pkg:npm/thing@1.0.0", "digest": pinned, "plan": "p", "personas": ("laptop",), "guest": "g",
        "sensors": fingerprints.sensors_key(),
    }  # fmt: skip
    key = RunKey(**{**base, **stored})
    did = story("a.test")
    did = Recording(msgspec.structs.replace(did.header, digest=key.digest), did.events)
    path = tmp_path / "before.jsonl"
    with path.open("wb") as file:
        events.write(file, did.header, did.events)
    judged = msgspec.structs.replace(judge(did, sheets(), RULES), purl=key.purl)
    with Store.open(tmp_path / "store") as store:
        store.save(key, judged, [pack(path, "laptop")], judge="j")
    (one,) = compared(subject, store=tmp_path / "store")
    assert novelties(one) == {"unexpected_host": "known" if taken else ""}
    assert bool(beside(one).stored) == taken
    assert (beside(one).problem == "") == taken
    for settings in ({"no_cache": True}, {"max_age": 0}):
        (one,) = compared(subject, store=tmp_path / "store", **settings)
        assert beside(one).problem == "r.test has no version 1.0.0"
