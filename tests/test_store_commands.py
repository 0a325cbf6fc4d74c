"""`baitbox store`, as a user runs it."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import msgspec
import pytest

from sandbox import cli
from sandbox.report import PackageReport
from sandbox.store import Store
from sandbox.store.rows import DAY
from tests import stored

HOSTILE = "pkg:npm/\x1b[31mred\u202e@1.0.0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with four runs; the settings name it."""
    folder = tmp_path / "store"
    monkeypatch.setenv("BAITBOX_STORE", str(folder))
    monkeypatch.chdir(tmp_path)
    with Store.open(folder) as store:
        for number, verdict in enumerate(["clean", "malicious", "clean"]):
            stored.save(store, tmp_path, number, verdict, ran=time.time() - (10 - number) * DAY)
        purl = "pkg:npm/%40acme/words@2.0.0"
        store.save(stored.key(purl=purl), stored.report("inconclusive", purl=purl), [], judge="j1")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["store", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_list_shows_the_newest_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["4", "3", "2", "1"]
    assert lines[2].split()[2] == "malicious"
    assert lines[0].endswith("pkg:npm/%40acme/words@2.0.0")


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (("left-pod",), [3, 2, 1]), (("left-pod@1.0.1",), [2]), (("npm:left-pod@1.0.2",), [3]),
        (("npm:@acme/words",), [4]), (("@acme/words@2.0.0",), [4]), (("pkg:npm/%40acme/words",), [4]),
        (("--verdict", "clean"), [3, 1]), (("--served", "left-pod-1.0.0.tgz"), [3, 2, 1]),
        (("--served", stored.DIGEST), [3, 2, 1]), (("--most", "1"), [4]), (("nothing",), []),
    ],
)  # fmt: skip
def test_list_can_be_narrowed(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], numbers: list[int]
) -> None:
    code, out, _ = run(capsys, "list", *arguments)
    assert code == 0
    assert [int(line.split()[0]) for line in out.splitlines()] == numbers
    code, out, _ = run(capsys, "list", *arguments, "--format", "json")
    assert [one["run"] for one in json.loads(out)] == numbers


def test_the_list_as_json_says_where_the_recordings_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list", "left-pod@1.0.1", "--format", "json")
    (one,) = json.loads(out)
    assert (one["purl"], one["verdict"], one["personas"]) == ("pkg:npm/left-pod@1.0.1", "malicious", ["laptop"])
    assert Path(one["recordings"][0]["file"]).is_file()
    assert "report" not in one


def test_show_gives_the_report_and_what_belongs_to_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "2")
    assert (code, err) == (0, "")
    assert out.startswith("MALICIOUS  npm:left-pod\n")
    for words in ("sent ssh bait", "from the store: it was run at", "guest: native, node 20", f"served: {stored.URL}"):
        assert words in out
    place = out.splitlines()[-1].rpartition(": ")[2]
    assert out.splitlines()[-1].startswith("recording (laptop, ")
    assert Path(place).is_file()
    _, out, _ = run(capsys, "show", "2", "--format", "json")
    document = json.loads(out)
    assert document["report"]["verdict"] == "malicious"
    assert document["served"] == [{"url": stored.URL, "digest": stored.DIGEST}]


def test_show_of_a_run_that_there_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "99")
    assert (code, out) == (3, "")
    assert f"error: there is no run 99 in the store {folder}\nhint: " in err
    assert run(capsys, "show", "many")[0] == 2
    assert run(capsys, "show", "0")[0] == 2


def test_verify_of_a_sound_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "verify") == (0, "everything is as it was stored\n", "")


def test_verify_says_what_is_wrong_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = sorted(folder.rglob("*.gz"))[:2]
    one.unlink()
    other.write_bytes(b"")
    code, out, err = run(capsys, "verify")
    assert code == 3
    assert len(out.splitlines()) == 2
    assert f"error: 2 things are wrong in the store {folder}\nhint: " in err


