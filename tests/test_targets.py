"""The target grammar: what each form means, and one clear sentence for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import UsageError
from sandbox.targets import Target, normalised, shown, valid_npm_name, valid_pypi_name


@pytest.mark.parametrize(
    ("text", "ecosystem", "name", "requested", "extras", "prefer"),
    [
        ("npm:left-pad", "npm", "left-pad", "", (), "wheel"),
        ("npm:left-pad@1.3.0", "npm", "left-pad", "1.3.0", (), "wheel"),
        ("npm:left-pad@^1.2 || 3.x", "npm", "left-pad", "^1.2 || 3.x", (), "wheel"),
        ("npm:left-pad@>=1 <2", "npm", "left-pad", ">=1 <2", (), "wheel"),
        ("npm:@scope/name@next", "npm", "@scope/name", "next", (), "wheel"),
        ("npm:@scope/name", "npm", "@scope/name", "", (), "wheel"),
        ("npm:JSONStream", "npm", "JSONStream", "", (), "wheel"),
        ("  pypi:six ", "pypi", "six", "", (), "wheel"),
        ("pypi:six==1.17.0", "pypi", "six", "==1.17.0", (), "wheel"),
        ("pypi:six >=1, <2", "pypi", "six", ">=1, <2", (), "wheel"),
        ("pypi:requests[socks, Use_X]>=2", "pypi", "requests", ">=2", ("socks", "use-x"), "wheel"),
        ("pkg:npm/left-pad@1.3.0", "npm", "left-pad", "1.3.0", (), "wheel"),
        ("pkg:npm/%40scope/name@1.0.0", "npm", "@scope/name", "1.0.0", (), "wheel"),
        ("pkg:pypi/six@1.17.0", "pypi", "six", "==1.17.0", (), "wheel"),
        ("pkg:pypi/six", "pypi", "six", "", (), "wheel"),
        ("pkg:pypi/six@1.17.0?file_name=six-1.17.0.tar.gz", "pypi", "six", "==1.17.0", (), "sdist"),
        ("pkg:pypi/six@1.17.0?packagetype=sdist", "pypi", "six", "==1.17.0", (), "sdist"),
    ],
)
def test_registry_targets(
    text: str, ecosystem: str, name: str, requested: str, extras: tuple[str, ...], prefer: str
) -> None:
    target = Target.parse(text)
    assert (target.ecosystem, target.kind) == (ecosystem, "registry")
    assert (target.name, target.requested, target.extras) == (name, requested, extras)
    assert target.prefer == prefer
    assert target.text == text.strip()


def test_the_source_archive_can_be_preferred() -> None:
    assert Target.parse("pypi:six==1.17.0", sdist=True).prefer == "sdist"
    for text in ("npm:left-pad", "./x.whl"):
        with pytest.raises(UsageError, match="no source archive"):
            Target.parse(text, sdist=True)


@pytest.mark.parametrize(
    ("text", "ecosystem", "extras"),
    [
        ("./x.tgz", "npm", ()),
        ("x.whl", "pypi", ()),
        ("x-1.0.whl[extra]", "pypi", ("extra",)),
        ("../some where/x.tar.gz", "pypi", ()),
        ("/tmp/x.ZIP", "pypi", ()),
        ("npm:./x.tar.gz", "npm", ()),
        ("pypi:./x.tgz[a,b]", "pypi", ("a", "b")),
    ],
)
def test_archives_need_not_exist_to_be_named(text: str, ecosystem: str, extras: tuple[str, ...]) -> None:
    target = Target.parse(text)
    assert (target.kind, target.ecosystem, target.extras) == ("archive", ecosystem, extras)
    assert Path(target.path).is_absolute()
    assert not target.path.endswith("]")


def test_a_folder_is_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    assert Target.parse(str(tmp_path)).ecosystem == "npm"
    (tmp_path / "setup.py").write_text("")
    with pytest.raises(UsageError, match="both") as both:
        Target.parse(str(tmp_path))
    assert f"npm:{tmp_path}" in both.value.hint
    assert Target.parse(f"npm:{tmp_path}").kind == "folder"
    (tmp_path / "package.json").unlink()
    target = Target.parse(f"pypi:{tmp_path}[fast]")
    assert (target.ecosystem, target.kind, target.path, target.extras) == (
        "pypi", "folder", str(tmp_path), ("fast",),
    )  # fmt: skip


def test_an_empty_folder_and_a_strange_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no package\.json"):
        Target.parse(str(tmp_path))
    strange = tmp_path / "notes.txt"
    strange.write_text("")
    with pytest.raises(UsageError, match="neither"):
        Target.parse(str(strange))


def test_a_path_where_nothing_is_is_left_to_the_fetch(tmp_path: Path) -> None:
    assert Target.parse(str(tmp_path / "nothing")).kind == "folder"


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "left-pad", "npm:", "pypi:", "npm:left-pad@", "npm:-rf", "npm:.hidden", "npm:a b",
        "npm:a;b", "npm:$(id)", "npm:`id`", "npm:a/b", "npm:../../etc/passwd\n", "npm:@scope", "npm:@/name",
        "npm:a%2fb", "npm:a@1|$(id)", "npm:a@file:../x", "npm:a@npm:b@1", "npm:" + "a" * 215,
        "npm:a@" + "1" * 257, "npm:node_modules", "npm:left\x1b[31m", "npm:a\udcff", "npm:a@1\x00",
        "./a\x00b.tgz", "x" * 5000 + ".tgz", "pypi:-r", "pypi:six-", "pypi:six==", "pypi:six=1",
        "pypi:six; python_version", "pypi:six[a;b]", "pypi:six[", "pypi:six @ https://x.test/six.whl",
        "pypi:six@1.17.0", "pypi:sìx", "pypi:six==１", "pypi:" + "a" * 300, "npm:x.whl", "npm:./x.zip",
        "github:a/b", "git+https://x.test/a.git", "git@x.test:a/b", "npm:git+ssh://x.test/a.git",
        "https://x.test/a.tgz", "npm:https://x.test/a.tgz", "file:///etc/passwd", "./package-lock.json",
        "requirements.txt", "npm:./yarn.lock", "pkg:", "pkg:npm", "pkg:cargo/a@1", "pkg:npm/a@1?vcs_url=x",
        "pkg:npm/a@1#sub", "pkg:pypi/ns/a@1", "pkg:npm/..%2f..@1", "pkg:npm/a%0ab@1", "pkg:npm/@1",
        "gem:rails", "NPM:left-pad",
    ],
)  # fmt: skip
def test_everything_else_is_one_clear_sentence(text: str) -> None:
    with pytest.raises(UsageError) as error:
        Target.parse(text)
    message = str(error.value)
    assert error.value.exit_code == 2
    assert message.isprintable()
    assert 10 < len(message) < 300


@pytest.mark.parametrize("text", ["package-lock.json", "./Pipfile.lock", "a/requirements-dev.txt", "pylock.dev.toml"])
def test_a_lockfile_is_sent_to_where_it_belongs(text: str) -> None:
    with pytest.raises(UsageError, match="is a lockfile, not a package") as error:
        Target.parse(text)
    assert "baitbox scan" in error.value.hint
    assert "baitbox gate" in error.value.hint


_PREFIXES = st.sampled_from(["npm:", "pypi:", "pkg:", "pkg:npm/", "./"])


@given(st.text() | st.builds("{}{}".format, _PREFIXES, st.text()))
def test_only_usage_errors_ever(text: str) -> None:
    try:
        target = Target.parse(text)
    except UsageError as error:
        assert str(error).isprintable()  # noqa: PT017  # both ends of the try are looked at
    else:
        assert target.text.isprintable()
        if target.kind == "registry":
            assert (valid_npm_name if target.ecosystem == "npm" else valid_pypi_name)(target.name)


def test_names_are_compared_in_one_form() -> None:
    assert normalised("Foo_._Bar--baz") == "foo-bar-baz"


def test_what_is_shown_cannot_act_on_a_terminal() -> None:
    assert shown("a\x1b[0mb") == "a\\x1b[0mb"
    assert shown("a" * 200) == "a" * 100 + "..."
