"""Pieces of the same place come together, in their order, within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway import assemble
from sandbox.gateway.assemble import Assembler


def test_pieces_are_joined_as_they_come_and_by_number() -> None:
    made = Assembler()
    seen: list[bytes] = []
    for number, piece in ((b"2", b"wor"), (b"1", b"hello"), (b"3", b"ld")):
        windows, wholes = made.add("group", [("n", number), ("piece", piece)])
        seen += windows + wholes
    assert b"worhello" in seen
    assert b"helloworld" in [data for _, data in made.flush()] + seen


def test_a_repetition_is_left_out() -> None:
    made = Assembler()
    made.add(1, [("a", b"one")])
    assert made.add(1, [("a", b"one")]) == ([], [])
    windows, _ = made.add(1, [("a", b"two")])
    assert windows == [b"onetwo"]


def test_groups_are_apart() -> None:
    made = Assembler()
    made.add(1, [("a", b"one")])
    assert made.add(2, [("a", b"two")]) == ([], [])


def test_counters_are_taken_off() -> None:
    made = Assembler()
    seen = [data for piece in (b"01bb", b"00aa", b"02cc") for data in made.add(1, [("a", piece)])[1]]
    assert b"aabbcc" in seen
    assert list(made.flush()) == []


def test_of_long_pieces_the_ends_are_kept() -> None:
    made = Assembler()
    made.add(1, [("a", b"x" * 10_000 + b"end")])
    windows, _ = made.add(1, [("a", b"begin" + b"y" * 10_000)])
    assert b"endbegin" in windows[0]
    assert len(windows[0]) < 10_000


def test_limits_are_said() -> None:
    made = Assembler()
    for number in range(300):
        made.add(1, [("a", b"%d" % number + b"x" * 4000)])
    assert made.lost["pieces of messages"]
    for number in range(3000):
        made.add(number, [("a", b"1"), ("a", b"2")])
    assert made.lost["groups of messages"]


def test_fields() -> None:
    assert assemble.name_fields(b"two.one.evil.test.") == [
        ("label0", b"one"), ("label1", b"two"), ("all labels", b"twoone"), ("first labels", b"two")]  # fmt: skip
    assert assemble.name_fields(b"evil.test") == []
    assert assemble.domain(b"A.Evil.Test") == b"evil.test"
    assert ("query:d", b"a b") in assemble.url_fields(b"https://a.test/p?i=1&d=a%20b")
    assert ("last", b"x.png") in assemble.url_fields(b"https://a.test/p/x.png")
    assert ("header:x-a", b"1") in assemble.header_fields([("X-A", "1")])
    assert ("json.a[]", b"x") in assemble.body_fields(b'{"a":["x"],"n":5,"t":true}')
    assert ("form:b", b"2") in assemble.body_fields(b"a=1&b=2")


@given(st.lists(st.binary(max_size=80), max_size=12))
def test_any_bytes(messages: list[bytes]) -> None:
    made = Assembler()
    for data in messages:
        made.add(0, assemble.name_fields(data) + assemble.url_fields(data))
        made.add(0, assemble.body_fields(data) + assemble.body_fields(b"[" + data))
        made.add(0, assemble.header_fields([("x", data.decode("latin-1"))]))
        assemble.domain(data)
    list(made.flush())


def test_deep_json_ends() -> None:
    assert assemble.body_fields(b"[" * 20_000) == [("body", b"[" * 20_000)]
    assert assemble.body_fields(b'{"a":' * 50 + b'"x"' + b"}" * 50)


def test_pieces_that_are_dressed_come_together_bare() -> None:
    for before, after in ((b'W/"', b'"'), (b'"', b'"')):
        made = Assembler()
        found = [made.add(1, [("a", before + piece + after)]) for piece in (b"hello", b"world")]
        seen = [data for windows, wholes in found for data in windows + wholes]
        assert b"helloworld" in seen
    made = Assembler()
    pieces = (b"68656c6c-6f77-6f72-6c64-68656c6c6f77", b"6f726c64-6865-6c6c-6f77-6f726c642121")
    found = [made.add(1, [("a", piece)]) for piece in pieces]
    seen = [data for windows, wholes in found for data in windows + wholes]
    assert b"".join(pieces).replace(b"-", b"") in seen
