"""What rules say of ways round, each told as a short story: the machine's own programs, what is left behind, what
others run."""

from __future__ import annotations

import msgspec
import pytest

from sandbox import events
from sandbox import sheets as sheets_module
from sandbox.judge import judge
from tests.recording import HOME, PROJECT, installed
from tests.stories import RULES, asks, by_node, rules_of, sheets


@pytest.mark.parametrize(
    ("caller", "argv", "told"),
    [
        ("/usr/bin/ldd", ["--version"], set()),
        ("/usr/bin/ldd", ["--verify", f"{PROJECT}/x"], {"sensor_evaded"}),
        ("/tmp/ldd", ["--version"], set()),
        ("/tmp/ldd", [f"{PROJECT}/x"], {"sensor_evaded", "program_unexpected"}),
        ("", [f"{PROJECT}/x"], {"sensor_evaded", "program_unexpected"}),
    ],
)
def test_ldd_asks_loaders_of_other_architectures_for_their_version(
    caller: str, argv: list[str], told: set[str]
) -> None:
    story, root = by_node()
    process = story.fork(root)
    if caller:
        story.run(process, "/usr/bin/bash", ["/bin/bash", caller, f"{PROJECT}/x"])
    story.run(process, "/usr/lib32/ld-linux.so.2", ["/lib/ld-linux.so.2", *argv])
    story.add(events.SyscallCalled, process=process, name="foreign_architecture", args=[3, 45], denied=True)
    assert rules_of(story, root) == told


def test_what_ldd_lists_is_no_program_that_is_run() -> None:
    for exe, told in [
        ("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", set()), ("/usr/bin/id.so.2", {"program_unexpected"}),
        (f"{PROJECT}/ld-linux-x86-64.so.2", {"program_unexpected"}),
    ]:  # fmt: skip
        story, root = by_node()
        process = story.child(root, "/usr/bin/bash", ["/bin/bash", "/usr/bin/ldd", f"{PROJECT}/x"])
        story.run(process, exe, [exe, f"{PROJECT}/x"])
        assert rules_of(story, root) == told


def test_only_a_shell_runs_ldd_and_only_a_loader_answers_before_it_loads() -> None:
    story, root = by_node()
    loader = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    process = story.child(root, "/usr/bin/find", ["find", "/usr/bin/ldd", "-exec", loader, f"{PROJECT}/x", ";"])
    story.run(process, loader, [loader, f"{PROJECT}/x"])
    assert "program_unexpected" in rules_of(story, root)
    story, root = by_node()
    process = story.child(root, "/usr/lib32/tool", ["tool", "--version"])
    story.add(events.SyscallCalled, process=process, name="foreign_architecture", args=[3, 45], denied=True)
    assert "sensor_evaded" in rules_of(story, root)


@pytest.mark.parametrize(
    ("folder", "folders", "told"),
    [
        (f"{HOME}/.codex/tmp/x1", [HOME, f"{HOME}/.codex"], False),  # made since: none of the user's
        (f"{HOME}/.codex/tmp/x1", [], True),  # an older recording does not say
        (f"{HOME}/Documents", [HOME, f"{HOME}/Documents"], True),
        (f"{HOME}/moved/letters", [HOME, f"{HOME}/Documents", f"{HOME}/Documents/letters"], True),
    ],
)
def test_only_what_was_there_can_be_the_users(folder: str, folders: list[str], told: bool) -> None:
    story, root = by_node()
    story.header = msgspec.structs.replace(story.header, folders=folders)
    story.add(events.FileChanged, process=root, path=folder, change="made")
    story.add(events.FileChanged, process=root, path=f"{HOME}/Documents", change="renamed", target=f"{HOME}/moved")
    for number in range(12):
        story.add(events.FileChanged, process=root, path=f"{folder}/{number}", change="removed")
    assert ("files_destroyed" in rules_of(story, root)) is told


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["git", "config", "--global", "core.hooksPath", f"{HOME}/.hooks"], True),
        (["git", "config", "--system", "credential.helper", "!x"], True),
        (["git", "config", "--global", "url.https://a.test/.insteadOf", "https://b.test/"], True),
        (["git", "config", "--global", "core.hooksPath"], False),
        (["git", "config", "--global", "--get", "core.hooksPath", "x"], False),
        (["git", "config", "core.hooksPath", ".husky"], False),
        (["git", "config", "--global", "user.name", "x"], False),
        (["python3", "-m", "pip", "config", "set", "global.extra-index-url", "https://a.test/"], True),
        (["npm", "config", "set", "registry", "https://a.test/"], True),
        (["npm", "config", "get", "registry"], False),
    ],
)
def test_git_and_package_managers_are_told_to_go_elsewhere(argv: list[str], told: bool) -> None:
    story, root = by_node()
    story.add(events.ProgramRequested, process=story.child(root, "/bin/sh", ["sh"]), path=argv[0], argv=argv)
    story.end(root)
    findings = judge(story.whole(), sheets("npm"), RULES).findings
    assert ("persistence_written" in {one.rule for one in findings if one.verdict == "malicious"}) is told


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("(crontab -l; echo '* * * * * x') | crontab -", {"malicious"}),
        ("crontab /tmp/jobs", {"malicious"}),
        ("crontab < jobs", {"malicious"}),
        ("crontab -l | grep -q x", {"suspicious"}),
        ("command -v crontab", set()),
    ],
)
def test_a_table_of_jobs_that_is_handed_over_by_a_shell(text: str, verdicts: set[str]) -> None:
    story, root = by_node()
    shell = story.child(root, "/usr/bin/dash", ["/bin/sh", "-c", text])
    story.add(events.FileProbed, process=shell, path="/usr/bin/crontab", call="newfstatat")
    story.end(root)
    findings = judge(story.whole(), sheets("npm"), RULES).findings
    assert {one.verdict for one in findings if one.rule == "persistence_written"} == verdicts


