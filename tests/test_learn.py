"""Proposed profiles: narrow, with their evidence, refused until reviewed, and never learned from a thief."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import discovery, events, profiles
from sandbox.entries import as_yaml
from sandbox.errors import UsageError
from sandbox.events import Recording
from sandbox.judge import judge
from sandbox.learn import Proposal, exit_code, propose, talk
from sandbox.profiles import Profiles
from sandbox.rules import Rule
from sandbox.sheets import PROPOSED, Expectation
from tests.recording import HOME, NPM, PROJECT, Story

RULES: dict[str, Rule] = discovery.load("rules", "RULE")
RECORDINGS = sorted((Path(__file__).parent / "recordings").rglob("*.jsonl"))
OWN = f"{PROJECT}/node_modules/thing"
SHEET = "packages/npm/thing"


@cache
def sheets(ecosystem: str = "npm") -> Profiles:
    return profiles.load([profiles.profile_folder()], ecosystem)


def learned(*recordings: Recording) -> Proposal:
    return propose([(f"{n}.jsonl", one) for n, one in enumerate(recordings)], sheets(), RULES)


def entries(proposal: Proposal) -> list[Expectation]:
    return list(proposal.sheets[SHEET].expect) if SHEET in proposal.sheets else []


def story(*paths: str, access: str = "write", package: str = "thing", **header: object) -> Recording:
    told = Story(**header)
    root = told.begin("install", "install", NPM)
    script = told.script(root, package)
    for path in paths:
        told.read(script, path, access)
    return told.end(root).whole()


def reviewed(proposal: Proposal, folder: Path) -> Profiles:
    """The proposal as a reviewer leaves it who found a reason for everything."""
    for name, sheet in proposal.sheets.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_yaml(name, sheet).replace(PROPOSED, "reviewed:"), encoding="utf-8")
    ecosystem = next(iter(proposal.sheets)).split("/")[1]
    return profiles.load([profiles.profile_folder(), folder], ecosystem)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_reviewed_proposal_explains_its_recording_and_a_thief_gives_none(path: Path, tmp_path: Path) -> None:
    recording = events.read(path)
    known = sheets(recording.header.ecosystem)
    before = judge(recording, known, RULES)
    proposal = propose([(path.name, recording)], known, RULES)
    if before.verdict == "malicious":
        assert proposal.sheets == {}
        assert any("is malicious" in text for text in proposal.refused)
        return
    if not proposal.sheets:
        return
    after = judge(recording, reviewed(proposal, tmp_path), RULES)
    said = "\n".join((*proposal.refused, *proposal.by_hand))
    for finding in after.findings:
        assert f"({finding.rule}, " in said, finding
    if not said:
        assert after.verdict in ("clean", "inconclusive")
        assert after.coverage.missing == before.coverage.missing


def test_a_suspicious_recording_becomes_clean(tmp_path: Path) -> None:
    """The whole way, for the commonest reason: a host, a folder and a program that profiles do not know."""
    told = Story()
    root = told.begin("install", "install", NPM)
    script = told.script(root)
    told.add(events.NameLookedUp, process=script, name="cdn.test", kind="A", answer="198.51.100.7")
    told.add(
        events.ConnectionOpened, process=script, protocol="tcp", address="198.51.100.7", port=443, host="cdn.test",
        connection=1,
    )  # fmt: skip
    url = "https://cdn.test/v1.0.0/thing.tgz"
    told.add(events.RequestSent, process=script, connection=1, method="POST", url=url, headers=[], body_size=2)
    told.read(script, f"{HOME}/.thing/9f86d081884c7d65.json", "write")
    told.child(script, "/usr/bin/nmap", ["nmap", "-p", f"{OWN}/x.js"], OWN)
    recording = told.end(root).whole()
    assert judge(recording, sheets(), RULES).verdict == "suspicious"
    proposal = learned(recording)
    assert (proposal.refused, proposal.by_hand) == ((), ())
    found = {(*entry.globs("request"), *entry.globs("write"), *entry.globs("run"), *entry.globs("lookup")): entry
             for entry in entries(proposal)}  # fmt: skip
    assert found["https://cdn.test/v*/thing.tgz",].methods == ("POST",)
    assert found["~/.thing/*.json",].phases == ("install",)
    assert found["/usr/bin/nmap",].args == ("-p */node_modules/thing/x.js",)
    assert found["cdn.test",].by == "package"
    known = reviewed(proposal, tmp_path)
    assert judge(recording, known, RULES).verdict == "clean"
    other = story(f"{HOME}/.other")
    assert judge(other, known, RULES).verdict == "suspicious"


def test_an_unreviewed_proposal_is_refused_with_its_place(tmp_path: Path) -> None:
    proposal = learned(story(f"{HOME}/.thing"))
    text = as_yaml(SHEET, proposal.sheets[SHEET])
    path = tmp_path / f"{SHEET}.yaml"
    path.parent.mkdir(parents=True)
    for written in (text, text.replace(PROPOSED, "  Proposed:  ")):
        path.write_text(written)
        with pytest.raises(UsageError, match=r"thing\.yaml: expect\[0\]\.why: a proposal that nobody has reviewed"):
            profiles.load([profiles.profile_folder(), tmp_path], "npm")


def test_the_why_is_the_evidence() -> None:
    (entry,) = entries(learned(story(f"{HOME}/.thing", f"{HOME}/.thing"), story(f"{HOME}/.thing", version="1.1.0")))
    assert entry.why.startswith(PROPOSED)
    parts = (
        "seen 3 times in install", "by /usr/bin/dash -c 'node x.js'", "in 2 of 2 recordings", "line 11 of 0.jsonl",
    )  # fmt: skip
    for words in parts:
        assert words in entry.why, entry.why
    assert "REPEATS" not in entry.why


def test_what_only_one_of_several_repeats_shows_is_marked() -> None:
    often, once = f"{HOME}/.often", f"{HOME}/.once"
    proposal = learned(story(often), story(often, once), story(often))
    found = {entry.globs("write"): entry.why for entry in entries(proposal)}
    assert "ONLY IN ONE OF 3 REPEATS" in found["~/.once",]
    assert "REPEATS" not in found["~/.often",]
    other = {entry.globs("write"): entry.why for entry in entries(learned(story(often), story(once, version="2.0.0")))}
    assert not any("REPEATS" in why for why in other.values())


@pytest.mark.parametrize("path", [f"{HOME}/.aws/credentials", f"{HOME}/.kube/config", f"{HOME}/.ssh/id_rsa"])
def test_nothing_is_learned_of_who_opens_secrets(path: str) -> None:
    told = Story()
    root = told.begin("install", "install", NPM)
    told.read(told.script(root), path)
    told.read(told.script(root), f"{HOME}/.thing", "write")
    told.read(told.script(root, "other"), f"{HOME}/.other", "write")
    proposal = learned(told.end(root).whole())
    assert list(proposal.sheets) == ["packages/npm/other"]
    (why,) = proposal.refused
    assert "nothing is learned of thing" in why
    assert path.replace(HOME, "~") in why


def test_nothing_is_learned_of_who_asks_where_bait_is_played() -> None:
    told = Story()
    root = told.begin("install", "install", NPM)
    script = told.script(root)
    told.add(
        events.ConnectionOpened, process=script, protocol="tcp", address="198.51.100.7", port=443, host="code.test",
        connection=1,
    )  # fmt: skip
    url = "https://code.test/user"
    told.add(events.RequestSent, process=script, connection=1, method="GET", url=url, headers=[])
    told.add(events.EndpointAsked, process=script, decoy="github", connection=1, url=url)
    proposal = learned(told.end(root).whole())
    assert proposal.sheets == {}
    assert any("nothing is learned" in text for text in proposal.refused)


def test_one_thief_among_several_recordings_spoils_all() -> None:
    thief = events.read(Path(__file__).parent / "recordings" / "decoy_sent" / "fires.jsonl")
    proposal = learned(story(f"{HOME}/.thing"), thief)
    assert proposal.sheets == {}
    assert all("1.jsonl is malicious" in text for text in proposal.refused)


def test_nothing_is_learned_without_rules() -> None:
    proposal = propose([("x", story(f"{HOME}/.thing"))], sheets(), {})
    assert proposal.sheets == {}
    assert "no rules" in proposal.refused[0]


@pytest.mark.parametrize(
    "path",
    [f"{HOME}/**", f"{HOME}/{{a,b}}", f"{HOME}/<package>", f"{HOME}/<hash>", f"{HOME}/\u202ex", f"{HOME}/a\nb",
     f"{HOME}/" + "x" * 400],
)  # fmt: skip
def test_a_hostile_name_never_becomes_a_wildcard(path: str) -> None:
    proposal = learned(story(path))
    assert proposal.sheets == {}
    assert any("by hand" in text for text in talk(proposal))
    assert all(text.isprintable() for text in talk(proposal))


@pytest.mark.parametrize("package", ["..", "*", "<package>", "a b", "@x/.."])
def test_a_package_with_a_hostile_name_has_no_sheet(package: str) -> None:
    proposal = learned(story(f"{HOME}/.thing", package=package))
    assert all(re.fullmatch(r"packages/npm/(@[\w.-]+/)?[\w.-]*\w[\w.-]*", name) for name in proposal.sheets)


def test_many_files_of_one_folder_are_the_folder_and_never_a_shared_one() -> None:
    many = [f"{HOME}/.thing/deep/{name}.txt" for name in "abcdefghi"]
    assert [entry.globs("write") for entry in entries(learned(story(*many)))] == [("~/.thing/deep/**",)]
    for shared in (HOME, f"{HOME}/.config", f"{HOME}/.aws", "/etc", "/srv/x"):
        names = [f"{shared}/{name}.txt" for name in "abcdefghi"]
        (entry,) = entries(learned(story(*names)))
        assert len(entry.globs("write")) == 9, shared


def test_one_behaviour_in_several_phases_is_one_entry() -> None:
    told = Story(phases=[events.PlannedPhase("install", "install"), events.PlannedPhase("import:thing", "import")])
    root = told.begin("install", "install", NPM)
    told.read(told.script(root), f"{HOME}/.thing", "write").end(root)
    root = told.begin("import:thing", "import", ["/usr/bin/node", "-e", "0"])
    told.read(root, f"{HOME}/.thing", "write").end(root)
    (entry,) = entries(learned(told.whole()))
    assert entry.phases == ("install", "import")


def test_ecosystems_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="different ecosystems"):
        learned(story("/srv/x"), Story(ecosystem="pypi").whole())


def test_nothing_to_learn_is_said() -> None:
    assert list(talk(learned(story()))) == ["note: nothing to learn: profiles expect all of it"]


def test_what_was_not_seen_is_said_and_is_no_success() -> None:
    whole, cut = story(f"{HOME}/.thing"), story(f"{HOME}/.thing")
    cut = Recording(cut.header, cut.events[:-1])
    assert exit_code(learned(whole)) == 0
    proposal = learned(whole, cut)
    assert entries(proposal)
    assert exit_code(proposal) == 5
    assert "not seen: 1.jsonl: the recording was cut before the guest's end" in talk(proposal)
    thief = events.read(Path(__file__).parent / "recordings" / "decoy_sent" / "fires.jsonl")
    assert exit_code(learned(thief, cut)) == 11


def test_the_file_is_yaml_whatever_the_evidence_holds() -> None:
    proposal = learned(story(f"{HOME}/.x: - 'y' \"z\" #&!%@`"))
    assert yaml.safe_load(as_yaml(SHEET, proposal.sheets[SHEET]))["expect"][0]["write"] == ["~/.x: - 'y' \"z\" #&!%@`"]


@settings(max_examples=60)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20))
def test_an_entry_allows_what_was_seen_and_not_its_neighbour(name: str) -> None:
    path = f"{HOME}/.thing/{name.strip('/.')}"
    proposal = learned(story(path))
    if entries(proposal):
        taught = sheets().with_sheets(proposal.sheets)
        assert judge(story(path), taught, RULES).findings == ()
        for other in (f"{HOME}/.thinG/x", f"{path}/below", f"{path}x"):
            if "*" not in entries(proposal)[0].globs("write")[0]:
                assert judge(story(other), taught, RULES).findings != ()
