"""Proposes profiles: for every deviation of some recordings the narrowest entry that would expect it.

A proposal is no profile: the `why` of each entry begins with `proposed:`, and `profiles.load` refuses such an entry
until somebody has checked it and said the reason. Nothing is learned where a rule calls a recording malicious, and
nothing of a package that touched or sent bait, or opened a place where secrets are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from sandbox import errors
from sandbox.behaviour import Behaviour, behaviour_of
from sandbox.deviations import Judged, plain_url
from sandbox.entries import Sighting, expectations, problem
from sandbox.events import Recording
from sandbox.facts import gather
from sandbox.judge import judge
from sandbox.noise import Quiet
from sandbox.plaintext import shorten
from sandbox.profiles import Profiles, package_key
from sandbox.report import Finding, PackageReport
from sandbox.rules import Case, Rule, _places
from sandbox.sheets import Sheet

Named = tuple[str, Recording]
"""What a recording is called in the evidence, and the recording."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned: a sheet for each package, by the id that its file would have. `refused` is why nothing, or
    nothing of a package, was; `by_hand` what no entry can say, or a rule minds all the same; `missing` what the
    recordings do not show."""

    sheets: dict[str, Sheet] = {}
    refused: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def propose(recordings: Sequence[Named], profiles: Profiles, rules: Mapping[str, Rule]) -> Proposal:
    """Learn from recordings of one ecosystem, merged. Raises ValueError where there is another among them."""
    if any(recording.header.ecosystem != profiles.ecosystem for _, recording in recordings):
        raise ValueError("recordings of different ecosystems cannot be learned from together")
    reports = [(name, judge(recording, profiles, rules)) for name, recording in recordings]
    missing = tuple(f"{name}: {text}" for name, report in reports for text in report.coverage.missing)
    refused = [text for name, report in reports for text in _malice(name, report, rules)]
    if refused:
        return Proposal(refused=tuple(dict.fromkeys(refused)), missing=missing)
    sightings: dict[tuple[str, Behaviour], list[Sighting]] = defaultdict(list)
    barred = {
        package_key(profiles.ecosystem, finding.package): f"{_told(finding)} in {name}"
        for name, report in reports
        for finding in report.findings
        if finding.decoys
    }
    by_hand: list[str] = []
    for number, (name, recording) in enumerate(recordings):
        facts = gather(recording)
        judged = Judged(facts, profiles.for_recording(recording.header))
        case, quiet = Case(facts, judged), Quiet(recording.header, facts.planted)
        secrets = _places.secrets(recording.header)
        asked = {(id(connection), plain_url(event.url)) for _, event, connection in facts.asked}
        for verb, deeds in judged.deviations.items():
            for deed in deeds:
                package = package_key(profiles.ecosystem, deed.actor.package)
                sighting = Sighting(recording=number, name=name, deed=deed, words=case.evidence(deed))
                bait = verb == "send" or deed.decoy or (id(deed.connection), deed.subject) in asked
                if bait or (verb in _ON_FILES and secrets.find(deed.subject)):
                    barred.setdefault(package, f"{sighting.words.text} (line {deed.line} of {name})")
                elif why_not := problem(deed, package):
                    by_hand.append(f"{shorten(package, 80)}: {sighting.words.text}: {why_not}")
                else:
                    sightings[package, behaviour_of(deed, quiet)].append(sighting)
    refused = [f"nothing is learned of {shorten(package, 80)}: {text}" for package, text in barred.items()]
    sheets = _sheets(sightings, barred, recordings, profiles.ecosystem)
    left = _left(recordings, profiles, sheets, rules)
    by_hand = list(dict.fromkeys([*by_hand, *left]))
    return Proposal(sheets=sheets, refused=tuple(refused), by_hand=tuple(by_hand), missing=missing)


def talk(proposal: Proposal) -> Iterator[str]:
    """What a person must know beside the proposal, a line each."""
    yield from (f"refused: {text}" for text in proposal.refused)
    yield from (f"by hand: {text}" for text in proposal.by_hand)
    yield from (f"not seen: {shorten(text, 300)}" for text in proposal.missing)
    if proposal.sheets:
        count = sum(len(sheet.expect) for sheet in proposal.sheets.values())
        yield f"note: {count} entries proposed; they count only when somebody has reviewed them (docs/profiles.md)"
    elif not (proposal.refused or proposal.by_hand or proposal.missing):
        yield "note: nothing to learn: profiles expect all of it"


def exit_code(proposal: Proposal) -> int:
    """What `baitbox learn` ends with: refused outranks that something was not seen."""
    if proposal.refused:
        return errors.EXIT_MALICIOUS
    return errors.EXIT_INCONCLUSIVE if proposal.missing else errors.EXIT_CLEAN


_ON_FILES = ("read", "write", "change")


def _malice(name: str, report: PackageReport, rules: Mapping[str, Rule]) -> Iterable[str]:
    """Why a recording teaches nothing: a rule calls it malicious, or could not be asked."""
    if not rules:
        yield "there are no rules to judge by: nothing can be learned"
    for finding in report.findings:
        if finding.verdict == "malicious":
            yield f"{name} is malicious: {_told(finding)}: nothing is learned"


def _told(finding: Finding) -> str:
    where = f", by {finding.package}" if finding.package else ""
    return f"{finding.title} ({finding.rule}{where}, in {shorten(finding.phase, 60)})"


def _sheets(
    sightings: Mapping[tuple[str, Behaviour], list[Sighting]],
    barred: Mapping[str, str],
    recordings: Sequence[Named],
    ecosystem: str,
) -> dict[str, Sheet]:
    """A sheet for each package of which something is learned, sorted."""
    groups: dict[str, list[tuple[Behaviour, list[Sighting]]]] = defaultdict(list)
    for (package, behaviour), seen in sightings.items():
        if package not in barred:
            groups[package].append((behaviour, seen))
    number = len(recordings)
    about = f"proposed from {number} recording{'s' if number > 1 else ''}, and not reviewed"
    headers = [recording.header for _, recording in recordings]
    return {
        f"packages/{ecosystem}/{package}": Sheet(
            about=f"{package}: {about}", extends=ecosystem, expect=tuple(expectations(groups[package], headers))
        )
        for package in sorted(groups)
    }


def _left(
    recordings: Sequence[Named], profiles: Profiles, sheets: Mapping[str, Sheet], rules: Mapping[str, Rule]
) -> Iterable[str]:
    """What rules still mind when the proposal is taken for granted: behaviour that no profile can expect."""
    taught = profiles.with_sheets(sheets)
    for name, recording in recordings:
        for finding in judge(recording, taught, rules).findings:
            yield f"{_told(finding)} stays, with the proposal too (in {name})"
