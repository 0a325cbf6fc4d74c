"""Every rule: fires on its recordings, is quiet on its quiet ones and on every clean one, and has a manual page."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from sandbox import discovery, events, profiles
from sandbox.judge import judge
from sandbox.profiles import Expectation, Profiles, Sheet
from sandbox.report import Finding, PackageReport
from sandbox.rules import Rule, _names, _places, listed
from tests.recording import NPM, PROJECT, Story

RULES: dict[str, Rule] = discovery.load("rules", "RULE")
FOLDER = Path(__file__).parent / "recordings"
CLEAN = sorted((FOLDER / "clean").glob("*.jsonl"))


def own(prefix: str) -> list[Path]:
    return [path for name in RULES for path in sorted((FOLDER / name).glob(f"{prefix}*.jsonl"))]


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@cache
def sheets(ecosystem: str) -> Profiles:
    return profiles.load([profiles.profile_folder()], ecosystem)


@cache
def report(path: Path) -> PackageReport:
    recording = events.read(path)
    return judge(recording, sheets(recording.header.ecosystem), RULES)


def findings(path: Path, rule: str) -> list[Finding]:
    return [finding for finding in report(path).findings if finding.rule == rule]


def test_no_recording_is_of_a_rule_that_there_is_not() -> None:
    assert {path.name for path in FOLDER.iterdir()} - set(RULES) == {"clean"}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.jsonl")), ids=named)
def test_a_recording_says_why_it_is_there(path: Path) -> None:
    recording = events.read(path)
    assert len(recording.header.why) > 10
    assert isinstance(recording.events[-1], events.GuestEnded)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_recordings_of_both_kinds(name: str) -> None:
    assert list((FOLDER / name).glob("fires*.jsonl"))
    assert list((FOLDER / name).glob("quiet*.jsonl"))


@pytest.mark.parametrize("path", own("fires"), ids=named)
def test_a_rule_fires(path: Path) -> None:
    found = findings(path, path.parent.name)
    assert found
    for finding in found:
        assert finding.package
        assert finding.evidence
        assert len(finding.evidence) <= 8
        assert all(item.line >= 2 for item in finding.evidence)
    keys = [(finding.package, finding.phase, finding.verdict) for finding in found]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("path", own("quiet"), ids=named)
def test_a_rule_is_quiet(path: Path) -> None:
    assert findings(path, path.parent.name) == []


@pytest.mark.parametrize("path", CLEAN, ids=named)
def test_every_rule_is_quiet_on_what_is_clean(path: Path) -> None:
    judged = report(path)
    assert [(finding.rule, finding.title) for finding in judged.findings] == []
    assert judged.coverage.missing == ()
    assert judged.verdict == "clean"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_manual_page(name: str) -> None:
    page = importlib.import_module(f"sandbox.rules.{name}").__doc__ or ""
    for heading in ("What:", "Why it matters:", "What to do:"):
        assert heading in page
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", attack) for attack in RULES[name].attack)
    assert RULES[name].attack


def test_each_verdict_and_severity_is_told_by_a_recording() -> None:
    found = [finding for path in own("fires") for finding in findings(path, path.parent.name)]
    assert {finding.verdict for finding in found} == {"malicious", "suspicious"}
    assert {finding.severity for finding in found} >= {"critical", "high", "medium", "low"}


@pytest.mark.parametrize(
    ("recording", "decoys", "ways", "package", "phase"),
    [
        ("decoy_sent/fires", ["aws"], ["https POST to telemetry.collector.test"], "pleasant-colors", "install"),
        ("decoy_sent/fires-dns", ["vault"], ["dns collector.test"], "pleasant-colors", "install"),
        ("decoy_sent/fires-own-registry", ["npm_token"], ["https GET to registry.test"], "pleasant-colors", "install"),
        ("decoy_read_then_egress/fires", ["ssh"], ["https POST to cdn.collector.test"], "pleasant-colors", "install"),
        ("decoy_read_then_egress/fires-raw", ["aws"], ["tcp 203.0.113.9:4444"], "pleasant-colors", "install"),
        (
            "decoy_read_then_egress/fires-pinned", ["aws"], ["tls pinned.collector.test:443"],
            "pleasant-colors", "install",
        ),
        (
            "decoy_read_then_egress/fires-later-phase", ["aws"], ["https GET to cdn.collector.test"],
            "pleasant-colors", "import:pleasant-colors (require)",
        ),
        ("decoy_read_then_egress/fires-pypi-start", ["aws"], ["tcp 203.0.113.9:4444"], "pleasant-colors", "start"),
        ("raw_address/fires", [], ["tcp 203.0.113.9:4444"], "pleasant-colors", "install"),
        ("own_resolver/fires", [], ["dns at 8.8.8.8"], "pleasant-colors", "install"),
        ("dns_tunnel/fires", [], ["dns below collector.test"], "pleasant-colors", "install"),
        ("decoy_sweep/fires", ["aws", "ssh", "kubernetes", "vault"], [], "pleasant-colors", "install"),
        ("account_used/fires", ["github"], ["https to api.github.com"], "pleasant-colors", "install"),
        ("files_destroyed/fires", ["ssh", "aws", "kubernetes"], [], "pleasant-colors", "install"),
        ("vault_command_run/fires", ["onepassword"], [], "pleasant-colors", "install"),
    ],
)  # fmt: skip
def test_a_finding_names_the_decoy_the_way_out_the_package_and_the_phase(
    recording: str, decoys: list[str], ways: list[str], package: str, phase: str
) -> None:
    (finding,) = findings(FOLDER / f"{recording}.jsonl", recording.partition("/")[0])
    assert list(finding.decoys) == decoys
    assert list(finding.ways_out) == ways
    assert (finding.package, finding.phase) == (package, phase)


@pytest.mark.parametrize(
    ("recording", "verdict"),
    [
        ("decoy_read/fires", "suspicious"),
        ("decoy_sweep/fires", "malicious"),
        ("decoy_unseen/fires-lossy", "suspicious"),
        ("metadata_asked/fires", "malicious"),
        ("metadata_asked/fires-name", "suspicious"),
        ("persistence_written/fires-hook", "suspicious"),
        ("agent_config_written/fires-run", "suspicious"),
        ("dropped_program_run/fires", "malicious"),
        ("dropped_program_run/fires-own-folder", "suspicious"),
        ("piped_code_run/fires-input", "suspicious"),
        ("piped_code_run/fires-input-download", "malicious"),
        ("sensor_evaded/fires", "malicious"),
        ("sensor_evaded/fires-kill", "suspicious"),
        ("container_escape_tried/fires-socket", "suspicious"),
        ("package_tampering/fires-other", "suspicious"),
    ],
)
def test_how_bad_it_is(recording: str, verdict: str) -> None:
    (finding,) = findings(FOLDER / f"{recording}.jsonl", recording.partition("/")[0])
    assert finding.verdict == verdict


def test_a_program_that_the_packages_own_sheet_names_is_no_dropper() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root)
    for name in ("tool", "other"):
        path = f"{PROJECT}/node_modules/thing/vendor/{name}"
        story.read(script, path, "write", created=True)
        story.child(script, path, [path, "--version"])
    recording = story.end(root).whole()
    why = "the program that it downloads"
    known = Sheet(extends="npm", expect=(Expectation(run=("./node_modules/**/thing/vendor/tool",), why=why),))
    (before,) = judge(recording, sheets("npm"), RULES).findings
    (after,) = judge(recording, sheets("npm").with_sheets({"packages/npm/thing": known}), RULES).findings
    assert before.rule == after.rule == "dropped_program_run"
    assert "vendor/tool" in before.title
    assert "vendor/tool" not in after.title
    assert "vendor/other" in after.title


@pytest.mark.parametrize(
    ("name", "coded"),
    [
        ("6177735f7365637265745f6b6579.x.test", True),
        ("mfzwgx3tmvrxezluonuw4zznnrqxe5dfnq.x.test", True),
        ("YXdzX3NlY3JldF9hY2Nlc3Nfa2V5X2lkPUFLSUE5.x.test", True),
        ("0.a8f3b2c1d4.9e8f7a6b5c4d.3f2e1d0c9b8a.7f6e5d4c3b2a.1f0e9d8c7b6a.x.test", True),
        ("registry.x.test", False),
        ("d1x2y3abcdef.cloudfront.test", False),
        ("my-company-production-web-frontend.x.test", False),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x.test", False),
        ("x.test", False),
        ("", False),
    ],
)
def test_names_that_carry_data(name: str, coded: bool) -> None:
    assert _names.carries_data(name) is coded


@pytest.mark.parametrize(
    ("place", "bare", "address"),
    [
        ("h.test:443", "h.test", False),
        ("203.0.113.9:80", "203.0.113.9", True),
        ("[2001:db8::1]:80", "2001:db8::1", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("", "", False),
    ],
)
def test_places(place: str, bare: str, address: bool) -> None:
    assert _names.without_port(place) == bare
    assert _names.is_address(place) is address


def test_hosts_of_urls() -> None:
    assert _names.host_of("https://user@H.test:8443/x?y") == "h.test:8443"
    assert _names.host_of("not a url") == ""
    assert _names.parent("a.b.c.test.") == "c.test"


def test_places_are_those_of_the_recordings_home() -> None:
    header = Story(home="/home/ci", project="/w").header
    assert _places.secrets(header).find("/home/ci/.aws/credentials") == "AWS"
    assert _places.hooks(header).find("/home/ci/.bashrc") == "shell startup"
    assert _places.development_hooks(header).find("/w/.git/hooks/pre-commit") == "git hook"
    assert _places.agents(header).find("/w/CLAUDE.md") == "agent"
    assert _places.agents(header).find("/home/dev/.claude.json") is None


def test_lists_are_short() -> None:
    assert listed(["a", "b", "a"]) == "a, b"
    assert listed("abcdef", 2) == "a, b and 4 more"
