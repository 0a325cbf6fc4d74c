"""What the decoys plant, for the tests of it."""

from __future__ import annotations

import re

from sandbox import discovery
from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person

DECOYS: dict[str, Decoy] = discovery.load("decoys", "DECOY")
PERSON = Person(npm_registry="registry.corp.test/npm/", pypi_registry="https://index.corp.test/simple/")


def planted(name: str, seed: int = 1) -> Bait:
    return DECOYS[name].plant(Draw(seed), PERSON)


def tokens(bait: Bait) -> dict[str, str]:
    return {token.name: token.value for token in bait.tokens}


def file(bait: Bait, path: str) -> BaitFile:
    return next(found for found in bait.files if found.path == path)


def answer(bait: Bait, host: str, method: str, path: str) -> tuple[int, bytes]:
    """What the first endpoint that matches says, as the fake world looks it up."""
    for endpoint in bait.endpoints:
        if host in endpoint.hosts and endpoint.method in ("", method) and re.fullmatch(endpoint.path, path):
            return endpoint.status, endpoint.body
    raise AssertionError(f"nothing answers {method} {host}{path}")
