"""Markdown, GitHub annotations and JUnit: read back by their own rules, whatever the texts of the report are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sandbox.report import Evidence, Note, PackageReport, Report
from sandbox.reporters import github, junit, markdown
from tests import report_samples as samples

# Markdown ---------------------------------------------------------------------------------------------------

PARSER = MarkdownIt("commonmark").enable("table")
HTML_LINE = re.compile(
    r"<!-- baitbox report -->|</details>"
    r"|<details(?: open)?><summary>[a-z]+ <code>(?:[^<>&]|&(?:amp|lt|gt|quot|#x27);)*</code></summary>"
)
SAFE_TEXT = re.compile(r"[A-Za-z0-9 .,:;()*&_\-]*")


def inline(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or []


def check_markdown(text: str) -> list[Token]:
    """Outside of code there is nothing but our own words; inside there is no way out."""
    tokens = PARSER.parse(text)
    kinds = {token.type for token in inline(tokens)}
    assert kinds <= {"text", "code_inline", "softbreak", "strong_open", "strong_close"}, kinds
    for token in inline(tokens):
        if token.type == "text":
            assert SAFE_TEXT.fullmatch(token.content), token.content
            assert not re.search(r"www|http|@|#\d", token.content), token.content
    for token in tokens:
        if token.type == "html_block":
            for line in token.content.splitlines():
                assert not line or HTML_LINE.fullmatch(line), line
    headings = [tokens[number + 1].content for number, token in enumerate(tokens) if token.type == "heading_open"]
    assert re.fullmatch("baitbox: [a-z]+", headings[0])
    assert set(headings[1:]) <= {"Findings", "Not looked at", "Notes on the lockfiles"}
    return tokens


def test_the_markdown_of_the_gate_reads_as_meant() -> None:
    text = markdown.render(samples.GATE)
    tokens = check_markdown(text)
    rows = [tokens[number + 1] for number, token in enumerate(tokens) if token.type == "tbody_open"]
    assert rows
    cells = [token.content for token in tokens if token.type == "inline"]
    assert "changed from `3.0.0` in `web/package-lock.json:40`" in cells
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(samples.GATE.packages)


@given(texts=samples.hostile_texts())
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_out_of_the_markdown(texts: list[str]) -> None:
    tokens = check_markdown(markdown.render(samples.hostile(texts)))
    assert sum(token.type == "tr_open" for token in tokens) == 5, "one row each, and the head"
    rows = "".join(token.type[:2] for token in tokens if token.type in ("tr_open", "td_open"))
    assert rows == "tr" + ("tr" + "td" * 5) * 4


@given(st.text(st.characters(), max_size=60) | st.sampled_from(samples.INJECTIONS))
@settings(deadline=None)
def test_a_code_span_is_one_in_a_table_too(text: str) -> None:
    span = markdown.code(text, 200)
    tokens = PARSER.parse(f"| a | b |\n| --- | --- |\n| {span} | end |\n")
    cells = [token for token in tokens if token.type == "inline"][2:]
    assert [child.type for child in cells[0].children or []] == ["code_inline"]
    assert cells[1].content == "end"


def test_the_markdown_keeps_within_what_github_takes() -> None:
    wide = "😀" * 400
    evidence = tuple(Evidence(at=1, phase="x", process=1, text=wide, program=wide) for _ in range(8))
    found = tuple(samples.finding(title=wide + str(number), evidence=evidence, package=wide) for number in range(30))
    packages = [samples.package(f"p{number}", "1.0.0", "malicious", findings=found) for number in range(400)]
    missing = [
        samples.package(f"q{number}", "1.0.0", "inconclusive", coverage=samples.coverage(wide)) for number in range(200)
    ]
    notes = tuple(Note(text=wide, file=wide) for _ in range(200))
    text = markdown.render(samples.report("malicious", *packages, *missing, notes=notes))
    assert len(text.encode()) <= markdown.MOST_BYTES
    check_markdown(text)
    assert "### Findings" in text
    assert re.search(r"The findings of \d+ more packages are left out here", text)
    assert re.search(r"and \d+ more packages, none of them worse than these", text)
    assert re.search(r"and \d+ more reasons", text)
    assert re.search(r"and \d+ more notes", text)


def test_what_is_cut_is_the_least_bad() -> None:
    found = (samples.finding(),)
    clean = [samples.package(f"c{number}", "1.0.0", "clean") for number in range(1000)]
    worst = samples.package("worst", "1.0.0", "malicious", findings=found)
    text = markdown.render(samples.report("malicious", *clean, worst))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2].startswith("| malicious | `npm:worst@1.0.0`")
    left_out = re.search(r"and (\d+) more packages", text)
    assert left_out
    assert int(left_out[1]) == 1001 - (len(rows) - 2)


def test_an_empty_report_is_markdown_too() -> None:
    text = markdown.render(samples.report("clean"))
    check_markdown(text)
    assert "no packages" in text


# GitHub annotations -----------------------------------------------------------------------------------------

COMMAND = re.compile(r"::(?P<name>error|warning|notice)(?: (?P<properties>[^:\r\n]*))?::(?P<message>[^\r\n]*)")
"""As the runner reads one: properties end at the first `::`."""


def annotations(report: Report) -> list[dict[str, str]]:
    """The commands of a report, unescaped as the runner does."""
    *lines, last = github.render(report).removesuffix("\n").split("\n")
    assert last.startswith("baitbox: ")
    found = []
    for line in lines:
        match = COMMAND.fullmatch(line)
        assert match, line
        given_properties = dict(part.split("=", 1) for part in (match["properties"] or "").split(",") if part)
        assert set(given_properties) <= {"file", "line", "title"}
        found.append({"level": match["name"], "message": match["message"], **given_properties})
    return [{key: unescaped(value) for key, value in one.items()} for one in found]


def unescaped(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_annotations_say_where_and_what() -> None:
    first, *rest = annotations(samples.GATE)
    assert first == {
        "level": "error", "file": samples.LOCK, "line": "12",
        "title": "baitbox: malicious: npm:left-pod@1.0.0 (new)",
        "message": "sent ssh bait by https POST to collector.test\n"
        "reached hosts that no profile expects: collector.test",
    }  # fmt: skip
    assert [one["level"] for one in rest] == ["warning", "warning", "warning", "notice", "notice"]
    assert "line" not in rest[1], "a line that is not known is not said"
    assert rest[-1] == {
        "level": "notice", "title": "baitbox: lockfile", "message": "a note about nothing in particular",
    }  # fmt: skip


@given(texts=samples.hostile_texts())
@settings(max_examples=60, deadline=None)
def test_no_text_becomes_a_command(texts: list[str]) -> None:
    found = annotations(samples.hostile(texts))
    assert [one["level"] for one in found[:3]] == ["error", "warning", "warning"]
    assert len(found) == 6
    for one in found:
        assert re.fullmatch("[23]", one.get("line", "2")), "no property is forged"
        assert one["title"].startswith("baitbox: ")


@given(st.text(st.characters(), max_size=60) | st.sampled_from(samples.INJECTIONS))
@settings(deadline=None)
def test_a_command_holds_any_text(text: str) -> None:
    line = github.command("error", text, file=text, line=3, title=text)
    assert len(line.splitlines()) == 1
    assert COMMAND.fullmatch(line)


def test_of_more_than_github_shows_the_last_counts_the_rest() -> None:
    packages = [
        samples.package(f"p{number}", "1.0.0", "suspicious", findings=(samples.finding(verdict="suspicious"),))
        for number in range(25)
    ]
    worst = samples.package("worst", "1.0.0", "malicious", findings=(samples.finding(),))
    found = annotations(samples.report("malicious", *packages, worst))
    assert [one["level"] for one in found] == ["error"] + ["warning"] * 10
    assert "worst" in found[0]["title"]
    assert found[-1]["message"].startswith("and 16 more of this kind")


def test_a_clean_report_annotates_nothing() -> None:
    text = github.render(samples.report("clean", samples.package("a", "1.0.0", "clean")))
    assert text == "baitbox: clean: 1 clean\n"


# JUnit ------------------------------------------------------------------------------------------------------

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time", "disabled"},
    "testsuite": {
        "name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package",
    },
    "properties": set(), "property": {"name", "value"}, "testcase": {"name", "classname", "time", "assertions"},
    "failure": {"type", "message"}, "error": {"type", "message"}, "system-out": set(),
}  # fmt: skip
CHILDREN = {
    "testsuites": r"(testsuite )*", "testsuite": r"(properties )?(testcase )*(system-out )?(system-err )?",
    "properties": r"(property )*", "property": "",
    "testcase": r"(skipped |error |failure )*(system-out )*(system-err )*",
    "failure": "", "error": "", "system-out": "",
}  # fmt: skip
"""What the schema of Jenkins' xUnit plugin allows, as far as this format uses it."""


