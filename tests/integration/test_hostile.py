"""Every hostile guest: never clean, gone at the end, and the host as it was."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from tests.packages.catalogue import HOSTILE
from tests.packages.fixture import Check, Fixture

pytestmark = pytest.mark.together
LEFT = [Path(place) / ".left" for place in ("/tmp", "/etc", "/root")]
WATCHED = [Path(place) for place in ("/etc/hosts", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt")]
SECONDS = 120
"""More than the slowest takes where its limits hold; a guest that hangs fails by this."""


def host() -> dict[str, str]:
    """What a guest that got out would have changed."""
    found = {str(path): path.read_text("utf-8", "replace") for path in WATCHED if path.is_file()}
    found["core_pattern"] = Path("/proc/sys/kernel/core_pattern").read_text()
    found.update({str(path): str(os.path.exists(path)) for path in LEFT})  # which /root may not tell us
    return found


@pytest.mark.parametrize("fixture", HOSTILE, ids=lambda fixture: fixture.name)
def test_a_hostile_guest_ends_in_time_and_never_in_clean(fixture: Fixture, check: Check) -> None:
    before, children = host(), set(psutil.Process().children(recursive=True))
    started = time.monotonic()
    report = check(fixture)
    assert time.monotonic() - started < SECONDS
    assert fixture.expect.complaint(report) == ""
    assert host() == before
    time.sleep(1)
    left = set(psutil.Process().children(recursive=True)) - children
    assert not left, f"still alive: {left}"
