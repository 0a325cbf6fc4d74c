"""One layer at a time: what each decoding yields, and that no bytes upset any."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway import decode
from sandbox.gateway.inflate import Allowance

TEXT = b"twelve or more letters"


def undone(data: bytes) -> list[tuple[str, bytes]]:
    allowance = Allowance(1_000_000, 100)
    part = decode.whole(data)
    return [(layer.encoding, layer.part.data) for layer in decode.layers(part, decode.long_runs(data), allowance)]


@pytest.mark.parametrize(("name", "data"), [
    ("base64", base64.b64encode(TEXT)), ("hex", TEXT.hex().encode()), ("hex", TEXT.hex("-").encode()),
    ("hex", b",".join(b"0x%x" % code for code in TEXT)), ("decimal", b",\n  ".join(b"%d" % code for code in TEXT)),
    ("base32", base64.b32encode(TEXT)), ("url", b"".join(b"%%%02x" % code for code in TEXT)),
    ("escape", b"".join(b"\\x%02x" % code for code in TEXT)), ("escape", b"".join(b"\\u{%x}" % code for code in TEXT)),
    ("escape", b"".join(b"\\%03o" % code for code in TEXT)), ("html", b"".join(b"&#x%x;" % code for code in TEXT)),
    ("utf-16", TEXT.decode().encode("utf-16-be")),
])  # fmt: skip
def test_one_layer(name: str, data: bytes) -> None:
    assert any(encoding == name and TEXT in plain for encoding, plain in undone(b"x " + data + b" y"))


def test_short_escapes_and_entities() -> None:
    assert ("escape", b'twelve letters \n\t"/') in undone(b'twelve letters \\n\\t\\"\\/')
    assert ("html", b"twelve letters <&>\"'") in undone(b"twelve letters &lt;&amp;&gt;&quot;&apos;")


def test_runs_go_over_line_breaks_and_indentation() -> None:
    assert decode.long_runs(b"a: abcdefgh\r\n  ijklmnop x") == [b"abcdefghijklmnop"]
    assert decode.long_runs(b"only short words here") == []


def test_text_is_told_from_binary() -> None:
    assert decode.is_text(TEXT)
    assert not decode.is_text(bytes(range(256)))


def test_only_surroundings_of_escapes_in_binary_data() -> None:
    data = bytes(range(128, 256)) * 400 + b" aaaaaaaaaaaa%41 " + bytes(range(128, 256)) * 400
    plain = dict(undone(data))["url"]
    assert b"aaaaaaaaaaaaA" in plain
    assert len(plain) < 3000


def test_backwards_turns_spans_round() -> None:
    part = decode.backwards(decode.Part(b"abcdef", ((0, 2), (3, 6))))
    assert (part.data, part.spans) == (b"fedcba", ((4, 6), (0, 3)))


LETTERS = st.text(alphabet='%\\u{}x&#;0123456789abcdef ,"=-:', max_size=200)


@given(st.one_of(st.binary(max_size=300), LETTERS.map(str.encode)))
def test_any_bytes(data: bytes) -> None:
    undone(data)
    decode.may_be_backwards(decode.whole(data), [])
