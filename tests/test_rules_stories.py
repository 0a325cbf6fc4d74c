"""What rules say of what programs do, each told as a short story."""

from __future__ import annotations

import msgspec
import pytest

from sandbox import events
from sandbox.judge import judge
from tests.recording import HOME, NPM, PROJECT, Story
from tests.stories import RULES, asks, by_node, rules_of, sheets


@pytest.mark.parametrize("program", ["/usr/bin/ss", "/usr/bin/lsof", "/tmp/ss"])
def test_who_lists_ports_looks_at_every_descriptor(program: str) -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    listing = story.child(story.script(root), program, [program, "-tunlp"])
    story.read(listing, "/proc/1/fd")
    found = judge(story.end(root).whole(), sheets("npm"), RULES).findings
    assert ("container_escape_tried" in {finding.rule for finding in found}) is program.startswith("/tmp/")


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


def test_reading_npms_settings_is_a_finding_only_by_others_than_node_or_where_bytes_leave() -> None:
    story, root = by_node()
    story.read(root, f"{HOME}/.npmrc")
    assert rules_of(story, root) == set()
    story, root = by_node()
    story.read(root, f"{HOME}/.npmrc")
    asks(story, root, "POST", "https://in.collector.test/p")
    assert "decoy_read_then_egress" in rules_of(story, root)
    story, root = by_node()
    story.read(story.child(root, "/usr/bin/cat", ["cat", f"{HOME}/.npmrc"]), f"{HOME}/.npmrc")
    assert "decoy_read" in rules_of(story, root)


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
    story, root = by_node()
    story.read(root, f"{HOME}/.npmrc")
    asks(story, root, method, url, where)
    found = rules_of(story, root)
    assert rule in found if rule else not found


def test_a_script_of_an_installation_is_told_for_reading_and_sending_what_a_command_may() -> None:
    story = Story()
    npm = story.begin("install", "install", NPM)
    root = story.child(story.script(npm), "/usr/bin/node", ["node", "doctor.js"])
    story.read(root, f"{HOME}/.npmrc")
    asks(story, root, "GET", "https://registry.test/npm", "header")
    assert rules_of(story, root) == {"decoy_read", "decoy_sent"}


@pytest.mark.parametrize(
    ("there", "fires"), [([], True), (["", "/a0", "/a1"], False), ([f"/a{n}" for n in range(30)], True)]
)
def test_names_that_are_tried_as_folders_and_are_none_are_no_search(there: list[str], fires: bool) -> None:
    story, root = by_node()
    story.header = msgspec.structs.replace(story.header, folders=[HOME + name for name in there])
    for number in range(30):
        story.read(root, f"{HOME}/a{number}", directory=True)
    assert ("home_searched" in rules_of(story, root)) is fires


@pytest.mark.parametrize(
    ("folder", "fires"), [("/tmp/thing-x1", False), (PROJECT, True), (f"{HOME}/.npm-global", True)]
)
def test_a_tree_of_a_scripts_own_is_not_what_is_installed(folder: str, fires: bool) -> None:
    story = Story()
    npm = story.begin("install", "install", NPM)
    script = story.script(npm)
    own = story.child(script, "/usr/bin/node", ["/usr/bin/node", "/usr/bin/npm", "install", "thing-linux"])
    story.read(own, f"{folder}/node_modules/thing-linux/package.json", "write", created=True)
    story.add(
        events.FileChanged, process=script, path=f"{folder}/node_modules/thing-linux/package.json", change="removed"
    )
    assert ("package_tampering" in rules_of(story, npm)) is fires


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
    story, root = by_node()
    shell = story.child(root, "/usr/bin/dash", ["/bin/sh", "-c", command])
    story.add(events.FileProbed, process=shell, path="/usr/bin/at", call="newfstatat")
    assert ("persistence_written" in rules_of(story, root)) is fires
