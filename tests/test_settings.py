"""Settings: flags over environment over pyproject.toml, one declaration each, and nothing wrong passes unnoticed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import cli, settings, toolchain
from sandbox.errors import UsageError
from sandbox.settings import Settings


@pytest.fixture(autouse=True)
def formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two report formats, whatever there really is."""
    monkeypatch.setattr(settings, "names_in", lambda folder: ("json", "terminal") if folder else ())


def load(
    folder: Path, toml: str = "", environment: dict[str, str] | None = None, **flags: Any
) -> Settings:
    if toml:
        (folder / "pyproject.toml").write_text(f"[tool.baitbox]\n{toml}\n")
    return settings.load(flags, environment or {}, folder)


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()
    assert Settings().fail_on == "suspicious"
    assert Settings().allow_inconclusive is False


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    environment = {"BAITBOX_TIMEOUT": "20", "BAITBOX_JOBS": "2"}
    found = load(tmp_path, 'timeout = 10\njobs = 1\nbackend = "native"', environment, timeout="30")
    assert (found.timeout, found.jobs, found.backend) == (30.0, 2, "native")


def test_a_flag_that_is_not_given_hides_nothing(tmp_path: Path) -> None:
    found = load(tmp_path, "quiet = true", quiet=None, personas=[], format=None)
    assert found.quiet is True
    assert found.personas == Settings().personas


def test_lists_come_from_each_source(tmp_path: Path) -> None:
    assert load(tmp_path, personas=["a", "b"]).personas == ("a", "b")
    assert load(tmp_path, environment={"BAITBOX_PERSONAS": "a,b"}).personas == ("a", "b")
    assert load(tmp_path, 'personas = ["a", "b"]').personas == ("a", "b")


def test_paths_become_paths_and_know_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    found = load(tmp_path, 'keep = "~/kept"', {"BAITBOX_PROFILES": "one,two"}, output="report.json")
    assert found.keep == Path("/home/someone/kept")
    assert found.profiles == (Path("one"), Path("two"))
    assert found.output == Path("report.json")


def test_a_key_of_the_file_has_dashes(tmp_path: Path) -> None:
    assert load(tmp_path, 'fail-on = "malicious"\nallow-inconclusive = true').fail_on == "malicious"
    with pytest.raises(UsageError, match="has no setting `fail_on`"):
        load(tmp_path, 'fail_on = "malicious"')


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("tiemout = 3", "has no setting `tiemout`"),
        ('timeout = "soon"', "`timeout` of .* cannot be 'soon'"),
        ("timeout = 0", "`timeout` of .* cannot be 0"),
        ("jobs = -1", "cannot be -1"),
        ("personas = 3", "cannot be 3"),
        ('backend = "podman"', "cannot be 'podman'"),
        ("keep = 3", "cannot be 3"),
        ('format = "xml"', "no report format 'xml'"),
        ("= broken", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(tmp_path, toml)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"tool = 3", b"[tool]\nbaitbox = 3", b"a=" + b"[" * 5000])
def test_a_file_that_is_no_settings_file_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(UsageError):
        settings.load({}, {}, tmp_path)


def test_the_choices_are_in_the_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, environment={"BAITBOX_FAIL_ON": "clean"})
    assert caught.value.hint == "one of: malicious, suspicious"
    assert "BAITBOX_FAIL_ON" in str(caught.value)


def test_a_wrong_value_is_refused_even_where_a_better_source_overrides_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(tmp_path, "timeout = 0", timeout="30")


def test_a_package_under_test_does_not_choose_how_it_is_judged(tmp_path: Path) -> None:
    package = tmp_path / "package"
    inside = package / "src"
    inside.mkdir(parents=True)
    for folder in (tmp_path, package, inside):
        (folder / "pyproject.toml").write_text("[tool.baitbox]\nallow-inconclusive = true\n")
    assert settings.load({}, {}, tmp_path, [package]).allow_inconclusive is True
    assert settings.load({}, {}, package, [package]).allow_inconclusive is False
    assert settings.load({}, {}, inside, [package]).allow_inconclusive is False


def test_a_link_to_the_package_does_not_hide_that(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "link").symlink_to("package")
    assert settings.inside_package(tmp_path / "package", [tmp_path / "link"])


