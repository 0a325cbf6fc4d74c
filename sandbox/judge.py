"""From a recording to a package's report: facts, deviations, what each rule makes of them, and what was not seen.

Pure and fail-closed: a phase that did not run, a sensor or a record that was lost, a rule that raised, or nothing
to judge by, and the verdict is never clean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec

from sandbox import printed
from sandbox.deviations import Judged
from sandbox.events import NOT_LOADED, Header, PhaseEnded, PlannedPhase, Recording
from sandbox.facts import Facts, gather
from sandbox.plaintext import shorten
from sandbox.profiles import Expectations, Profiles
from sandbox.report import Coverage, Finding, PackageReport, PhaseCoverage, Verdict
from sandbox.rules import MANY, Case, Rule

_SEVERITIES = ("critical", "high", "medium", "low", "info")
_CONFIDENCES = ("high", "medium", "low")
_MOST_EXPECTED = 100


def judge(recording: Recording, profiles: Profiles, rules: Mapping[str, Rule]) -> PackageReport:
    """Judge one recording. Raises nothing but ValueError, whatever the guest did."""
    header = recording.header
    facts = gather(recording)
    expectations = profiles.for_recording(header)
    case = Case(facts, Judged(facts, expectations))
    findings, failed = ask(case, rules)
    phases, missing, allowed = _coverage(facts, expectations)
    missing = [*without_means(header, profiles, rules), *failed, *missing]
    missing += unserved(case.judged) if missing else ()
    return PackageReport(
        purl=purl(header),
        target=header.target,
        digest=header.digest,
        verdict=verdict(findings, missing),
        findings=findings,
        expected=(*allowed, *_expected(expectations)),
        coverage=Coverage(
            personas=(header.persona,) if header.persona else (),
            phases=tuple(phases),
            sensors=tuple(sorted(facts.sensors)),
            not_exercised=tuple(dict.fromkeys(text for plan in facts.plans for text in plan.not_exercised)),
            missing=tuple(dict.fromkeys(missing)),
        ),
    )


def purl(header: Header) -> str:
    """The package URL of what was recorded."""
    kind, name = header.ecosystem, header.package
    path = quote(name, safe="/") if kind == "npm" else quote(name.lower().replace("_", "-"), safe="")
    version = f"@{quote(header.version, safe='')}" if header.version else ""
    return f"pkg:{kind}/{path}{version}"


def ask(case: Case, rules: Mapping[str, Rule]) -> tuple[tuple[Finding, ...], list[str]]:
    """Every rule's findings, worst first, and the rules that failed. One bad rule does not silence the others."""
    findings: list[Finding] = []
    failed: list[str] = []
    for name, rule in rules.items():
        try:
            findings += list(rule.check(case.under(name, rule)))
        except Exception as error:
            failed.append(f"the rule {name} failed: {type(error).__name__}: {shorten(str(error), 100)}")
    return tuple(sorted(merged(findings), key=order)), failed


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """At most one finding for each rule, verdict, package and phase; evidence of equal ones is put together."""
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        key = (finding.rule, finding.verdict, finding.package, finding.phase)
        groups.setdefault(key, []).append(finding)
    return [_join(group) if len(group) > 1 else group[0] for group in groups.values()]


def _join(group: list[Finding]) -> Finding:
    first = min(group, key=order)
    evidence = {item.line: item for finding in group for item in finding.evidence}
    others = len({finding.title for finding in group}) - 1
    return msgspec.structs.replace(
        first,
        title=first.title + (f" (and {others} more like it)" if others else ""),
        decoys=tuple(dict.fromkeys(decoy for finding in group for decoy in finding.decoys)),
        ways_out=tuple(dict.fromkeys(way for finding in group for way in finding.ways_out))[:MANY],
        evidence=tuple(evidence[line] for line in sorted(evidence))[:MANY],
    )


def order(finding: Finding) -> tuple[int, int, int, str, int, str]:
    line = finding.evidence[0].line if finding.evidence else 0
    return (
        0 if finding.verdict == "malicious" else 1,
        _SEVERITIES.index(finding.severity),
        _CONFIDENCES.index(finding.confidence),
        finding.rule,
        line,
        finding.package,
    )


def verdict(findings: Iterable[Finding], missing: list[str]) -> Verdict:
    """A finding outranks what was missed; what was missed is never clean."""
    verdicts = {finding.verdict for finding in findings}
    if "malicious" in verdicts:
        return "malicious"
    if "suspicious" in verdicts:
        return "suspicious"
    return "inconclusive" if missing else "clean"


def _expected(expectations: Expectations) -> Iterator[str]:
    """What profiles explained beyond the everyday."""
    lines = [f"{entry.source}: {shorten(subject, 100)}: {entry.why}" for entry, subject in expectations.used.items()]
    yield from sorted(lines)[:_MOST_EXPECTED]


def without_means(header: Header, profiles: Profiles, rules: Mapping[str, Rule]) -> Iterator[str]:
    """What a judge cannot do without."""
    if not rules:
        yield "there were no rules to judge by"
    if not len(profiles):
        yield "there were no profiles to judge by"
    elif profiles.ecosystem != header.ecosystem:
        yield f"the profiles are for {profiles.ecosystem}, the recording is of {header.ecosystem}"
    if not header.planted:
        yield "no bait was planted"
    if not header.sensors:
        yield "no sensor was planned"
    if not any(phase.kind == "install" for phase in header.phases):
        yield "no installation was planned"


