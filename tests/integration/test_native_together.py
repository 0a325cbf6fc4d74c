"""Whole lockfiles in real guests: each thief is named, and nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import scan
from sandbox.settings import Settings
from tests import locks
from tests.integration.conftest import REGISTRY, point_at
from tests.packages.companies import COMPANIES, Company
from tests.packages.registry import Registry


class Silent:
    """Shows nothing."""

    def step(self, text: str) -> None:
        """Ignored."""


def lockfile(company: Company, archives: list[Path], folder: Path) -> Path:
    """A lockfile of these archives, in their order."""
    found: dict[str, bytes] = {}
    for path in archives:
        name, _, rest = path.name.partition("-1.0.0")
        del rest
        found[name] = path.read_bytes()
    if company.ecosystem == "npm":
        packages = {name: locks.package("1.0.0", content) for name, content in found.items()}
        path = folder / "package-lock.json"
        path.write_text(locks.npm_lock(packages, dict.fromkeys(found, "1.0.0")), encoding="utf-8")
    else:
        path = folder / "requirements.txt"
        pinned = {f"{name.replace('_', '-')}==1.0.0": content for name, content in found.items()}
        path.write_text(locks.requirements(pinned), encoding="utf-8")
    return path


@pytest.mark.native
@pytest.mark.together
@pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.name)
def test_each_thief_is_named_and_nobody_else(company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    archives = list(company.build(folder))
    lock = lockfile(company, archives, tmp_path)
    settings = Settings(
        backend="native", cache=tmp_path / "cache", store=tmp_path / "store", jobs=1, keep=tmp_path / "kept"
    )
    with Registry(archives, host=REGISTRY) as registry:
        point_at(registry, monkeypatch)
        outcome = scan.scan([str(lock)], settings, Silent())
    found = {one.purl.partition("/")[2].partition("@")[0]: one for one in outcome.report.packages}
    told = {name: (one.verdict, [finding.title for finding in one.findings]) for name, one in found.items()}
    assert len(found) == len(archives), told
    for name, one in found.items():
        if name in company.guilty:
            assert one.verdict in company.guilty[name], told
            assert all(finding.package == name for finding in one.findings), told
        else:
            assert not one.findings, told
            assert one.verdict == "clean" or name in company.unclear, (told, one.coverage.missing)
