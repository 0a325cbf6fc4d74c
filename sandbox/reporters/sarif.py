"""The report as SARIF 2.1.0, for code scanning and other viewers of results.

A finding points at the line of the lockfile that brought the package in; a target without a lockfile has a logical
location only. Not to be called clean is a result too, and so is each note on a lockfile. Fingerprints hold what a
result is about (rule, package, version, phase, file) and nothing that differs from run to run.
"""

from __future__ import annotations

import hashlib
import inspect
import posixpath
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox import digest_moved, discovery
from sandbox.report import Confidence, Evidence, Finding, Note, Origin, PackageReport, Report, Severity
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import (
    compared,
    counts,
    how_direct,
    not_checked,
    novelty,
    reason,
    shown,
    worst_first,
)
from sandbox.reporters._texts import as_json, percent_encoded, plain
from sandbox.rules import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 25_000
"""What GitHub takes of a run; it shows the first 5,000 of them."""

_MOST_TAGS = 20
_MOST_LOCATIONS = 10
_SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
_CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "low")
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.5"}
_VERDICT_RULES = {
    "inconclusive": "not everything could be looked at",
    "malicious": "judged malicious, and no finding says why",
    "suspicious": "judged suspicious, and no finding says why",
}
_NOTE_RULE = "lockfile_note"

Json = dict[str, Any]


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,  # noqa: ARG001
) -> str:
    """One run. Results stand worst first, because viewers show the first so many."""
    rules = _Rules()
    results = [
        result for package in worst_first(report.packages) for result in _of_package(package, rules)
    ] + [_of_note(note, rules) for note in report.notes]  # fmt: skip
    left_out = len(results) - MOST_RESULTS
    driver = {
        "name": "baitbox", "version": report.tool.version or "0", "rules": rules.descriptors(),
        "fullName": "baitbox: what packages do when they are installed",
    }  # fmt: skip
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "baitbox/"},
        "invocations": [_invocation(report, left_out)],
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The folder that the lockfiles are named from."}}},
        "columnKind": "unicodeCodePoints",
        "results": results[:MOST_RESULTS],
        "properties": {"verdict": report.verdict, "backend": plain(report.tool.backend, 40), "counts": counts(report)},
    }
    return as_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _invocation(report: Report, left_out: int) -> Json:
    """Whether every package could be run at all; what could not be is said."""
    failed = [package for package in report.packages if not_checked(package)]
    said = [f"{shown(package)}: {'; '.join(package.coverage.missing)}" for package in failed[:100]]
    if left_out > 0:
        said.append(f"{left_out} more results are left out")
    notifications = [{"level": "error", "message": _message(text)} for text in said]
    return {"executionSuccessful": not failed, "toolExecutionNotifications": notifications}


class _Rules:
    """The rules that results refer to, each described once, in the order of their first result."""

    def __init__(self) -> None:
        self._known: dict[str, Rule] = discovery.load("rules", "RULE")
        self._findings: dict[str, list[Finding]] = {}
        self._titles: dict[str, str] = {}

    def of(self, finding: Finding) -> Json:
        """How a finding's result names its rule."""
        self._findings.setdefault(finding.rule, []).append(finding)
        return self.named(finding.rule, finding.title)

    def named(self, name: str, title: str) -> Json:
        """How a result names a rule."""
        self._titles.setdefault(name, title)
        return {"ruleId": plain(name, 100), "ruleIndex": list(self._titles).index(name)}

    def descriptors(self) -> list[Json]:
        """All that were named."""
        return [self._descriptor(name, title) for name, title in self._titles.items()]

    def _descriptor(self, name: str, title: str) -> Json:
        rule, findings = self._known.get(name), self._findings.get(name, [])
        short, manual = (rule.title, _manual(f"rules.{name}")) if rule is not None else (title, "")
        if name == digest_moved.RULE:  # read from lockfiles, so no rule over recordings
            short, manual = digest_moved.TITLE, _manual("digest_moved")
        properties: Json = {"tags": _tags(rule, findings)}
        if findings:
            severity = min((finding.severity for finding in findings), key=_SEVERITIES.index)
            properties["precision"] = min((finding.confidence for finding in findings), key=_CONFIDENCES.index)
            if severity in _SCORES:
                properties["security-severity"] = _SCORES[severity]
        else:
            properties["problem.severity"] = "recommendation" if name == _NOTE_RULE else "warning"
        return {
            "id": plain(name, 100), "shortDescription": _message(short, 200),
            "fullDescription": _message(manual.split("\n\n")[0] or short, 1000),
            "help": {**_message(manual or short, 3000, lines=True), **({"markdown": manual} if manual else {})},
            "properties": properties,
        }  # fmt: skip


def _manual(name: str) -> str:
    """A rule's docstring, which is its manual page."""
    module = sys.modules.get(f"sandbox.{name}")
    return inspect.cleandoc(module.__doc__ or "") if module is not None else ""


def _tags(rule: Rule | None, findings: Sequence[Finding]) -> list[str]:
    techniques = [*(rule.attack if rule is not None else ()), *(one for finding in findings for one in finding.attack)]
    tags = ["security", "supply-chain", *(plain(one, 60) for one in techniques)] if findings else ["supply-chain"]
    return list(dict.fromkeys(tags))[:_MOST_TAGS]


