"""Deviations: what is done in the words of profiles, whatever form it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import events
from sandbox.deviations import Judged, deed_of, is_local, is_public, plain_url, way_out
from sandbox.facts import Deed, gather
from sandbox.profiles import load
from tests.recording import HOME, NPM, PROJECT, Story


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return look(tmp_path, *begun())


def begun() -> tuple[Story, int]:
    story = Story()
    return story, story.script(story.begin("install", "install", NPM))


def look(folder: Path, story: Story, _script: int = 0, sheet: str = "") -> Judged:
    (folder / "npm.yaml").write_text(sheet)
    facts = gather(story.recording())
    return Judged(facts, load([folder], "npm").for_recording(story.header))


def subjects(judged: Judged, verb: str) -> list[str]:
    return [deed.subject for deed in judged.of(verb)]


def test_opens_by_access(tmp_path: Path) -> None:
    story, script = begun()
    story.read(script, "/a").read(script, "/b", "write").read(script, "/c", "readwrite").read(script, "/d", "path")
    story.read(script, f"{HOME}/.npmrc", "path")
    judged = look(tmp_path, story)
    assert subjects(judged, "read") == ["/a", "/c", f"{HOME}/.npmrc"]
    assert subjects(judged, "write") == ["/b", "/c"]
    assert [(deed.decoy, entry) for deed, entry in judged.bait_reads] == [("npm_token", None)]


def test_changes_by_their_new_names(tmp_path: Path) -> None:
    story, script = begun()
    for change, target in (("renamed", "/n"), ("linked", "/l"), ("symlinked", "text"), ("removed", "")):
        story.add(events.FileChanged, process=script, path=f"/{change}", change=change, target=target)
    assert subjects(look(tmp_path, story), "change") == ["/renamed", "/n", "/l", "/symlinked", "/removed"]


def test_programs_but_not_the_plans_own_nor_copies(tmp_path: Path) -> None:
    story, script = begun()
    copy = story.fork(script)
    story.add(
        events.ProgramStarted, process=copy, exe="/usr/bin/dash", argv=["sh", "-c", "node x.js"], cwd="/elsewhere"
    )
    story.child(script, "/usr/bin/dash", ["/bin/sh", f"{HOME}/.local/bin/op", "x"], path=f"{HOME}/.local/bin/op")
    assert subjects(look(tmp_path, story), "run") == ["/usr/bin/dash", f"{HOME}/.local/bin/op"]


def test_a_connection_stands_for_what_passed_on_it(tmp_path: Path) -> None:
    story, script = begun()

    def connect(number: int, protocol: str = "tcp", port: int = 443, **fields: object) -> None:
        story.add(
            events.ConnectionOpened, process=script, protocol=protocol, address="203.0.113.9", port=port,
            connection=number, **fields,
        )  # fmt: skip

    connect(1, host="h.test")
    story.add(events.RequestSent, connection=1, method="post", url="HTTPS://H.test:443/p?q#f", headers=[])
    connect(2)
    connect(3, "udp")
    connect(4, "udp", 53)
    connect(5, "udp")
    story.add(events.DataSent, connection=5, data=b"x", size=1, protocol="udp")
    story.add(events.DataSent, process=script, connection=6, data=b"x", size=1)
    story.add(events.ConnectionOpened, process=script, protocol="unix", address="/run/x")
    judged = look(tmp_path, story)
    assert [(deed.subject, deed.method) for deed in judged.of("request")] == [("https://h.test/p?q", "POST")]
    assert subjects(judged, "connect") == ["203.0.113.9:443", "203.0.113.9:443", "an unknown place", "unix:/run/x"]
    ways = [way_out(deed) for deed in judged.of("request", "connect")]
    assert ways == [
        "https POST to h.test", "tcp 203.0.113.9:443", "udp 203.0.113.9:443", "tcp an unknown place", "unix /run/x",
    ]  # fmt: skip


def test_a_registry_explains_only_a_connection_on_which_nothing_was_sent_that_is_not_understood(tmp_path: Path) -> None:
    story, script = begun()
    sheet = """
expect:
  - connect: ["<registries>:*"]
    silent: true
    why: connections that are kept open
