"""A recording as text: everything telling stands there once, the rest is folded, nothing hostile gets through."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from sandbox import events
from sandbox.show import timeline, tree
from tests.recording import HOME, NPM, PROJECT, SENSORS, Story

RECORDINGS = sorted((Path(__file__).parent / "recordings").rglob("*.jsonl"))


def begun() -> tuple[Story, int]:
    story = Story(persona="laptop", backend="native", tool="baitbox 0.1.0")
    return story, story.script(story.begin("install", "install", NPM), "dep")


def test_the_first_line_says_whose_recording_it_is() -> None:
    story, _ = begun()
    for text in (timeline(story.recording()), tree(story.recording())):
        assert text.startswith("npm:thing@1.0.0  laptop  native  baitbox 0.1.0\n")
    assert timeline(Story(package="", target="./x.tgz").recording()).startswith("./x.tgz")
    members = [events.Member(name=name, version="1.0.0", purl=f"pkg:npm/{name}@1.0.0") for name in "ab"]
    several = Story(package="", version="", target="together-1", members=members, backend="native")
    assert timeline(several.recording()).startswith("together-1: 2 npm packages together  laptop  native")


def test_files_are_folded_and_bait_is_not() -> None:
    story, script = begun()
    for number in range(50):
        story.read(script, f"{PROJECT}/node_modules/dep/lib/{number}.js")
    story.add(events.FileProbed, process=script, path=f"{PROJECT}/node_modules/dep/x", call="stat")
    story.add(events.FileChanged, process=script, path=f"{PROJECT}/node_modules/dep/y", change="made")
    story.read(script, f"{HOME}/.aws/credentials")
    story.read(script, "relative")
    text = timeline(story.recording())
    assert "opened 50, asked about 1, changed 1 files under ./node_modules/dep\n" in text
    assert "opens for read: ~/.aws/credentials  ** bait: aws" in text
    assert "opened 1 files under ?" in text
    assert "lib/7.js" not in text
    assert "lib/7.js" in timeline(story.recording(), all=True)


def test_a_fold_is_of_one_process() -> None:
    story, script = begun()
    story.read(script, "/usr/a/x").read(1, "/usr/b/x").read(1, "/usr/b/y")
    text = timeline(story.recording())
    assert "opened 1 files under /usr/a" in text
    assert "opened 2 files under /usr/b" in text


def test_lines_carry_their_number_in_the_recording() -> None:
    story, script = begun()
    story.read(script, f"{HOME}/.npmrc")
    number = len(story.events) + 1
    assert f"  [{number}]\n" in timeline(story.recording())


def all_kinds() -> Story:
    story, script = begun()
    for name in SENSORS:
        story.add(events.SensorStarted, sensor=name)
    story.add(events.PhasesPlanned)
    story.add(events.NameLookedUp, process=script, name="h.test", kind="A", server="127.0.0.53")
    story.add(events.SocketCreated, process=script, family="packet", kind="raw", denied=True)
    story.add(events.PortBound, process=script, address="127.0.0.1", port=80)
    place = {"address": "198.18.0.1", "port": 443, "host": "h.test", "connection": 1}
    story.add(events.ConnectionOpened, process=script, protocol="tcp", **place)
    story.add(events.ConnectionOpened, process=script, protocol="udp", address="198.18.0.1", port=5)
    story.add(events.TlsEnded, process=script, connection=1, host="h.test")
    request = {"method": "POST", "url": "https://h.test/x", "headers": [], "body_size": 3}
    story.add(events.RequestSent, process=script, connection=1, **request)
    story.add(events.DataSent, process=script, connection=2, data=b"\x00x", size=2)
    sent = {"decoy": "aws", "token": "key", "host": "h.test", "where": "body", "encodings": ["gzip"]}
    story.add(events.DecoySent, process=script, connection=1, **sent)
    story.add(events.EndpointAsked, process=script, decoy="github", connection=1, url="https://h.test/user")
    story.add(events.DecoyTouched, decoy="aws", path=f"{HOME}/.aws/credentials", how="opened")
    story.add(events.SyscallCalled, process=script, name="ptrace", args=[0], detail="pid 1", denied=True)
    story.add(events.SyscallCalled, process=script, name="setsid", args=[0])
    story.add(events.SleepSkipped, process=script, seconds=60.0)
    story.add(events.OutputWritten, process=script, stream="stdout", data=b"\x1b[2Jhello", size=9)
    story.add(events.ArtifactServed, url="https://registry.test/x.tgz", digest="sha512:00", size=1)
    story.add(events.FileChanged, process=script, path=f"{HOME}/.npmrc", change="renamed", target="/tmp/x")
    story.add(events.FileProbed, process=script, path=f"{HOME}/.npmrc", call="statx")
    story.add(events.ConnectionClosed, connection=1, sent=3, received=4)
    story.add(events.ProcessExited, process=script, code=3)
    story.end(1, status="killed", signal=9, reason="out of memory")
    story.add(events.SurvivorFound, process=script, exe="/usr/bin/node", argv=["node", "x"])
    story.add(events.SensorLost, sensor="witness", reason="a watch is gone")
    return story.add(events.GuestEnded)


def test_every_kind_of_event_can_be_shown() -> None:
    story = all_kinds()
    kinds = {type(event) for event in story.events} | {events.FileOpened}
    assert kinds == set(get_args(events.AnyEvent))
    text = timeline(story.recording(), all=True)
    assert len(text.splitlines()) == len(story.events) + 1


@pytest.mark.parametrize(
    "words",
    [
        "== phase install begins: /usr/bin/node",
        "== phase install ends: killed by signal 9: out of memory",
        "looks up h.test (A) at 127.0.0.53",
        "connects to tcp h.test:443 (https POST to h.test)",
        "connects to udp 198.18.0.1:5",
        "POST https://h.test/x, 3 bytes, answered by nobody",
        "sends 2 bytes of tcp: b'\\x00x'",
        "** BAIT LEFT: aws key as gzip in body to h.test",
        "** bait github asked: https://h.test/user",
        "** bait aws opened: ~/.aws/credentials (seen by witness)",
        "renamed ~/.npmrc -> /tmp/x  ** bait: npm_token",
        "asks about (statx) ~/.npmrc  ** bait: npm_token",
        "calls ptrace pid 1 (refused)",
        "sleep skipped seconds=60.0",
        "SURVIVED: /usr/bin/node x",
        "!! the sensor witness lost some records: a watch is gone",
        "socket created family=packet kind=raw denied=True",
    ],
)
def test_the_timeline_says_what_happened(words: str) -> None:
    assert words in timeline(all_kinds().recording())


def test_what_a_phase_printed_is_shown_only_when_all_is_and_escaped() -> None:
    assert "printed to" not in timeline(all_kinds().recording())
    assert "printed to stdout: \\x1b[2Jhello" in timeline(all_kinds().recording(), all=True)
    assert "setsid" not in timeline(all_kinds().recording())


def test_the_tree_says_who_ran_what_for_whom() -> None:
    story, script = begun()
    child = story.child(script, "/usr/bin/node", ["node", "x.js"])
    orphan = story.fork(script, known=False)
    for number in range(30):
        story.run(child, "/usr/bin/true", ["true", str(number)])
    story.add(events.ProcessExited, process=child, code=7)
    story.end(1)
    story.phase = "shell"
    story.read(orphan, "/x")
    text = tree(story.recording())
    assert "\n1 in install  [installer]\n" in text
    assert f"\n  {script}  [package of dep]\n" in text
    assert f"\n    {child}  [package of dep], exited with 7\n" in text
    assert "/usr/bin/node x.js\n" in text
    assert "and 11 more programs" in text
    assert f"{orphan}  [package of dep] (an orphan when first seen)" in text
    assert "still there in shell" in text


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recording_can_be_shown(path: Path) -> None:
    recording = events.read(path)
    for text in (timeline(recording), tree(recording)):
        assert all(line.isprintable() for line in text.splitlines())
