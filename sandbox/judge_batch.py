"""From the recording of several packages that were installed together to what is known of each. Pure.

A package is cleared by such a recording only if everything that it should have done is there, nothing that its
processes did was unexpected, and nothing at all was seen that could not be attributed. Whatever else there is makes
it a suspect, which is run again alone; the recording convicts nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from sandbox import judge
from sandbox.deviations import Judged
from sandbox.events import ArtifactServed, Member, PlannedPhase, Recording
from sandbox.facts import Deed, Facts, gather
from sandbox.lineage import package_of
from sandbox.plaintext import escape, shorten
from sandbox.profiles import Profiles, package_key
from sandbox.report import Coverage, Finding, PackageReport, PhaseCoverage
from sandbox.rules import Case, Rule

_MANY = 20
_SITE = "/site-packages/"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording of several packages shows. Packages are named by their package URL."""

    packages: dict[str, PackageReport]
    """Each package's own findings and phases; its verdict holds only where it is no suspect and nothing is unclear."""
    suspects: dict[str, tuple[str, ...]]
    """Why a package must be run again alone, one sentence each."""
    unattributed: tuple[Finding, ...] = ()
    """Findings on nobody that can be named for certain."""
    unclear: tuple[str, ...] = ()
    """What else was done by nobody that can be named, and what was missed, one sentence each."""
    broken: bool = False
    """Whether the installation failed, or too little was recorded for it to clear anybody."""
    changed_by: dict[str, tuple[str, ...]] = {}
    """Packages that used files which others had made or changed: by whom."""
    loads: dict[str, tuple[str, ...]] = {}
    """Packages that opened files of other packages' folders: whose."""
    likely: tuple[str, ...] = ()
    """Packages that act wherever others do: they have files that every start of Python runs."""
    gaps: tuple[str, ...] = ()
    """What was not seen, of one package (which is named) or of all, one sentence each."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that was found, on whomever."""
        own = (finding for report in self.packages.values() for finding in report.findings)
        return tuple(dict.fromkeys([*own, *self.unattributed]))

    def reports(self, what: str) -> list[PackageReport]:
        """Every package's report by this recording alone, as it stands without a run of each suspect; `what` names the
        line for what nobody can be named for."""
        found = [
            self.packages[key]
            if key not in self.suspects
            else _missing(self.packages[key], [f"to be run alone: {why}" for why in self.suspects[key]])
            for key in self.packages
        ]
        if self.unclear or self.unattributed:
            verdict = judge.verdict(self.unattributed, list(self.unclear) or ["who did it"])
            nobody = PackageReport(purl="", target=what, digest="", verdict=verdict, findings=self.unattributed)
            found.append(_missing(nobody, self.unclear))
        return found

    @property
    def cleared(self) -> list[str]:
        """The packages of which nothing more needs to be known."""
        if self.unclear or self.unattributed or self.broken:
            return []
        return [key for key in self.packages if key not in self.suspects]


def judge_batch(recording: Recording, profiles: Profiles, rules: Mapping[str, Rule]) -> Judgement:
    """Judge one recording of several packages. Raises nothing but ValueError, whatever the guest did."""
    facts = gather(recording)
    expectations = profiles.for_recording(recording.header)
    judged = Judged(facts, expectations)
    findings, failed = judge.ask(Case(facts, judged), rules)
    case = _Batch(facts, findings)
    case.findings()
    case.deviations(judged)
    missing = [*judge.without_means(recording.header, profiles, rules), *failed]
    return case.judgement(missing)