def test_every_option_is_complete() -> None:
    options = settings.options()
    assert list(options) == list(Settings.__struct_fields__)
    for option in options.values():
        assert option.help.endswith("."), option.name
        assert option.flag.startswith("--")
        assert option.environment == f"BAITBOX_{option.name.upper()}"
    flags = [option.flag for option in options.values()]
    assert len(set(flags)) == len(flags)


def test_formats_are_found_without_importing_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "reporters").mkdir()
    for name in ("zebra.py", "ant.py", "_shared.py", "__init__.py"):
        (tmp_path / "reporters" / name).write_text("raise SystemExit")
    monkeypatch.setattr(settings, "__file__", str(tmp_path / "settings.py"))
    assert settings.names_in("reporters") == ("ant", "zebra")
    assert settings.names_in("") == ()


@pytest.mark.parametrize(
    ("base", "expected"),
    [("/var/c", "/var/c/baitbox"), ("", "/h/.cache/baitbox"), ("relative", "/h/.cache/baitbox")],
)
def test_the_cache_follows_the_xdg_rule(monkeypatch: pytest.MonkeyPatch, base: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    assert settings.default_cache() == Path(expected)


@given(
    st.dictionaries(
        st.sampled_from([option.environment for option in settings.options().values()]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    )
)
def test_any_environment_gives_settings_or_a_usage_error(environment: dict[str, str]) -> None:
    with contextlib.suppress(UsageError):
        settings.load({}, environment, Path("/nonexistent"))


def test_a_text_in_place_of_the_file_is_read_and_the_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.baitbox]\ntimeout = 10\njobs = 7\n")
    given = settings.load({}, {"BAITBOX_TIMEOUT": "30"}, tmp_path, pyproject="[tool.baitbox]\njobs = 2\n")
    assert (given.timeout, given.jobs) == (30, 2)
    assert settings.load({}, {}, tmp_path, pyproject="") == Settings()
    with pytest.raises(UsageError, match="has no setting `nope`"):
        settings.load({}, {}, tmp_path, pyproject="[tool.baitbox]\nnope = 2\n")


@pytest.mark.parametrize(
    ("base", "expected"),
    [("/data", "/data/baitbox"), ("", "/h/.local/share/baitbox"), ("here", "/h/.local/share/baitbox")],
)
def test_the_store_follows_the_xdg_rule(monkeypatch: pytest.MonkeyPatch, base: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("XDG_DATA_HOME", base)
    assert settings.default_store() == Path(expected)


def test_without_a_home_only_what_needs_a_folder_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    monkeypatch.chdir(tmp_path)
    recording = str(Path(__file__).parent / "recordings" / "clean" / "npm-dotenv.jsonl")
    assert cli.run(["judge", recording]) == 0
    capsys.readouterr()
    for arguments, hint in (
        (["check", "npm:left-pad"], "--cache DIR, BAITBOX_CACHE or XDG_CACHE_HOME"),
        (["check", "npm:left-pad", "--cache", "c"], "--store DIR, BAITBOX_STORE or XDG_DATA_HOME"),
        (["store", "list"], "--store DIR, BAITBOX_STORE or XDG_DATA_HOME"),
    ):
        assert cli.run(arguments) == 2
        assert hint in capsys.readouterr().err
    assert toolchain.find().python is not None
    settings.require_folders(settings.load({"cache": "c", "store": "s"}, {}, tmp_path), "cache", "store")


def test_a_switch_says_what_it_can_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BAITBOX_ALLOW_INCONCLUSIVE cannot be 'yes'") as error:
        settings.load({}, {"BAITBOX_ALLOW_INCONCLUSIVE": "yes"}, tmp_path)
    assert error.value.hint == "one of: true, false"


def test_a_repository_cannot_name_the_store(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.baitbox]\nstore = "here"\n')
    with pytest.raises(UsageError, match="has no setting `store`"):
        settings.load({}, {}, tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.baitbox]\n"" = "here"\n')
    with pytest.raises(UsageError, match="has no setting ``"):
        settings.load({}, {}, tmp_path)
    (tmp_path / "pyproject.toml").unlink()
    assert settings.load({}, {"BAITBOX_STORE": "/there"}, tmp_path).store == Path("/there")
    assert settings.load({"store": "/flag"}, {"BAITBOX_STORE": "/there"}, tmp_path).store == Path("/flag")
