"""Phases of packages run at the same time; those of all of them alone, and in their place."""

from __future__ import annotations

import threading
import time

import pytest

from sandbox.plan import Phase
from sandbox.side_by_side import run_all


def phase(name: str, package: str = "") -> Phase:
    return Phase(name=name, kind="import", argv=("x",), package=package)


def test_what_is_everybodys_waits_for_all_before_it() -> None:
    ended: list[str] = []
    both = threading.Barrier(2, timeout=20)

    def run(one: Phase) -> None:
        if one.package:
            both.wait()  # only together do they come past here
        else:
            time.sleep(0.02)
        ended.append(one.name)

    phases = [phase("start"), phase("a", "a"), phase("b", "b"), phase("shell")]
    run_all(phases, run, lambda: True, lambda _: None, at_once=2)
    assert ended[0] == "start"
    assert ended[-1] == "shell"
    assert set(ended[1:3]) == {"a", "b"}


def test_a_guest_that_is_gone_runs_nothing_more() -> None:
    ran: list[str] = []
    run_all([phase("a", "a"), phase("b")], lambda one: ran.append(one.name), lambda: not ran, lambda _: None, at_once=1)
    assert ran == ["a"]


def test_what_a_phase_raises_is_raised() -> None:
    def run(one: Phase) -> None:
        raise RuntimeError(one.name)

    with pytest.raises(RuntimeError, match="a"):
        run_all([phase("a", "a")], run, lambda: True, lambda _: None)
