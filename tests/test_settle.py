"""Who is blamed, cleared and questioned, in a world whose packages do what a table says: no guest is needed to know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from sandbox import settle
from sandbox.batches import Packed
from sandbox.judge_batch import Judgement
from sandbox.plan import Artifact
from sandbox.report import Coverage, Finding, PackageReport

Deed = Callable[[set[str]], bool]
"""Whether it is done, given who is installed."""


def packed(name: str) -> Packed:
    """A package that has only its name."""
    artifact = Artifact(
        ecosystem="npm", name=name, version="1.0.0", target=name, purl=name, digest=f"sha512:{name}", spec=name
    )
    return Packed(artifact=artifact, url=f"https://packages.test/{name}")


def finding(name: str, rule: str = "decoy_sent", phase: str = "import:x", way: str = "https POST to a.test") -> Finding:
    """A malicious finding on a package."""
    return Finding(
        rule=rule, title="sent bait", severity="critical", confidence="high", verdict="malicious", package=name,
        phase=phase, decoys=("aws",), ways_out=(way,),
    )  # fmt: skip


class Table:
    """A world by table. `alone` are findings of a package wherever it is; `together` those on a package that need
    others; `nobody` are findings that cannot be attributed; `broken` are packages with which nothing can be installed;
    `odd` makes suspects without a finding."""

    def __init__(self, names: Sequence[str], **table: Any) -> None:
        self.every = [packed(name) for name in names]
        self.guilty: dict[str, list[Finding]] = table.get("guilty", {})
        self.together_only: dict[str, tuple[Deed, Finding]] = table.get("together_only", {})
        self.nobody: list[tuple[Deed, Finding]] = table.get("nobody", [])
        self.broken: set[str] = table.get("broken", set())
        self.odd: set[str] = table.get("odd", set())
        self.changed: dict[str, tuple[str, ...]] = table.get("changed", {})
        self.loads: dict[str, tuple[str, ...]] = table.get("loads", {})
        self.likely: tuple[str, ...] = table.get("likely", ())
        self.blame_scripts: bool = table.get("blame_scripts", True)
        self.sets: list[set[str]] = []
        self.questioned: list[str] = []

    def together(self, group: Sequence[Packed]) -> Judgement:
        """One guest."""
        here = {one.key for one in group}
        self.sets.append(here)
        found = {name: list(self.guilty.get(name, [])) for name in here}
        for name, (deed, what) in self.together_only.items():
            if name in here and deed(here):
                found[name].append(what)
        nobody = tuple(what for deed, what in self.nobody if deed(here))
        suspects = {name: ("it did something",) for name in here if found[name] or name in self.odd}
        bad = self.broken & here
        if bad and self.blame_scripts:
            suspects |= dict.fromkeys(bad, ("its script failed",))
        return Judgement(
            packages={name: report(name, found[name]) for name in here},
            suspects=suspects,
            unattributed=nobody,
            unclear=("the phase install exited with 1",) if bad else (),
            broken=bool(bad),
            changed_by={name: makers for name, makers in self.changed.items() if name in here},
            loads={name: others for name, others in self.loads.items() if name in here},
            likely=tuple(name for name in self.likely if name in here),
        )

    def alone(self, group: Sequence[Packed]) -> settle.Reports:
        """A guest for each. What a package loads comes with it."""
        found = {}
        for one in group:
            assert one.key not in self.questioned, "nobody is run alone twice"
            self.questioned.append(one.key)
            own = [*self.guilty.get(one.key, [])]
            for other in self.loads.get(one.key, ()):
                own += [msgspec.structs.replace(what, package=one.key) for what in self.guilty.get(other, [])]
            found[one.key] = report(one.key, own)
        return found

    def needed(self, every: Sequence[Packed], some: Sequence[Packed]) -> list[Packed]:
        """Just these."""
        del every
        return list(some)

    def settle(self) -> settle.Reports:
        """The reports; every package has one."""
        told: settle.Reports = {}
        reports = settle.settle(self.every, self, told.update)
        assert set(reports) == {one.key for one in self.every}
        assert all(reports[name].verdict == one.verdict for name, one in told.items()), "what was told was not final"
        return reports


def report(name: str, findings: Sequence[Finding]) -> PackageReport:
    """A report with these findings."""
    verdict = "malicious" if findings else "clean"
    return PackageReport(
        purl=name, target=name, digest="", verdict=verdict, findings=tuple(findings), coverage=Coverage()
    )


NAMES = [f"p{number}" for number in range(20)]


def accused(reports: settle.Reports) -> dict[str, str]:
    """Who is not clean."""
    return {name: one.verdict for name, one in reports.items() if one.verdict != "clean"}


def test_honest_packages_take_one_guest() -> None:
    world = Table(NAMES)
    assert not accused(world.settle())
    assert (len(world.sets), world.questioned) == (1, [])


def test_a_thief_is_questioned_alone_and_nobody_else_is() -> None:
    world = Table(NAMES, guilty={"p3": [finding("p3")]})
    assert accused(world.settle()) == {"p3": "malicious"}
    assert (len(world.sets), world.questioned) == (1, ["p3"])


def test_two_thieves_are_both_named() -> None:
    world = Table(NAMES, guilty={"p3": [finding("p3")], "p9": [finding("p9")]})
    assert accused(world.settle()) == {"p3": "malicious", "p9": "malicious"}


def test_an_odd_package_that_is_clean_alone_is_clean() -> None:
    world = Table(NAMES, odd={"p5"})
    assert not accused(world.settle())
    assert world.questioned == ["p5"]


def test_a_framed_neighbour_is_not_accused() -> None:
    """p1 changes p2's files, and is guilty alone of nothing; p2's process then steals."""
    both: Deed = lambda here: {"p1", "p2"} <= here  # noqa: E731
    tampering = msgspec.structs.replace(finding("p1", "package_tampering"), verdict="suspicious")
    world = Table(
        NAMES,
        together_only={"p1": (both, tampering), "p2": (both, finding("p2"))},
        changed={"p2": ("p1",)},
    )
    reports = world.settle()
    assert set(accused(reports)) == {"p1"}
    assert "p2" in " ".join(one.title for one in reports["p1"].findings)
    assert {one.rule for one in reports["p1"].findings} == {"package_tampering", "decoy_sent"}


def test_a_culprit_that_is_guilty_anyway_is_blamed_for_what_it_had_changed() -> None:
    with_culprit: Deed = lambda here: "p1" in here  # noqa: E731
    world = Table(
        NAMES,
        guilty={"p1": [finding("p1", "package_tampering")]},
        together_only={"p2": (with_culprit, finding("p2"))},
        changed={"p2": ("p1",)},
    )
    reports = world.settle()
    assert accused(reports) == {"p1": "malicious"}
    assert len(world.sets) == 1
    assert any("p1" in text for text in reports["p2"].coverage.not_exercised)


def test_a_thief_that_needs_company_is_named_and_its_company_is_not() -> None:
    with_seven: Deed = lambda here: "p7" in here  # noqa: E731
    world = Table(NAMES, together_only={"p3": (with_seven, finding("p3"))})
    reports = world.settle()
    assert accused(reports) == {"p3": "suspicious"}
    assert "found only together with p7 1.0.0" in reports["p3"].findings[0].title


def test_what_nobody_can_be_named_for_is_found_by_halves() -> None:
    both: Deed = lambda here: {"p4", "p11"} <= here  # noqa: E731
    world = Table(NAMES, nobody=[(both, finding(""))])
    reports = world.settle()
    assert accused(reports) == {"p4": "suspicious", "p11": "suspicious"}
    assert len(world.sets) < settle.MANY_SETS


def test_an_unnamed_thief_that_suspects_explain_clears_the_rest() -> None:
    world = Table(NAMES, guilty={"p3": [finding("p3")]}, nobody=[(lambda here: "p3" in here, finding(""))])
    assert accused(world.settle()) == {"p3": "malicious"}
    assert [len(one) for one in world.sets] == [20, 19]


def test_one_who_acts_in_everybodys_processes_is_looked_at_first() -> None:
    """Every package's process shows the deed; only one has what every start of Python runs."""
    there: Deed = lambda here: "p0" in here  # noqa: E731
    others = {name: (there, finding(name)) for name in NAMES if name != "p0"}
    world = Table(
        NAMES, guilty={"p0": [finding("p0")]}, together_only=others, nobody=[(there, finding(""))], likely=("p0",)
    )
    assert accused(world.settle()) == {"p0": "malicious"}
    assert world.questioned == ["p0"]
    assert len(world.sets) == 2


