"""Every fixture by name: what the tests, `make demo` and each backend's suite run."""

from __future__ import annotations

from tests.packages import (
    encoding_thieves,
    hostile,
    later_thieves,
    more_thieves,
    npm_neighbours,
    npm_thieves,
    pypi_neighbours,
    pypi_thieves,
)
from tests.packages.fixture import Fixture

THIEVES = [
    *npm_thieves.THIEVES,
    *pypi_thieves.THIEVES,
    *encoding_thieves.THIEVES,
    *more_thieves.THIEVES,
    *later_thieves.THIEVES,
]
NEIGHBOURS = [
    *npm_neighbours.NEIGHBOURS,
    *pypi_neighbours.NEIGHBOURS,
    *more_thieves.NEIGHBOURS,
    *later_thieves.NEIGHBOURS,
]
HOSTILE = hostile.HOSTILE

FIXTURES: dict[str, Fixture] = {fixture.name: fixture for fixture in [*THIEVES, *NEIGHBOURS, *HOSTILE]}
