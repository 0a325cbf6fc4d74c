"""Globs of profiles: what they match, that they are refused when wrong, and that hostile text cannot slow them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.globs import Matcher, alternatives


def matches(glob: str, text: str, segmented: bool = True) -> bool:
    return Matcher([(glob, True)], segmented).find(text) is True


@pytest.mark.parametrize(
    ("glob", "text", "expected"),
    [
        ("/a/b", "/a/b", True),
        ("/a/b", "/a/bc", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/a", True),
        ("/a/**", "/ab", False),
        ("/a/**/c", "/a/c", True),
        ("/a/**/c", "/a/b/b/c", True),
        ("/a/**/c", "/a/bc", False),
        ("/a/{b,c}/*", "/a/c/x", True),
        ("/a/{b,c}/*", "/a/d/x", False),
        ("/a/x-**", "/a/x-1/2\n3", True),
        ("/a/?", "/a/b", False),
        ("https://h/p?**", "https://h/p?x=1", True),
        ("https://h/p", "https://h/p?x=1", False),
        ("/a.c", "/abc", False),
    ],
)
def test_a_glob_matches_what_it_says(glob: str, text: str, expected: bool) -> None:
    assert matches(glob, text) is expected


def test_without_segments_a_star_is_anything() -> None:
    assert matches("*x", "a/b/x", segmented=False)


def test_braces_are_written_out() -> None:
    assert alternatives("{a,b}{c,d}") == ["ac", "ad", "bc", "bd"]
    assert alternatives("{usr/,}bin") == ["usr/bin", "bin"]


@pytest.mark.parametrize("glob", ["{a", "a}", "{a{b}}", "{a,b}" * 9])
def test_a_wrong_brace_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match=r"brace|alternatives"):
        alternatives(glob)


def test_the_exact_one_counts_first_and_alone_where_asked() -> None:
    matcher = Matcher([("/a/**", "all"), ("/a/b", "one")])
    assert matcher.find("/a/b") == "one"
    assert matcher.exact("/a/b") == "one"
    assert matcher.exact("/a/c") is None
    assert matcher.find("/a/c") == "all"


def test_a_matcher_says_what_it_holds() -> None:
    matcher = Matcher([("/a/**", 1), ("/b", 2), ("/c*", 3)])
    assert sorted(matcher) == ["/a/**", "/b", "/c*"]
    assert matcher
    assert not Matcher[int]([])


@given(st.text(), st.text(alphabet="ab/*"))
def test_no_text_raises(text: str, glob: str) -> None:
    Matcher([(glob, True)]).find(text)


def test_hostile_text_is_matched_fast() -> None:
    matcher = Matcher([("/a/**/a/**/a*b", True)])
    started = time.perf_counter()
    assert matcher.find("/a" * 100_000) is None
    assert matcher.find("/a" * 2000) is None
    assert time.perf_counter() - started < 2
