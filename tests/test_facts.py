"""Facts: paths by any of their names, connections with what passed on them, and files by who made them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import events
from sandbox.facts import gather
from sandbox.paths import tidy
from tests.recording import HOME, NPM, PROJECT, Story

KEYS = f"{HOME}/.aws/credentials"


def opened(story: Story) -> set[str]:
    return {path for path, _, _, _ in gather(story.recording()).opened}


def begun() -> tuple[Story, int]:
    story = Story()
    return story, story.script(story.begin("install", "install", NPM))


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/a/b", "/a/b"),
        ("/a//b/../c/.", "/a/c"),
        ("//a", "/a"),
        ("/proc/self/root/a", "/a"),
        ("/proc/12/root", "/"),
        ("/proc/12/task/13/root/proc/self/root/a", "/a"),
        ("/proc/self/cwd/../a", "/proc/self/cwd/../a"),
        ("/proc/self/rootless", "/proc/self/rootless"),
        ("//proc/self/root/a", "/a"),
        ("a/../b", "b"),
        ("", ""),
    ],
)
def test_a_path_is_tidied(path: str, plain: str) -> None:
    assert tidy(path) == plain


@given(st.text(alphabet="/.procselfrootcwd1", max_size=60))
def test_no_path_raises(path: str) -> None:
    tidy(path)


def test_a_path_through_the_working_folder() -> None:
    story, script = begun()
    story.read(script, "/proc/self/cwd/../../.env")
    assert f"{PROJECT}/.env" in opened(story)


def test_a_symbolic_link_to_a_folder_above_bait() -> None:
    story, script = begun()
    story.add(events.FileChanged, process=script, path="/tmp/l", change="symlinked", target="../home/dev/.aws")
    story.read(script, "/tmp/l/credentials").read(script, "/tmp/lx")
    assert KEYS in opened(story)
    assert "/tmp/lx" in opened(story)


@pytest.mark.parametrize("change", ["linked", "renamed"])
def test_another_name_for_bait(change: str) -> None:
    story, script = begun()
    story.add(events.FileChanged, process=script, path=KEYS, change=change, target="/tmp/k").read(script, "/tmp/k")
    assert KEYS in opened(story)


def test_endless_links_are_bounded() -> None:
    story, script = begun()
    for number in range(500):
        story.add(events.FileChanged, process=script, path=KEYS, change="linked", target=f"/tmp/k{number}")
    for number in range(2000):
        story.read(script, f"/tmp/x{number}")
    started = time.perf_counter()
    gather(story.recording())
    assert time.perf_counter() - started < 2


def test_repeated_opens_are_counted() -> None:
    story, script = begun()
    for _ in range(3):
        story.read(script, "/usr/x")
    (use,) = [use for (path, *_), use in gather(story.recording()).opened.items() if path == "/usr/x"]
    assert use.count == 3


def test_what_a_package_makes_is_known_and_what_the_installer_makes_is_not() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    script = story.script(root)
    story.read(script, "/tmp/a", "write").read(root, "/tmp/b", "write").read(script, "/tmp/c", "write")
    story.read(root, "/tmp/c", "write")
    story.add(events.FileChanged, process=script, path="/tmp/a", change="renamed", target="/tmp/d")
    story.add(events.FileChanged, process=script, path="/tmp/b", change="linked", target="/tmp/d2")
    story.add(events.FileChanged, process=script, path="/tmp/e", change="truncated")
    facts = gather(story.recording())
    assert {"/tmp/a", "/tmp/d", "/tmp/e"} == set(facts.origins)


def test_what_passed_on_a_connection_is_kept_with_it() -> None:
    story, script = begun()
    story.add(events.TlsEnded, connection=5, host="h.test")
    story.add(
        events.ConnectionOpened, process=script, protocol="tcp", address="198.18.0.1", port=443, connection=5,
        host="H.test.",
    )  # fmt: skip
    story.add(events.RequestSent, connection=5, method="GET", url="https://h.test/", headers=[])
    story.add(events.DataSent, connection=5, data=b"x", size=1)
    story.add(events.DecoySent, connection=5, decoy="aws", token="key", host="h.test", where="body")
    story.add(events.EndpointAsked, connection=5, decoy="aws", url="https://h.test/")
    story.add(events.ConnectionClosed, connection=5, sent=10, received=20)
    facts = gather(story.recording())
    (connection,) = facts.connections
    assert connection.actor.process.serial == script
    assert (connection.host, connection.place, connection.protocol) == ("h.test", "h.test:443", "tls")
    assert (connection.sent, connection.received, connection.closed) == (10, 20, True)
    assert len(connection.requests) == len(connection.data) == len(connection.sent_decoys) == 1
    assert facts.asked[0][2] is facts.sent[0][2] is connection


def test_places_of_connections() -> None:
    story, script = begun()
    story.add(events.ConnectionOpened, process=script, protocol="unix", address="/run/x")
    story.add(events.ConnectionOpened, process=script, protocol="udp", address="2001:db8::1", port=53)
    story.add(events.DataSent, process=script, connection=9, data=b"", size=0)
    found = gather(story.recording()).connections
    assert [one.place for one in found] == ["/run/x", "[2001:db8::1]:53", "an unknown place"]
    assert [one.protocol for one in found] == ["unix", "udp", "tcp"]


def test_a_name_that_only_tls_says_is_no_place() -> None:
    story, script = begun()
    story.add(
        events.ConnectionOpened, process=script, protocol="tcp", address="198.51.100.9", port=443, connection=5
    )
    story.add(events.TlsEnded, connection=5, host="registry.test")
    (connection,) = gather(story.recording()).connections
    assert (connection.host, connection.place, connection.protocol) == ("", "198.51.100.9:443", "tls")


def test_bait_sent_by_no_connection_makes_none() -> None:
    story, script = begun()
    story.add(events.DecoySent, process=script, connection=0, decoy="aws", token="key", host="h.test", where="dns")
    facts = gather(story.recording())
    assert facts.connections == []
    assert facts.sent[0][2].actor.process.serial == script


def test_the_kinds_of_phases() -> None:
    story, _ = begun()
    story.add(events.PhasesPlanned, phases=[events.PlannedPhase("run:x", "run")], not_exercised=["nothing"])
    facts = gather(story.recording())
    assert [facts.kind(name) for name in ("install", "run:x", "")] == ["install", "run", "linger"]
    assert facts.last_phase() == "install"
    assert gather(Story().recording()).last_phase() == ""


def test_when_bait_was_used_is_kept() -> None:
    story, script = begun()
    story.read(script, KEYS)
    story.add(events.DecoyTouched, decoy="aws", path=KEYS, how="opened", by="sensor", at=7.0)
    story.add(events.FileChanged, process=script, path=f"{HOME}/.aws", change="mode", at=8.0)
    facts = gather(story.recording())
    assert len(facts.decoy_uses[KEYS]) == 2
    assert facts.decoy_uses[f"{HOME}/.aws"] == [8.0]
    assert facts.touched == []


def test_processes_by_number_and_their_last_sign_of_life() -> None:
    story, script = begun()
    story.end(1)
    story.phase = "shell"
    story.read(script, "/x", at=50.0)
    process = gather(story.recording()).by_pid[100 + script]
    assert (process.serial, process.last_phase, process.last_at) == (script, "shell", 50.0)
