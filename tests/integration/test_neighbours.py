"""Every honest neighbour, in a real guest: clean, with all of its phases really run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.conftest import Checked, marked
from tests.packages.catalogue import NEIGHBOURS
from tests.packages.fixture import Fixture

pytestmark = pytest.mark.together


@pytest.mark.parametrize("fixture", [marked(fixture) for fixture in NEIGHBOURS])
def test_an_honest_package_is_clean(
    fixture: Fixture, backend: str, check_once: Callable[[str, Fixture], Checked]
) -> None:
    report, _ = check_once(backend, fixture)
    assert fixture.expect.complaint(report) == ""
    ran = {phase.name.partition(":")[0] for phase in report.coverage.phases if phase.status == "ran"}
    assert {"install", "import"} <= ran
