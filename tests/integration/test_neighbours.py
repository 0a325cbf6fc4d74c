"""Every honest neighbour, in a real guest: clean, with all of its phases really run."""

from __future__ import annotations

import pytest

from tests.packages.catalogue import NEIGHBOURS
from tests.packages.fixture import Check, Fixture


def marked(fixture: Fixture) -> object:
    """The fixture as a parameter, with the mark that its needs ask for."""
    marks = [pytest.mark.registry] if "index" in fixture.needs else []
    return pytest.param(fixture, id=fixture.name, marks=marks)


@pytest.mark.parametrize("fixture", [marked(fixture) for fixture in NEIGHBOURS])
def test_an_honest_package_is_clean(fixture: Fixture, check: Check) -> None:
    report = check(fixture)
    assert fixture.expect.complaint(report) == ""
    ran = {phase.name.partition(":")[0] for phase in report.coverage.phases if phase.status == "ran"}
    assert {"install", "import"} <= ran
