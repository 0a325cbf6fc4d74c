"""Where a path leads: links in any order, descriptors, views of processes; and never without end."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.lineage import Actor, Process, Program
from sandbox.paths import Paths, tidy

HOME = "/home/dev"
KEYS = f"{HOME}/.aws/credentials"
PLANTED = {KEYS: None}
WATCHED = frozenset({KEYS, f"{HOME}/.aws", HOME, "/home", "/"})


def actor(parent: Process | None = None, cwd: str = "/work/thing") -> Actor:
    process = Process(1 if parent is None else 2, None, 0, parent)
    program = Program(at=0, line=1, exe="/usr/bin/node", argv=["node"], cwd=cwd)
    return Actor(process, "package", "thing", program, 1)


@pytest.fixture
def paths() -> Paths:
    return Paths(PLANTED, WATCHED)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a//b/./c/../d", "/a/b/d"),
        ("//a", "/a"),
        ("/proc/self/root/etc", "/etc"),
        ("/proc/1/root", "/"),
        ("/proc/self/cwd/../x", "/proc/self/cwd/../x"),
        ("relative/..", "."),
    ],
)
def test_tidy(path: str, expected: str) -> None:
    assert tidy(path) == expected


def test_links_lead_on_whatever_was_made_first(paths: Paths) -> None:
    paths.link("/tmp/a", "/tmp/b")
    paths.link("/tmp/b", f"{HOME}/.aws")
    assert paths.meant("/tmp/a/credentials", actor()) == KEYS
    assert paths.meant("/tmp/a", actor(), follow=False) == "/tmp/a"
    assert paths.meant("/tmp/a/credentials", actor(), follow=False) == KEYS
    paths.unlink("/tmp/b")
    assert paths.meant("/tmp/a/credentials", actor()) == "/tmp/b/credentials"


def test_links_that_lead_nowhere_end(paths: Paths) -> None:
    paths.link("/tmp/a", "/tmp/b")
    paths.link("/tmp/b", "/tmp/a/x")
    assert paths.meant("/tmp/a/y", actor()).startswith("/tmp/")
    paths.link("/tmp/c", "/tmp/c")
    assert paths.meant("/tmp/c", actor()) == "/tmp/c"


def test_the_last_of_many_links_counts(paths: Paths) -> None:
    started = time.perf_counter()
    for number in range(5000):
        paths.link(f"/tmp/l{number}", f"{HOME}/.aws")
    for number in range(5000):
        assert paths.meant(f"/tmp/l{number}/credentials", actor()) == KEYS
    assert time.perf_counter() - started < 2


def test_through_the_working_directory(paths: Paths) -> None:
    assert paths.meant("/proc/self/cwd/../x", actor()) == "/work/x"
    assert paths.meant("/proc/thread-self/cwd", actor(cwd=KEYS)) == KEYS


def test_below_the_descriptor_of_a_folder(paths: Paths) -> None:
    opener = actor()
    paths.opened(f"{HOME}/.aws", opener)
    assert paths.meant("/proc/self/fd/17/credentials", opener) == KEYS
    assert paths.meant("/dev/fd/17/credentials", actor(opener.process)) == KEYS
    assert paths.meant("/proc/self/fd/17/other", opener) == "/proc/self/fd/17/other"
    assert paths.meant("/proc/self/fd/17", opener) == "/proc/self/fd/17"
    stranger = Actor(Process(9, None, 0, None), "package", "thing", None, 9)
    assert paths.meant("/proc/self/fd/17/credentials", stranger) == "/proc/self/fd/17/credentials"


_TEXT = st.text("abc/.", max_size=8)


@given(st.lists(st.tuples(st.sampled_from("abc/."), _TEXT), max_size=20), _TEXT)
def test_anything_may_be_linked(links: list[tuple[str, str]], path: str) -> None:
    paths = Paths(PLANTED, WATCHED)
    for name, meant in links:
        paths.link(f"/{name}", f"/{meant}")
    assert isinstance(paths.meant(f"/{path}", actor()), str)
