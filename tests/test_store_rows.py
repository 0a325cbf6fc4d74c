"""Rows: whatever stands in the database, reading it gives the run that was written, or ValueError."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.report import PackageReport
from sandbox.store.rows import RunRow, StoredRecording, StoredRun, pack_report, run_from, run_values, unpack_report
from tests import stored

RECORDINGS = (
    StoredRecording(persona="laptop", digest="a" * 64, size=100, stored=10),
    StoredRecording(persona="server", digest="b" * 64, size=200, stored=20),
)
VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=40), st.binary(max_size=40))


def rows(verdict: Any = "malicious") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    key = stored.key(personas=("laptop", "server"))
    run = StoredRun(id=0, key=key, ran=1000.5, judge="j1", report=stored.report(verdict), recordings=RECORDINGS)
    return {"id": 7, **run_values(run)}, [msgspec.structs.asdict(one) for one in RECORDINGS]


def test_a_run_comes_back_from_its_rows() -> None:
    run = run_from(*rows())
    assert (run.id, run.ran, run.judge, run.verdict) == (7, 1000.5, "j1", "malicious")
    assert run.key == stored.key(personas=("laptop", "server"))
    assert run.report == stored.report("malicious")
    assert run.recordings == RECORDINGS
    assert run.age(1000.5 + 86_400) == 1


def test_the_number_of_a_run_is_the_only_thing_that_may_change() -> None:
    row, recordings = rows()
    assert run_from({**row, "id": 8}, recordings).id == 8
    assert run_from(row, recordings) == run_from({**row, "unknown": 1}, recordings)


@given(name=st.sampled_from([name for name in RunRow.__struct_fields__ if name != "id"]), value=VALUES)
def test_no_other_value_in_a_column_is_believed(name: str, value: object) -> None:
    row, recordings = rows()
    if value == row[name]:
        return
    with pytest.raises(ValueError):  # noqa: PT011  # msgspec's is one
        run_from({**row, name: value}, recordings)


@given(row=st.dictionaries(st.sampled_from(RunRow.__struct_fields__), VALUES))
def test_no_row_is_more_than_a_value_error(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        run_from(row, [])


@given(column=st.sampled_from(StoredRecording.__struct_fields__), value=VALUES, place=st.integers(0, 1))
def test_no_other_recording_is_believed(column: str, value: object, place: int) -> None:
    row, recordings = rows()
    if value == recordings[place][column]:
        return
    recordings[place][column] = value
    with pytest.raises(ValueError):  # noqa: PT011
        run_from(row, recordings)


def test_recordings_in_another_order_or_number_are_not_believed() -> None:
    row, recordings = rows()
    for other in (recordings[::-1], recordings[:1], [*recordings, recordings[0]], []):
        with pytest.raises(ValueError, match="seal"):
            run_from(row, other)


def test_a_report_of_another_package_is_not_believed_even_when_sealed() -> None:
    report = stored.report(purl="pkg:npm/other@1.0.0")
    other = run_values(StoredRun(id=1, key=stored.key(), ran=1.0, judge="j1", report=report))
    with pytest.raises(ValueError, match="do not belong together"):
        run_from({"id": 1, **other}, [])


@given(st.binary(max_size=200))
def test_no_bytes_are_a_report_unless_they_are_one(content: bytes) -> None:
    try:
        report = unpack_report(content)
    except ValueError:
        return
    assert isinstance(report, PackageReport)


def test_a_report_that_is_nested_without_end_is_a_value_error() -> None:
    deep = b'{"purl":"","target":"","digest":"","verdict":"clean","x":' + b"[" * 200_000
    with pytest.raises(ValueError):  # noqa: PT011
        unpack_report(deep)


def test_a_report_is_the_same_when_it_comes_back() -> None:
    report = stored.report("malicious", expected=("npm: because",))
    assert unpack_report(pack_report(report)) == report


def test_equal_keys_have_equal_texts_and_others_have_not() -> None:
    assert stored.key().text == stored.key().text
    others = [
        stored.key(), stored.key(purl="a", digest="b"), stored.key(purl="ab", digest=""), stored.key(plan="s1"),
        stored.key(personas=("laptop,server",)), stored.key(personas=("laptop", "server")),
    ]  # fmt: skip
    assert len({one.text for one in others}) == len(others)
