"""Recordings on disk: small, readable with zcat, and never believed when a byte of them is another."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import events
from sandbox.store import recordings
from sandbox.store.recordings import Packed, Recordings, pack
from sandbox.store.rows import Served
from tests import stored


@pytest.fixture
def folder(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path / "store")


def put(folder: Recordings, packed: Packed) -> Path:
    folder.partial.parent.mkdir(exist_ok=True)
    folder.put(packed)
    return folder.path(packed.digest)


def test_packing_keeps_every_byte_and_the_digest_of_the_text(tmp_path: Path) -> None:
    path = stored.recording(tmp_path, lines=5000)
    packed = pack(path, "laptop")
    content = path.read_bytes()
    assert gzip.decompress(packed.content) == content
    assert packed.digest == hashlib.sha256(content).hexdigest()
    assert (packed.size, packed.persona) == (len(content), "laptop")
    assert packed.stored.stored == len(packed.content) < len(content) / 5
    assert packed == pack(path, "laptop")


def test_zcat_shows_it(folder: Recordings, tmp_path: Path) -> None:
    path = put(folder, stored.packed(tmp_path))
    zcat = shutil.which("zcat")
    assert zcat is not None
    shown = subprocess.run([zcat, str(path)], capture_output=True, check=True).stdout
    assert shown == stored.recording(tmp_path).read_bytes()


def test_what_was_served_is_noted_once_and_only_from_such_events(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    other = events.ArtifactServed(at=1.0, url="https://packages.test/b.tgz", digest="sha512:b", size=1)
    claim = events.OutputWritten(at=1.0, stream="stdout", data=events.encode(other), size=1)
    program = events.ProgramStarted(at=1.0, exe="/x", argv=[events.encode(other).decode()], cwd="/")
    with file.open("wb") as out:
        events.write(out, events.Header(), [other, other, claim, program])
        out.write(b'{"event":"artifact.served","broken\n')
        out.write(b'"event":"artifact.served"' * 10_000)
    assert pack(file, "").served == (Served("https://packages.test/b.tgz", "sha512:b"),)


@pytest.mark.parametrize(
    ("event", "troubled"),
    [
        ({}, True), ({"status": 404}, False), ({"answered_by": ""}, False), ({"answered_by": "world"}, False),
        ({"status": 200}, False), ({"body": b"x", "body_size": 1}, True),
    ],
)  # fmt: skip
def test_a_registry_that_failed_is_noted(tmp_path: Path, event: dict[str, Any], troubled: bool) -> None:
    base: dict[str, Any] = {"status": 403, "answered_by": "registry"}
    asked = events.RequestSent(
        at=1.0, connection=1, method="GET", url="https://packages.test/b", headers=[], **{**base, **event}
    )
    claim = events.ProgramStarted(at=1.0, exe="/x", argv=['"status":403,"answered_by":"registry"'], cwd="/")
    file = tmp_path / "x.jsonl"
    with file.open("wb") as out:
        events.write(out, events.Header(), [claim, asked, claim])
    assert pack(file, "").troubled == troubled


def test_what_is_noted_as_served_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MOST_SERVED", 10)
    file = tmp_path / "x.jsonl"
    with file.open("wb") as out:
        served = [
            events.ArtifactServed(at=1.0, url=f"https://packages.test/{n}", digest="sha512:b", size=1)
            for n in range(50)
        ]
        events.write(out, events.Header(), served)
    assert len(pack(file, "").served) == 10


def test_it_comes_back_in_pieces_and_as_a_file_without_a_name(
    folder: Recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_CHUNK", 100)
    path = stored.recording(tmp_path, lines=500)
    packed = pack(path, "laptop")
    put(folder, packed)
    pieces = list(folder.chunks(packed.stored))
    assert b"".join(pieces) == path.read_bytes()
    assert len(pieces) > 100
    with folder.opened(packed.stored) as copy:
        assert copy.read_bytes() == path.read_bytes()
    assert not copy.exists()
    assert list(folder.partial.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_any_size_comes_back(folder: Recordings, tmp_path: Path, size: int) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x" * size)
    packed = pack(file, "")
    put(folder, packed)
    assert b"".join(folder.chunks(packed.stored)) == b"x" * size


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_the_file_is_believed(folder: Recordings, tmp_path: Path, data: st.DataObject) -> None:
    packed = stored.packed(tmp_path)
    path = put(folder, packed)
    content = bytearray(packed.content)
    match data.draw(st.sampled_from(["flip", "cut", "append", "replace"])):
        case "flip":
            # The header's time, flags and system, and nothing else of a gzip file, say nothing of the text.
            place = data.draw(st.integers(10, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        case "append":
            content += data.draw(st.binary(min_size=1, max_size=50))
        case "replace":
            content = bytearray(data.draw(st.binary(max_size=200)))
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        list(folder.chunks(packed.stored))


def test_a_bomb_is_given_up_early(folder: Recordings, tmp_path: Path) -> None:
    packed = stored.packed(tmp_path)
    put(folder, packed).write_bytes(gzip.compress(b"\0" * 300_000_000, 1))
    got: list[int] = []
    with pytest.raises(ValueError, match="is damaged"):
        got.extend(len(chunk) for chunk in folder.chunks(packed.stored))
    assert sum(got) <= packed.size


def test_a_digest_from_a_database_leads_nowhere_else(folder: Recordings, tmp_path: Path) -> None:
    for digest in ("../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n"):
        with pytest.raises(ValueError, match="is no digest"):
            folder.path(digest)
        with pytest.raises(ValueError, match="is no digest"):
            list(folder.chunks(msgspec.structs.replace(stored.packed(tmp_path).stored, digest=digest)))


def test_files_are_listed_with_what_their_names_say(folder: Recordings, tmp_path: Path) -> None:
    packed = stored.packed(tmp_path)
    good = put(folder, packed)
    strange = good.with_name("notes.txt")
    strange.write_text("")
    misplaced = folder.root / "zz" / good.name
    misplaced.parent.mkdir()
    misplaced.write_bytes(packed.content)
    assert dict(folder.files()) == {good: packed.digest, strange: "", misplaced: ""}


def test_a_file_that_cannot_be_placed_leaves_nothing(folder: Recordings, tmp_path: Path) -> None:
    packed = stored.packed(tmp_path)
    folder.path(packed.digest).mkdir(parents=True)  # so that the rename fails
    with pytest.raises(IsADirectoryError):
        folder.put(packed)
    assert list(folder.partial.iterdir()) == []
