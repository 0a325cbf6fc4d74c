"""Every inert thief, in a real guest: malicious, by a rule that names the decoy, the way out, package and phase."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.integration.conftest import Checked, marked
from tests.packages.catalogue import THIEVES
from tests.packages.fixture import Check, Fixture

pytestmark = pytest.mark.together
TIMES = int(os.environ.get("BAITBOX_TIMES", "2"))
"""How often each is checked on the native backend; `make soak` takes five."""


@pytest.mark.parametrize("fixture", [marked(fixture) for fixture in THIEVES])
def test_a_thief_is_named_with_what_it_took_and_where_it_sent_it(
    fixture: Fixture, backend: str, check_once: Callable[[str, Fixture], Checked]
) -> None:
    assert fixture.expect.complaint(check_once(backend, fixture)[0]) == ""


@pytest.mark.slow
@pytest.mark.parametrize("backend", [pytest.param("native", marks=pytest.mark.native)], indirect=True)
@pytest.mark.parametrize("fixture", [marked(fixture) for fixture in THIEVES])
def test_the_same_thief_is_judged_the_same_each_time(
    fixture: Fixture, backend: str, check: Check, check_once: Callable[[str, Fixture], Checked]
) -> None:
    reports = [check_once(backend, fixture)[0], *(check(fixture) for _ in range(TIMES - 1))]
    seen = {(report.verdict, frozenset(finding.rule for finding in report.findings)) for report in reports}
    assert len(seen) == 1
