"""`baitbox diff` and `baitbox learn` on recordings, through the command line: what they are given and write."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from test_behaviour import together

from sandbox import cli, events, subjects
from sandbox.errors import TargetError, UsageError

FOLDER = Path(__file__).parent / "recordings"
CLEAN, THIEF = str(FOLDER / "clean" / "npm-plain.jsonl"), str(FOLDER / "decoy_sent" / "fires.jsonl")
HOST, QUIET = (str(FOLDER / "unexpected_host" / f"{name}.jsonl") for name in ("fires", "quiet"))
PYPI = str(FOLDER / "clean" / "pypi-wheel.jsonl")


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_diff_says_what_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["diff", QUIET, HOST]) == 10
    out = capsys.readouterr().out
    assert "request POST https://usage.collector.test/v1, by pleasant-colors, in install" in out
    assert cli.run(["diff", "--fail-on", "malicious", QUIET, HOST]) == 0
    assert cli.run(["diff", HOST, HOST]) == 0
    assert "(the old version too)" in capsys.readouterr().out


def test_diff_of_a_thief_is_malicious_whatever_was(capsys: pytest.CaptureFixture[str]) -> None:
    for before in (CLEAN, THIEF):
        assert cli.run(["diff", "--format", "json", "--fail-on", "malicious", before, THIEF]) == 11
        assert json.loads(capsys.readouterr().out)["verdict"] == "malicious"
    assert cli.run(["diff", THIEF, CLEAN]) == 0


def test_learn_proposes_on_stdout_and_tells_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["learn", HOST]) == 0
    said = capsys.readouterr()
    assert "https://usage.collector.test/v1" in said.out
    assert "reviewed" in said.err


def test_a_proposal_in_a_folder_is_refused_until_reviewed_and_then_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["learn", "--output", "mine", HOST]) == 0
    path = tmp_path / "mine" / "packages" / "npm" / "pleasant-colors.yaml"
    assert capsys.readouterr().out == ""
    assert cli.run(["judge", "--profile", "mine", HOST]) == 2
    assert "a proposal that nobody has reviewed" in capsys.readouterr().err
    path.write_text(path.read_text().replace("proposed:", "reviewed:"))
    assert cli.run(["judge", "--profile", "mine", HOST]) == 0
    assert cli.run(["learn", "--output", "mine", HOST]) == 2, "a reviewed profile is never replaced"
    assert "reviewed:" in path.read_text()


def test_a_thief_teaches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["learn", "--output", "mine", HOST, THIEF]) == 11
    said = capsys.readouterr()
    assert "refused: fires.jsonl is malicious" in said.err
    assert said.out == ""
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["diff", CLEAN, PYPI], 2, "nothing in common"),
        (["learn", CLEAN, PYPI], 2, "nothing in common"),
        (["diff", "--format", "sarif", CLEAN, CLEAN], 2, "--format cannot be 'sarif'"),
        (["diff", "broken.jsonl", CLEAN], 3, "is not a recording"),
        (["learn", "not a target"], 2, "does not say which registry"),
        (["diff", CLEAN], 2, "Missing argument"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jsonl").write_text("{}\n")
    assert cli.run(arguments) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert len([line for line in said.err.splitlines() if line.startswith("error: ")]) == 1


def written(path: Path, recording: events.Recording) -> str:
    with path.open("wb") as file:
        events.write(file, recording.header, recording.events)
    return str(path)


def test_recordings_of_several_packages_are_compared_with_such_and_teach_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = written(tmp_path / "old.jsonl", together("a")), written(tmp_path / "new.jsonl", together("a", "b"))
    assert cli.run(["diff", old, new]) == 11
    told = capsys.readouterr().out
    assert told.startswith("MALICIOUS  2 packages together (malicious) -> 2 packages together (malicious)\n")
    assert "send aws body drop.test, by b, in import" in told
    for sides in ([old, CLEAN], [CLEAN, new]):
        assert cli.run(["diff", *sides]) == 2
        said = capsys.readouterr().err
        assert "is of several packages that ran together, and the other side is of one" in said
        assert "hint: compare it with another scan's; or record the package alone: `baitbox check --keep" in said
    assert cli.run(["learn", CLEAN, old]) == 2
    assert f"{Path(old).name} is of several packages that ran together" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["diff", "learn"])
def test_images_and_runtimes_are_named_as_for_check(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--image", "--runtime"):
        for store in ([], ["--store", "mine"]):
            assert cli.run([command, "--backend", "native", flag, "x", *store, THIEF, "npm:thing"]) == 2
            assert f"the native backend has no {flag}" in capsys.readouterr().err


def test_recordings_are_told_by_their_name() -> None:
    assert subjects.is_recording(CLEAN)
    assert not subjects.is_recording("npm:left-pad")
    assert subjects.is_recording("missing.jsonl")
    with pytest.raises(TargetError, match="there is no recording missing"):
        subjects.read(Path("missing.jsonl"))
    with pytest.raises(TargetError, match="cannot be read"):
        subjects.read(Path(__file__).parent)


@pytest.mark.parametrize("arguments", [["diff", "missing.jsonl", CLEAN], ["learn", "missing.jsonl"]])
def test_a_recording_that_is_not_there_is_no_package(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 3
    assert "error: there is no recording missing.jsonl\nhint: `baitbox check --keep" in capsys.readouterr().err


def test_a_recording_as_the_store_keeps_it_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "digest.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(CLEAN).read_bytes()))
    assert subjects.is_recording(str(packed))
    for command in ("show", "judge"):
        told = []
        for path in (CLEAN, str(packed)):
            assert cli.run([command, path]) == 0
            # A long path goes on a line of its own; the last that is said are seconds.
            said = " ".join(capsys.readouterr().out.split()).replace(path, "RECORDING")
            told.append(said.partition(" rules, ")[0])
        assert told[0] == told[1]


def test_sheets_that_cannot_be_written_are_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        subjects.write(tmp_path / "file", {"packages/npm/x": ""})
