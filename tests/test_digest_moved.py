"""The finding that lockfiles make: what it says, and how it stands beside those of rules."""

from __future__ import annotations

from sandbox import digest_moved, discovery
from sandbox.digest_moved import finding


def test_it_says_what_was_and_what_is() -> None:
    found = finding("words", "1.0.0", "", ["sha512:" + "a" * 128], ["sha512:" + "b" * 128], "package-lock.json, line 7")
    assert found.title == "words 1.0.0: its digest changed and its version did not"
    (evidence,) = found.evidence
    assert evidence.text == f"package-lock.json, line 7: sha512:{'a' * 20}... became sha512:{'b' * 20}..."
    assert (found.severity, found.verdict, found.package, evidence.line) == ("high", "suspicious", "words", 0)


def test_many_digests_are_counted_and_none_is_said() -> None:
    many = [f"sha256:{number:064}" for number in range(5)]
    (evidence,) = finding("words", "1.0", "another kind", many, [], "x").evidence
    assert evidence.text.count("sha256:") == 3
    assert evidence.text.endswith("or 2 more became no digest")


def test_no_rule_has_its_name() -> None:
    assert digest_moved.RULE not in discovery.load("rules", "RULE")
    assert all(f"\n{word}" in (digest_moved.__doc__ or "") for word in ("What:", "Why it matters:", "What to do:"))
