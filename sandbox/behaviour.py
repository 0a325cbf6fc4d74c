"""What a package does, in the words of profiles and without the noise of one run; and what differs between versions.

A behaviour is a verb and its subject, who did it (installer, tool, package) and in which kind of phase. Two recordings
of the same thing have the same behaviours. Pure: it reads recordings and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from sandbox import discovery, judge
from sandbox.deviations import Judged
from sandbox.events import Recording
from sandbox.facts import Deed, Facts, gather
from sandbox.judge_batch import judge_batch
from sandbox.noise import Quiet
from sandbox.profiles import Profiles
from sandbox.report import Coverage, Evidence, Finding, PackageReport, Verdict, worst
from sandbox.rules import Case, Rule

VERDICTS: dict[Verdict, str] = {
    "malicious": "the new version hunts secrets, whatever the old one did",
    "suspicious": "the new version does what the old one did not, and no profile expects it",
    "inconclusive": "nothing new was seen, but not everything could be looked at",
    "clean": "the new version does nothing new that no profile expects",
}


class Behaviour(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """One thing that a package does. `by` is the role; `phase` a kind of phase; `method` of requests; `arguments` of
    programs that no profile expects; `decoy` the bait concerned."""

    verb: str
    subject: str
    by: str
    package: str
    phase: str
    method: str = ""
    arguments: str = ""
    decoy: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How a behaviour showed in a recording: how often, where first, and the sheet that expects it (empty: none)."""

    count: int
    expected: str
    evidence: Evidence


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A behaviour, and how it showed on the side that has it."""

    behaviour: Behaviour
    seen: Seen


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two that are compared. `missing` is what its recordings do not show; `together` are the packages that
    ran in one guest, where there were several: there is no `purl` then."""

    purl: str
    verdict: Verdict
    missing: tuple[str, ...] = ()
    together: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A finding about the new version. `known`: the old one gave the same, and did all that this one does there. What
    is malicious stays so, known or not."""

    finding: Finding
    known: bool


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What one version does and another does not. `known` is what both do and no profile expects. Its JSON form is
    the contract of `baitbox diff --format json`."""

    schema: int = 1
    verdict: Verdict
    before: Side
    after: Side
    new: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()
    known: tuple[Change, ...] = ()
    findings: tuple[Told, ...] = ()

    @property
    def unexpected(self) -> tuple[Change, ...]:
        """What is new and no profile expects."""
        return tuple(change for change in self.new if not change.seen.expected)


def behaviours(recording: Recording, profiles: Profiles) -> dict[Behaviour, Seen]:
    """Every behaviour of a recording, but for the everyday opening and changing of files. One that a profile expects
    on some occasions and not on others is not expected."""
    facts = gather(recording)
    judged = Judged(facts, profiles.for_recording(recording.header))
    case, quiet = Case(facts, judged), Quiet(recording.header, facts.planted)
    found: dict[Behaviour, Seen] = {}
    for deed, expected in _deeds(judged):
        behaviour = behaviour_of(deed, quiet, expected=bool(expected))
        known = found.get(behaviour)
        if known is None:
            found[behaviour] = Seen(count=deed.count, expected=expected, evidence=case.evidence(deed))
            continue
        first = known.evidence if known.expected <= expected else case.evidence(deed)
        found[behaviour] = Seen(
            count=known.count + deed.count, expected=min(known.expected, expected), evidence=first
        )
    return found


def _deeds(judged: Judged) -> Iterator[tuple[Deed, str]]:
    """Every deed with the sheet that expects it, deviations first (whose sheet is empty)."""
    for deeds in judged.deviations.values():
        yield from ((deed, "") for deed in deeds)
    yield from ((deed, entry.source) for deed, entry in judged.explained)


def behaviour_of(deed: Deed, quiet: Quiet, *, expected: bool = False) -> Behaviour:
    """A deed without what is its own only: line, time, process. Arguments of an expected program are its own affair."""
    arguments = "" if expected else quiet.arguments(deed.arguments)
    return Behaviour(
        verb=deed.verb,
        subject=quiet.subject(deed.verb, deed.subject, deed.decoy),
        by=deed.actor.role,
        package=deed.actor.package,
        phase=deed.kind,
        method=deed.method if deed.verb == "request" else "",
        arguments=arguments,
        decoy=deed.decoy,
    )


def compare(
    before: Recording, after: Recording, profiles: Profiles, rules: Mapping[str, Rule] | None = None
) -> Difference:
    """What `after` does that `before` does not, and the other way round. What the old one already did is known; it
    never excuses a malicious finding of the new one. Raises ValueError where they are of different ecosystems."""
    return compare_all([before], [after], profiles, rules)


