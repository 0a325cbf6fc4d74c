"""Differences as text and JSON, and the exit codes of `baitbox diff`: hostile text escaped, nothing left out."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from sandbox import errors
from sandbox.behaviour import Behaviour, Change, Difference, Seen, Side, Told
from sandbox.differences import as_json, as_text, exit_code, words
from sandbox.report import Evidence, Finding, Verdict

SCHEMA = Path(__file__).parent.parent / "docs" / "diff.schema.json"
BEFORE, AFTER = Side(purl="pkg:npm/x@1", verdict="clean"), Side(purl="pkg:npm/x@2", verdict="suspicious")


def change(subject: str, verb: str = "lookup", expected: str = "", decoy: str = "") -> Change:
    behaviour = Behaviour(verb=verb, subject=subject, by="package", package="x", phase="install", decoy=decoy)
    evidence = Evidence(at=1.0, phase="install", process=3, text="looked up", line=7)
    return Change(behaviour=behaviour, seen=Seen(count=2, expected=expected, evidence=evidence))


def told(verdict: str, *, known: bool) -> Told:
    finding = Finding(
        rule="r", title="took it", severity="high", confidence="high", verdict=verdict, package="x", phase="install"  # type: ignore[arg-type]
    )
    return Told(finding=finding, known=known)


def difference(verdict: Verdict = "suspicious", **fields: object) -> Difference:
    return Difference(verdict=verdict, before=BEFORE, after=AFTER, **fields)  # type: ignore[arg-type]


def test_what_is_new_and_unexpected_stands_first() -> None:
    text = as_text(
        difference(
            new=(change("a.test"), change("b.test", expected="packages/npm/x"), change("c", "run", "base")),
            known=(change("d.test"),),
            gone=(change("e.test"), change("f", "run", "base")),
        )
    )
    order = [
        "SUSPICIOUS  pkg:npm/x@1 (clean) -> pkg:npm/x@2 (suspicious)", "new, and no profile expects it:", "a.test",
        "new, and expected by a profile:", "b.test", "also new, and everyday: 1 of run", "known: ", "d.test", "gone:",
        "e.test", "also gone, and everyday: 1 of run",
    ]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "lookup a.test, by x, in install, 2 times  [line 7]" in text
    assert "nothing is new" not in text


def test_a_finding_of_several_phases_is_told_once_with_all_of_them() -> None:
    one = told("suspicious", known=True)
    other = Told(finding=msgspec.structs.replace(one.finding, phase="import:x (require)"), known=True)
    new = Told(finding=msgspec.structs.replace(one.finding, phase="shell"), known=False)
    text = as_text(difference(findings=(one, other, new)))
    assert text.count("took it") == 2
    assert "in install, import:x (require)\n" in text
    assert "in shell\n" in text
    assert len(json.loads(as_json(difference(findings=(one, other, new))))["findings"]) == 3


def test_a_known_malicious_finding_is_said_to_excuse_nothing() -> None:
    text = as_text(difference("malicious", findings=(told("malicious", known=True), told("suspicious", known=True))))
    assert "malicious: took it (the old version too; that excuses nothing)" in text
    assert "suspicious: took it (the old version too)" in text


def test_no_difference_and_gaps_are_said() -> None:
    side = Side(purl="pkg:npm/x@1", verdict="inconclusive", missing=("the phase install did not run",))
    text = as_text(Difference(verdict="inconclusive", before=side, after=AFTER))
    assert "nothing is new, and nothing is gone" in text
    assert "not looked at in pkg:npm/x@1 (inconclusive):\n    - the phase install did not run" in text


def test_hostile_text_moves_nothing() -> None:
    text = as_text(difference(new=(change("\x1b[2J\r\u202e.test"),)))
    assert all(character == "\n" or character.isprintable() for character in text)
    hostile = Behaviour(verb="run", subject="x" * 9999, by="installer", package="p\x07", phase="install")
    assert len(words(hostile)) < 400
    assert "the installer of p\\x07" in words(hostile)


def test_many_changes_are_counted() -> None:
    text = as_text(difference(new=tuple(change(f"{number}.test") for number in range(100))))
    assert "and 40 more (--format json has them all)" in text


def test_json_has_everything() -> None:
    whole = difference(new=(change("a.test", expected="base"),), findings=(told("malicious", known=False),))
    found = json.loads(as_json(whole))
    assert (found["schema"], found["verdict"]) == (1, "suspicious")
    assert found["new"][0]["behaviour"]["subject"] == "a.test"
    assert found["new"][0]["seen"]["expected"] == "base"
    assert found["findings"][0]["known"] is False
    assert found["after"]["purl"] == "pkg:npm/x@2"
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(found)


def test_the_schema_in_the_documentation_is_that_of_a_difference() -> None:
    made = json.dumps(msgspec.json.schema(Difference), indent=2) + "\n"
    assert SCHEMA.read_text("utf-8") == made, "run: python -m tests.test_differences"


@pytest.mark.parametrize(
    ("verdict", "missing", "fail_on", "allow", "code"),
    [
        ("malicious", (), "malicious", True, errors.EXIT_MALICIOUS),
        ("suspicious", ("x",), "suspicious", True, errors.EXIT_SUSPICIOUS),
        ("suspicious", (), "malicious", False, errors.EXIT_CLEAN),
        ("suspicious", ("x",), "malicious", False, errors.EXIT_INCONCLUSIVE),
        ("inconclusive", ("x",), "suspicious", False, errors.EXIT_INCONCLUSIVE),
        ("inconclusive", ("x",), "suspicious", True, errors.EXIT_CLEAN),
        ("clean", (), "suspicious", False, errors.EXIT_CLEAN),
    ],
)
def test_exit_codes(verdict: Verdict, missing: tuple[str, ...], fail_on: str, allow: bool, code: int) -> None:
    side = Side(purl="pkg:npm/x@2", verdict="clean", missing=missing)
    found = Difference(verdict=verdict, before=BEFORE, after=side)
    assert exit_code(found, fail_on, allow_inconclusive=allow) == code


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(msgspec.json.schema(Difference), indent=2) + "\n", "utf-8")