def suite(report: Report) -> ET.Element:
    """The report as a JUnit reader sees it, checked against the schema's shape."""
    root = ET.fromstring(junit.render(report))
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
        assert re.fullmatch(CHILDREN[element.tag], "".join(f"{child.tag} " for child in element)), element.tag
    (found,) = root
    cases = found.findall("testcase")
    for element in (root, found):
        assert int(element.attrib["tests"]) == len(cases)
        assert int(element.attrib["failures"]) == len(found.findall("testcase/failure"))
        assert int(element.attrib["errors"]) == len(found.findall("testcase/error"))
    assert all(float(case.attrib["time"]) >= 0 for case in cases)
    return found


def test_a_finding_is_a_failure_and_a_gap_an_error() -> None:
    found = suite(samples.GATE)
    kinds = {
        case.attrib["name"]: [child.tag for child in case if child.tag != "system-out"]
        for case in found.iter("testcase")
    }
    assert kinds == {
        "pkg:npm/is-odd@3.0.1": [], "pkg:npm/left-pod@1.0.0": ["failure"], "pkg:npm/%40acme/widget@2.0.0": ["failure"],
        "pkg:npm/sharp@0.34.5": ["error"], "npm:gone@9.9.9": ["error"],
    }  # fmt: skip
    failure = found.find("testcase[@name='pkg:npm/left-pod@1.0.0']/failure")
    assert failure is not None
    assert failure.attrib == {"type": "malicious", "message": "sent ssh bait by https POST to collector.test"}
    assert "opened ~/.ssh/id_ed25519" in (failure.text or "")
    assert {case.attrib["classname"] for case in found.iter("testcase")} == {"baitbox.npm", "baitbox.unknown"}


