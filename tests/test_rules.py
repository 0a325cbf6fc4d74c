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
from tests.recording import HOME, NPM, PROJECT, Story, installed

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


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ("", False), ("aux", False), ("-ef", False), ("-e", False), ("-A -o ppid,pid", False),
        ("axww -o pid,args", False), ("-u dev -e", False),
        ("-eo pid,comm", False), ("-e -o etime,pid,args", False), ("-p 1 -o comm=", False),
        ("-C server", False), ("--no-headers -e", False), ("-axo pid,time", False), ("-A e -ww", True),
        ("auxe", True),
        ("-e -o pid,args e", True), ("eww", True), ("-axe", True), ("-C o e", True), ("-e -o environ", True),
        ("-e -u nobodyhere", True), ("-C e -u nobodyhere", True), ("axeo pid", True), ("-p 1 ewwo args", True),
    ],
)  # fmt: skip
def test_ps_is_ordinary_until_it_is_asked_for_environments(words: str, asks: bool) -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    ps = story.child(story.script(root), "/usr/bin/ps", ["ps", *words.split()])
    for pid in range(1, 9):
        for name in ("stat", "cmdline", "environ"):
            story.read(ps, f"/proc/{pid}/{name}")
    found = judge(story.end(root).whole(), sheets("npm"), RULES).findings
    assert [finding.rule for finding in found] == (["process_memory_read"] if asks else [])
    assert all(finding.verdict == "malicious" for finding in found)


ADVISORIES = "https://registry.test/-/npm/v1/security/advisories/bulk"


@pytest.mark.parametrize(
    ("argv", "url", "rules"),
    [
        (["node", "/usr/bin/npm", "install", "rows"], ADVISORIES, []),
        (["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install", "rows"], ADVISORIES, []),
        (["node", "/usr/bin/npm", "install", "rows"], "https://registry.test/rows", ["registry_published"]),
        (["node", "/usr/bin/npm", "pkg", "set", "x"], ADVISORIES, ["persistence_written"]),
        (["node", "x.js"], ADVISORIES, ["persistence_written", "registry_published"]),
        (["node", "x.js", "/usr/bin/npm", "install", "a"], ADVISORIES, ["persistence_written", "registry_published"]),
        (["node", "-r", "./x", "/usr/bin/npm", "install"], ADVISORIES, ["persistence_written", "registry_published"]),
    ],
)
def test_npm_called_by_a_script_may_ask_for_advisories_and_note_what_it_installed(
    argv: list[str], url: str, rules: list[str]
) -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    npm = story.child(story.script(root), "/usr/bin/node", argv)
    story.add(
        events.ConnectionOpened, process=npm, protocol="tcp", address="198.18.0.9", port=443, host="registry.test",
        connection=1,
    )  # fmt: skip
    story.add(events.RequestSent, process=npm, connection=1, method="POST", url=url, headers=[], body_size=50)
    story.read(npm, f"{PROJECT}/package.json", "write")
    found = judge(story.end(root).whole(), sheets("npm"), RULES).findings
    assert sorted({finding.rule for finding in found} & {"persistence_written", "registry_published"}) == rules


@pytest.mark.parametrize(
    ("linker", "hand", "kind", "told"),
    [
        ("/usr/bin/x86_64-linux-gnu-ld.bfd", "", "install", False),
        ("/usr/bin/ld", "", "import", True),
        ("/tmp/tmpab12/ld", "", "install", True),
        ("/usr/bin/python3.11", "", "install", True),
        ("/usr/bin/ld", "write", "install", True),
        ("/usr/bin/ld", "renamed", "install", True),
        ("/usr/bin/ld", "linked", "install", True),
    ],
)
def test_a_build_may_run_what_it_had_linked_and_nobody_changed(linker: str, hand: str, kind: str, told: bool) -> None:
    story, probe = Story(), "/tmp/tmpab12/try"
    root = story.begin("install" if kind == "install" else "import:thing", kind, NPM)
    script = story.script(root)
    ld = story.child(script, linker, [linker, "-o", probe])
    story.read(ld, probe, "readwrite", created=True)
    if hand == "write":
        story.read(script, probe, "write")
    elif hand:
        story.add(events.FileChanged, process=script, path="/tmp/other", target=probe, change=hand)
    story.child(script, probe, [probe])
    found = judge(story.end(root).whole(), sheets("npm"), RULES).findings
    assert any(finding.rule == "program_unexpected" and "try" in finding.title for finding in found) is told


