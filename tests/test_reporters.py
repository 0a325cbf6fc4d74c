"""Reporters: every format renders every report; the terminal's is readable, and safe, at any width."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import discovery
from sandbox.report import (
    Coverage,
    Evidence,
    Finding,
    PackageReport,
    PhaseCoverage,
    Provenance,
    Report,
    Tool,
)
from sandbox.reporters import Reporter
from sandbox.reporters import terminal as on_terminal
from tests import report_samples

REPORTERS: dict[str, Reporter] = discovery.load("reporters", "REPORTER")
SCHEMA = Path(__file__).parent.parent / "docs" / "report.schema.json"
HOSTILE = "\x1b[31mred\u202e[bold]x[/bold]\r\n\x07"


def finding(text: str = "opened ~/.ssh/id_ed25519", **fields: Any) -> Finding:
    base: dict[str, Any] = {
        "rule": "decoy_sent", "title": "sent ssh bait", "severity": "critical", "confidence": "high",
        "verdict": "malicious", "package": "left-pod", "phase": "install", "attack": ("T1041",),
        "decoys": ("ssh",), "ways_out": ("https POST to collector.test",),
        "evidence": (Evidence(at=1.5, phase="install", process=3, text=text, line=17, program="/usr/bin/node x.js"),),
    }  # fmt: skip
    return Finding(**{**base, **fields})


COVERAGE = Coverage(
    personas=("laptop",),
    phases=(
        PhaseCoverage(name="install", persona="laptop", status="ran", seconds=1.25),
        PhaseCoverage(name="run:x", persona="laptop", status="failed", detail="was killed by signal 9"),
    ),
    sensors=("syscalls", "network"),
    not_exercised=("What the package does only when called is not exercised.",),
)


def package(verdict: Any, **fields: Any) -> PackageReport:
    base: dict[str, Any] = {"purl": "pkg:npm/left-pod@1.0.0", "target": "npm:left-pod", "digest": "sha512:" + "0" * 128}
    return PackageReport(verdict=verdict, **{**base, "coverage": COVERAGE, **fields})


def whole(*packages: PackageReport) -> Report:
    tool = Tool(version="0.1.0", backend="native", rules=31)
    verdict = packages[0].verdict if packages else "inconclusive"
    return Report(tool=tool, verdict=verdict, packages=packages, seconds=2.5)


SAMPLES = {
    "clean": whole(package("clean")),
    "malicious": whole(package("malicious", findings=(finding(), finding(verdict="suspicious", severity="low")))),
    "inconclusive": whole(
        package("inconclusive", coverage=msgspec.structs.replace(COVERAGE, missing=("the recording was cut",)))
    ),
    "suspicious": whole(
        package(
            "suspicious",
            findings=(finding(verdict="suspicious", package="", phase="", attack=(), decoys=(), ways_out=()),),
            expected=tuple(f"npm: thing {number}: because" for number in range(12)),
            provenance=Provenance(status="valid", detail="built by a workflow"),
            recordings=("out/x.jsonl",),
        )
    ),
    "stored": whole(package("clean", stored="2026-11-25T13:00:00Z")),
    "several": whole(package("malicious", findings=(finding(),)), package("clean")),
    "none": whole(),
    "two personas": whole(package("clean", coverage=msgspec.structs.replace(COVERAGE, personas=("laptop", "ci")))),
    "hostile": whole(
        package(
            "malicious", target=HOSTILE, purl=HOSTILE, digest=HOSTILE, expected=(HOSTILE,),
            findings=(
                finding(HOSTILE, title=HOSTILE, package=HOSTILE, phase=HOSTILE, decoys=(HOSTILE,), ways_out=(HOSTILE,)),
            ),
            coverage=Coverage(
                personas=(HOSTILE,), missing=(HOSTILE,), not_exercised=(HOSTILE,),
                phases=(PhaseCoverage(name=HOSTILE, persona=HOSTILE, status="ran", detail=HOSTILE),),
            ),
        )
    ),
}  # fmt: skip

SAMPLES["gate"] = report_samples.GATE
SAMPLES["compared"] = report_samples.COMPARED
_encodable = [one for one in report_samples.INJECTIONS if "\ud800" not in one]
SAMPLES["hostile everywhere"] = report_samples.hostile(_encodable)


def terminal(report: Report, **options: Any) -> str:
    return REPORTERS["terminal"].render(report, **options)


@pytest.mark.parametrize("name", REPORTERS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_format_renders_every_report(name: str, sample: str) -> None:
    reporter = REPORTERS[name]
    assert reporter.title
    text = reporter.render(SAMPLES[sample])
    assert text.endswith("\n")
    assert reporter.render(SAMPLES[sample]) == text


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("width", [10, 40, 80, 200])
def test_the_terminal_keeps_to_its_width_and_prints_nothing_hostile(sample: str, width: int) -> None:
    for line in terminal(SAMPLES[sample], width=width).splitlines():
        assert len(line) <= max(width, 40)
        assert line.isprintable()
        assert not line.endswith(" ")


def test_colour_is_only_where_it_is_wanted() -> None:
    assert "\x1b" not in terminal(SAMPLES["malicious"])
    coloured = terminal(SAMPLES["malicious"], colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == terminal(SAMPLES["malicious"])


def test_the_verdict_stands_first_and_the_finding_says_all() -> None:
    text = terminal(SAMPLES["malicious"])
    assert text.startswith("MALICIOUS  npm:left-pod\n")
    for words in (
        "malicious: sent ssh bait", "by left-pod, in install", "bait: ssh", "way out: https POST to collector.test",
        "rule decoy_sent: severity critical, confidence high, ATT&CK T1041", "1.500s  opened ~/.ssh/id_ed25519",
        "[line 17]", "ran        1.25s  install", "was killed by signal 9", "sensors: syscalls, network",
        "never exercised:", "What to do: Do not install it.", "baitbox 0.1.0, native backend, 31 rules, 2.5 s",
    ):  # fmt: skip
        assert words in text


def test_what_was_not_looked_at_is_told() -> None:
    text = terminal(SAMPLES["inconclusive"])
    assert text.startswith("INCONCLUSIVE  npm:left-pod\n")
    assert "not looked at, so it cannot be clean:\n    - the recording was cut\n" in text


def test_a_stored_result_says_when_it_was_run() -> None:
    assert "from the store: it was run at 2026-11-25T13:00:00Z (--no-cache runs it anew)" in terminal(SAMPLES["stored"])
    assert "from the store" not in terminal(SAMPLES["clean"])


def test_a_clean_package_is_told_in_few_words() -> None:
    text = terminal(SAMPLES["clean"])
    assert "What to do" not in text
    assert len(text.splitlines()) < 15


def with_imports(*statuses: Any) -> PackageReport:
    imports = [PhaseCoverage(name=f"import:x{n}", persona="laptop", status=one) for n, one in enumerate(statuses)]
    install = PhaseCoverage(name="install", persona="laptop", status="ran")
    return package("clean", coverage=Coverage(phases=(install, *imports)))


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (("ran", "ran"), "verything ran, everything was watched, nothing was unexpected"),
        (("ran", "failed"), "verything was tried, everything was watched, nothing was unexpected; 1 import raised"),
        (("failed", "failed"), "nothing was unexpected; 2 imports raised, as they may"),
    ],
)
def test_clean_says_which_imports_raised(name: str, statuses: tuple[str, ...], said: str) -> None:
    text = REPORTERS[name].render(whole(with_imports(*statuses)), width=200)
    assert said in text
    assert ("verything ran" in text) is ("failed" not in statuses)


def test_provenance_recordings_and_expectations_are_told() -> None:
    text = terminal(SAMPLES["suspicious"], width=120)
    assert "provenance: valid: built by a workflow (it never changes a verdict)" in text
    assert "recording: out/x.jsonl" in text
    assert "and 4 more (in the JSON report)" in text
    assert "by an unknown package, in no phase" in text


def test_several_packages_get_a_summary() -> None:
    text = terminal(SAMPLES["several"])
    assert "MALICIOUS  2 packages\n  malicious    npm:left-pod\n  clean        npm:left-pod\n" in text


def test_personas_are_told_apart() -> None:
    assert "install as laptop" in terminal(SAMPLES["two personas"])


def test_markup_is_text() -> None:
    assert "[bold]x[/bold]" in terminal(SAMPLES["hostile"], width=200)


@given(st.text() | st.sampled_from(["::", "##[add-mask]", "x ::set-output name=a::b"]), st.integers(40, 100))
@settings(deadline=None)
def test_no_line_of_the_terminal_is_a_command_of_a_runner(text: str, width: int) -> None:
    hostile = f"{text} ::add-mask::x ##[set-env]y ::WARNING::z"
    sample = whole(package("malicious", target=hostile, findings=(finding(hostile, title=hostile),)))
    for line in terminal(sample, width=width).splitlines():
        assert "##[" not in line
        assert not re.match(r"\s*::(add-mask|warning|set-output)", line, re.IGNORECASE)


@given(st.text())
@settings(deadline=None)
def test_no_text_breaks_the_terminals_report(text: str) -> None:
    sample = whole(package("malicious", target=text, findings=(finding(text, title=text),)))
    for line in terminal(sample).splitlines():
        assert line.isprintable()
        assert len(line) <= 80 or not line.isascii()


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_json_is_the_report_and_valid_by_the_schema(sample: str) -> None:
    text = REPORTERS["json"].render(SAMPLES[sample], width=10, colour=True)
    document = json.loads(text)
    assert msgspec.json.decode(text.encode(), type=Report) == SAMPLES[sample]
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)
    assert document["schema"] == 1


def test_the_schema_in_the_documentation_is_that_of_the_report() -> None:
    made = json.dumps(msgspec.json.schema(Report), indent=2) + "\n"
    assert SCHEMA.read_text("utf-8") == made, "run: python -m tests.test_reporters"


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(msgspec.json.schema(Report), indent=2) + "\n", "utf-8")


@given(
    text=st.text("ab -/:@.x1", min_size=1, max_size=90).filter(lambda text: text.strip() == text),
    style=st.sampled_from(["", "dim", "bold red", "yellow"]),
    indent=st.sampled_from([0, 2, 4]),
    colour=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_line_that_needs_no_wrapping_is_written_as_rich_writes_it(
    text: str, style: str, indent: int, colour: bool
) -> None:
    found = []
    for quick in (True, False):
        file = io.StringIO()
        page = on_terminal.Page(on_terminal.new_console(file, 60, colour=colour))
        if quick:
            page.line(text, style, indent)
        else:
            page.paragraph(text, style, indent, max(20, 60 - indent - 2))
        found.append(file.getvalue())
    assert found[0] == found[1]
