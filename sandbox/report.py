"""The result document that every reporter takes: verdicts, findings, evidence, coverage. Schema version 1."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["clean", "suspicious", "malicious", "inconclusive"]
Severity = Literal["critical", "high", "medium", "low", "info"]
Confidence = Literal["high", "medium", "low"]

WORST_FIRST: tuple[Verdict, ...] = ("malicious", "suspicious", "inconclusive", "clean")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One thing seen that supports a finding: when, by which process, what. `line` is the event's number in its
    recording (the header is line 1), so that a reader can find it again."""

    at: float
    phase: str
    process: int
    text: str
    line: int = 0
    program: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule concluded. `verdict` is what this finding alone makes of the package."""

    rule: str
    title: str
    severity: Severity
    confidence: Confidence
    verdict: Literal["suspicious", "malicious"]
    package: str = ""
    phase: str = ""
    attack: tuple[str, ...] = ()
    decoys: tuple[str, ...] = ()
    ways_out: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    novelty: Literal["", "new", "known"] = ""
    """Beside the version before the change: `known` where that one gave the same, and did all that this one does there.
    Empty where nothing was compared. It is told, and never changes a verdict."""


class PhaseCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """How one planned phase went: ran, failed, timeout, skipped."""

    name: str
    persona: str
    status: Literal["ran", "failed", "timeout", "skipped"]
    seconds: float = 0.0
    detail: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and what was not. `missing` is why the verdict cannot be clean, one sentence each;
    `not_exercised` is what this tool never looks at for this package (stated, but not held against it)."""

    personas: tuple[str, ...] = ()
    phases: tuple[PhaseCoverage, ...] = ()
    sensors: tuple[str, ...] = ()
    not_exercised: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of where it was built; never changes a verdict."""

    status: Literal["not checked", "unavailable", "absent", "valid", "invalid"] = "not checked"
    detail: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Why a package was looked at: where a lockfile names it, and what changed there. `line` is 1-based, 0 where the
    format has no lines to point at. `reason`: locked (a scan), new, changed (from `previous`), moved (its digest
    changed and its version did not)."""

    file: str
    line: int = 0
    reason: Literal["locked", "new", "changed", "moved"] = "locked"
    previous: str = ""
    direct: bool = False


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """The version before the change, beside which this one was looked at. It is told, and never changes a verdict.
    `problem` is why nothing could be compared: then no finding is called new or known. `missing` is what was not seen
    of it, so that something called new may not be. `new` is what this version does, that one did not, and no profile
    expects, one line each, of which `more` are left out."""

    version: str
    purl: str = ""
    digest: str = ""
    verdict: Literal["", "clean", "suspicious", "malicious", "inconclusive"] = ""
    stored: str = ""
    problem: str = ""
    missing: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    more: int = 0


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a lockfile that the reader must know and that is no package's finding: an entry that cannot be
    run, and why. Never left out of a report."""

    text: str
    file: str = ""
    line: int = 0


class PackageReport(msgspec.Struct, frozen=True, kw_only=True):
    """One package's result."""

    purl: str
    target: str
    digest: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    expected: tuple[str, ...] = ()
    """Profile entries that explained something that was seen, with their `why`."""
    coverage: Coverage = Coverage()
    provenance: Provenance = Provenance()
    recordings: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    """Where lockfiles name it; empty for a target of its own."""
    previous: Previous | None = None
    """What was compared with it; None where nothing was: a new package, a clean one, a target of its own."""
    stored: str = ""
    """When it was run (ISO 8601, UTC) where this is a stored result; empty where it was run now."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Which baitbox judged, and where the guest ran."""

    name: str = "baitbox"
    version: str = ""
    backend: str = ""
    rules: int = 0


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """How one scan came out: when it ended (UTC, as 2026-05-11T03:00:00Z), and how many packages had which verdict."""

    ended: str
    counts: dict[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one invocation found. Its JSON form is the contract of `--format json`. `nights` are the scans of the
    same lockfiles so far, the oldest first and this one last; empty but for a scan that is stored."""

    schema: int = 1
    tool: Tool
    verdict: Verdict
    packages: tuple[PackageReport, ...] = ()
    notes: tuple[Note, ...] = ()
    nights: tuple[Night, ...] = ()
    seconds: float = 0.0


def worst(verdicts: list[Verdict]) -> Verdict:
    """The verdict that counts for several packages; inconclusive where there is none."""
    return min(verdicts, key=WORST_FIRST.index, default="inconclusive")
