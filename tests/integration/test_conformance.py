"""One suite for every backend: the same package does the same, is seen to do it, and is judged the same.

What may differ is left out: times, numbers of processes, what the package managers of two toolchains do for
themselves, and in which phase a child acts that has detached itself (its expectation names no phase) and sleeps. What
bait was touched, what left and how, whom the package asked for, what outlived it and every finding may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.events import DecoySent, DecoyTouched, EndpointAsked, Header, PhaseEnded, Recording, SurvivorFound
from sandbox.facts import gather
from sandbox.report import PackageReport
from tests.integration.conftest import Checked
from tests.packages.catalogue import NEIGHBOURS, THIEVES
from tests.packages.fixture import Fixture


def judged(report: PackageReport, *, in_time: bool) -> set[tuple[Any, ...]]:
    """The findings, without evidence; with phases, and what depends on them, where the package acts `in_time`."""
    return {
        (finding.rule, finding.verdict, finding.package, finding.decoys)
        + ((finding.severity, finding.phase) if in_time else ())
        for finding in report.findings
    }


def seen(recording: Recording) -> set[tuple[Any, ...]]:
    """The telling events, without what may differ."""
    return set(_seen(recording.header, recording))


def _seen(header: Header, recording: Recording) -> Iterator[tuple[Any, ...]]:
    facts = gather(recording)
    logins = {("header", host) for host in header.registries}
    for event in recording.events:
        match event:
            # Not how it was encoded: one thing can be read in several ways, and which are tried depends on the tokens.
            # Not npm's login at its own registry, which one version shows more often.
            case DecoySent(decoy=decoy, host=host, where=where) if (where, host) not in logins:
                yield "sent", decoy, host, where
            case EndpointAsked(decoy=decoy, url=url):
                yield "asked", decoy, url.partition("?")[0]
            case SurvivorFound(exe=exe):
                yield "survived", Path(exe).name.rstrip("0123456789.")
            case PhaseEnded(phase=phase, status=status):
                yield "phase", phase, status
            case DecoyTouched(decoy=decoy, path=path, how=how) if not _everyday(path):
                yield "touched", decoy, path, how
            case _:
                pass
    for connection in facts.connections:
        host = connection.host
        if connection.actor.role == "package" and host and host not in header.registries:
            yield "reached", host, connection.protocol


def _everyday(path: str) -> bool:
    """Settings of the package managers and the shell, read by themselves and by one version more often."""
    return path.endswith(("/.npmrc", "/.gitconfig", "/.bash_history", "/pip.conf", "/.netrc"))


@pytest.mark.together
@pytest.mark.native
@pytest.mark.docker
@pytest.mark.parametrize("fixture", [*THIEVES, *NEIGHBOURS], ids=lambda fixture: fixture.name)
def test_two_backends_see_and_judge_the_same(
    fixture: Fixture, check_once: Callable[[str, Fixture], Checked]
) -> None:
    native, on_native = check_once("native", fixture)
    docker, on_docker = check_once("docker", fixture)
    assert fixture.expect.complaint(docker) == ""
    assert docker.verdict == native.verdict
    in_time = fixture.kind != "thief" or fixture.expect.phase != ""
    assert judged(docker, in_time=in_time) == judged(native, in_time=in_time)
    assert seen(on_docker) == seen(on_native)