def test_few_packages_with_one_who_acts_in_all_of_them() -> None:
    there: Deed = lambda here: "p0" in here  # noqa: E731
    others = {name: (there, finding(name)) for name in NAMES[1:5]}
    world = Table(
        NAMES[:5], guilty={"p0": [finding("p0")]}, together_only=others, nobody=[(there, finding(""))], likely=("p0",)
    )
    assert accused(world.settle()) == {"p0": "malicious"}


@pytest.mark.parametrize("blame_scripts", [True, False])
def test_one_with_whom_nothing_can_be_installed_does_not_spoil_the_rest(blame_scripts: bool) -> None:
    world = Table(NAMES, broken={"p8"}, blame_scripts=blame_scripts)
    assert not accused(world.settle())
    assert "p8" in world.questioned
    assert len(world.questioned) < 6


def test_what_was_found_in_a_set_that_broke_is_not_lost() -> None:
    """p3 steals only beside p7, and breaks the set that shows it."""
    with_seven: Deed = lambda here: "p7" in here  # noqa: E731
    world = Table(NAMES, together_only={"p3": (with_seven, finding("p3"))}, broken={"p3"})
    assert accused(world.settle()) == {"p3": "suspicious"}


def test_a_dependent_is_not_accused_of_what_it_loads_nor_cleared() -> None:
    world = Table(
        NAMES, guilty={"p2": [finding("p2")]}, loads={"p6": ("p2",)},
        together_only={"p6": (lambda here: "p2" in here, finding("p6"))},
    )  # fmt: skip
    reports = world.settle()
    assert accused(reports) == {"p2": "malicious", "p6": "inconclusive"}
    assert not reports["p6"].findings


