"""The vocabulary on disk: whatever is written is read back the same, and what is not a recording is refused."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import events

KINDS: tuple[type[events.Event], ...] = get_args(events.AnyEvent)
HEADER = events.Header(
    tool="baitbox 0",
    package="left-pad",
    version="1.3.0",
    persona="developer",
    phases=[events.PlannedPhase("install", "install"), events.PlannedPhase("run x", "run", required=False)],
    planted=[events.PlantedFile("aws", "/home/dev/.aws/credentials", "high")],
)

# What a hostile process can name a thing: any text that the decoder lets through, surrogates included or not.
texts = st.text(max_size=20)


def strategy_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an event's field, from its type."""
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        bytes: st.binary(max_size=20),
        int: st.integers(-(2**63), 2**64 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
    }
    if kind in simple:
        return simple[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return values_of(kind)
    origin, arguments = getattr(kind, "__origin__", None), get_args(kind)
    if origin is list:
        return st.lists(strategy_of(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(strategy_of, arguments))
    if origin is dict:
        return st.dictionaries(texts, strategy_of(arguments[1]), max_size=3)
    return st.sampled_from(arguments)


def values_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Values of a struct, all of its fields filled."""
    return st.builds(kind, **{field.name: strategy_of(field.type) for field in msgspec.structs.fields(kind)})


def any_event() -> st.SearchStrategy[events.AnyEvent]:
    return st.one_of(*map(values_of, KINDS))


def test_every_event_is_in_the_union_and_has_a_past_tense_name() -> None:
    assert set(KINDS) == set(events.Event.__subclasses__())
    names = [str(kind.__struct_config__.tag) for kind in KINDS]
    assert len(set(names)) == len(names)
    assert all(name.count(".") == 1 for name in names)


@given(st.lists(any_event(), max_size=5))
def test_what_is_written_is_read_back(some: list[events.AnyEvent]) -> None:
    file = io.BytesIO()
    events.write(file, HEADER, some)
    lines = file.getvalue().splitlines(keepends=True)
    assert len(lines) == len(some) + 1
    assert list(events.lines(lines[1:])) == some


def test_a_recording_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    some: list[events.AnyEvent] = [
        events.FileOpened(at=0.5, phase="install", process=3, path="/etc/passwd", access="read"),
        events.GuestEnded(at=1.0, counts={"file.opened": 1}),
    ]
    with path.open("wb") as file:
        events.write(file, HEADER, some)
    assert events.read(path) == events.Recording(HEADER, some)


def test_a_recording_has_one_line_for_each_event() -> None:
    line = events.encode(events.OutputWritten(at=0.1, stream="stdout", data=b"two\nlines\n", size=10))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a recording's header"),
        (b"\x00\xff\xfe", "not a recording's header"),
        (b"[]\n", "not a recording's header"),
        (b'{"baitbox": "one"}\n', "not a recording's header"),
        (b'{"baitbox": 2}\n', "recording format 2"),
        (b"[" * 100_000 + b"\n", "not a recording's header"),
        (b'{"baitbox": 1}\n{"event": "made.up", "at": 0}\n', "line 2"),
        (b'{"baitbox": 1}\n{"event": "process.exited"}\n', "line 2"),
        (b'{"baitbox": 1}\n{"event": "process.exited", "at": 1}\n\n{"event"', "line 4"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_place(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        events.read(path)


@given(st.binary(max_size=200))
def test_lines_raise_nothing_but_valueerror(line: bytes) -> None:
    with contextlib.suppress(ValueError):
        list(events.lines([line]))
