"""Real pull requests, of fixed versions from the registries: how the gate does, and how long it takes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox import fetch, toolchain
from sandbox.cache import Cache
from sandbox.registries import registry_settings
from sandbox.targets import Target
from tests.git_repository import Repository
from tests.integration.command_line import Ended, Machine, npm_lock, real_machine
from tests.locks import requirements

pytestmark = [pytest.mark.native, pytest.mark.registry, pytest.mark.slow]

NPM = {
    "@types/node": ("20.11.30", "20.12.12"), "chalk": ("5.2.0", "5.3.0"), "commander": ("11.1.0", "12.1.0"),
    "dayjs": ("1.11.10", "1.11.13"), "debug": ("4.3.4", "4.3.7"), "lodash": ("4.17.20", "4.17.21"),
    "ms": ("2.1.2", "2.1.3"), "nanoid": ("3.3.6", "3.3.7"), "picocolors": ("1.0.0", "1.0.1"),
    "prettier": ("3.2.4", "3.3.3"), "semver": ("7.5.3", "7.6.3"), "typescript": ("5.3.3", "5.4.5"),
    "uuid": ("9.0.0", "9.0.1"), "yaml": ("2.4.1", "2.5.1"), "zod": ("3.22.3", "3.23.8"),
}  # fmt: skip
PYPI = {
    "attrs": ("23.1.0", "24.2.0"), "certifi": ("2024.2.2", "2024.8.30"), "charset-normalizer": ("3.3.1", "3.3.2"),
    "click": ("8.1.6", "8.1.7"), "idna": ("3.6", "3.10"), "packaging": ("23.2", "24.1"), "pyyaml": ("6.0.1", "6.0.2"),
    "requests": ("2.31.0", "2.32.3"), "six": ("1.16.0", "1.17.0"), "urllib3": ("2.2.1", "2.2.3"),
}  # fmt: skip
COLD_SECONDS = 60.0
WARM_SECONDS = 3.0


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with real_machine(tmp_path) as made:
        yield made


def fetched(machine: Machine, text: str) -> str:
    """Fill the machine's cache with a package; its digest."""
    tools, cache = toolchain.find().toolchain, Cache(machine.cache / "baitbox")
    target, registries = Target.parse(text), registry_settings()
    return fetch.resolve(target, registries, cache, tags=tools.tags, python_version=tools.python_version).digest


def gate(machine: Machine, repository: Repository) -> tuple[Ended, float]:
    """The gate's end and how long it took, less what a busy machine takes from it."""
    busy = max(1.0, os.getloadavg()[0] / (psutil.cpu_count() or 1))
    began = time.monotonic()
    ended = machine.run(
        "gate", "--base", "HEAD~1", "--head", "HEAD", "--format", "json",
        wrapped=("env", "-C", str(repository.root)), timeout=570,
    )  # fmt: skip
    return ended, (time.monotonic() - began) / busy


def check(machine: Machine, repository: Repository, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate with a warm cache and a cold store, then with a warm store."""
    cold, cold_seconds = gate(machine, repository)
    warm, warm_seconds = gate(machine, repository)
    with capsys.disabled():
        print(f"\n{count} packages: {cold_seconds:.1f} s with a cold store, {warm_seconds:.1f} s with a warm one")
    for ended in (cold, warm):
        assert ended.code == 0, (ended.stderr, ended.stdout)
        report = json.loads(ended.stdout)
        assert len(report["packages"]) == count
        assert {one["verdict"] for one in report["packages"]} == {"clean"}
        assert all(one["origins"][0]["reason"] == "changed" for one in report["packages"])
    assert cold_seconds < COLD_SECONDS
    assert warm_seconds < WARM_SECONDS


def test_fifteen_packages_of_npm(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = Repository(machine.root / "shop")
    for which in (0, 1):
        wanted = {name: versions[which] for name, versions in NPM.items()}
        repository.commit({"package-lock.json": npm_lock(tmp_path / f"npm-{which}", machine, wanted)})
    for name, (_, version) in NPM.items():
        fetched(machine, f"npm:{name}@{version}")
    check(machine, repository, len(NPM), capsys)


def test_ten_packages_of_pypi(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    repository = Repository(machine.root / "shop")
    for which in (0, 1):
        pinned = [f"{name}=={versions[which]}" for name, versions in PYPI.items()]
        lock = requirements({one: fetched(machine, f"pypi:{one}") for one in pinned})
        repository.commit({"requirements.txt": lock})
    check(machine, repository, len(PYPI), capsys)
