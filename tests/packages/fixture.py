"""What a fixture is: how its package is built, and what a check of it must conclude."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from sandbox.report import PackageReport, Verdict

NOT_CLEAN: tuple[Verdict, ...] = ("malicious", "suspicious", "inconclusive")


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A fixture's package on the host's disk, and what its guest needs besides."""

    target: Path
    """The archive, or the package folder, to check."""
    uploads: tuple[tuple[str, bytes], ...] = ()
    """Files that must stand in the guest before the installation: absolute guest path, content."""
    served: dict[str, bytes] = {}
    """What the played internet answers to a GET of these URLs."""
    archives: tuple[Path, ...] = ()
    """Packages that the loopback registry must offer (see `registry.Registry`)."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a check must say. Except for `verdicts`, all of it must hold for one and the same finding."""

    verdicts: tuple[Verdict, ...] = ("malicious",)
    rules: tuple[str, ...] = ()
    """The finding's rule is one of these."""
    decoys: tuple[str, ...] = ()
    """The finding names every one of these."""
    ways_out: tuple[str, ...] = ()
    """Each of these stands in one of the finding's ways out."""
    package: str = ""
    """The finding's package is this name, with or without a version."""
    phase: str = ""
    """The finding's phase begins so."""

    def complaint(self, report: PackageReport) -> str:
        """Why `report` is not what was expected; empty where it is."""
        if report.verdict not in self.verdicts:
            return f"verdict {report.verdict}, not {' or '.join(self.verdicts)}: {_told(report)}"
        if not (self.rules or self.decoys or self.ways_out or self.package or self.phase):
            return ""
        for finding in report.findings:
            if (
                (not self.rules or finding.rule in self.rules)
                and set(self.decoys) <= set(finding.decoys)
                and all(any(part in way for way in finding.ways_out) for part in self.ways_out)
                and (not self.package or _names(finding.package, self.package))
                and finding.phase.startswith(self.phase)
            ):
                return ""
        return f"no finding is {self}: {_told(report)}"


class Fixture(msgspec.Struct, frozen=True, kw_only=True):
    """One inert package: `name` is the test's id, `package` the name that the package manager knows."""

    name: str
    ecosystem: Literal["npm", "pypi"]
    kind: Literal["thief", "neighbour", "hostile"]
    package: str
    build: Callable[[Path], Built]
    why: str
    expect: Expectation
    profile: str = ""
    """YAML of the package's profile: packages/<ecosystem>/<package>.yaml of a folder of profiles."""
    needs: tuple[Literal["index", "compiler"], ...] = ()
    """`index`: a real package index (the build asks for setuptools). `compiler`: gcc inside the guest."""
    limits: dict[str, int] = {}
    """Bounds (fields of `plan.Limits`) low enough that reaching them costs the host little."""


Check = Callable[[Fixture], PackageReport]
"""Checks a fixture on some backend (a pytest fixture of tests/integration)."""


def _names(given: str, wanted: str) -> bool:
    """True where `given` is the package `wanted`, alone or followed by its version."""
    given, wanted = given.replace("_", "-"), wanted.replace("_", "-")
    return given == wanted or given.startswith((f"{wanted}@", f"{wanted}=="))


def _told(report: PackageReport) -> str:
    """The findings and gaps of a report in one line, for a test's message."""
    findings = [
        f"{item.rule}({item.verdict}, package={item.package}, phase={item.phase}, "
        f"decoys={list(item.decoys)}, ways_out={list(item.ways_out)})"
        for item in report.findings
    ]
    return f"findings {findings}, missing {list(report.coverage.missing)}"
