"""Allow-list entries for npm and pnpm: the packages whose install scripts ran here and came out clean, with evidence.

`allowScripts` goes into package.json (npm 11.16 and later; npm 12 blocks what it does not list),
`onlyBuiltDependencies` (pnpm 10.19 and later) or `allowBuilds` (pnpm 11) into pnpm-workspace.yaml. Every entry names
one exact version. There is none for a package that is not clean, did not come from a registry, has no digest, or whose
scripts the recording does not show running: why a package has no entry stands in `leftOut`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from sandbox.events import Recording
from sandbox.facts import Facts, gather
from sandbox.lineage import Process
from sandbox.report import PackageReport, Report
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import identity
from sandbox.reporters._texts import as_json, plain

_NAME = re.compile(r"(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_REGISTRY = ("npm:", "pkg:npm/")
_NO_SCRIPT = "no recording shows an install script of its own"
_NO_RECORDING = "no recording is at hand that could tell its scripts from others"
_MANY = 20


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,
) -> str:
    """One JSON object: the entries as each tool wants them, the evidence of each, and who has none and why."""
    evidence: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    sharing = Counter(
        (name, identity(package).name) for package in report.packages for name in set(package.recordings)
    )
    for package in report.packages:
        problem = _problem(package)
        ran: dict[str, list[str]] = {}
        for name in () if problem else package.recordings:
            recording = (recordings or {}).get(name)
            if recording is not None and sharing[name, identity(package).name] == 1:
                ran[name] = _scripts(recording, identity(package).name)
        if not problem and not any(ran.values()):
            problem = _NO_SCRIPT if ran else _NO_RECORDING
        if problem:
            left_out[plain(package.purl or package.target, 400)] = problem
        else:
            who = identity(package)
            evidence[f"{who.name}@{who.version}"] = _evidence(package, ran)
    # A version that was looked at twice must have come out clean both times.
    refused = {f"{who.name}@{who.version}" for who in map(identity, filter(_not_clean, report.packages))}
    keys = sorted(set(evidence) - refused)
    document = {
        "allowScripts": dict.fromkeys(keys, True),
        "onlyBuiltDependencies": keys,
        "allowBuilds": dict.fromkeys(keys, True),
        "evidence": {key: evidence[key] for key in keys},
        "leftOut": dict(sorted(left_out.items())),
    }
    return as_json(document)


def _not_clean(package: PackageReport) -> bool:
    return package.verdict != "clean"


def _problem(package: PackageReport) -> str:
    """Why a package can have no entry, whatever its scripts did; empty where it may."""
    who = identity(package)
    if not who.name:
        return "it was not checked"
    if who.ecosystem != "npm":
        return "not an npm package"
    if _not_clean(package) or package.findings or package.coverage.missing:
        return f"its verdict is {package.verdict}"
    if not package.target.startswith(_REGISTRY):
        return "not from a registry: an entry would speak of another package of that name"
    if not package.digest:
        return "its digest is not known"
    if not _NAME.fullmatch(who.name) or not _VERSION.fullmatch(who.version):
        return "its name or version is none that an entry can hold"
    return ""


def _scripts(recording: Recording, name: str) -> list[str]:
    """The lifecycle scripts of `name` that the package manager started during an installation."""
    facts = gather(recording)
    found = [
        " ".join(program.argv[2:]) if program.argv[1:2] == ["-c"] else " ".join(program.argv)
        for process in facts.table.processes.values()
        for program in [program for program in process.programs if not program.forked][:1]
        if _is_lifecycle(facts, process, name)
    ]
    return list(dict.fromkeys(plain(script, 200) for script in found))[:_MANY]


def _is_lifecycle(facts: Facts, process: Process, name: str) -> bool:
    """Whether a process is a package's own, and the package manager made it."""
    maker = process.parent
    by_manager = maker is not None and maker.actor.role == "installer"
    own = process.actor.role == "package" and process.actor.package == name
    return by_manager and own and facts.kind(process.phase) == "install"


def _evidence(package: PackageReport, ran: dict[str, list[str]]) -> dict[str, Any]:
    scripts = dict.fromkeys(script for scripts in ran.values() for script in scripts)
    return {
        "purl": package.purl,
        "digest": package.digest,
        "version": identity(package).version,
        "verdict": package.verdict,
        "scripts": list(scripts),
        "phases": [
            {"name": phase.name, "persona": phase.persona, "status": phase.status} for phase in package.coverage.phases
        ],
        "provenance": package.provenance.status,
        "stored": package.stored,
        "recordings": list(ran),
    }


REPORTER = Reporter("allow-list entries for npm and pnpm", render, "application/json", recorded=True)