def compare_all(
    before: Sequence[Recording],
    after: Sequence[Recording],
    profiles: Profiles,
    rules: Mapping[str, Rule] | None = None,
) -> Difference:
    """The same for several recordings of each (personas, repeats), at least one: what any of them shows counts. Of
    several packages that ran together, all are compared at once. Raises ValueError where one side is so and the other
    not: then nearly all would be new, or gone."""
    if {recording.header.ecosystem for recording in (*before, *after)} != {profiles.ecosystem}:
        raise ValueError("recordings of different ecosystems cannot be compared")
    if len({bool(recording.header.members) for recording in (*before, *after)}) > 1:
        raise ValueError("recordings of one package and of several that ran together cannot be compared")
    found = discovery.load("rules", "RULE") if rules is None else rules
    old, new = _together(before, profiles), _together(after, profiles)
    old_reports = [_judged(recording, profiles, found) for recording in before]
    new_reports = [_judged(recording, profiles, found) for recording in after]
    added = _changes(new, (behaviour for behaviour in new if behaviour not in old))
    known = (behaviour for behaviour in new if behaviour in old and not new[behaviour].expected)
    told = tuple(_told(old_reports, new_reports, added, before, after))
    sides = _side(before, old_reports), _side(after, new_reports)
    return Difference(
        verdict=_verdict(added, told, sides),
        before=sides[0],
        after=sides[1],
        new=added,
        gone=_changes(old, (behaviour for behaviour in old if behaviour not in new)),
        known=_changes(new, known),
        findings=told,
    )


def _judged(recording: Recording, profiles: Profiles, rules: Mapping[str, Rule]) -> PackageReport:
    """The report on a recording; of several packages that ran together, one on all of them."""
    header = recording.header
    if not header.members:
        return judge.judge(recording, profiles, rules)
    found = judge_batch(recording, profiles, rules)
    return PackageReport(
        purl="",
        target=header.target,
        digest=header.digest,
        verdict=judge.verdict(found.findings, list(found.gaps)),
        findings=found.findings,
        coverage=Coverage(missing=found.gaps),
    )


def _together(recordings: Sequence[Recording], profiles: Profiles) -> dict[Behaviour, Seen]:
    found: dict[Behaviour, Seen] = {}
    for recording in recordings:
        for behaviour, seen in behaviours(recording, profiles).items():
            known = found.get(behaviour)
            if known is not None:
                first = known if known.expected <= seen.expected else seen
                seen = msgspec.structs.replace(first, count=known.count + seen.count)
            found[behaviour] = seen
    return found


def _changes(seen: Mapping[Behaviour, Seen], which: Iterable[Behaviour]) -> tuple[Change, ...]:
    """Changes in order: what no profile expects first, then by what was done."""
    found = [Change(behaviour=behaviour, seen=seen[behaviour]) for behaviour in which]
    return tuple(sorted(found, key=lambda change: (bool(change.seen.expected), change.behaviour)))


def _told(
    old: Sequence[PackageReport],
    new: Sequence[PackageReport],
    added: Sequence[Change],
    before: Sequence[Recording],
    after: Sequence[Recording],
) -> Iterator[Told]:
    """The findings about the new one. One is known where the old one gave the same by the same package in the same
    kind of phase, and nothing there is new: a finding shows only some of its evidence."""
    fresh = {(change.behaviour.package, change.behaviour.phase) for change in added if not change.seen.expected}
    seen = {key for report, one in zip(old, before, strict=True) for _, key in _keys(report, one)}
    for report, one in zip(new, after, strict=True):
        for finding, key in _keys(report, one):
            yield Told(finding=finding, known=key in seen and key[-2:] not in fresh)


def _keys(report: PackageReport, recording: Recording) -> Iterator[tuple[Finding, tuple[str, ...]]]:
    kind = Facts(recording).kind
    for finding in report.findings:
        bait = ",".join(sorted(finding.decoys))
        yield finding, (finding.rule, finding.verdict, finding.severity, bait, finding.package, kind(finding.phase))


def _side(recordings: Sequence[Recording], reports: Sequence[PackageReport]) -> Side:
    header = recordings[0].header
    return Side(
        purl="" if header.members else judge.purl(header),
        together=tuple(member.purl for member in header.members),
        verdict=worst([report.verdict for report in reports]),
        missing=tuple(dict.fromkeys(text for report in reports for text in report.coverage.missing)),
    )


def _verdict(added: Sequence[Change], told: Sequence[Told], sides: tuple[Side, Side]) -> Verdict:
    if any(one.finding.verdict == "malicious" for one in told):
        return "malicious"
    if any(not change.seen.expected for change in added) or any(not one.known for one in told):
        return "suspicious"
    return "inconclusive" if sides[0].missing or sides[1].missing else "clean"