def _coverage(facts: Facts, expectations: Expectations) -> tuple[list[PhaseCoverage], list[str], list[str]]:
    """How each planned phase went; why the verdict cannot be clean, one sentence each; and which imports raised that
    may, each with the reason that its package's profile gives."""
    started = {start.phase for start in facts.phase_starts}
    phases: list[PhaseCoverage] = []
    missing: list[str] = []
    allowed: list[str] = []
    groups: dict[str, list[bool]] = {}
    for planned in facts.planned:
        if planned.fallback and planned.name not in started:
            if planned.either:
                groups.setdefault(planned.either, [])
            continue  # no need of it, or what it stands in for says what went wrong
        end = facts.phase_ends.get(planned.name)
        coverage, counts = phase(planned, planned.name in started, end, facts.header.persona)
        phases.append(coverage)
        why = expectations.why_it_may_fail(planned.name) if _raised(planned, end) else ""
        if why:
            allowed.append(why)
        if planned.either:
            groups.setdefault(planned.either, []).append(coverage.status == "ran" or bool(why))
        elif not counts and not why:
            missing.append(f"the phase {shorten(planned.name, 100)} {coverage.detail}{_quoted(facts, planned.name)}")
    for name, results in groups.items():
        if not any(results):
            missing.append(_unsuccessful(facts, name))
    if not facts.plans:
        missing.append("what to run after the installation was never planned")
    return phases, [*missing, *lost(facts)], allowed[:_MOST_EXPECTED]


def _unsuccessful(facts: Facts, name: str) -> str:
    """Of a group of imports of which none succeeded: that it went on for too long, or what the first one printed."""
    planned = [one for one in facts.planned if one.either == name]
    group = [one.name for one in planned if not one.fallback or one.name in facts.phase_ends]
    ends = [facts.phase_ends[phase] for phase in group if phase in facts.phase_ends]
    busy = max((end.seconds for end in ends if end.status == "timeout"), default=0.0)
    if busy:
        return f"{shorten(name, 100)} was still busy at its limit of {busy:.0f} s"
    said = _quoted(facts, group[0]) if group else ""
    return f"none of the {len(group)} ways to {shorten(name, 100)} succeeded{said}"


def _quoted(facts: Facts, phase: str) -> str:
    """What a phase printed about its failure, to stand after it."""
    said = printed.told(facts, phase)
    return f"; it printed: {said}" if said else ""


def _raised(planned: PlannedPhase, end: PhaseEnded | None) -> bool:
    """Whether an import came to an end of its own and was not loaded."""
    return planned.kind == "import" and end is not None and end.status == "exited" and end.code == NOT_LOADED


def unserved(judged: Judged) -> Iterator[str]:
    """What a package's own sheet expects to be fetched and no guest is given: why something else may have failed."""
    hosts: dict[str, list[str]] = {}
    for deed, entry in judged.explained:
        fetches = deed.verb == "request" and entry.is_own and not entry.expectation.methods
        if fetches and deed.event.answered_by in ("absent", "empty"):
            hosts.setdefault(deed.actor.package, []).append(urlsplit(deed.subject).hostname or "")
    for package, names in hosts.items():
        places = ", ".join(list(dict.fromkeys(names))[:4])
        yield f"{shorten(package, 100)} fetches files from {shorten(places, 160)}, which guests cannot reach"


def lost(facts: Facts) -> Iterator[str]:
    """What sensors, and the recording itself, do not hold."""
    for name in facts.header.sensors:
        if name not in facts.sensors:
            yield f"the sensor {shorten(name, 60)} did not start"
    for lost in facts.lost:
        if lost.sensor == "registry":
            yield f"a registry did not give out all that it was asked for: {shorten(lost.reason, 160)}"
            continue
        count = f"{lost.count} records" if lost.count else "an unknown number of records"
        yield f"the sensor {shorten(lost.sensor, 60)} lost {count}: {shorten(lost.reason, 160)}"
    if facts.ended is None:
        yield "the recording was cut before the guest's end"
        return
    for tag, expected in facts.ended.counts.items():
        if facts.counts[tag] < expected:
            yield f"the recording holds {facts.counts[tag]} of {expected} {shorten(tag, 40)} events"


def phase(planned: PlannedPhase, started: bool, end: PhaseEnded | None, persona: str) -> tuple[PhaseCoverage, bool]:
    """How a phase went, and whether it counts as run. A command that is not required may exit as it likes (an import
    is only planned so for a reason that `not_exercised` says), but not be killed, fail to start, or be stopped where
    it should have come to an end."""
    status: Literal["ran", "failed", "timeout", "skipped"]
    seconds = 0.0 if end is None else end.seconds
    if end is None:
        status, counts, detail = ("failed", False, "was cut") if started else ("skipped", False, "did not run")
    elif end.status == "exited":
        # A module that ends its process has been loaded: only the loader's own code says that it was not.
        fine = end.code != NOT_LOADED if planned.kind == "import" else end.code == 0
        fine = end.code == planned.complete if planned.complete else fine
        counts = fine or not planned.required
        status = "ran" if fine or (counts and planned.kind != "import") else "failed"
        detail = f"exited with {end.code}" if end.code != planned.complete else ""
        if planned.complete and not fine and end.code != NOT_LOADED:
            detail = "ended before it had tried everything"
        if _raised(planned, end):
            detail = "raised, and was not loaded" if planned.required or planned.either else "raised, as it may"
    elif end.status == "timeout":
        counts = planned.open_ended
        status, detail = "timeout", f"was stopped at its limit of {end.seconds:.0f} s"
    else:
        status, counts = "failed", False
        detail = f"was killed by signal {end.signal}" if end.status == "killed" else "could not be started"
    if end is not None and end.reason:
        detail += f": {shorten(end.reason, 160)}"
    coverage = PhaseCoverage(name=planned.name, persona=persona, status=status, seconds=seconds, detail=detail)
    return coverage, counts