"""
    for number, port in enumerate((443, 444, 445, 446), start=1):
        story.add(
            events.ConnectionOpened, process=script, protocol="udp" if port == 445 else "tcp", address="198.18.0.1",
            port=port, host="registry.test", connection=number,
        )  # fmt: skip
    story.add(events.RequestSent, connection=2, method="GET", url="https://registry.test:444/", headers=[])
    for number in (2, 3, 4):
        story.add(events.DataSent, connection=number, data=b"x", size=1)
    found = subjects(look(tmp_path, story, sheet=sheet), "connect")
    assert found == ["registry.test:444", "registry.test:445", "registry.test:446"]


def test_everything_else(tmp_path: Path) -> None:
    story, script = begun()
    story.add(events.NameLookedUp, process=script, name="H.Test.", kind="A")
    story.add(events.SyscallCalled, process=script, name="mount", args=[], denied=True)
    story.add(events.SocketCreated, process=script, family="packet", kind="raw")
    story.add(events.PortBound, process=script, address="::", port=80)
    story.add(events.SurvivorFound, process=script, exe="/usr/bin/node", argv=["node", "x"])
    story.add(events.DecoySent, process=script, connection=0, decoy="aws", token="key", host="H.test", where="dns")
    judged = look(tmp_path, story)
    assert subjects(judged, "lookup") == ["h.test"]
    assert subjects(judged, "syscall") == ["mount", "socket packet raw"]
    assert subjects(judged, "bind") == ["[::]:80"]
    assert [(deed.subject, deed.arguments) for deed in judged.of("survive")] == [("/usr/bin/node", "x")]
    assert subjects(judged, "send") == ["aws dns h.test"]
    assert way_out(judged.of("lookup")[0]) == "dns h.test"


def test_a_signal_to_a_process_of_ones_own_line_is_no_deed(tmp_path: Path) -> None:
    story, script = begun()
    own = 100 + story.child(script, "/usr/bin/node", ["node", "helper.js"])
    other = 100 + story.script(1, "other")
    for target in (own, other, -1, 0, 1):
        story.add(events.SyscallCalled, process=script, name="kill", args=[target, 15])
    later = 100 + story.serial + 1
    story.add(events.SyscallCalled, process=script, name="kill", args=[later, 15])
    story.fork(script)  # was not there yet: whom the signal met is not known
    deeds = look(tmp_path, story).of("syscall")
    assert [deed.event.args[0] for deed in deeds] == [other, -1, 0, 1, later]


def test_several_verbs_come_in_the_recordings_order(tmp_path: Path) -> None:
    story, script = begun()
    story.read(script, "/w", "write").read(script, "/r")
    lines = [deed.line for deed in look(tmp_path, story).of("read", "write")]
    assert lines == sorted(lines)


def test_what_a_packages_own_sheet_explains(tmp_path: Path) -> None:
    story, script = begun()
    story.read(script, f"{PROJECT}/out").read(script, f"{PROJECT}/.env")
    own = tmp_path / "packages" / "npm"
    own.mkdir(parents=True)
    (own / "thing.yaml").write_text("expect:\n- {read: [./out, ./.env], why: because it is so}\n")
    judged = look(tmp_path, story)
    assert judged.of("read") == []
    (read, entry) = judged.bait_reads[0]
    assert entry is not None
    assert judged.is_own_habit(read)
    assert judged.is_expected(read)


def test_an_own_habit_is_one_also_where_everybody_has_it(tmp_path: Path) -> None:
    story, script = begun()
    story.read(script, "/usr/share/thing").read(script, "/usr/share/other")
    own = tmp_path / "packages" / "npm"
    own.mkdir(parents=True)
    (own / "thing.yaml").write_text("expect:\n- {read: ['/usr/share/t*'], why: because it is so}\n")
    everybody = "expect:\n- {read: ['/usr/**'], why: because it is so}\n"
    judged = look(tmp_path, story, sheet=everybody)
    deeds = [deed_of(judged._facts, "read", path, use.line, use.event, actor)
             for (path, _, actor, _), use in judged._facts.opened.items()]  # fmt: skip
    assert [judged.is_own_habit(deed) for deed in deeds if deed.subject.startswith("/usr/share")] == [True, False]
    assert all(judged.is_expected(deed) for deed in deeds)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://h.test:80", "http://h.test/"),
        ("https://h.test:8443/x", "https://h.test:8443/x"),
        ("http://[2001:db8::1]/x", "http://[2001:db8::1]/x"),
        ("https://user:pass@h.test/x", "https://credentials@h.test/x"),
        ("https://h.test:99999/x", "https://h.test:99999/x"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_urls_are_written_in_one_way(url: str, plain: str) -> None:
    assert plain_url(url) == plain


@pytest.mark.parametrize(
    ("address", "public", "local"),
    [
        ("8.8.8.8", True, False),
        ("203.0.113.9", True, False),
        ("10.1.2.3", False, False),
        ("127.0.0.53", False, True),
        ("169.254.169.254", False, False),
        ("::1", False, True),
        ("fd00::1", False, False),
        ("2001:db8::1", True, False),
        ("h.test", False, False),
    ],
)
def test_kinds_of_addresses(address: str, public: bool, local: bool) -> None:
    assert is_public(address) is public
    assert is_local(address) is local


def test_a_way_out_without_a_connection_is_its_subject(judged: Judged) -> None:
    deed = judged.of("run")[0]
    assert isinstance(deed, Deed)
    assert way_out(deed) == deed.subject
