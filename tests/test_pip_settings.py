"""pip's settings files and netrc, read as pip reads them."""

from __future__ import annotations

from pathlib import Path

from sandbox.pip_settings import netrc_logins, pip_default, pip_settings, read_bounded


def test_sections_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/pip.conf").write_text(
        "[global]\nindex_url = a\ncert = c\n[install]\nno-index = yes\n[x]\ny = z\n"
    )
    problems: dict[str, str] = {}
    found = pip_settings({"PIP_CERT": "d", "VIRTUAL_ENV": str(tmp_path)}, tmp_path, tmp_path, problems)
    file = str(tmp_path / "etc/pip.conf")
    assert found == {"index-url": ("a", file), "no-index": ("yes", file), "cert": ("d", "the variable PIP_CERT")}
    assert problems == {}


def test_the_default_is_read_from_pip_itself() -> None:
    index, hosts = pip_default()
    assert index.startswith("https://")
    assert hosts


def test_a_netrc_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    assert netrc_logins({}, tmp_path) == []
    (tmp_path / ".netrc").write_text("machine a.test login x password y\nnonsense")
    assert netrc_logins({}, tmp_path) == []
    (tmp_path / "other").write_text("machine a.test login x password y\n")
    assert netrc_logins({"NETRC": str(tmp_path / "other")}, tmp_path) == [("a.test", "x", "y")]


def test_absurd_files_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10 * 1024**2)
    assert read_bounded(tmp_path / "huge") == ""
    assert read_bounded(tmp_path) == ""
