"""npm's settings files, read as npm reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.npm_settings import parse_npmrc


def test_the_forms_of_a_line() -> None:
    text = r"""
        ; a comment
        # another
        a = 1
        b="two; words"
        'c' = 'single'
        d = value ; with a comment
        e = not\; a comment
        f[] = x
        f[] = y
        //h.test/:_authToken=${TOKEN}
        g = ${UNSET}-${UNSET?}-${TOKEN}
        flag
        = no key
        [section]
        late = ignored
    """
    assert parse_npmrc(text, {"TOKEN": "t=="}) == {
        "a": "1", "b": "two; words", "c": "single", "d": "value", "e": "not; a comment", "f": "x\ny",
        "//h.test/:_authToken": "t==", "g": "${UNSET}--t==", "": "no key",
    }  # fmt: skip


def test_a_project_expands_only_credentials() -> None:
    text = "registry=https://x.test/${TOKEN}\n//x.test/:_authToken=${TOKEN}\n"
    found = parse_npmrc(text, {"TOKEN": "t"}, expand_addresses=False)
    assert found == {"registry": "https://x.test/${TOKEN}", "//x.test/:_authToken": "t"}


@given(st.text(), st.booleans())
def test_no_text_is_too_strange(text: str, expand: bool) -> None:
    parse_npmrc(text, {"A": "1"}, expand_addresses=expand)