def test_notes_are_in_the_suites_output() -> None:
    output = suite(samples.GATE).find("system-out")
    assert output is not None
    assert "web/package-lock.json:50: tool is a git checkout" in (output.text or "")


@given(texts=samples.hostile_texts())
@settings(max_examples=60, deadline=None)
def test_any_text_can_stand_in_the_xml(texts: list[str]) -> None:
    found = suite(samples.hostile(texts))
    assert len(found.findall("testcase")) == 4


def test_a_report_of_nothing_that_is_not_clean_is_no_success() -> None:
    assert suite(samples.report("inconclusive")).find("testcase/error") is not None
    assert suite(samples.report("clean")).find("testcase") is None


def test_a_verdict_without_a_finding_still_fails() -> None:
    lone = PackageReport(purl="pkg:npm/x@1.0.0", target="npm:x", digest="", verdict="malicious")
    assert suite(samples.report("malicious", lone)).find("testcase/failure") is not None


@pytest.mark.parametrize("verdict", ["suspicious", "inconclusive"])
def test_outputs_are_bounded(verdict: str) -> None:
    found = tuple(samples.finding(title=f"t{number}", verdict="suspicious") for number in range(500))
    many = samples.package("x", "1.0.0", verdict, findings=found, coverage=samples.coverage(*map(str, range(500))))
    text = junit.render(samples.report("suspicious", many))
    assert len(text) < 100_000
    assert re.search(r"and \d+ more lines", text)
