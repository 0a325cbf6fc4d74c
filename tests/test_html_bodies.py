"""What was sent, as the page shows it: layers undone, and the bait marked in them."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.decoys.npm_token import DECOY as NPM_TOKEN
from sandbox.decoys.openai import DECOY as OPENAI
from sandbox.reporters import _html_tokens
from sandbox.reporters._html_bodies import Decoder, View
from tests.html_samples import sent, values


def marked(views: list[View]) -> list[tuple[tuple[str, ...], str, str]]:
    return [(view.encodings, text, bait) for view in views for text, bait in view.parts if bait]


@pytest.mark.parametrize(
    ("encodings", "encode"),
    [
        ([], lambda data: data),
        (["base64"], base64.b64encode),
        (["base64"], lambda data: b'{"data":"' + base64.b64encode(data) + b'","n":1}'),
        (["hex"], lambda data: data.hex().encode()),
        (["gzip"], lambda data: gzip.compress(data, mtime=0)),
        (["base64", "gzip"], lambda data: base64.b64encode(gzip.compress(data, mtime=0))),
        (["base64", "base64"], lambda data: base64.b64encode(base64.b64encode(data))),
        (["base64", "reversed"], lambda data: base64.b64encode(data[::-1])),
        (["rot13"], lambda data: data.decode().translate(
            str.maketrans("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                          "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM")).encode()),
    ],
)  # fmt: skip
def test_bait_is_marked_under_every_encoding_that_can_be_undone(encodings: list[str], encode: Any) -> None:
    token = values(NPM_TOKEN)["publish token"]
    data = encode(f'{{"user":"dev","token":"{token}","more":"of the same"}}'.encode())
    views = Decoder().views(data, [sent(*encodings)])
    assert (tuple(encodings), token, "npm_token: publish token") in marked(views)
    assert views[0].encodings == ()


def test_keys_known_by_their_pieces_are_marked_whole() -> None:
    tokens = values(OPENAI)
    end = tokens["key in the environment (end)"]
    key = "sk-proj-" + "Ab1" * 30 + end
    event = sent(decoy="openai", token="key in the environment (end)")
    views = Decoder().views(f'"key": "{key}", "x": 1'.encode(), [event])
    assert marked(views) == [((), key, "openai: key in the environment (end)")]


def test_where_it_is_not_sure_nothing_is_marked_and_the_layer_is_named() -> None:
    one, other = "Ab1" * 30, "Cd2" * 30
    (view,) = Decoder().views(f"{one} {other}".encode(), [sent(decoy="openai", token="key in the environment (end)")])
    assert marked([view]) == [] and view.tokens == ("openai: key in the environment (end)",)
    views = Decoder().views(b"nothing that can be undone", [sent("xor", "base64"), sent(decoy="of another version")])
    assert views[1].encodings == ("xor", "base64") and "could not be undone" in views[1].note
    assert views[0].tokens == ("of another version: publish token",)


def test_bodies_without_bait_are_undone_where_that_reads_as_text() -> None:
    text = b"host=laptop user=dev kernel=6.1 " * 4
    views = Decoder().views(base64.b64encode(text), [], guess=True)
    assert [view.encodings for view in views] == [(), ("base64",)]
    assert "".join(part for part, _ in views[1].parts) == text.decode()
    assert [view.encodings for view in Decoder().views(b"plain words, nothing else", [], guess=True)] == [()]
    assert Decoder().views(b"", [], guess=True) == []


def test_a_long_body_is_cut_around_its_marks() -> None:
    token = values(NPM_TOKEN)["publish token"]
    (view,) = Decoder().views(b"x" * 60_000 + b" " + token.encode() + b" " + b"y" * 60_000, [sent()])
    assert marked([view]) == [((), token, "npm_token: publish token")]
    assert view.left_out > 100_000
    assert sum(len(text) for text, _ in view.parts) < 20_000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.lists(st.sampled_from(["base64", "hex", "gzip", "url", "xor", "reversed", "\x00"])))
def test_no_body_breaks_the_decoder(data: bytes, encodings: list[str]) -> None:
    decoder = Decoder()
    for view in [*decoder.views(data, [sent(*encodings)]), *decoder.views(data, [], guess=True)]:
        assert all(line.isprintable() for text, _ in view.parts for line in text.replace("\t", "").split("\n"))


def test_the_decoder_stops_where_its_allowance_is_spent() -> None:
    data = base64.b64encode(b"some text that reads well " * 50)
    decoder = Decoder(work=10)
    decoder.views(data, [], guess=True)
    assert [view.encodings for view in decoder.views(data, [], guess=True)] == [()]


def test_every_decoys_tokens_have_a_form_that_fits_fresh_ones() -> None:
    """Drawn with another seed than the form was learnt from."""
    text = " ".join(f'"{value}"' for value in values(NPM_TOKEN, 991).values())
    names = [("npm_token", "publish token"), ("npm_token", "company registry token")]
    assert len(_html_tokens.marks(text, names)) == 2
    assert _html_tokens.forms("there is no such decoy") == {}
    assert _html_tokens.form(["ab", "cd"]) is None
    assert _html_tokens.form(["one\nline", "two\nlines"]) is None
