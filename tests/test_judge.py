"""The judge: fail-closed, in every way in which a recording can fall short, and never upset by a hostile one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import discovery, events, profiles
from sandbox.events import NOT_LOADED, PlannedPhase, Recording
from sandbox.facts import gather
from sandbox.judge import judge, merged, purl
from sandbox.profiles import Profiles
from sandbox.report import Evidence, Finding, PackageReport
from sandbox.rules import Case, Rule
from sandbox.show import timeline, tree
from tests.recording import HOME, INSTALL, NPM, Story, installed

RULES: dict[str, Rule] = discovery.load("rules", "RULE")
PROFILES = {name: profiles.load([profiles.profile_folder()], name) for name in ("npm", "pypi")}


def verdict(recording: Recording) -> PackageReport:
    return judge(recording, PROFILES[recording.header.ecosystem], RULES)


def rule(check: Any) -> Rule:
    return Rule(title="seen", severity="low", confidence="low", verdict="suspicious", attack=("T1",), check=check)


def first_deed(case: Case) -> Iterable[Finding]:
    line, event, actor = case.facts.programs[0]
    yield case.finding([case.deed("run", line, event, actor)])


def test_a_whole_recording_of_nothing_unexpected_is_clean() -> None:
    report = verdict(installed().whole())
    assert (report.verdict, report.findings, report.coverage.missing) == ("clean", (), ())
    assert report.purl == "pkg:npm/thing@1.0.0"
    assert [(phase.name, phase.status) for phase in report.coverage.phases] == [("install", "ran")]
    assert report.coverage.sensors == ("network", "syscalls")
    assert report.coverage.personas == ("laptop",)


def missing(recording: Recording) -> tuple[str, ...]:
    report = verdict(recording)
    assert report.verdict == "inconclusive"
    return report.coverage.missing


def without(recording: Recording, kind: type) -> Recording:
    return Recording(recording.header, [event for event in recording.events if not isinstance(event, kind)])


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (events.GuestEnded, "the recording was cut before the guest's end"),
        (events.SensorStarted, "the sensor syscalls did not start"),
        (events.PhaseEnded, "the phase install was cut"),
        (events.PhasesPlanned, "what to run after the installation was never planned"),
    ],
)
def test_a_recording_that_lacks_something_is_not_clean(kind: type, sentence: str) -> None:
    assert sentence in missing(without(installed().whole(), kind))


def test_a_phase_that_never_began_is_missing() -> None:
    assert missing(Story().whole()) == ("the phase install did not run",)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"planted": []}, "no bait was planted"),
        ({"sensors": []}, "no sensor was planned"),
        ({"phases": []}, "no installation was planned"),
    ],
)
def test_a_plan_that_could_not_see_anything_is_not_clean(header: dict[str, Any], sentence: str) -> None:
    assert sentence in missing(installed(**header).whole())


def test_lost_records_are_named() -> None:
    story = installed()
    story.add(events.SensorLost, sensor="syscalls", reason="the queue was full", count=3)
    story.add(events.SensorLost, sensor="witness", reason="a watch is gone")
    story.add(events.SensorLost, sensor="registry", reason="it sent more than 512 MiB for thing")
    found = missing(story.whole())
    assert "a registry did not give out all that it was asked for: it sent more than 512 MiB for thing" in found
    assert "the sensor syscalls lost 3 records: the queue was full" in found
    assert "the sensor witness lost an unknown number of records: a watch is gone" in found


def test_events_that_were_written_and_are_not_there_are_missed() -> None:
    whole = installed().whole()
    counted = events.GuestEnded(at=9, counts={"file.opened": 5, "phase.ended": 1})
    short = Recording(whole.header, [*whole.events[:-1], counted])
    assert missing(short) == ("the recording holds 0 of 5 file.opened events",)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ({"code": 1}, "the phase install exited with 1"),
        ({"status": "timeout", "seconds": 120.0}, "the phase install was stopped at its limit of 120 s"),
        ({"status": "killed", "signal": 9}, "the phase install was killed by signal 9"),
        ({"status": "failed", "reason": "no such\nfile"}, "the phase install could not be started: no such\\nfile"),
    ],
)
def test_an_installation_that_did_not_end_well(end: dict[str, Any], sentence: str) -> None:
    story = Story()
    assert missing(story.end(story.begin("install", "install", NPM), **end).whole()) == (sentence,)


def phases(*planned: tuple[PlannedPhase, dict[str, Any] | None]) -> Recording:
    """An installation and these phases, which ended so; None for one that never began."""
    story = installed()
    for phase, end in planned:
        if end is not None:
            story.end(story.begin(phase.name, phase.kind, ["/usr/bin/node", "-e", "0"]), **end)
    whole = story.whole()
    plan = events.PhasesPlanned(at=1, phases=[phase for phase, _ in planned], not_exercised=["A thing."])
    return Recording(whole.header, [*whole.events[:-2], plan, whole.events[-1]])


HELP = PlannedPhase("run:x --help", "run", False, True)
CHECK = PlannedPhase("run:y", "run", False, False)


@pytest.mark.parametrize(
    ("phase", "end", "status", "counts"),
    [
        (HELP, {"code": 1}, "ran", True),
        (HELP, {"status": "timeout"}, "timeout", True),
        (HELP, {"status": "killed", "signal": 11}, "failed", False),
        (HELP, {"status": "failed"}, "failed", False),
        (HELP, None, "skipped", False),
        (CHECK, {"status": "timeout"}, "timeout", False),
        (CHECK, {"code": 2}, "ran", True),
        (PlannedPhase("shell", "shell"), {"code": 1}, "failed", False),
        (PlannedPhase("import:x", "import"), {"code": NOT_LOADED}, "failed", False),
        (PlannedPhase("import:x", "import"), {"code": 1}, "ran", True),
        (PlannedPhase("import:x/extra", "import", False), {"code": NOT_LOADED}, "failed", True),
    ],
)
def test_how_other_phases_count(phase: PlannedPhase, end: dict[str, Any] | None, status: str, counts: bool) -> None:
    report = verdict(phases((phase, end)))
    assert report.coverage.phases[1].status == status
    assert (report.verdict == "clean") is counts
    assert report.coverage.not_exercised == ("A thing.",)


def test_an_import_that_raised_is_missing_unless_a_profile_says_why() -> None:
    planned = [PlannedPhase("import:black", "import"), PlannedPhase("import:blackd", "import")]
    whole = phases((planned[0], {"code": 0}), (planned[1], {"code": NOT_LOADED}))
    report = verdict(whole)
    assert report.verdict == "inconclusive"
    assert report.coverage.missing == ("the phase import:blackd raised, and was not loaded",)
    header = msgspec.structs.replace(whole.header, ecosystem="pypi", package="Black")
    excused = verdict(Recording(header, whole.events))
    assert excused.verdict == "clean"
    assert excused.coverage.phases[2].status == "failed"
    assert excused.expected[0].startswith("packages/pypi/black: import:blackd: ")
    killed = phases((planned[1], {"status": "killed", "signal": 9}))
    assert verdict(Recording(header, killed.events)).verdict == "inconclusive", "only raising is explained"


def test_what_its_profile_lets_a_package_fetch_and_no_guest_is_given_stands_beside_what_failed() -> None:
    story = Story(package="sqlite3")
    root = story.begin("install", "install", NPM)
    script = story.script(root, "sqlite3")
    url = "https://github.com/TryGhost/node-sqlite3/releases/download/v6.0.1/sqlite3-v6.0.1-napi-v6-linux-x64.tar.gz"
    where = {"process": script, "connection": 1}
    story.add(events.ConnectionOpened, protocol="tcp", address="198.18.0.9", port=443, host="github.com", **where)
    story.add(events.RequestSent, method="GET", url=url, headers=[], status=404, answered_by="absent", **where)
    whole = story.end(root).whole()
    assert verdict(whole).coverage.missing == (), "it can do without"
    reason = "sqlite3 fetches files from github.com, which guests cannot reach"
    assert missing(without(whole, events.PhaseEnded)) == ("the phase install was cut", reason)
    served = [
        msgspec.structs.replace(event, answered_by="registry") if isinstance(event, events.RequestSent) else event
        for event in without(whole, events.PhaseEnded).events
    ]
    assert missing(Recording(whole.header, served)) == ("the phase install was cut",)


WAYS = [PlannedPhase(f"import:x ({way})", "import", False, False, "import:x") for way in ("require", "import")]


@pytest.mark.parametrize(
    ("codes", "counts"),
    [
        ((0, 0), True),
        ((NOT_LOADED, 0), True),
        ((0, NOT_LOADED), True),
        ((NOT_LOADED, NOT_LOADED), False),
        ((NOT_LOADED, 1), True),
        ((None, 0), True),
        ((None, NOT_LOADED), False),
    ],
)
def test_one_of_several_ways_is_enough(codes: tuple[int | None, ...], counts: bool) -> None:
    ends = [None if code is None else {"code": code} for code in codes]
    report = verdict(phases(*zip(WAYS, ends, strict=True)))
    assert (report.verdict == "clean") is counts
    if not counts:
        assert report.coverage.missing == ("none of the 2 ways to import:x succeeded",)


@pytest.mark.parametrize(
    ("codes", "counts", "listed"),
    [
        ((0, None), True, 2),  # no need of it: it is not told
        ((NOT_LOADED, 0), True, 3),
        ((NOT_LOADED, NOT_LOADED), False, 3),
        ((NOT_LOADED, None), False, 2),  # it should have been tried
        ((None, None), False, 2),
    ],
)
def test_a_fallback_counts_only_where_it_was_run(codes: tuple[int | None, ...], counts: bool, listed: int) -> None:
    last = PlannedPhase("import:x (as in a page)", "import", True, False, "import:x", fallback="import:x")
    ends = [None if code is None else {"code": code} for code in codes]
    report = verdict(phases(*zip([WAYS[0], last], ends, strict=True)))
    assert (report.verdict == "clean") is counts
    assert len(report.coverage.phases) == listed
    assert verdict(phases((last, None))).verdict == "inconclusive", "nothing else was planned to load it"


def test_what_is_still_busy_at_its_limit_is_told_so() -> None:
    ends = [{"status": "timeout", "seconds": 45.0}, {"status": "timeout", "seconds": 10.0}]
    report = verdict(phases(*zip(WAYS, ends, strict=True)))
    assert report.coverage.missing == ("import:x was still busy at its limit of 45 s",)


def test_without_rules_or_profiles_nothing_is_clean() -> None:
    whole = installed().whole()
    assert judge(whole, PROFILES["npm"], {}).coverage.missing == ("there were no rules to judge by",)
    report = judge(whole, Profiles({}, "npm"), {"quiet": rule(lambda _: [])})
    assert report.coverage.missing == ("there were no profiles to judge by",)
    report = judge(whole, PROFILES["pypi"], {"quiet": rule(lambda _: [])})
    assert "the profiles are for pypi, the recording is of npm" in report.coverage.missing


def test_a_rule_that_raises_is_named_and_does_not_silence_the_others() -> None:
    def broken(_: Case) -> Iterable[Finding]:
        raise RuntimeError("oh\x1b no")

    whole = installed().whole()
    report = judge(whole, PROFILES["npm"], {"bad": rule(broken)})
    assert report.verdict == "inconclusive"
    assert report.coverage.missing == ("the rule bad failed: RuntimeError: oh\\x1b no",)
    report = judge(whole, PROFILES["npm"], {"bad": rule(broken), "good": rule(first_deed)})
    assert report.verdict == "suspicious"
    assert [finding.rule for finding in report.findings] == ["good"]
    assert report.coverage.missing


def test_a_finding_outranks_what_was_missed_which_still_stands() -> None:
    story = Story()
    root = story.begin("install", "install", NPM)
    story.read(story.script(root, "dep"), f"{HOME}/.aws/credentials")
    report = verdict(story.recording())
    assert report.verdict == "suspicious"
    assert report.coverage.missing
    (finding,) = report.findings
    assert (finding.rule, finding.package, finding.phase, finding.decoys) == ("decoy_read", "dep", "install", ("aws",))
    (evidence,) = finding.evidence
    assert evidence.text == "opened for reading: ~/.aws/credentials [bait: aws]"
    assert story.events[evidence.line - 2].path == f"{HOME}/.aws/credentials"


def test_findings_of_one_kind_are_one_finding() -> None:
    def item(line: int) -> Evidence:
        return Evidence(at=0, phase="install", process=1, text=f"did {line}", line=line)

    def finding(line: int, title: str = "a", **fields: Any) -> Finding:
        base: dict[str, Any] = {"severity": "low", "confidence": "low", "verdict": "suspicious", "rule": "r"}
        return Finding(title=title, evidence=(item(line),), decoys=("d",), **{**base, **fields})

    many = [finding(line) for line in range(2, 20)]
    (one,) = merged(many)
    assert len(one.evidence) == 8
    assert one.title == "a"
    (one,) = merged([finding(9, "b"), finding(3, "a", severity="high")])
    assert one.title == "a (and 1 more like it)"
    assert one.severity == "high"
    assert [item.line for item in one.evidence] == [3, 9]
    assert len(merged([finding(2), finding(3, verdict="malicious"), finding(4, phase="x")])) == 3


def test_the_worst_stands_first() -> None:
    def both(case: Case) -> Iterable[Finding]:
        line, event, actor = case.facts.programs[0]
        deeds = [case.deed("run", line, event, actor)]
        yield case.finding(deeds, title="low")
        yield case.finding(deeds, title="high", severity="high")
        yield case.finding(deeds, title="worst", verdict="malicious", severity="critical", phase="x")

    report = judge(installed().whole(), PROFILES["npm"], {"both": rule(both)})
    assert [finding.title for finding in report.findings] == ["worst", "high (and 1 more like it)"]
    assert report.verdict == "malicious"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"package": "@scope/x"}, "pkg:npm/%40scope/x@1.0.0"),
        ({"ecosystem": "pypi", "package": "Foo_Bar", "version": "1+x"}, "pkg:pypi/foo-bar@1%2Bx"),
        ({"version": ""}, "pkg:npm/thing"),
    ],
)
def test_the_package_url(header: dict[str, Any], expected: str) -> None:
    assert purl(Story(**header).header) == expected


def test_what_a_profile_explained_is_told() -> None:
    story = Story(package="dotenv")
    story.end(story.begin("install", "install", NPM))
    root = story.begin("import:dotenv (require)", "import", ["/usr/bin/node", "-e", "0"])
    story.read(root, "/home/dev/project/.env").read(root, "/usr/lib/x")
    report = verdict(story.end(root).whole())
    assert report.verdict == "clean"
    (line,) = report.expected
    assert line.startswith("packages/npm/dotenv: /home/dev/project/.env: ")


# A hostile guest makes events of any content, in any order.
TEXTS = st.one_of(
    st.sampled_from(
        [f"{HOME}/.aws/credentials", f"{HOME}/.npmrc", "/proc/1/mem", "/usr/bin/node", "/tmp/x", "sh", "-c", "h.test",
         "https://registry.test/-/whoami", "install", "install.js", "169.254.169.254", "8.8.8.8", "mount",
         "/home/dev/project/node_modules/a/x"]
    ),
    st.text(max_size=12),
)  # fmt: skip
NUMBERS = st.one_of(st.integers(0, 6), st.integers(-(2**63), 2**63))
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS, int: NUMBERS, bool: st.booleans(), bytes: st.binary(max_size=8),
    float: st.floats(allow_nan=False, allow_infinity=False, width=32),
}  # fmt: skip


def of_inspected(kind: Any) -> st.SearchStrategy[Any]:
    known = {
        msgspec.inspect.StrType: str, msgspec.inspect.IntType: int, msgspec.inspect.FloatType: float,
        msgspec.inspect.BoolType: bool, msgspec.inspect.BytesType: bytes,
    }  # fmt: skip
    if type(kind) in known:
        return BY_TYPE[known[type(kind)]]
    if isinstance(kind, msgspec.inspect.LiteralType):
        return st.sampled_from(kind.values)
    if isinstance(kind, msgspec.inspect.ListType):
        return st.lists(of_inspected(kind.item_type), max_size=3)
    if isinstance(kind, msgspec.inspect.TupleType):
        return st.tuples(*map(of_inspected, kind.item_types))
    if isinstance(kind, msgspec.inspect.DictType):
        return st.dictionaries(of_inspected(kind.key_type), of_inspected(kind.value_type), max_size=2)
    return struct(kind)


def struct(kind: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind.cls, **{field.name: of_inspected(field.type) for field in kind.fields})


KINDS = {kind.__name__: struct(msgspec.inspect.type_info(kind)) for kind in get_args(events.AnyEvent)}


@st.composite
def made_up(draw: st.DrawFn) -> list[Any]:
    """Any events in any order."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=40))
    return [draw(KINDS[name]) for name in names]


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(made_up(), st.sampled_from(["npm", "pypi"]))
def test_no_recording_upsets_the_judge(found: list[Any], ecosystem: str) -> None:
    story = Story(ecosystem=ecosystem)
    story.events = found
    recording = story.recording()
    report = verdict(recording)
    assert report.verdict != "clean"
    assert not [text for text in report.coverage.missing if text.startswith("the rule ")]
    for finding in report.findings:
        assert finding.evidence
        assert finding.title.isprintable()
        assert all(item.text.isprintable() for item in finding.evidence)
    for text in (timeline(recording), timeline(recording, all=True), tree(recording)):
        assert all(line.isprintable() for line in text.splitlines())


def test_a_large_recording_is_judged_fast() -> None:
    story = Story()
    script = story.script(story.begin("install", "install", NPM))
    for number in range(20_000):
        story.read(script, f"/home/dev/project/node_modules/d{number % 171}/f{number}.js")
    whole = story.end(1).whole()
    verdict(whole)
    started = time.thread_time()  # of the processor: others may be busy on it
    verdict(whole)
    assert time.thread_time() - started < 1.5  # 0.1 s on an idle machine


@pytest.mark.parametrize("depth", [3000])
def test_a_deep_line_of_processes_is_walked(depth: int) -> None:
    story = Story()
    process = story.script(story.begin("install", "install", NPM))
    for _ in range(depth):
        process = story.fork(process)
    story.read(process, f"{HOME}/.aws/credentials")
    recording = story.recording()
    assert {finding.rule for finding in verdict(recording).findings} == {"decoy_read"}
    assert gather(recording).table.processes[process].actor.stem == 2
    assert f"({depth + 1} deep)" in tree(recording)


def test_the_install_phase_is_what_the_tests_plan() -> None:
    assert Story().header.phases == [INSTALL]
