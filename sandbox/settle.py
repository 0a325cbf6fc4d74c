"""Decides about every package of a set, from as few guests as that takes.

All are run together first. Who did nothing unexpected there is cleared; everybody else is run again alone, and that run
decides. What was seen together and by nobody alone is narrowed down, by halves, to the smallest set that shows it. What
cannot be attributed clears nobody: the set is made smaller until it can. Nothing that was seen is ever dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from sandbox import judge
from sandbox.batches import Packed
from sandbox.judge_batch import Judgement
from sandbox.report import Finding, PackageReport

MANY_SUSPECTS = 12
"""When more are suspected at once, the likeliest are looked at first: one thief can make suspects of all."""
MANY_SETS = 64
"""Guests with several packages, in all; then the rest is run one by one."""

Reports = dict[str, PackageReport]


class World(Protocol):
    """What runs packages. Both methods raise BackendError where no guest can be made."""

    def together(self, packed: Sequence[Packed]) -> Judgement:
        """Run a set in one guest."""
        ...

    def alone(self, packed: Sequence[Packed]) -> Reports:
        """Run each in a guest of its own; a report for every one."""
        ...

    def needed(self, packed: Sequence[Packed], some: Sequence[Packed]) -> list[Packed]:
        """`some`, and what of `packed` they depend on."""
        ...


def settle(
    packed: Sequence[Packed],
    world: World,
    told: Callable[[Reports], None],
    wanted: Iterable[str] | None = None,
) -> Reports:
    """A report for each package (of those `wanted`, by key; by default all), by its key. `told` is given those that are
    certain as soon as they are."""
    keys = {one.key for one in packed} if wanted is None else set(wanted)
    settling = _Settling(packed, world, told, keys)
    settling.group([one for one in packed if one.key in keys], packed)
    return settling.finish()


class _Settling:
    """One set on its way to reports."""

    def __init__(
        self, every: Sequence[Packed], world: World, told: Callable[[Reports], None], wanted: set[str]
    ) -> None:
        self._every = list(every)
        self._known = {one.key: one for one in every}
        self._world = world
        self._told = told
        self._wanted = wanted
        self._sets = 0
        self._broken = 0
        self._fleeting = False
        self.alone: Reports = {}
        self.cleared: Reports = {}
        self.added: dict[str, list[Finding]] = {}
        self.notes: dict[str, list[str]] = {}
        self.doubts: dict[str, list[str]] = {}
        self.loads: dict[str, set[str]] = {}

    def group(self, group: list[Packed], support: Sequence[Packed] | None = None) -> None:
        """Decide about a group, run together with what it needs."""
        group = [one for one in group if one.key not in self.alone and one.key not in self.cleared]
        if len(group) < 2 or self._sets >= MANY_SETS or self._broken > 6:
            self._run_alone(group)
            return
        seen = self._together(group, support)
        suspects = [self._known[key] for key in seen.suspects if key in self._known]
        if seen.broken:
            self._mend(group, suspects, seen)
            return
        self._broken = 0
        before = set(self.alone)
        if not seen.unclear and not seen.unattributed:
            self._clear(seen)
        left = self._question(group, suspects, seen)
        guilty = {key for key in set(self.alone) - before if self.alone[key].findings}
        for one in suspects:
            if one.key in self.alone:
                self._compare(one, group, seen)
        if seen.unclear or seen.unattributed:
            if not guilty:
                self._narrow(group, seen)
            self.group(group)
            return
        self.group(left)

    def finish(self) -> Reports:
        """All reports, with what was found only together, and without what is another's."""
        reports = {**self.cleared, **self.alone}
        guilty = {key: report for key, report in reports.items() if report.findings or key in self.added}
        for key in list(reports):
            reports[key] = self._without_others(key, reports[key], guilty)
        for key, findings in self.added.items():
            if key in reports:
                every = tuple(judge.merged([*reports[key].findings, *findings]))
                reports[key] = self._with(reports[key], every)
        for key, notes in self.notes.items():
            if key in reports:
                reports[key] = _noted(reports[key], notes)
        for key, doubts in self.doubts.items():
            if key in reports:
                reports[key] = self._doubted(reports[key], doubts)
        return {key: report for key, report in reports.items() if key in self._wanted}

    def _together(self, group: Sequence[Packed], support: Sequence[Packed] | None = None) -> Judgement:
        """Run a group with what its packages need; what is known to be guilty is left out."""
        self._sets += 1
        needed = list(support) if support is not None else self._world.needed(self._every, group)
        kept = {one.key for one in group}
        guilty = {key for key, report in self.alone.items() if report.findings} - kept
        seen = self._world.together([one for one in needed if one.key not in guilty])
        for key, others in seen.loads.items():
            self.loads.setdefault(key, set()).update(others)
        return seen

    def _clear(self, seen: Judgement) -> None:
        found = {key: seen.packages[key] for key in seen.cleared if key in self._wanted and key not in self.alone}
        self.cleared.update(found)
        self._told({key: one for key, one in found.items() if key not in self.added and key not in self.doubts})

    def _run_alone(self, packed: Sequence[Packed]) -> None:
        new = [one for one in packed if one.key not in self.alone]
        if new:
            self.alone.update(self._world.alone(new))

    def _mend(self, group: list[Packed], suspects: list[Packed], seen: Judgement) -> None:
        """The set could not be installed or watched: without those at fault, where that shows, else in halves. What
        was found all the same is not lost."""
        self._broken += 1
        if seen.unattributed:
            self._narrow(group, seen)
        if suspects:
            self._run_alone(suspects)
            for one in suspects:
                self._compare(one, group, seen)
            self.group(group)
            return
        middle = len(group) // 2
        self.group(group[:middle])
        self.group(group[middle:])

    def _question(self, group: list[Packed], suspects: list[Packed], seen: Judgement) -> list[Packed]:
        """Run suspects alone; those that are left, where the likeliest explain why so many are suspected."""
        if len(suspects) <= MANY_SUSPECTS:
            self._run_alone(suspects)
            return []
        makers = {maker for one in suspects for maker in seen.changed_by.get(one.key, ())}
        likely = [one for one in suspects if one.key in makers or one.key in seen.likely]
        likely += [one for one in group if one.key in seen.likely and one not in likely]
        self._run_alone(likely)
        if any(self.alone[one.key].findings for one in likely):
            return [one for one in suspects if one.key not in self.alone]
        self._run_alone(suspects)
        return []

    def _compare(self, one: Packed, group: list[Packed], seen: Judgement) -> None:
        """What was found on a package among others and not alone: whose is it?"""
        shown = {finding.rule for finding in self.alone[one.key].findings}
        missed = [finding for finding in seen.packages[one.key].findings if finding.rule not in shown]
        if not missed:
            return
        makers = [key for key in (*seen.changed_by.get(one.key, ()), *seen.likely) if key in self._known]
        makers = [key for key in dict.fromkeys(makers) if key != one.key]
        self._run_alone([self._known[key] for key in makers])
        guilty = [key for key in makers if self.alone[key].findings]
        if guilty:
            self._blame(one, guilty, missed)
            return
        rules = {finding.rule for finding in missed}

        def shows(again: Judgement) -> bool:
            found = again.packages.get(one.key)
            return found is not None and any(finding.rule in rules for finding in found.findings)

        victims = [key for key, others in seen.changed_by.items() if one.key in others and key in self._known]
        hints = [[self._known[key] for key in keys] for keys in (makers, victims)]
        smallest = self._smallest(group, shows, keep=one, hints=hints)
        tampered = [key for key in seen.changed_by.get(one.key, ()) if key in seen.suspects and key != one.key]
        if smallest and any(other.key in tampered for other in smallest):
            self._blame(one, [other.key for other in smallest if other.key in tampered], missed)
            return
        others = [other.key for other in smallest or group if other.key != one.key]
        words = "found only together with" if smallest else "seen once, and not again, together with"
        names = self._names(others)
        self._add(one.key, [_only_together(finding, f"{words} {names}" if others else "") for finding in missed])

    def _blame(self, one: Packed, guilty: list[str], missed: list[Finding]) -> None:
        """Others had changed what a package then ran, and without them it does nothing: the deed is theirs."""
        for key in guilty:
            name = self._known[key].artifact.name
            self._add(key, [_through(finding, one.artifact.name, name) for finding in missed])
        names = self._names(guilty)
        self._note(one.key, f"Among others it ran what {names} had changed; what that did is reported there.")

    def _narrow(self, group: list[Packed], seen: Judgement) -> None:
        """Nobody can be named for what was seen: find the smallest set that shows it, and say so of each in it. What
        does not show again leaves a doubt about all."""
        unnamed = seen.unattributed or ()
        rules = {finding.rule for finding in unnamed}

        def shows(again: Judgement) -> bool:
            return any(one.rule in rules for one in again.unattributed) if rules else bool(again.unclear)

        smallest = self._smallest(group, shows)
        if smallest is None:
            texts = [f"seen once, and not again: {text}" for text in (*(one.title for one in unnamed), *seen.unclear)]
            for one in group if unnamed else []:
                self.doubts.setdefault(one.key, []).extend(texts[:4])
            for one in group:
                self._note(one.key, f"Of nobody that can be named, {texts[0]}")
            if self._fleeting:
                self._run_alone(group)
            self._fleeting = True
            return
        self._run_alone(smallest)
        for one in smallest:
            names = self._names(other.key for other in smallest if other.key != one.key)
            words = f"found only together with {names}" if names else ""
            own = [msgspec.structs.replace(finding, package=one.artifact.name) for finding in unnamed]
            self._add(one.key, [_only_together(finding, words) for finding in own])
            if not unnamed:
                self.doubts.setdefault(one.key, []).append(f"by nobody that can be named: {seen.unclear[0]}")

    def _smallest(
        self,
        group: list[Packed],
        shows: Callable[[Judgement], bool],
        keep: Packed | None = None,
        hints: Sequence[Sequence[Packed]] = (),
    ) -> list[Packed] | None:
        """The smallest set found that shows something (it holds `keep`), by halves; None where not even all of them
        show it again. `hints` are the likeliest companies, tried first."""
        if not self._shows(group, shows):
            return None
        fixed = [keep] if keep is not None else []
        pool = [one for one in group if one not in fixed]
        for company in hints:
            if company and self._shows([*fixed, *company], shows):
                pool = list(company)
                break
        while pool and not (fixed and self._shows(fixed, shows)):
            # The shortest beginning that shows it ends with one that it takes.
            low, high = 1, len(pool)
            while low < high and self._sets < MANY_SETS:
                middle = (low + high) // 2
                if self._shows([*fixed, *pool[:middle]], shows):
                    high = middle
                else:
                    low = middle + 1
            if self._sets >= MANY_SETS:
                return [*fixed, *pool[:high]]
            fixed.append(pool[high - 1])
            pool = pool[: high - 1]
        return fixed

    def _shows(self, group: Sequence[Packed], shows: Callable[[Judgement], bool]) -> bool:
        return self._sets < MANY_SETS and shows(self._together(group))

    def _without_others(self, key: str, report: PackageReport, guilty: Reports) -> PackageReport:
        """Without findings that are a dependency's own: named so, or shown by code that it loaded."""
        kept: list[Finding] = []
        whose: dict[str, None] = {}
        loaded = False
        for finding in report.findings:
            owner = self._owner(key, finding, guilty)
            if owner is None:
                kept.append(finding)
            else:
                whose[owner] = None
                loaded = loaded or finding.package != self._known[owner].artifact.name
        if not whose:
            return report
        names = self._names(whose)
        report = self._with(report, tuple(kept))
        if loaded:
            text = f"what it does itself cannot be told from what {names} did, which it loads: check it without that"
            report = self._doubted(report, [text])
        return _noted(report, [f"What its dependency {names} did is reported there."])

    def _owner(self, key: str, finding: Finding, guilty: Reports) -> str | None:
        for other, report in guilty.items():
            if other == key or other not in self._known:
                continue
            named = finding.package == self._known[other].artifact.name != self._known[key].artifact.name
            # Two that load each other cannot blame each other, and a package's own script is its own.
            one_way = other in self.loads.get(key, ()) and key not in self.loads.get(other, ())
            if not named and (finding.phase.startswith("install") or not one_way):
                continue
            own = [one for one in report.findings if one.package in ("", self._known[other].artifact.name)]
            if any(_covers(one, finding) for one in own):
                return other
        return None

    def _doubted(self, report: PackageReport, doubts: Sequence[str]) -> PackageReport:
        missing = tuple(dict.fromkeys((*report.coverage.missing, *doubts)))
        report = msgspec.structs.replace(report, coverage=msgspec.structs.replace(report.coverage, missing=missing))
        return self._with(report, report.findings)

    def _with(self, report: PackageReport, findings: tuple[Finding, ...]) -> PackageReport:
        ordered = tuple(sorted(findings, key=judge.order))
        return msgspec.structs.replace(
            report, findings=ordered, verdict=judge.verdict(ordered, list(report.coverage.missing))
        )

    def _add(self, key: str, findings: list[Finding]) -> None:
        self.added.setdefault(key, []).extend(findings)

    def _note(self, key: str, text: str) -> None:
        self.notes.setdefault(key, []).append(text)

    def _names(self, keys: Iterable[str]) -> str:
        names = [f"{self._known[key].artifact.name} {self._known[key].artifact.version}" for key in keys]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return ", ".join(names[:3]) + more


def _covers(own: Finding, other: Finding) -> bool:
    """Whether a finding is another seen from a dependent: the same rule, with no bait and no way out of its own."""
    return own.rule == other.rule and set(other.decoys) <= set(own.decoys) and set(other.ways_out) <= set(own.ways_out)


def _only_together(finding: Finding, words: str) -> Finding:
    """Seen in company and not alone: true, but whose doing it is, is less certain than that it was done."""
    if not words:
        return finding
    title = f"{finding.title}: {words}"
    return msgspec.structs.replace(finding, title=title, verdict="suspicious", confidence="low")


def _through(finding: Finding, victim: str, culprit: str) -> Finding:
    return msgspec.structs.replace(
        finding, package=culprit, title=f"{finding.title}: by what it had changed for {victim} to run"
    )


def _noted(report: PackageReport, texts: Sequence[str]) -> PackageReport:
    coverage = msgspec.structs.replace(
        report.coverage, not_exercised=tuple(dict.fromkeys((*report.coverage.not_exercised, *texts)))
    )
    return msgspec.structs.replace(report, coverage=coverage)
