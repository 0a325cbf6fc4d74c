"""Frames: packed as the warden reads them, cut from any stream, and nothing but ValueError for what cannot be."""

from __future__ import annotations

import itertools
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.warden import frames
from sandbox.warden.frames import Host, Parser, Put, Warden

FRAMES = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=8
)


def unpacked(data: bytes) -> tuple[int, int, bytes]:
    [frame] = Parser().feed(data)
    return frame


@given(FRAMES, st.lists(st.integers(0, 3000), max_size=20))
def test_frames_come_out_whole_however_the_stream_is_cut(
    sent: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(frames.pack(kind, identity, payload) for kind, identity, payload in sent)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    parser = Parser()
    got = []
    for start, end in itertools.pairwise(places):
        got += parser.feed(stream[start:end])
    assert got == sent


@given(st.lists(st.binary(max_size=64), max_size=10))
def test_any_bytes_are_frames_or_a_value_error(chunks: list[bytes]) -> None:
    parser = Parser()
    try:
        for chunk in chunks:
            for kind, identity, payload in parser.feed(chunk):
                assert 0 <= kind < 2**32
                assert 0 <= identity < 2**32
                assert len(payload) <= frames.MAX_FRAME
    except ValueError:
        pass


def test_a_frame_longer_than_any_is_refused_before_it_is_waited_for() -> None:
    parser = Parser()
    longest = frames.pack(Warden.DATA, 1, bytes(frames.MAX_FRAME))
    assert len(parser.feed(longest)) == 1
    with pytest.raises(ValueError, match="a frame of"):
        parser.feed(struct.pack("<III", frames.MAX_FRAME + 1, Warden.DATA, 1))


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=200)), max_size=10), st.binary(max_size=30))
def test_attached_strings_are_read_back(texts: list[tuple[int, bytes]], before: bytes) -> None:
    raw = b"".join(bytes([kind]) + struct.pack("<H", len(text)) + text for kind, text in texts)
    assert frames.strings(before + raw, len(before)) == texts


@given(st.binary(max_size=200), st.integers(0, 250))
def test_any_bytes_are_strings_or_a_value_error(payload: bytes, at: int) -> None:
    try:
        found = frames.strings(payload, at)
    except ValueError:
        return
    assert sum(3 + len(text) for _, text in found) == max(len(payload) - at, 0)


@pytest.mark.parametrize("payload", [b"\1", b"\1\5", b"\1\5\0abcd", b"\1\1\0a\2"])
def test_a_string_that_is_cut_is_said(payload: bytes) -> None:
    with pytest.raises(ValueError, match="cut"):
        frames.strings(payload, 0)


def test_a_plan_is_laid_out_as_the_warden_reads_it() -> None:
    kind, _, payload = unpacked(frames.pack_plan(1.5, 7, 8, 9, 1 << 40, 1 << 41))
    assert kind == Host.PLAN
    assert struct.unpack("<IIIIQQ", payload) == (1500, 7, 8, 9, 1 << 40, 1 << 41)


@given(st.binary(max_size=40), st.integers(0, 3))
def test_a_put_holds_its_path_and_content(content: bytes, kind: int) -> None:
    put = Put("/home/dev/ä b", content, 0o600, kind, modified=-5, owned=False)
    [packed] = frames.pack_put(put)
    number, _, payload = unpacked(packed)
    found, mode, modified, length, owned = struct.unpack_from("<IIqII", payload)
    path = payload[24 : 24 + length]
    assert (number, found, mode, modified, owned) == (Host.PUT, kind, 0o600, -5, 0)
    assert path.decode() == put.path
    assert payload[24 + length :] == content


@pytest.mark.parametrize("size", [0, 1, frames.MAX_FRAME - 200, frames.MAX_FRAME, 3 * frames.MAX_FRAME + 17])
def test_a_large_file_is_put_in_parts_that_each_fit(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    parts = [unpacked(part)[2] for part in frames.pack_put(Put("/x", content))]
    heads = [struct.unpack_from("<IIqII", part) for part in parts]
    assert all(len(part) <= frames.MAX_FRAME for part in parts)
    assert [head[0] for head in heads] == [0] + [1] * (len(parts) - 1)
    assert b"".join(part[24 + 2 :] for part in parts) == content


def spawned(argv: list[str], environment: dict[str, str]) -> bytes:
    return frames.pack_spawn(
        3, argv, environment, "/cwd", file_size=1 << 33, memory=1 << 34, processes=5, open_files=6
    )


def test_a_spawn_is_laid_out_as_the_guest_s_first_process_reads_it() -> None:
    kind, identity, payload = unpacked(spawned(["/bin/x", "", "ü"], {"A": "1"}))
    assert (kind, identity) == (Host.SPAWN, 3)
    assert struct.unpack_from("<IIIQQIII", payload) == (3, 3, 1, 1 << 33, 1 << 34, 5, 6, 1)
    assert payload[40:] == "/cwd\0/bin/x\0\0ü\0A=1\0".encode()


@pytest.mark.parametrize(
    ("argv", "environment"),
    [(["a\0b"], {}), (["a"], {"A": "x\0y"}), (["a"], {"A\0": "x"}), (["x" * 200_000], {}), (["\udc00" + "\ud800"], {})],
)
def test_a_command_that_cannot_be_started_is_a_value_error(argv: list[str], environment: dict[str, str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the last is Python's own
        spawned(argv, environment)


@given(st.binary(min_size=16, max_size=16))
def test_any_sixteen_bytes_are_an_address(raw: bytes) -> None:
    text = frames.address_text(raw)
    ip_address(text)
    assert frames.address_bytes(text) == raw


@pytest.mark.parametrize("text", ["192.0.2.7", "0.0.0.0", "255.255.255.255", "::1", "::", "2001:db8::5"])
def test_addresses_survive_the_way(text: str) -> None:
    assert frames.address_text(frames.address_bytes(text)) == text


def test_a_datagram_s_answer_names_both_ends() -> None:
    kind, _, payload = unpacked(frames.pack_datagram(("192.0.2.1", 53), ("2001:db8::1", 4000), b"data"))
    assert kind == Host.DATAGRAM
    assert payload[:16] == frames.address_bytes("192.0.2.1")
    assert payload[20:36] == frames.address_bytes("2001:db8::1")
    assert (payload[16:20], payload[36:40], payload[40:]) == (b"\x35\0\0\0", b"\xa0\x0f\0\0", b"data")