class _Batch:
    """One recording, while its parts are given to its packages."""

    def __init__(self, facts: Facts, findings: tuple[Finding, ...]) -> None:
        self._facts = facts
        self._header = facts.header
        self._findings = findings
        self._keys: dict[str, list[str]] = defaultdict(list)
        self._members: dict[str, Member] = {}
        for member in self._header.members:
            self._members[member.purl] = member
            self._keys[package_key(self._header.ecosystem, member.name)].append(member.purl)
        self._own: dict[str, list[Finding]] = defaultdict(list)
        self._suspects: dict[str, list[str]] = defaultdict(list)
        self._unattributed: list[Finding] = []
        self._unclear: list[str] = []
        self._gaps: list[str] = []

    def findings(self) -> None:
        """Give each finding to the package that it names; two versions of one name are both meant."""
        for finding in self._findings:
            keys = self._of(finding.package)
            for key in keys:
                self._own[key].append(finding)
                self._suspect(key, f"{finding.rule}: {finding.title}")
            if not keys:
                self._unattributed.append(finding)
                for item in finding.evidence:
                    self._guess(item.process, f"it may have been this package: {finding.title}")

    def deviations(self, judged: Judged) -> None:
        """What no profile expects makes a suspect, also where no rule minds it. Reading what is no bait is left to the
        rules: an interpreter of this host looks for its libraries in places that no profile knows."""
        for verb, deeds in judged.deviations.items():
            for deed in deeds:
                if verb == "read" and not deed.decoy:
                    continue
                said = f"unexpected: {verb} {shorten(escape(deed.subject), 100)}"
                keys = self._of(deed.actor.package)
                for key in keys:
                    self._suspect(key, said)
                if not keys:
                    self._note(f"{said} in the phase {shorten(deed.phase, 80) or 'none'}, by {_doer(deed)}")
                    self._guess(deed.actor.process.serial, said)

    def judgement(self, missing: list[str]) -> Judgement:
        """All of it, put together."""
        phases, general = self._phases()
        served = {event.digest for event in self._facts.events if isinstance(event, ArtifactServed)}
        for key, member in self._members.items():
            if member.digest and member.digest not in served:
                self._missed(key, "its file was never fetched, so it was not installed")
        failed = [text for _, text in general if text]
        self._blame_failed_scripts(bool(failed))
        lost = self._lost()
        broken = bool(failed or lost or missing or not self._facts.plans)
        for text in [*missing, *failed, *lost]:
            self._note(text)
        shared = tuple(coverage for coverage, _ in general)
        return Judgement(
            packages={key: self._report(key, (*shared, *phases.get(key, ()))) for key in self._members},
            suspects={key: tuple(dict.fromkeys(why))[:_MANY] for key, why in self._suspects.items()},
            unattributed=tuple(self._unattributed),
            unclear=tuple(dict.fromkeys(self._unclear)),
            broken=broken,
            changed_by=self._named(self._changed_by()),
            loads=self._named(self._loads()),
            likely=tuple(key for key, member in self._members.items() if member.starts),
            gaps=tuple(dict.fromkeys([*missing, *failed, *lost, *self._gaps])),
        )

    def _lost(self) -> list[str]:
        """What sensors missed. What the gateway could not look into of one package's own is a gap in that one alone."""
        kept = []
        for event in self._facts.lost:
            process = self._facts.table.processes.get(event.process) if event.sensor == "gateway" else None
            keys = self._of(process.actor.package) if process is not None else []
            for key in keys:
                self._missed(key, f"not all that it sent was looked into: {shorten(event.reason, 100)}")
            if not keys:
                kept.append(event)
        self._facts.lost[:] = kept
        return list(judge.lost(self._facts))

    def _of(self, package: str) -> list[str]:
        return self._keys.get(package_key(self._header.ecosystem, package), []) if package else []

    def _missed(self, key: str, why: str) -> None:
        """Something of one package was not seen."""
        self._suspect(key, why)
        if len(self._gaps) < 10 * _MANY:
            self._gaps.append(f"{key}: {why}")

    def _suspect(self, key: str, why: str) -> None:
        if len(self._suspects[key]) < _MANY:
            self._suspects[key].append(why)

    def _note(self, text: str) -> None:
        if len(self._unclear) < 10 * _MANY:
            self._unclear.append(text)

    def _guess(self, serial: int, why: str) -> None:
        """Whom an unattributed deed points to, as far as it points anywhere."""
        process = self._facts.table.processes.get(serial)
        for _ in range(64):
            if process is None:
                return
            for key in self._of(process.guess or process.actor.package):
                self._suspect(key, why)
                return
            process = process.parent

    def _phases(self) -> tuple[dict[str, list[PhaseCoverage]], list[tuple[PhaseCoverage, str]]]:
        """How each package's phases went, and those of all of them with what went wrong (empty: nothing)."""
        facts = self._facts
        started = {start.phase for start in facts.phase_starts}
        own: dict[str, list[PhaseCoverage]] = defaultdict(list)
        general: list[tuple[PhaseCoverage, str]] = []
        for planned in facts.planned:
            end = facts.phase_ends.get(planned.name)
            coverage, counts = judge.phase(planned, planned.name in started, end, self._header.persona)
            said = "" if counts else f"the phase {shorten(planned.name, 100)} {coverage.detail}"
            if not planned.package:
                general.append((coverage, said))
                continue
            for key in self._exercised(planned):
                own[key].append(coverage)
                if said:
                    self._missed(key, said)
        return own, general

    def _exercised(self, planned: PlannedPhase) -> list[str]:
        keys = self._of(planned.package)
        return [key for key in keys if self._members[key].version == planned.version] or keys

    def _blame_failed_scripts(self, install_failed: bool) -> None:
        """Where the installation failed: the packages whose processes then ended with an error."""
        if not install_failed:
            return
        for process in self._facts.table.processes.values():
            if process.exited and process.actor.role == "package" and self._facts.kind(process.phase) == "install":
                for key in self._of(process.actor.package):
                    self._suspect(key, "a script of its ended with an error when the installation failed")

    def _report(self, key: str, phases: tuple[PhaseCoverage, ...]) -> PackageReport:
        member, findings = self._members[key], tuple(self._own.get(key, ()))
        others = len(self._members) - 1
        missing = ("what could not be attributed to anybody",) if self._unclear or self._unattributed else ()
        header = self._header
        return PackageReport(
            purl=key,
            target=member.target,
            digest=member.digest,
            verdict=judge.verdict(findings, [*missing, *self._suspects.get(key, ())]),
            findings=findings,
            coverage=Coverage(
                personas=(header.persona,) if header.persona else (),
                phases=phases,
                sensors=tuple(sorted(self._facts.sensors)),
                not_exercised=(f"Installed and run together with {others} others of its lockfile, not alone.",),
                missing=missing,
            ),
        )

    def _changed_by(self) -> Iterator[tuple[str, str]]:
        """(user, maker) of files that one package's process used and another's had made or changed."""
        origins = self._facts.origins
        for (path, access, actor, _), use in self._facts.opened.items():
            origin = origins.get(path) if access != "write" else None
            if origin is not None and origin[0] < use.line:
                yield actor.package, origin[1].package
        for line, event, actor in self._facts.programs:
            program = actor.program
            for path in (event.exe, program.script if program is not None else ""):
                origin = origins.get(path)
                if origin is not None and origin[0] < line:
                    yield actor.package, origin[1].package

    def _loads(self) -> Iterator[tuple[str, str]]:
        """(user, owner) of files in other packages' folders."""
        tops = {top: member.name for member in self._header.members for top in member.tops}
        for path, access, actor, phase in self._facts.opened:
            if access == "write" or actor.role != "package" or self._facts.kind(phase) == "install":
                continue
            if self._header.ecosystem == "npm":
                owner = package_of(path)
            else:
                owner = tops.get(path.partition(_SITE)[2].partition("/")[0])
            if owner:
                yield actor.package, owner

    def _named(self, pairs: Iterator[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
        """Pairs of names as package URLs, each with all others that it goes with."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for one, other in dict.fromkeys(pairs):
            if one != other:
                for key in self._of(one):
                    found[key].update(dict.fromkeys(self._of(other)))
        return {key: tuple(others) for key, others in found.items() if others}


def _missing(report: PackageReport, texts: Sequence[str]) -> PackageReport:
    missing = tuple(dict.fromkeys((*report.coverage.missing, *texts)))
    return msgspec.structs.replace(report, coverage=msgspec.structs.replace(report.coverage, missing=missing))


def _doer(deed: Deed) -> str:
    program = deed.actor.program
    return shorten(escape(program.command), 100) if program is not None else "a process that nobody saw begin"
