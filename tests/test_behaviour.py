"""Behaviours, and what differs between two recordings: noise never, a thief always."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from test_judge_batch import Batch, steal

from sandbox import discovery, events, profiles
from sandbox.behaviour import Behaviour, Difference, behaviours, compare, compare_all
from sandbox.events import Recording
from sandbox.judge import judge
from sandbox.profiles import Profiles
from sandbox.rules import Rule
from sandbox.sheets import Expectation, Sheet
from tests.recording import HOME, NPM, PROJECT, Story

RULES: dict[str, Rule] = discovery.load("rules", "RULE")
RECORDINGS = sorted((Path(__file__).parent / "recordings").rglob("*.jsonl"))
OWN = f"{PROJECT}/node_modules/thing"


@cache
def sheets(ecosystem: str = "npm") -> Profiles:
    return profiles.load([profiles.profile_folder()], ecosystem)


def expecting(*entries: Expectation) -> Profiles:
    return sheets().with_sheets({"packages/npm/thing": Sheet(extends="npm", expect=entries)})


def story(*hosts: str, version: str = "1.0.0", noise: str = "", read: str = "", write: str = "") -> Recording:
    """A lifecycle script that asks each host for something, and opens some files."""
    told = Story(version=version)
    root = told.begin("install", "install", NPM)
    script = told.script(root)
    for number, host in enumerate(hosts, start=1):
        told.add(events.NameLookedUp, process=script, name=host, kind="A", answer="198.51.100.7")
        told.add(
            events.ConnectionOpened, process=script, protocol="tcp", address="198.51.100.7", port=443, host=host,
            connection=number,
        )  # fmt: skip
        url = f"https://{host}/v{version}/{noise or 'x'}"
        told.add(events.RequestSent, process=script, connection=number, method="GET", url=url, headers=[])
    if noise:
        told.read(script, f"{HOME}/.thing/{noise}.json", "write")
        told.add(events.PortBound, process=script, address="127.0.0.1", port=40000 + len(noise))
    for path, access in ((read, "read"), (write, "write")):
        if path:
            told.read(script, path, access)
    told.end(root)
    return told.whole()


def subjects(difference: Difference, part: str = "new") -> list[str]:
    return [f"{change.behaviour.verb} {change.behaviour.subject}" for change in getattr(difference, part)]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recording_does_nothing_new_compared_with_itself(path: Path) -> None:
    recording = events.read(path)
    report = judge(recording, sheets(recording.header.ecosystem), RULES)
    found = compare(recording, recording, sheets(recording.header.ecosystem))
    assert (found.new, found.gone, found.unexpected) == ((), (), ())
    assert len(found.findings) >= len({finding.rule for finding in report.findings})
    assert all(told.known for told in found.findings)
    if report.verdict == "malicious":
        assert found.verdict == "malicious"
    else:
        assert found.verdict == ("inconclusive" if report.coverage.missing else "clean")


def test_noise_and_the_version_are_no_difference() -> None:
    before = story("cdn.test", noise="9f86d081884c7d65")
    after = story("cdn.test", version="1.1.0", noise="0123456789abcdef")
    found = compare(before, after, sheets())
    assert (found.new, found.gone) == ((), ())
    assert "request https://cdn.test/v<version>/<hash>" in subjects(found, "known")
    assert "write ~/.thing/<hash>.json" in subjects(found, "known")
    assert found.verdict == "clean"


def test_a_behaviour_says_who_did_what_in_which_kind_of_phase() -> None:
    found = behaviours(story("cdn.test"), sheets())
    wanted = Behaviour(verb="lookup", subject="cdn.test", by="package", package="thing", phase="install")
    assert found[wanted].expected == ""
    assert (found[wanted].count, found[wanted].evidence.text) == (1, "looked up cdn.test (A)")


def test_a_new_host_is_new_and_one_that_is_no_longer_asked_is_gone() -> None:
    found = compare(story("a.test", "b.test"), story("a.test", "c.test"), sheets())
    assert subjects(found) == ["lookup c.test", "request https://c.test/v<version>/x"]
    assert subjects(found, "gone") == ["lookup b.test", "request https://b.test/v<version>/x"]
    assert "lookup a.test" in subjects(found, "known")
    assert found.verdict == "suspicious"
    assert [told.known for told in found.findings] == [False]


def test_what_a_profile_expects_is_new_and_no_reason_for_a_verdict() -> None:
    known = expecting(
        Expectation(lookup=("c.test",), why="the thing's own site"),
        Expectation(request=("https://c.test/**",), why="the thing's own site"),
    )
    found = compare(story(), story("c.test"), known)
    assert [change.seen.expected for change in found.new] == ["packages/npm/thing"] * 2
    assert found.unexpected == ()
    assert found.verdict == "clean"


def test_what_the_old_version_did_excuses_no_malice() -> None:
    thief = events.read(Path(__file__).parent / "recordings" / "decoy_sent" / "fires.jsonl")
    found = compare(thief, thief, sheets())
    assert found.new == ()
    assert found.verdict == "malicious"
    told = {told.finding.rule: told for told in found.findings}
    assert told["decoy_sent"].known


def test_a_thief_is_new_where_the_old_version_was_none() -> None:
    folder = Path(__file__).parent / "recordings"
    clean, thief = (events.read(folder / name) for name in ("clean/npm-plain.jsonl", "decoy_sent/fires.jsonl"))
    found = compare(clean, thief, sheets())
    assert found.verdict == "malicious"
    assert not any(told.known for told in found.findings)
    assert {"read ~/.aws/credentials", "send aws body telemetry.collector.test"} <= set(subjects(found))
    assert {change.behaviour.decoy for change in found.unexpected} == {"", "aws"}


def test_a_secret_in_a_folder_with_a_random_name_is_a_behaviour_of_its_own() -> None:
    places = [f"{HOME}/.vault/{name}/key" for name in ("9f86d081884c7d65", "0123456789abcdef")]
    told = []
    for place in places:
        one = Story(planted=[events.PlantedFile("vault", path) for path in places])
        root = one.begin("install", "install", NPM)
        one.read(one.script(root), place)
        told.append(one.end(root).whole())
    assert subjects(compare(*told, sheets())) == ["read ~/.vault/0123456789abcdef/key"]


def test_a_finding_is_known_only_where_nothing_is_new_beside_it() -> None:
    before, after = story("a.test"), story("a.test", write=f"{HOME}/.other")
    found = compare(before, after, sheets())
    assert {(told.finding.rule, told.known) for told in found.findings} == {
        ("unexpected_host", False), ("write_unexpected", False),
    }  # fmt: skip
    assert found.verdict == "suspicious"


def test_what_was_not_seen_makes_it_inconclusive() -> None:
    whole, cut = story(), Story(version="1.0.0").recording()
    for before, after in ((whole, cut), (cut, whole)):
        assert compare(before, after, sheets()).verdict == "inconclusive"
    assert compare(cut, story("a.test"), sheets()).verdict == "suspicious"


def test_what_any_recording_of_a_side_shows_counts() -> None:
    found = compare_all([story("a.test"), story("b.test")], [story("b.test"), story("c.test")], sheets())
    assert subjects(found) == ["lookup c.test", "request https://c.test/v<version>/x"]
    assert subjects(found, "gone") == ["lookup a.test", "request https://a.test/v<version>/x"]


def test_one_that_is_expected_only_sometimes_is_not_expected() -> None:
    known = expecting(Expectation(read=("/srv/x",), program=("/usr/bin/cat /srv/x",), why="it looks at its file"))
    one = Story()
    root = one.begin("install", "install", NPM)
    script = one.script(root)
    one.read(one.child(script, "/usr/bin/cat", ["cat", "/srv/x"], OWN), "/srv/x")
    one.read(script, "/srv/x")
    found = behaviours(one.end(root).whole(), known)
    (seen,) = [seen for behaviour, seen in found.items() if behaviour.subject == "/srv/x"]
    assert (seen.expected, seen.count) == ("", 2)
    assert "/usr/bin/dash" in seen.evidence.program


def test_the_arguments_of_an_unexpected_program_count() -> None:
    def ran(argument: str) -> Recording:
        one = Story()
        root = one.begin("install", "install", NPM)
        one.child(one.script(root), "/usr/bin/curl", ["curl", argument], OWN)
        return one.end(root).whole()

    found = compare(ran("https://a.test/x"), ran("https://b.test/x"), sheets())
    assert [change.behaviour.arguments for change in found.new] == ["https://b.test/x"]
    assert compare(ran("/tmp/x-Ab12Cd/y"), ran("/tmp/x-Zz99Zz/y"), sheets()).new == ()


def test_ecosystems_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="different ecosystems"):
        compare(story(), Story(ecosystem="pypi").whole(), sheets())


def together(*thieves: str, served: tuple[str, ...] | None = None) -> Recording:
    """Two packages that ran in one guest."""
    batch = Batch("a", "b")
    batch.end(batch.install(served))
    batch.planned()
    for name in batch.names:
        root = batch.load(name)
        if name in thieves:
            steal(batch, root)
    batch.judged()  # with the shell, and the end
    return Recording(batch.header, batch.events)


def test_of_packages_that_ran_together_each_is_compared_with_itself() -> None:
    found = compare(together("a"), together("a", "b"), sheets())
    assert (found.before.purl, found.after.together) == ("", ("pkg:npm/a@1.0.0", "pkg:npm/b@1.0.0"))
    assert {change.behaviour.package for change in found.new} == {"b"}
    thefts = {(told.finding.package, told.known) for told in found.findings if told.finding.rule == "decoy_sent"}
    assert thefts == {("a", True), ("b", False)}
    assert (found.verdict, found.before.verdict, found.before.missing) == ("malicious", "malicious", ())
    clean = compare(together(), together(), sheets())
    assert (clean.verdict, clean.new, clean.findings, clean.after.verdict) == ("clean", (), (), "clean")


def test_what_was_not_installed_among_others_is_a_gap() -> None:
    found = compare(together(), together(served=("a",)), sheets())
    assert found.verdict == "inconclusive"
    assert found.after.missing == ("pkg:npm/b@1.0.0: its file was never fetched, so it was not installed",)


def test_one_package_is_not_compared_with_several() -> None:
    for before, after in ((story(), together()), (together(), story())):
        with pytest.raises(ValueError, match="cannot be compared"):
            compare(before, after, sheets())