def test_another_process_is_looked_into() -> None:
    for path, rule in [("maps", True), ("smaps", True), ("status", False)]:
        story, root = by_node()
        story.read(root, f"/proc/1/{path}")
        assert ("process_memory_read" in rules_of(story, root)) is rule
    story, root = by_node()
    child = story.child(root, "/usr/bin/node", ["node", "x.js"])
    story.read(root, f"/proc/{100 + child}/maps")  # its own child's
    assert "process_memory_read" not in rules_of(story, root)


@pytest.mark.parametrize(("listed", "others", "told"), [(True, 2, True), (False, 2, False), (True, 1, False)])
def test_command_lines_of_all_processes(listed: bool, others: int, told: bool) -> None:
    story, root = by_node()
    if listed:
        story.read(root, "/proc", directory=True)
    for number in range(others):
        story.read(root, f"/proc/{number + 7}/cmdline")
    assert ("process_memory_read" in rules_of(story, root)) is told


@pytest.mark.parametrize(
    ("exe", "argv", "told"),
    [
        ("/usr/bin/printenv", ["printenv"], True),
        ("/usr/bin/env", ["env"], True),
        ("/usr/bin/env", ["env", "node", "x.js"], False),
        ("/usr/bin/cat", ["cat", "/proc/self/environ"], True),
        ("/usr/bin/id", ["id"], False),
    ],
)
def test_the_whole_environment_and_then_bytes(exe: str, argv: list[str], told: bool) -> None:
    story, root = by_node()
    child = story.child(root, exe, argv)
    for path in argv[1:2]:
        story.read(child, path)
    asks(story, root, "POST", "https://in.collector.test/p")
    assert ("decoy_read_then_egress" in rules_of(story, root)) is told


@pytest.mark.parametrize(("kind", "ends", "host", "told"), [
    ("run", True, "registry.test", False), ("run", True, "in.collector.test", True),
    ("run", False, "registry.test", True), ("import", True, "registry.test", True),
])  # fmt: skip
def test_what_a_command_leaves_to_end_by_itself(kind: str, ends: bool, host: str, told: bool) -> None:
    name = f"{kind}:thing"
    story = installed(phases=[events.PlannedPhase("install", "install"), events.PlannedPhase(name, kind)])
    root = story.begin(name, kind, ["/usr/bin/node", f"{PROJECT}/node_modules/.bin/thing"])
    child = story.child(root, "/usr/bin/node", ["node", "updates.js"])
    story.end(root)
    story.phase = "linger"
    where = {"protocol": "tcp", "address": "198.18.0.9", "port": 443, "host": host}
    story.add(events.ConnectionOpened, at=5.0, process=child, connection=1, **where)
    story.add(
        events.RequestSent, at=5.1, process=child, connection=1, method="GET", url=f"https://{host}/x", headers=[]
    )
    if ends:
        story.add(events.ProcessExited, at=5.2, process=child)
    found = {finding.rule for finding in judge(story.whole(), sheets("npm"), RULES).findings}
    assert ("detached_survivor" in found) is told


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://kubernetes.default.svc/api/v1/secrets?limit=500", "malicious"),
        ("https://kubernetes.default.svc/api/v1/namespaces/a/secrets", "malicious"),
        ("https://vault.test/v1/secret/data/app", "malicious"),
        ("https://kubernetes.default.svc/api/v1/pods?of=/v1/secret", "suspicious"),
        ("https://vault.test/v1/sys/health", "suspicious"),
    ],
)
def test_secrets_that_are_asked_for(url: str, verdict: str) -> None:
    story, root = by_node()
    asks(story, root, "GET", url)
    story.add(events.EndpointAsked, process=root, connection=1, decoy="kubernetes", url=url)
    story.end(root)
    findings = judge(story.whole(), sheets("npm"), RULES).findings
    assert {one.verdict for one in findings if one.rule == "account_used"} == {verdict}


