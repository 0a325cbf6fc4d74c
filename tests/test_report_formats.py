"""Every report format: the golden files, and hostile text in every field, read back by each format's own parser."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import discovery
from sandbox.reporters import Reporter
from tests import report_samples as samples

REPORTERS: dict[str, Reporter] = discovery.load("reporters", "REPORTER")
GOLDEN = Path(__file__).parent / "golden"
FORMATS = {
    "markdown": "md", "sarif": "json", "junit": "xml", "github": "txt", "har": "json", "indicators": "csv",
    "stix": "json", "allow_scripts": "json",
}  # fmt: skip
THIEF, RECORDED = samples.thief()
CLEAN = samples.report("clean", samples.package("left-pod", "1.0.0", "clean", recordings=(samples.RECORDING,)))
SAMPLES = {
    "gate": (samples.GATE, {}),
    "compared": (samples.COMPARED, {}),
    "thief": (THIEF, RECORDED),
    "clean": (CLEAN, {samples.RECORDING: samples.honest()}),
    "hostile": (samples.hostile(samples.INJECTIONS), {}),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_report_is_the_golden_file(name: str, sample: str, golden: Callable[[Path, str], None]) -> None:
    report, recordings = SAMPLES[sample]
    reporter = REPORTERS[name]
    text = reporter.render(report, recordings=recordings if reporter.recorded else None)
    golden(GOLDEN / name / f"{sample}.{FORMATS[name]}", text)


def test_a_golden_file_that_differs_fails(
    request: pytest.FixtureRequest, golden: Callable[[Path, str], None], tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("a\r\n", newline="")
    golden(tmp_path / "x", "a\r\n")
    if not request.config.getoption("--update-golden"):
        for other in ("a\n", "a\r\nb", ""):
            with pytest.raises(AssertionError, match="--update-golden"):
                golden(tmp_path / "x", other)


def test_there_is_no_golden_file_of_nothing() -> None:
    wanted = {GOLDEN / name / f"{sample}.{end}" for name, end in FORMATS.items() for sample in SAMPLES}
    assert {path for path in GOLDEN.rglob("*") if path.is_file() and path.parent.name in FORMATS} == wanted


def rendered(name: str, texts: list[str]) -> str:
    """A format's text where every text of the report and of its recordings is one of `texts`."""
    recording = samples.hostile_recording(texts)
    report = samples.with_evidence_of(samples.hostile(texts), recording)
    recordings = {path: recording for package in report.packages for path in package.recordings}
    return REPORTERS[name].render(report, recordings=recordings)


@pytest.mark.parametrize("name", FORMATS)
@given(texts=samples.hostile_texts())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_hostile_breaks_a_format(name: str, texts: list[str]) -> None:
    text = rendered(name, texts)
    assert text.endswith("\n")
    encoded = text.encode("utf-8")  # no lone surrogate
    assert "##[" not in text, "an old workflow command"
    for line in text.split("\n"):
        assert line.isprintable(), line
    if name in ("sarif", "har", "stix", "allow_scripts"):
        assert isinstance(json.loads(encoded), dict)
    elif name == "junit":
        assert ET.fromstring(encoded).tag == "testsuites"
    elif name == "indicators":
        rows = list(csv.reader(io.StringIO(text)))
        assert {len(row) for row in rows} == {8}


@given(texts=samples.hostile_texts())
@settings(max_examples=30, deadline=None)
def test_json_takes_a_name_that_is_not_utf_8(texts: list[str]) -> None:
    assert json.loads(REPORTERS["json"].render(samples.hostile(texts)))["verdict"] == "malicious"


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_of_many_packages_is_bounded(name: str) -> None:
    many = samples.report(
        "malicious",
        *(samples.package(f"p{number}", "1.0.0", "malicious", findings=(samples.finding(),)) for number in range(1000)),
    )
    assert len(REPORTERS[name].render(many)) < 10_000_000


@given(st.lists(st.sampled_from(samples.INJECTIONS), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_a_format_that_shows_recordings_says_so_where_there_are_none(texts: list[str]) -> None:
    for name in ("har", "indicators", "stix", "allow_scripts"):
        reporter = REPORTERS[name]
        assert reporter.recorded
        assert reporter.render(samples.hostile(texts), recordings=None)


def test_the_examples_in_the_documentation_are_what_the_formats_write() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reports.md").read_text("utf-8")
    examples = re.findall(r"<!-- golden: (\S+) -->\n```[a-z]*\n(.*?)```", page, re.DOTALL)
    assert {name.split("/")[0] for name, _ in examples} == set(FORMATS)
    for name, example in examples:
        text = (GOLDEN / name).read_text("utf-8")
        for part in example.removesuffix("\n").split("\n...\n"):
            assert part in text, f"{name}: {part}"


def test_every_format_has_a_section_in_the_documentation() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reports.md").read_text("utf-8")
    sections = re.findall(r"^## (\S+)$", page, re.MULTILINE)
    assert {name.replace("_", "-") for name in FORMATS} <= set(sections)
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (yes|) ?\|$", page, re.MULTILINE)
    shown = {name.replace("-", "_"): said == "yes" for name, said in rows}
    assert shown == {name: REPORTERS[name].recorded for name in shown}
    assert set(FORMATS) <= set(shown)


def test_titles_and_media_are_told() -> None:
    for name in FORMATS:
        assert re.fullmatch(r"[a-z]+/[a-z0-9+.-]+", REPORTERS[name].media)
        assert REPORTERS[name].title
