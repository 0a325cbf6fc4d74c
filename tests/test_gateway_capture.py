"""Beginnings and ends are kept within a shared bound, and what is not kept is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.capture import Capture, Pool


def test_small_things_are_kept_whole() -> None:
    capture = Capture(Pool(1000), 100, 50)
    capture.add(b"abc")
    capture.add(b"def")
    assert (capture.parts(), capture.size, capture.skipped, capture.recorded) == ([b"abcdef"], 6, 0, b"abcdef")


def test_the_middle_is_skipped() -> None:
    capture = Capture(Pool(1_000_000), 100, 50)
    capture.add(b"a" * 100 + b"b" * 300)
    capture.add(b"c" * 30)
    first, last = capture.parts()
    assert first == b"a" * 100
    assert last.endswith(b"c" * 30)
    assert capture.skipped == capture.size - len(first) - len(last) > 0


def test_the_pool_is_shared_and_given_back() -> None:
    pool = Pool(100_000)
    one, two = Capture(pool, 200_000, 0), Capture(pool, 200_000, 0)
    one.add(bytes(150_000))
    two.add(bytes(150_000))
    assert one.skipped == 150_000 - 116_384
    assert two.skipped == 150_000 - 16_384
    one.release()
    two.release()
    assert pool.free == 100_000


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 300), st.integers(0, 60), st.integers(0, 100))
def test_what_is_kept_is_what_was_sent(pieces: list[bytes], most: int, ending: int, memory: int) -> None:
    pool = Pool(memory)
    capture = Capture(pool, most, ending)
    for piece in pieces:
        capture.add(piece)
    data = b"".join(pieces)
    parts = capture.parts()
    assert capture.size == len(data)
    assert capture.skipped == len(data) - sum(len(part) for part in parts) >= 0
    if len(parts) == 2:
        assert data.startswith(parts[0])
    if parts and ending:
        assert data.endswith(parts[-1]) or len(parts) == 1
    capture.release()
    assert pool.free == memory
