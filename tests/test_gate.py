"""The gate without guests: what is compared, what cannot be run, what is said, and who has a say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from git_repository import Repository
from locks import digest, integrity, npm_lock, package, requirements

from sandbox import cli, discovery, gate, previous, progress, report, schedule
from sandbox.errors import RegistryError, TargetError, UnfitError, UsageError
from sandbox.gate import Compared
from sandbox.report import Origin
from sandbox.settings import Settings
from sandbox.targets import Target

A, B = b"one content", b"another content"
OLD = npm_lock({"left-words": package("1.0.0", A)}, {"left-words": "^1"})
ANSWERS: dict[str, report.Verdict | Exception] = {}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path / "work")
    made.commit({"package-lock.json": OLD, "package.json": "{}"})
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """Stands in for the guests: what is asked for, and clean unless ANSWERS says otherwise."""
    seen: list[Target] = []

    def check_all(
        targets: Sequence[Target], settings: Settings, display: progress.Progress, *, keep_error: bool = False
    ) -> schedule.Outcome:
        assert keep_error
        seen.extend(targets)
        packages, errors = [], []
        for one in targets:
            answer = ANSWERS.get(one.name, "clean")
            if isinstance(answer, RegistryError | TargetError):
                errors.append((one.text, answer))
                packages.append(schedule.unchecked(one.text, answer))
            else:
                assert isinstance(answer, str)
                packages.append(report.PackageReport(
                    purl=f"pkg:npm/{one.name}@{one.requested}", target=one.text, digest="sha512:00", verdict=answer,
                ))  # fmt: skip
        return schedule.Outcome(schedule.assemble(packages, 0.0, "native"), tuple(errors))

    monkeypatch.setattr(schedule, "check_all", check_all)
    ANSWERS.clear()
    return seen


def checked(compared: Compared) -> schedule.Outcome:
    return gate.check(compared, Settings(), progress.Silent())


def by_target(outcome: schedule.Outcome) -> dict[str, report.PackageReport]:
    return {package.target: package for package in outcome.report.packages}


def code(outcome: schedule.Outcome, **settings: object) -> int:
    return cli.exit_code(outcome, Settings(**settings))  # type: ignore[arg-type]


def test_nothing_changed_is_clean_and_asks_for_nothing(repository: Repository, asked: list[Target]) -> None:
    outcome = checked(gate.compare(base="HEAD"))
    assert (outcome.report.verdict, outcome.report.packages, asked, code(outcome)) == ("clean", (), [], 0)
    assert [note.text for note in outcome.report.notes] == [
        "no package is new or changed since HEAD: all 1 are as they were in package-lock.json"
    ]


def test_new_changed_and_removed_packages_direct_and_transitive(repository: Repository, asked: list[Target]) -> None:
    repository.commit({"package-lock.json": npm_lock(
        {"left-words": package("1.0.0", A), "old-words": package("3.0.0"), "same-words": package("1.0.0", B)},
        {"left-words": "^1"},
    )})  # fmt: skip
    repository.write({"package-lock.json": npm_lock(
        {"left-words": package("1.1.0", A), "new-words": package("2.0.0", B), "same-words": package("1.0.0", B)},
        {"left-words": "^1"},
    )})  # fmt: skip
    outcome = checked(gate.compare(base="HEAD"))
    found = by_target(outcome)
    assert list(found) == ["npm:left-words@1.1.0", "npm:new-words@2.0.0"]
    (changed,), (new,) = (package.origins for package in found.values())
    assert (changed.reason, changed.previous, changed.direct) == ("changed", "1.0.0", True)
    assert (new.reason, new.previous, new.direct) == ("new", "", False)
    lines = Path("package-lock.json").read_text().splitlines()
    assert '"node_modules/new-words": {' in lines[new.line - 1]
    assert [note.text for note in outcome.report.notes] == ["old-words 3.0.0 was removed"]
    assert [len(target.digests) for target in asked] == [1, 1]
    assert code(outcome) == 0


def test_a_moved_digest_is_a_finding_though_the_behaviour_is_clean(repository: Repository, asked: list[Target]) -> None:
    repository.write({"package-lock.json": npm_lock({"left-words": package("1.0.0", B)}, {"left-words": "^1"})})
    outcome = checked(gate.compare(base="HEAD"))
    (package_report,) = outcome.report.packages
    assert (package_report.verdict, outcome.report.verdict, code(outcome)) == ("suspicious", "suspicious", 10)
    (finding,) = package_report.findings
    assert (finding.rule, finding.severity, finding.verdict) == ("digest_moved", "high", "suspicious")
    assert package_report.origins[0].reason == "moved"
    assert finding.evidence[0].text == (
        f"package-lock.json, line {package_report.origins[0].line}: {digest(A)[:27]}... became {digest(B)[:27]}..."
    )


def test_a_worse_behaviour_outranks_a_moved_digest(repository: Repository, asked: list[Target]) -> None:
    repository.write({"package-lock.json": npm_lock({"left-words": package("1.0.0", B)})})
    ANSWERS["left-words"] = "malicious"
    outcome = checked(gate.compare(base="HEAD"))
    assert (outcome.report.verdict, code(outcome)) == ("malicious", 11)


def test_the_version_before_is_given_with_its_digest_and_what_is_told_of_it_counts_for_nothing(
    repository: Repository, asked: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[previous.Subject] = []

    def compare(every: Sequence[previous.Subject], settings: Settings, display: object) -> list[report.PackageReport]:
        given.extend(every)
        told = report.Previous(version="1.0.0", verdict="malicious", new=("send ssh body x.test",))
        return [msgspec.structs.replace(one.report, previous=told) for one in every]

    monkeypatch.setattr(previous, "compare", compare)
    newer = npm_lock({"left-words": package("1.1.0", B), "new-words": package("1.0.0")})
    repository.write({"package-lock.json": newer})
    checked(gate.compare(base="HEAD"))
    assert given == []  # all of it is clean
    ANSWERS["left-words"] = "suspicious"
    repository.write({".npmrc": "registry=https://elsewhere.test/\n"})
    repository.commit({})
    outcome = checked(gate.compare(base="HEAD~1"))
    changed, new = given
    assert changed.earlier is not None
    assert isinstance(changed.earlier.target, Target)
    assert (changed.earlier.version, changed.earlier.target.digests) == ("1.0.0", (digest(A),))
    assert not changed.earlier.target.project_settings  # the change has no say here either
    assert (new.earlier, new.report.verdict) == (None, "clean")
    found = by_target(outcome)["npm:left-words@1.1.0"]
    assert (found.verdict, outcome.report.verdict, code(outcome)) == ("suspicious", "suspicious", 10)
    assert found.previous is not None
    assert found.previous.new == ("send ssh body x.test",)
    assert found.origins[0].previous == "1.0.0"


def test_what_is_not_what_the_lockfile_says_is_in_the_report_and_exits_3(
    repository: Repository, asked: list[Target]
) -> None:
    repository.write({"package-lock.json": npm_lock({"left-words": package("1.0.1", B)})})
    ANSWERS["left-words"] = TargetError("left-words@1.0.1 is not what the lockfile says")
    outcome = checked(gate.compare(base="HEAD"))
    (package_report,) = outcome.report.packages
    assert package_report.verdict == "inconclusive"
    assert package_report.coverage.missing == ("not checked: left-words@1.0.1 is not what the lockfile says",)
    assert package_report.purl == "pkg:npm/left-words@1.0.1"
    assert package_report.origins[0].previous == "1.0.0"
    assert code(outcome) == code(outcome, allow_inconclusive=True) == 3


def test_what_is_for_another_machine_is_inconclusive_and_no_error(repository: Repository, asked: list[Target]) -> None:
    repository.write({"package-lock.json": npm_lock({"left-words": package("1.0.1", B)})})
    ANSWERS["left-words"] = UnfitError("left-words 1.0.1 has no file for this machine")
    outcome = checked(gate.compare(base="HEAD"))
    assert (outcome.errors, outcome.report.verdict, code(outcome)) == ((), "inconclusive", 5)
    assert code(outcome, allow_inconclusive=True) == 0


def test_what_cannot_be_run_is_reported_one_by_one_unless_it_is_as_it_was(
    repository: Repository, asked: list[Target]
) -> None:
    strange = {
        "git-words": package("1.0.0", resolved="git+ssh://git@forge.test/words.git#0123456789abcdef"),
        "url-words": package("1.0.0", A, resolved="https://words.test/words.tgz"),
        "far-words": package("1.0.0", A, resolved="https://far.test/far-words/-/far-words-1.0.0.tgz"),
    }
    repository.commit({"package-lock.json": npm_lock(strange)})
    outcome = checked(gate.compare(base="HEAD"))
    assert (outcome.report.verdict, outcome.report.packages) == ("clean", ())
    repository.write({"package-lock.json": npm_lock({})})
    repository.commit({})
    repository.write({"package-lock.json": npm_lock(strange)})
    outcome = checked(gate.compare(base="HEAD"))
    assert asked == []
    missing = {name: package.coverage.missing[0] for name, package in by_target(outcome).items()}
    assert sorted(missing) == ["npm:far-words@1.0.0", "npm:git-words@1.0.0", "npm:url-words@1.0.0"]
    assert "prepare" in missing["npm:git-words@1.0.0"]
    assert "download it" in missing["npm:url-words@1.0.0"]
    assert "far.test" in missing["npm:far-words@1.0.0"]
    assert all(package.origins[0].line for package in outcome.report.packages)
    assert (outcome.report.verdict, code(outcome)) == ("inconclusive", 5)


def test_yarns_own_registry_stands_for_npms_where_the_digest_is_strong(
    repository: Repository, asked: list[Target]
) -> None:
    place = "https://yarn.test/left-words/-/left-words-1.1.0.tgz"
    text = f'# yarn lockfile v1\n\n\nleft-words@^1.1.0:\n  version "1.1.0"\n  resolved "{place}#{"0" * 40}"\n'
    repository.write({"yarn.lock": text + f"  integrity {integrity(A)}\n", "weak/yarn.lock": text})
    outcome = checked(gate.compare(base="HEAD"))
    assert [target.digests for target in asked] == [(digest(A),)]
    assert [one.verdict for one in outcome.report.packages] == ["inconclusive", "clean"]
    assert "yarn.test" in outcome.report.packages[0].coverage.missing[0]


def test_workspaces_and_bundled_packages_are_notes(repository: Repository, asked: list[Target]) -> None:
    repository.write({"package-lock.json": npm_lock({
        "left-words": package("1.0.0", A, bundleDependencies=["inner"]),
        "node_modules/left-words/node_modules/inner": package("1.0.0", inBundle=True),
        "node_modules/own": {"resolved": "packages/own", "link": True},
        "packages/own": {"name": "own", "version": "1.0.0"},
    })})  # fmt: skip
    outcome = checked(gate.compare(base="HEAD"))
    texts = " | ".join(note.text for note in outcome.report.notes)
    assert "inner 1.0.0: it lies in the archive of left-words" in texts
    assert "own 1.0.0: it is a part of this project" in texts
    assert (outcome.report.verdict, asked) == ("clean", [])


def test_one_package_in_several_lockfiles_is_one_check(repository: Repository, asked: list[Target]) -> None:
    newer = npm_lock({"left-words": package("1.1.0", A)}, {"left-words": "^1"})
    repository.write({"package-lock.json": newer, "web/package-lock.json": newer})
    outcome = checked(gate.compare(base="HEAD"))
    assert len(asked) == 1
    (package_report,) = outcome.report.packages
    assert [(one.file, one.reason) for one in package_report.origins] == [
        ("package-lock.json", "changed"), ("web/package-lock.json", "new"),
    ]  # fmt: skip


def test_the_same_version_with_two_digests_is_two_checks(repository: Repository, asked: list[Target]) -> None:
    repository.write({
        "package-lock.json": npm_lock({"left-words": package("1.1.0", A)}),
        "web/package-lock.json": npm_lock({"left-words": package("1.1.0", B)}),
    })  # fmt: skip
    outcome = checked(gate.compare(base="HEAD"))
    assert len({target.digests for target in asked}) == len(outcome.report.packages) == 2


def test_what_a_lockfile_leaves_open_is_a_line_of_its_own(repository: Repository, asked: list[Target]) -> None:
    repository.write({"requirements.txt": requirements({"six==1.17.0": A}) + "attrs>=2\n", "package-lock.json": None})
    outcome = checked(gate.compare(base="HEAD"))
    found = by_target(outcome)
    assert sorted(found) == ["package-lock.json", "pypi:six==1.17.0", "requirements.txt"]
    assert "not pinned any more" in found["package-lock.json"].coverage.missing[0]
    assert "line 3: attrs>=2" in found["requirements.txt"].coverage.missing[0]
    assert found["requirements.txt"].origins == (Origin(file="requirements.txt", line=3, reason="new"),)
    assert (outcome.report.verdict, code(outcome)) == ("inconclusive", 5)


def test_a_lockfile_that_cannot_be_read_does_not_lose_the_others(repository: Repository, asked: list[Target]) -> None:
    repository.write({"package-lock.json": "{", "requirements.txt": "six==1.17.0\n"})
    outcome = checked(gate.compare(base="HEAD"))
    assert [target.text for target in asked] == ["pypi:six==1.17.0"]
    assert outcome.errors[0][0] == "package-lock.json"
    assert str(outcome.errors[0][1]).count("package-lock.json") == 1
    assert "cannot be read" in by_target(outcome)["package-lock.json"].coverage.missing[0]
    assert code(outcome) == 3
    alone = msgspec.structs.replace(outcome.report, packages=(by_target(outcome)["package-lock.json"],))
    for name in ("terminal", "markdown", "junit", "sarif"):
        assert "transitive" not in discovery.load("reporters", "REPORTER")[name].render(alone)


def test_many_removed_packages_are_counted(repository: Repository, asked: list[Target]) -> None:
    many = {f"words-{number}": package("1.0.0") for number in range(gate.MOST_REMOVED + 5)}
    repository.commit({"package-lock.json": npm_lock(many)})
    repository.write({"package-lock.json": npm_lock({})})
    texts = [note.text for note in checked(gate.compare(base="HEAD")).report.notes]
    assert len(texts) == gate.MOST_REMOVED + 2
    assert texts[-1] == "5 more were removed"


def test_only_what_came_after_the_fork_counts(repository: Repository, asked: list[Target]) -> None:
    repository.git("checkout", "-q", "-b", "change")
    repository.commit({"package-lock.json": npm_lock({"left-words": package("1.0.0", A), "mine": package("1.0.0")})})
    repository.git("checkout", "-q", "main")
    repository.commit({"package-lock.json": npm_lock({"left-words": package("2.0.0", B)})})
    repository.git("checkout", "-q", "change")
    assert list(by_target(checked(gate.compare(base="main")))) == ["npm:mine@1.0.0"]
    assert list(by_target(checked(gate.compare(base="main", head="change")))) == ["npm:mine@1.0.0"]


def test_from_a_folder_and_only_what_is_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.commit({"web/package-lock.json": OLD})
    monkeypatch.chdir(repository.root / "web")
    assert [pair.path for pair in gate.compare(["package-lock.json"], base="HEAD").pairs] == ["web/package-lock.json"]
    assert [pair.path for pair in gate.compare(["../package-lock.json"], base="HEAD").pairs] == ["package-lock.json"]
    with pytest.raises(UsageError, match="is not in the repository"):
        gate.compare(["../../package-lock.json"], base="HEAD")
    with pytest.raises(UsageError, match="has no name that a lockfile has"):
        gate.compare(["words.txt"], base="HEAD")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "there is nothing to compare with"),
        ({"head": "HEAD"}, "there is nothing to compare with"),
        ({"before": Path("a")}, "two files are compared by"),
        ({"before": Path("a"), "after": Path("b"), "base": "HEAD"}, "two files are compared by"),
        ({"after": Path("b"), "named": ["b"]}, "two files are compared by"),
        ({"base": "nope"}, "there is no revision nope"),
        ({"base": "-x"}, "is not the name of a revision"),
        ({"base": "HEAD", "head": "nope"}, "there is no revision nope"),
    ],
)
def test_what_cannot_be_compared(repository: Repository, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        gate.compare(**arguments)  # type: ignore[arg-type]
    assert error.value.exit_code == 2


def test_a_change_does_not_choose_how_it_is_judged(repository: Repository) -> None:
    assert gate.compare(base="HEAD").pyproject is None
    older = '[tool.baitbox]\nfail-on = "malicious"\n'
    repository.commit({"pyproject.toml": older})
    repository.commit({"pyproject.toml": '[project]\nname = "x"\n' + older})
    assert gate.compare(base="HEAD~1").pyproject is None  # its settings are as they were
    repository.commit({"pyproject.toml": "[tool.baitbox]\nallow-inconclusive = true\n"})
    assert gate.compare(base="HEAD~1").pyproject == repository.git("show", "HEAD~1:pyproject.toml") + "\n"
    assert gate.compare(base="HEAD~3").pyproject == ""
    repository.commit({"pyproject.toml": "[tool"})
    assert gate.compare(base="HEAD~1").pyproject is not None


def test_a_change_does_not_choose_which_registry_is_asked(repository: Repository, asked: list[Target]) -> None:
    repository.write({".npmrc": "registry=https://token-of-ci.test/\n"})
    repository.git("update-index", "--refresh")
    assert not gate.compare(base="HEAD").npmrc  # not of the change: CI may have written it
    repository.commit({"package-lock.json": npm_lock({"left-words": package("2.0.0", A)})})
    compared = gate.compare(base="HEAD~1")
    assert compared.npmrc
    outcome = checked(compared)
    assert [target.project_settings for target in asked] == [False]
    assert ".npmrc" in outcome.report.notes[-1].text


def test_two_files(repository: Repository, asked: list[Target]) -> None:
    Path("new.json").write_text(npm_lock({"left-words": package("2.0.0", A)}))
    outcome = checked(gate.compare(before=Path("package-lock.json"), after=Path("new.json")))
    assert by_target(outcome)["npm:left-words@2.0.0"].origins[0].file == "new.json"
    outcome = checked(gate.compare(after=Path("new.json")))
    assert by_target(outcome)["npm:left-words@2.0.0"].origins[0].reason == "new"


def test_a_hostile_name_is_only_ever_shown(repository: Repository, asked: list[Target]) -> None:
    hostile = 'x\x1b[31m"`|\n::error::'
    repository.write({"package-lock.json": json.dumps({
        "lockfileVersion": 3, "packages": {f"node_modules/{hostile}": {"version": "1.0.0"}},
    })})  # fmt: skip
    outcome = checked(gate.compare(base="HEAD"))
    assert asked == []
    assert outcome.report.verdict == "inconclusive"
    for package_report in outcome.report.packages:
        assert all(text.isprintable() for text in package_report.coverage.missing)