def _of_package(package: PackageReport, rules: _Rules) -> Iterator[Json]:
    """A result for each finding, and one for what was not looked at."""
    for finding in package.findings:
        level = "error" if finding.verdict == "malicious" else "warning"
        about = (finding.rule, finding.package, finding.phase, finding.verdict)
        text = f"{shown(package)} is {package.verdict}: {finding.title}."
        by = f" By {finding.package or 'an unknown package'} in {finding.phase or 'no phase'}{_because(package)}."
        first = f" {novelty(finding).capitalize()}." if finding.novelty else ""
        first += "".join(f" {_evidence(item)}." for item in finding.evidence[:3])
        yield {
            **rules.of(finding), "level": level, "message": _message(text + by + first, 1500),
            **_where(package, about), **_baseline(finding),
            "properties": {**_properties(package), **_finding_properties(finding)},
        }  # fmt: skip
    if package.coverage.missing or (package.verdict != "clean" and not package.findings):
        name = package.verdict if not package.coverage.missing else "inconclusive"
        missing = "; ".join(package.coverage.missing[:20]) or "nothing says why"
        text = f"{shown(package)}: {_VERDICT_RULES[name]}: {missing}{_because(package)}."
        yield {
            **rules.named(name, _VERDICT_RULES[name]), "level": _level(package), "message": _message(text, 1500),
            **_where(package, (name,)), "properties": _properties(package),
        }  # fmt: skip


def _baseline(finding: Finding) -> Json:
    """Beside the version before. Viewers may hide what is unchanged, so nothing malicious is ever called that."""
    if finding.novelty == "known" and finding.verdict != "malicious":
        return {"baselineState": "unchanged"}
    return {"baselineState": "new"} if finding.novelty == "new" else {}


def _evidence(item: Evidence) -> str:
    when = f"{item.at:.3f} s: " if item.line else ""  # of a lockfile, there is no moment
    return when + plain(item.text, 200)


def _level(package: PackageReport) -> str:
    if package.verdict == "malicious" and not package.findings:
        return "error"
    return "note" if package.findings else "warning"


def _of_note(note: Note, rules: _Rules) -> Json:
    result: Json = {**rules.named(_NOTE_RULE, "a note on a lockfile"), "level": "note", "message": _message(note.text)}
    if note.file:
        result["locations"] = [{"physicalLocation": _physical(note.file, note.line)}]
    result["partialFingerprints"] = _fingerprints((_NOTE_RULE, note.file, note.text))
    return result


def _because(package: PackageReport) -> str:
    if not package.origins:
        return ""
    return f" ({', '.join(filter(None, (how_direct(package), reason(package.origins[0]))))})"


def _where(package: PackageReport, about: Sequence[str]) -> Json:
    """The lines of the lockfiles, or the package's name alone; and what tells this result from others."""
    logical = [{
        "name": plain(shown(package), 214), "fullyQualifiedName": plain(package.purl or shown(package), 400),
        "kind": "module",
    }]  # fmt: skip
    locations: list[Json] = [
        {"physicalLocation": _physical(origin.file, origin.line), "logicalLocations": logical}
        for origin in _origins(package)
    ]
    files = [origin.file for origin in _origins(package)[:1]]
    return {
        "locations": locations or [{"logicalLocations": logical}],
        "partialFingerprints": _fingerprints((package.purl or package.target, *about, *files)),
    }


def _origins(package: PackageReport) -> list[Origin]:
    return [origin for origin in package.origins if origin.file][:_MOST_LOCATIONS]


def _physical(file: str, line: int) -> Json:
    """A place in a file. GitHub wants a line, so one that is not known is the first."""
    if file.startswith("/"):
        location: Json = {"uri": f"file:///{percent_encoded(posixpath.normpath(file).lstrip('/'))}"}
    else:
        location = {"uri": percent_encoded(posixpath.normpath(file)), "uriBaseId": "SRCROOT"}
    return {"artifactLocation": location, "region": {"startLine": max(line, 1)}}


def _fingerprints(parts: Sequence[str]) -> dict[str, str]:
    """The second is the name that GitHub goes by."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()
    return {"baitboxResult/v1": digest, "primaryLocationLineHash": f"{digest[:16]}:1"}


def _properties(package: PackageReport) -> Json:
    """What identifies the package; and where its recordings are."""
    return {
        "purl": plain(package.purl, 400), "digest": plain(package.digest, 200), "verdict": package.verdict,
        "target": plain(package.target, 400), "stored": plain(package.stored, 40),
        "recordings": [plain(path, 400) for path in package.recordings[:20]],
        **({"compared": [plain(text, 400) for text in compared(package)]} if package.previous else {}),
    }  # fmt: skip


def _finding_properties(finding: Finding) -> Json:
    return {
        **({"novelty": finding.novelty} if finding.novelty else {}),
        "findingVerdict": finding.verdict, "severity": finding.severity, "confidence": finding.confidence,
        "package": plain(finding.package, 214), "phase": plain(finding.phase, 100),
        "attack": [plain(one, 60) for one in finding.attack], "decoys": [plain(one, 100) for one in finding.decoys],
        "waysOut": [plain(one, 200) for one in finding.ways_out],
        "evidence": [
            {
                "seconds": item.at, "phase": plain(item.phase, 100), "process": item.process, "text": plain(item.text),
                "program": plain(item.program), "line": item.line,
            }
            for item in finding.evidence
        ],
    }  # fmt: skip


def _message(text: str, limit: int = 600, *, lines: bool = False) -> dict[str, str]:
    """A message without links or placeholders: the standard has both in plain text too."""
    parts = text.split("\n") if lines else [text]
    return {"text": "\n".join(_escaped(plain(part, limit)) for part in parts) or "(nothing)"}


def _escaped(text: str) -> str:
    return text.replace("](", "] (").replace("{", "{{").replace("}", "}}")


REPORTER = Reporter("SARIF 2.1.0 for code scanning", render, "application/sarif+json")