@pytest.mark.parametrize(
    ("path", "words", "rules"),
    [
        ("/home/dev/.local/bin/docker", ["--version"], set()),
        ("/usr/bin/java", ["-version"], set()),
        ("/usr/bin/claude", ["--version"], set()),
        ("/usr/bin/claude", [], {"program_unexpected", "vault_command_run"}),
        ("/home/dev/.local/bin/docker", ["ps"], {"program_unexpected", "vault_command_run"}),
        ("/home/dev/.local/bin/docker", ["--version", "login"], {"program_unexpected", "vault_command_run"}),
        ("/usr/bin/curl", ["--version"], set()),
        ("/usr/bin/curl", ["version"], {"program_unexpected"}),
        ("/tmp/tmpab12/tool", ["--version"], {"program_unexpected"}),
        ("/home/dev/.local/bin/made", ["--version"], {"program_unexpected", "dropped_program_run"}),
    ],
)
def test_a_program_that_is_asked_about_itself_only(path: str, words: list[str], rules: set[str]) -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root)
    if path.endswith("made"):
        story.read(script, path, "write", created=True)
    if path.endswith("docker"):
        story.child(script, "/usr/bin/dash", ["/bin/sh", path, *words], path=path)
    else:
        story.child(script, path, [path, *words])
    found = {finding.rule for finding in judge(story.end(root).whole(), sheets("npm"), RULES).findings}
    assert found - {"write_unexpected", "persistence_written"} == rules


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"{HOME}/.config/rows/config.json", False),
        (f"{HOME}/.config/row_lib/config.json", False),
        (f"{HOME}/.row-tool/config.toml", False),
        (f"{HOME}/.row_tool/config.toml", False),
        (f"{HOME}/.local/state/rowtool/rows.log", False),
        (f"{HOME}/.rows_history", False),
        (f"{HOME}/.rows_history-4711.tmp", False),
        (f"{HOME}/.config/git/settings.json", True),
        (f"{HOME}/.other_history", True),
        (f"{HOME}/.config/other/config.json", True),
        (f"{HOME}/.config/rows/start.py", True),
        (f"{HOME}/.rows", True),
    ],
)
def test_a_command_keeps_its_settings_under_its_names(path: str, told: bool) -> None:
    names = ["import:row_lib", "run:rows --help", "run:rows", "run:git"]
    phases = [events.PlannedPhase(name, name.partition(":")[0]) for name in names]
    story = Story(ecosystem="pypi", package="row-tool", phases=[events.PlannedPhase("install", "install"), *phases])
    command = story.begin("run:rows", "run", [f"{PROJECT}/.venv/bin/rows"])
    story.read(command, path, "write", created=True)
    found = {finding.rule for finding in judge(story.end(command).whole(), sheets("pypi"), RULES).findings}
    assert ("write_unexpected" in found) is told
def _import_by_node() -> tuple[Story, int]:
    story = installed()
    root = story.begin("import:thing (require)", "import", ["/usr/bin/node", "-e", 'require("thing")'])
    story.read(root, f"{PROJECT}/node_modules/thing/index.js")
    return story, root


def _rules_of(story: Story, root: int) -> set[str]:
    story.end(root)
    return {finding.rule for finding in judge(story.whole(), sheets("npm"), RULES).findings}


def _asks(story: Story, root: int, method: str, url: str, where: str = "") -> None:
    host = url.split("/")[2]
    where_to = {"protocol": "tcp", "address": "198.18.0.9", "port": 443, "host": host}
    story.add(events.ConnectionOpened, process=root, connection=1, **where_to)
    story.add(events.RequestSent, process=root, connection=1, method=method, url=url, headers=[])
    if where:
        sent = {"decoy": "npm_token", "token": "publish token", "host": host, "where": where}
        story.add(events.DecoySent, process=root, connection=1, **sent)


def test_reading_npms_settings_is_a_finding_only_by_others_than_node_or_where_bytes_leave() -> None:
    story, root = _import_by_node()
    story.read(root, f"{HOME}/.npmrc")
    assert _rules_of(story, root) == set()
    story, root = _import_by_node()
    story.read(root, f"{HOME}/.npmrc")
    _asks(story, root, "POST", "https://in.collector.test/p")
    assert "decoy_read_then_egress" in _rules_of(story, root)
    story, root = _import_by_node()
    story.read(story.child(root, "/usr/bin/cat", ["cat", f"{HOME}/.npmrc"]), f"{HOME}/.npmrc")
    assert "decoy_read" in _rules_of(story, root)


@pytest.mark.parametrize(
    ("method", "url", "where", "rule"),
    [
        ("GET", "https://registry.test/left-pad", "header", ""),
        ("GET", "https://registry.test/left-pad", "url", "decoy_sent"),
        ("PUT", "https://registry.test/left-pad", "header", "decoy_sent"),
        ("PUT", "https://registry.test/left-pad", "", "registry_published"),
        ("GET", "https://other.test/left-pad", "header", "decoy_sent"),
        ("GET", "https://registry.test/-/whoami", "header", "registry_published"),
        ("GET", "https://registry.test/-/package/x/dist-tags", "", ""),
        ("PUT", "https://registry.test/-/package/x/dist-tags/latest", "", "registry_published"),
    ],
)
def test_npms_token_may_go_to_its_own_registry_where_it_only_reads(
    method: str, url: str, where: str, rule: str
) -> None:
    story, root = _import_by_node()
    story.read(root, f"{HOME}/.npmrc")
    _asks(story, root, method, url, where)
    found = _rules_of(story, root)
    assert rule in found if rule else not found


@pytest.mark.parametrize(
    ("command", "fires"),
    [
        ("command -v at crontab", False),
        ("if command -v at >/dev/null; then echo yes; fi", False),
        ("command -v at && echo x | at now", True),
        ("echo x | at now", True),
        ("type at; $(echo a)t now; at now", True),
        ("$X now", True),
    ],
)
def test_a_program_that_is_only_asked_for_makes_no_job(command: str, fires: bool) -> None:
    story, root = _import_by_node()
    shell = story.child(root, "/usr/bin/dash", ["/bin/sh", "-c", command])
    story.add(events.FileProbed, process=shell, path="/usr/bin/at", call="newfstatat")
    assert ("persistence_written" in _rules_of(story, root)) is fires