def test_a_dependent_that_sends_elsewhere_is_a_thief_of_its_own() -> None:
    own = finding("p6", way="https POST to b.test")
    world = Table(NAMES, guilty={"p2": [finding("p2")], "p6": [own]}, loads={"p6": ("p2",)})
    reports = world.settle()
    assert accused(reports) == {"p2": "malicious", "p6": "malicious"}
    assert own in reports["p6"].findings


def test_the_same_thief_in_the_install_script_of_a_dependent_is_named_too() -> None:
    """A worm writes the same script into many packages: none may hide behind another."""
    own = finding("p6", phase="install")
    world = Table(NAMES, guilty={"p2": [finding("p2", phase="install")], "p6": [own]}, loads={"p6": ("p2",)})
    assert accused(world.settle()) == {"p2": "malicious", "p6": "malicious"}


def test_what_is_seen_once_does_not_vanish() -> None:
    seen: list[int] = []

    def once(here: set[str]) -> bool:
        seen.append(len(here))
        return len(seen) == 1

    world = Table(NAMES, together_only={"p3": (once, finding("p3"))})
    reports = world.settle()
    assert accused(reports) == {"p3": "suspicious"}
    assert "seen once" in reports["p3"].findings[0].title


def test_what_is_seen_once_and_of_nobody_leaves_a_doubt_about_all() -> None:
    seen: list[int] = []

    def once(here: set[str]) -> bool:
        seen.append(len(here))
        return len(seen) == 1

    world = Table(NAMES, nobody=[(once, finding(""))])
    assert accused(world.settle()) == dict.fromkeys(NAMES, "inconclusive")


def test_only_what_is_wanted_is_reported_and_questioned() -> None:
    world = Table(NAMES, guilty={"p3": [finding("p3")]})
    reports = settle.settle(world.every, world, lambda _: None, ["p5", "p6"])
    assert set(reports) == {"p5", "p6"}
    assert world.sets == [set(NAMES)]
