"""Several reports of one run: which, where to, and that one that fails keeps no other from being written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import discovery, settings, written
from sandbox.errors import UsageError
from sandbox.reporters import Recordings, Reporter
from sandbox.settings import Settings
from tests import report_samples as samples


def wanting(*reports: str, **fields: Any) -> Settings:
    return Settings(reports=reports, **fields)


def write(wanted: Settings) -> list[Reporter]:
    """Write the reports of a gate; returns the formats that went to stdout."""
    shown: list[Reporter] = []

    def show(reporter: Reporter, given: Recordings | None) -> None:
        shown.append(reporter)

    written.write(wanted, samples.GATE, {}, show)
    return shown


def test_without_more_there_is_one_for_stdout() -> None:
    (one,) = written.wanted(Settings())
    assert one.file is None
    assert one.reporter.title == "text for a terminal"


def test_each_report_is_written_to_its_file_and_the_first_is_shown(tmp_path: Path) -> None:
    shown = write(wanting(f"sarif={tmp_path}/a.sarif", f"junit={tmp_path}/b=c.xml", format="markdown"))
    assert [reporter.media for reporter in shown] == ["text/markdown"]
    assert json.loads((tmp_path / "a.sarif").read_text())["version"] == "2.1.0"
    assert (tmp_path / "b=c.xml").read_text().startswith("<?xml")


@pytest.mark.parametrize("name", ["allow-scripts", "allow_scripts"])
def test_a_name_of_two_words_has_a_dash_or_an_underscore(tmp_path: Path, name: str) -> None:
    assert write(wanting(f"{name}={tmp_path}/a.json", output=tmp_path / "t.txt")) == []
    assert json.loads((tmp_path / "a.json").read_text())["allowScripts"] == {}
    assert settings.load({"format": name}, {}, tmp_path).format == name


def test_recordings_are_asked_for_where_one_format_shows_them() -> None:
    assert not written.recorded(wanting("sarif=x"))
    assert written.recorded(wanting("sarif=x", "har=y"))
    assert written.recorded(Settings(format="har"))


def test_one_that_cannot_be_written_keeps_no_other_from_it(tmp_path: Path) -> None:
    wanted = wanting(f"junit={tmp_path}/no/such/folder.xml", f"sarif={tmp_path}/a.sarif")
    with pytest.raises(UsageError, match=r"cannot be written to .*folder\.xml"):
        write(wanted)
    assert (tmp_path / "a.sarif").exists()


def test_files_are_looked_at_before_the_work(tmp_path: Path) -> None:
    written.vet(wanting(f"sarif={tmp_path}/a.sarif"))
    for file in (tmp_path, tmp_path / "no" / "a.sarif"):
        with pytest.raises(UsageError, match="cannot be written"):
            written.vet(wanting(f"sarif={file}"))
        with pytest.raises(UsageError, match="cannot be written"):
            written.vet(Settings(output=file))


@pytest.mark.parametrize("text", ["sarif", "=x", "sarif=", "", "sarif=a\0b", "sarif=~nobody-here-by-that-name/x"])
def test_what_names_no_report_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="names no"):
        settings.load({"reports": [text]}, {}, tmp_path)


def test_an_unknown_format_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no report format 'xml'") as caught:
        settings.load({"reports": ["xml=a"]}, {}, tmp_path)
    assert "sarif" in (caught.value.hint or "")
    assert "allow-scripts" in (caught.value.hint or "")


@pytest.mark.parametrize("reports", [["sarif=a", "json=./a"], ["sarif=b"]])
def test_two_reports_do_not_share_a_file(tmp_path: Path, reports: list[str]) -> None:
    with pytest.raises(UsageError, match="two reports cannot be written to"):
        settings.load({"reports": reports, "output": "b"}, {}, tmp_path)


def test_reports_come_from_each_source(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.baitbox]\nreports = ["sarif=a"]\n')
    assert settings.load({}, {}, tmp_path).reports == ("sarif=a",)
    assert settings.load({}, {"BAITBOX_REPORTS": "junit=b,json=c"}, tmp_path).reports == ("junit=b", "json=c")


def test_the_help_names_every_format() -> None:
    option = settings.options()["format"]
    assert option.metavar == "FORMAT"
    names = [name.replace("_", "-") for name in discovery.load("reporters", "REPORTER")]
    assert option.help == f"How the report is written. One of: {', '.join(names)}."
