"""A real lockfile of about 250 packages with thieves planted in it: they are named, and nobody else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.registries import registry_settings
from tests import locks
from tests.integration.command_line import Machine, npm_lock, real_machine
from tests.integration.scanned import verdicts
from tests.packages import build
from tests.packages.companies import steal
from tests.packages.registry import Registry

pytestmark = [pytest.mark.together, pytest.mark.native, pytest.mark.registry, pytest.mark.slow]

HONEST = {"axios": "1.7.9", "chalk": "4.1.2", "eslint": "8.57.1", "express": "4.21.2", "webpack": "5.97.1"}
PUBLISHED = "2025-06-01"
"""What came later is not locked, so that the packages are the same on every day."""
FLOOR = 240


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with real_machine(tmp_path) as made:
        yield made


def test_thieves_among_hundreds_of_packages(machine: Machine, tmp_path: Path) -> None:
    """One by a script, one when it is loaded, both from a registry of their own scope."""
    thieves = [
        build.npm(tmp_path, "@planted/grid-lines", {"index.js": "", "setup.js": steal("in.grid-metrics.test")},
                  scripts={"postinstall": "node setup.js"}),
        build.npm(tmp_path, "@planted/cell-format", {"index.js": steal("in.late-cells.test", ".npmrc")}),
    ]  # fmt: skip
    lock = json.loads(npm_lock(tmp_path / "locked", machine, HONEST, f"--before={PUBLISHED}"))
    for archive, name in zip(thieves, ("@planted/grid-lines", "@planted/cell-format"), strict=True):
        lock["packages"][f"node_modules/{name}"] = locks.package("1.0.0", archive.read_bytes())
        lock["packages"][""]["dependencies"][name] = "1.0.0"
    path = machine.root / "package-lock.json"
    path.write_text(json.dumps(lock))
    npm = registry_settings().npm
    assert npm is not None
    with Registry(thieves, host="packages.test") as registry:
        own = {
            "npm_config_@planted:registry": registry.npm_url,
            "http_proxy": registry.own_url,
            "no_proxy": f"{machine.environment.get('no_proxy', '')},{npm.host.partition(':')[0]}",
        }
        ended = machine.run("scan", "--format", "json", "--quiet", str(path), timeout=600, **own)
    found = verdicts(ended.stdout)
    assert len(found) > FLOOR
    assert ended.code == 11, ended.stderr
    named = {purl: verdict for purl, (verdict, _) in found.items() if verdict != "clean"}
    assert named == {
        "pkg:npm/%40planted/grid-lines@1.0.0": "malicious",
        "pkg:npm/%40planted/cell-format@1.0.0": "malicious",
    }
