"""What several formats say of a package: its name, why it was looked at, its findings told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from packageurl import PackageURL

from sandbox.report import WORST_FIRST, Finding, Origin, PackageReport, Report, Verdict

Alike = tuple[Finding, list[str]]
"""A finding, and every phase that it was made in."""


class Identity(msgspec.Struct, frozen=True):
    """Which package, as its purl says; all empty where it is none that we can read."""

    ecosystem: str = ""
    name: str = ""
    version: str = ""


def identity(package: PackageReport) -> Identity:
    """The package that a report is about."""
    try:
        purl = PackageURL.from_string(package.purl)
    except ValueError:
        return Identity()
    name = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
    return Identity(purl.type, name, purl.version or "")


def shown(package: PackageReport) -> str:
    """A package as a person writes it, with its exact version where that is known."""
    who = identity(package)
    if not who.name:
        return package.target or package.purl or "(no package)"
    return f"{who.ecosystem}:{who.name}" + (f"@{who.version}" if who.version else "")


def not_checked(package: PackageReport) -> bool:
    """Whether the package was not run at all: it was not found, or cannot be run here."""
    return not package.purl or any(text.startswith("not checked: ") for text in package.coverage.missing)


def worst_first(packages: Iterable[PackageReport]) -> list[PackageReport]:
    """Packages by verdict; within one, in the order of the report."""
    return sorted(packages, key=lambda package: WORST_FIRST.index(package.verdict))


def counts(report: Report) -> str:
    """`1 malicious, 2 clean`, worst first; what there is none of is not said."""
    found: Counter[Verdict] = Counter(package.verdict for package in report.packages)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in WORST_FIRST if found[verdict]) or "no packages"


def reason(origin: Origin) -> str:
    """Why a lockfile's entry is looked at, without the place."""
    if origin.reason == "moved":
        return "another digest for the same version"
    if origin.reason == "changed":
        return f"changed from {origin.previous}" if origin.previous else "changed"
    return origin.reason


def place(file: str, line: int) -> str:
    """`package-lock.json:12`; empty where there is no file."""
    return f"{file}:{line}" if file and line else file


def how_direct(package: PackageReport) -> str:
    """`direct` or `transitive`, by what the lockfiles say; empty where none names it, and for what is a lockfile
    itself."""
    if all(origin.file == package.target for origin in package.origins):
        return ""
    return "direct" if any(origin.direct for origin in package.origins) else "transitive"


def novelty(finding: Finding) -> str:
    """What to say of a finding beside the version before the change; empty where nothing was compared."""
    if finding.novelty == "known":
        excuse = ", which excuses nothing" if finding.verdict == "malicious" else ""
        return f"known: the version before did the same{excuse}"
    return "new: the version before did not do the same" if finding.novelty else ""


def compared(package: PackageReport) -> Iterator[str]:
    """What came of the comparison with the version before the change, a line each, the first of which says whether
    there was one. Hostile."""
    previous = package.previous
    if previous is None:
        return
    version = previous.version or "the version before"
    if previous.problem:
        yield f"not compared with {version}, so nothing is called known: {previous.problem}"
        return
    stored = f", run at {previous.stored}" if previous.stored else ""
    counted = Counter(finding.novelty for finding, _ in alike(package.findings))
    figures = f"findings: {counted['new']} new, {counted['known']} known"
    yield f"compared with {version} ({previous.verdict}{stored}): {figures}"
    yield from (f"new behaviour: {text}" for text in previous.new)
    if previous.more:
        yield f"and {previous.more} more that are new (`baitbox diff` lists them)"
    yield from (f"not seen of {version}, so what is called new may not be: {text}" for text in previous.missing)


def alike(findings: Iterable[Finding]) -> list[Alike]:
    """Findings that differ only in the phase, as the first of them and the phases. The JSON report has them all."""
    groups: dict[tuple[str, str, str, str, str], Alike] = {}
    for finding in findings:
        key = (finding.verdict, finding.rule, finding.title, finding.package, finding.novelty)
        groups.setdefault(key, (finding, []))[1].append(finding.phase or "no phase")
    return list(groups.values())
