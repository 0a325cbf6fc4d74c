"""Lines of plain and gzipped files: the same, bounded, and nothing but ValueError for damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import events, unpacked

TEXT = b"one\ntwo\n\nthree"


def lines(path: Path, content: bytes) -> list[bytes]:
    path.write_bytes(content)
    with path.open("rb") as file:
        return list(unpacked.lines(file))


def test_both_kinds_have_the_same_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [b"one\n", b"two\n", b"\n", b"three"]
    assert lines(tmp_path / "file", TEXT) == lines(tmp_path / "file", gzip.compress(TEXT)) == wanted
    monkeypatch.setattr(unpacked, "LONGEST_FIRST", 2)
    wanted[:1] = [b"on", b"e\n"]
    assert lines(tmp_path / "file", TEXT) == lines(tmp_path / "file", gzip.compress(TEXT)) == wanted


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacked, "MOST", 1024**2)
    packed = gzip.compress(b"x" * 1024**2)
    assert len(b"".join(lines(tmp_path / "file", packed))) == 1024**2
    for text in (b"x" * 1024**2 + b"x", b"\n" * 1024**2 + b"x"):
        with pytest.raises(ValueError, match="more than 1 MiB"):
            lines(tmp_path / "file", gzip.compress(text))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 60), st.integers(0, 255), st.booleans())
def test_damage_is_a_value_error(tmp_path: Path, place: int, byte: int, cut: bool) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[place % len(packed)] = byte
    path = tmp_path / "file"
    path.write_bytes(packed[: place % len(packed)] if cut else packed)
    with pytest.raises(ValueError):  # noqa: PT011  # and nothing else: it is no recording either
        events.read(path)