@pytest.mark.parametrize(
    ("package", "url", "told"),
    [
        ("client", "https://oauth2.googleapis.com/tokeninfo", False),
        ("client", "https://oauth2.googleapis.com/revoke", True),
        ("other", "https://oauth2.googleapis.com/tokeninfo", True),
    ],
)
def test_a_client_of_a_service_logs_in_there(package: str, url: str, told: bool) -> None:
    asked = sheets_module.Expectation(why="x", request=("https://oauth2.googleapis.com/tokeninfo",), phases=("run",))
    own = {"packages/npm/client": sheets_module.Sheet(about="x", extends="npm", expect=(asked,))}
    story = installed(package=package)
    root = story.begin("run:client", "run", ["/usr/bin/node", f"{PROJECT}/node_modules/.bin/client"])
    asks(story, root, "GET", url)
    story.add(events.EndpointAsked, process=root, connection=1, decoy="gcp", url=url)
    story.end(root)
    findings = judge(story.whole(), sheets("npm").with_sheets(own), RULES).findings
    assert ("account_used" in {one.rule for one in findings}) is told


ASKED = "git-upload-pack 'platform/price-service.git'"


@pytest.mark.parametrize(
    ("kind", "words", "host", "clean"),
    [
        ("run", ["-o", "SendEnv=GIT_PROTOCOL", "git@git.made.internal", ASKED], "git.made.internal", True),
        ("import", ["-o", "SendEnv=GIT_PROTOCOL", "git@git.made.internal", ASKED], "git.made.internal", False),
        ("run", ["-o", "SendEnv=GIT_PROTOCOL", "git@git.made.test", ASKED], "git.made.test", False),
        ("run", ["-o", "SendEnv=GIT_PROTOCOL", "git@git.made.internal", ASKED], "elsewhere.test", False),
        (
            "run", ["-o", "SendEnv=GIT_PROTOCOL", "git@git.made.internal", "git-receive-pack 'a.git'"],
            "git.made.internal", False,
        ),
    ],
)  # fmt: skip
def test_a_command_may_have_git_fetch_from_the_projects_own_remote(
    kind: str, words: list[str], host: str, clean: bool
) -> None:
    story = installed()
    root = story.begin(f"{kind}:thing", kind, ["/usr/bin/node", f"{PROJECT}/node_modules/.bin/thing"])
    story.script(root)
    git = story.child(root, "/usr/bin/git", ["git", "fetch"])
    ssh = story.child(git, "/usr/bin/ssh", ["/usr/bin/ssh", *words])
    story.read(ssh, f"{HOME}/.ssh/id_ed25519")
    where = {"protocol": "tcp", "address": "198.18.0.9", "port": 22, "host": host}
    story.add(events.ConnectionOpened, process=ssh, connection=1, **where)
    story.add(events.DataSent, process=ssh, connection=1, data=b"SSH-2.0-made", size=40)
    assert (rules_of(story, root) == set()) is clean


@pytest.mark.parametrize(
    ("loads", "by_ssh", "told"), [(False, True, True), (False, False, False), (True, True, True), (True, False, True)]
)
def test_what_ssh_read_with_consent_is_no_cover_for_who_had_it_load_code(loads: bool, by_ssh: bool, told: bool) -> None:
    planted = [events.PlantedFile("ssh", f"{HOME}/.ssh/id_ed25519"), events.PlantedFile("aws", f"{HOME}/.aws/config")]
    story = installed(planted=planted)
    root = story.begin("run:thing", "run", ["/usr/bin/node", f"{PROJECT}/node_modules/.bin/thing"])
    words = ["-o", "SendEnv=GIT_PROTOCOL", "git@git.made.internal", ASKED]
    ssh = story.child(root, "/usr/bin/ssh", ["/usr/bin/ssh", *words])
    if loads:
        story.read(ssh, f"{PROJECT}/node_modules/thing/preloaded.so")
    story.read(ssh, f"{HOME}/.ssh/id_ed25519")
    asks(story, ssh if by_ssh else root, "POST", "https://elsewhere.test/p")
    assert ("decoy_read_then_egress" in rules_of(story, root)) is told
