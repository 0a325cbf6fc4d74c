"""A lockfile to scan, and what a scan says of it, for tests that stop scans."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import locks
from tests.integration.command_line import Machine
from tests.packages import build
from tests.packages.companies import COMPANIES
from tests.packages.registry import Registry

PLANTED = next(company for company in COMPANIES if company.name == "npm-planted")
"""Honest packages and a thief, which is run alone as well."""


@contextmanager
def locked(machine: Machine, more: Mapping[str, build.Files]) -> Iterator[Path]:
    """The lockfile of `PLANTED` and `more` (files by name), on a registry that this machine uses."""
    folder = machine.root / "archives"
    folder.mkdir()
    archives = [*PLANTED.build(folder), *(build.npm(folder, name, files) for name, files in more.items())]
    found = {path.name.partition("-1.0.0")[0]: locks.package("1.0.0", path.read_bytes()) for path in archives}
    path = machine.root / "package-lock.json"
    path.write_text(locks.npm_lock(found), encoding="utf-8")
    with Registry(archives, host="packages.test") as registry:
        machine.use(registry.npm_url, registry.pypi_url, registry.own_url)
        yield path


def verdicts(text: str) -> dict[str, Any]:
    """By package: verdict and rules."""
    packages = json.loads(text)["packages"]
    return {one["purl"]: (one["verdict"], sorted(found["rule"] for found in one["findings"])) for one in packages}