def test_prune_says_what_it_would_do_and_does_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "prune", "--keep-days", "8.5", "--dry-run")
    assert code == 0
    assert out.startswith("would be removed: 2 runs, 0 scans, 2 recordings, 0 stray files, ")
    assert len(run(capsys, "list")[1].splitlines()) == 4
    code, out, _ = run(capsys, "prune", "--keep-days", "8.5")
    assert code == 0
    assert out.startswith("removed: 2 runs, 0 scans, 2 recordings, 0 stray files, ")
    assert [line.split()[0] for line in run(capsys, "list")[1].splitlines()] == ["4", "3"]
    assert run(capsys, "prune", "--most-bytes", "0")[1].startswith("removed: 2 runs, 0 scans, 1 recording, ")
    assert run(capsys, "list") == (0, "", "")
    assert run(capsys, "prune", "--keep-days", "-1")[0] == 2


def test_export_writes_one_run_as_files(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = run(capsys, "export", "2", "--to", "out")
    assert (code, err) == (0, "")
    report, recording = (tmp_path / line for line in out.splitlines())
    assert report.name == "npm-left-pod-1.0.1-2.report.json"
    found = msgspec.convert(json.loads(report.read_text())["report"], PackageReport)
    assert found == stored.report("malicious", purl="pkg:npm/left-pod@1.0.1")
    assert recording.read_bytes() == stored.recording(tmp_path, 1).read_bytes()
    assert cli.run(["show", str(recording)]) == 0


def test_export_writes_every_report_as_json_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "export")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["run"] for row in rows] == [4, 3, 2, 1]
    assert all(msgspec.convert(row["report"], PackageReport).verdict == row["verdict"] for row in rows)


def test_export_to_where_nothing_can_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    code, _, err = run(capsys, "export", "2", "--to", "file")
    assert code == 2
    assert err.startswith("error: nothing can be written to file: File exists")
    sorted(folder.rglob("*.gz"))[0].parent.parent.rename(folder / "elsewhere")
    code, _, err = run(capsys, "export", "2", "--to", "out")
    assert code == 3
    assert "is not in the store any more" in err


def test_a_damaged_run_fails_a_list_after_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connection = sqlite3.connect(folder / "store.sqlite")
    with connection:
        connection.execute("UPDATE run SET verdict = 'clean' WHERE id = 2")
    connection.close()
    for command in ("list", "export"):
        code, out, err = run(capsys, command)
        assert code == 3
        assert len(out.splitlines()) == 3
        assert err.startswith(f"error: run 2 of the store {folder} is damaged: its seal is broken\nhint: ")
    assert run(capsys, "show", "2")[0] == 3


def test_a_hostile_name_is_printed_as_text(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Store.open(folder) as store:
        key = stored.key(purl=HOSTILE, guest="\x1b]0;x")
        run_ = store.save(key, stored.report("malicious", purl=HOSTILE, target=HOSTILE), [], judge="j1")
    for arguments in (("list",), ("show", str(run_.id))):
        _, out, _ = run(capsys, *arguments)
        assert "red" in out
        assert all(line.isprintable() for line in out.splitlines())
    assert "\x1b" not in run(capsys, "export")[1]
    _, out, _ = run(capsys, "export", str(run_.id), "--to", "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"npm-31mred-1.0.0-{run_.id}.report.json"]


@pytest.mark.parametrize("command", ["list", "show 1", "verify", "prune", "export"])
def test_a_store_that_there_is_not_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, out, err = run(capsys, *command.split(), "--store", str(tmp_path / "none"))
    assert (code, out) == (3, "")
    assert err.startswith(f"error: there is no store in {tmp_path / 'none'}\nhint: ")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["list", "show 1", "verify", "prune", "export"])
def test_a_store_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    (tmp_path / "store.sqlite").write_text("x" * 5000)
    code, out, err = run(capsys, *command.split(), "--store", str(tmp_path))
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 2
    assert "is damaged: store.sqlite: file is not a database" in err


def test_the_command_without_another_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "baitbox store --help" in err
    assert run(capsys, "--help")[0] == 0
