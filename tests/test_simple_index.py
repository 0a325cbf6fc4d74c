"""Which file pip would take, from a page in either of its forms."""

from __future__ import annotations

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.simple_index import HTML_TYPE, JSON_TYPE, ProjectFile, choose, parse, release_of

BASE = "https://index.test/simple/demo/"
SHA = "a" * 64
TAGS = ("cp311-cp311-manylinux_2_17_x86_64", "cp311-abi3-manylinux_2_17_x86_64", "py3-none-any", "py2-none-any")


def files(*names: str, **more: object) -> list[ProjectFile]:
    return [ProjectFile(filename=name, url=f"https://files.test/{name}", **more) for name in names]  # type: ignore[arg-type]


def test_the_two_forms_of_a_page_say_the_same() -> None:
    entries = [
        {
            "filename": "demo-1.0-py3-none-any.whl", "url": "../../files/demo-1.0-py3-none-any.whl",
            "hashes": {"md5": "0" * 32, "sha256": SHA}, "requires-python": ">=3.8", "yanked": False,
            "core-metadata": {"sha256": "b" * 64},
        },
        {"filename": "demo-0.9.tar.gz", "url": "https://files.test/demo-0.9.tar.gz", "hashes": {}, "yanked": "bad"},
        {"filename": "demo-0.8.zip", "url": "//files.test/demo-0.8.zip", "hashes": {"sha1": "c" * 40},
         "dist-info-metadata": True},
    ]  # fmt: skip
    page = f"""<!DOCTYPE html><html><body>
      <a href="../../files/demo-1.0-py3-none-any.whl#sha256={SHA}" data-requires-python="{html.escape(">=3.8")}"
         data-core-metadata="sha256={"b" * 64}">x</a>
      <a href="https://files.test/demo-0.9.tar.gz" data-yanked="bad">x</a>
      <a href="//files.test/demo-0.8.zip#sha1={"c" * 40}" data-dist-info-metadata="true">x</a>"""
    from_json = parse(json.dumps({"files": entries}).encode(), JSON_TYPE, BASE)
    from_html = parse(page.encode(), f"{HTML_TYPE}; charset=utf-8", BASE)
    assert from_json == from_html == parse(page.encode(), "text/html", BASE)
    assert from_json == [
        ProjectFile(
            filename="demo-1.0-py3-none-any.whl", url="https://index.test/files/demo-1.0-py3-none-any.whl",
            digest=f"sha256:{SHA}", requires_python=">=3.8", has_metadata=True, metadata_digest="sha256:" + "b" * 64,
        ),
        ProjectFile(filename="demo-0.9.tar.gz", url="https://files.test/demo-0.9.tar.gz", yanked=True),
        ProjectFile(filename="demo-0.8.zip", url="https://files.test/demo-0.8.zip",
                    digest="sha1:" + "c" * 40, has_metadata=True),
    ]  # fmt: skip


def test_a_base_element_counts() -> None:
    (file,) = parse(b'<base href="https://other.test/x/"><a href="a.whl">a</a>', "text/html", BASE)
    assert file.url == "https://other.test/x/a.whl"


@pytest.mark.parametrize(
    ("content", "kind"), [(b"{}", "application/zip"), (b"[]", JSON_TYPE), (b"{", JSON_TYPE), (b"", "")]
)
def test_what_is_no_page_is_refused(content: bytes, kind: str) -> None:
    with pytest.raises(ValueError, match="not a simple index page"):
        parse(content, kind, BASE)


@pytest.mark.parametrize(
    ("filename", "found"),
    [
        ("demo_pkg-1.0-py3-none-any.whl", ("1.0", "wheel")),
        ("Demo.Pkg-1.0-1-py3-none-any.whl", ("1.0", "wheel")),
        ("demo-pkg-1.0.tar.gz", ("1.0", "sdist")),
        ("demo_pkg-1.0.post1.zip", ("1.0.post1", "sdist")),
        ("demo_pkg-1.0.tar.bz2", None),
        ("demo_pkg-1.0-py3.11.egg", None),
        ("other-1.0.tar.gz", None),
        ("demo_pkg-1.0-more-1-py3-none-any.whl", None),
        ("demo-pkg-.tar.gz", None),
    ],
)
def test_releases_are_read_from_file_names(filename: str, found: object) -> None:
    assert release_of(filename, "demo-pkg") == found


NAMES = (
    "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz",
    "demo-1.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "demo-1.1-py2.py3-none-any.whl", "demo-1.1-cp311-abi3-manylinux_2_17_x86_64.whl", "demo-1.1.tar.gz",
    "demo-1.2-cp312-cp312-win_amd64.whl", "demo-2.0rc1-py3-none-any.whl", "demo-nonsense-py3-none-any.whl",
)  # fmt: skip


@pytest.mark.parametrize(
    ("requested", "prefer", "filename"),
    [
        ("", "wheel", NAMES[2]),
        ("==1.0", "wheel", NAMES[0]),
        ("==1.0.0", "wheel", NAMES[0]),
        ("<1.1", "wheel", NAMES[0]),
        ("==1.1", "sdist", NAMES[5]),
        ("", "sdist", NAMES[5]),
        (">=1.2", "wheel", NAMES[7]),
        (">=2.0rc0", "wheel", NAMES[7]),
        ("===1.0", "wheel", NAMES[0]),
    ],
)
def test_the_file_that_pip_would_take(requested: str, prefer: str, filename: str) -> None:
    chosen = choose(files(*NAMES), "demo", requested, TAGS, "3.11.2", prefer)  # type: ignore[arg-type]
    assert chosen.file.filename == filename
    assert chosen.kind == ("sdist" if filename.endswith(".gz") else "wheel")


def test_without_a_wheel_that_fits_the_source_is_taken() -> None:
    chosen = choose(files("demo-1.0-cp312-cp312-win_amd64.whl", "demo-1.0.tar.gz"), "demo", "", TAGS)
    assert (chosen.kind, chosen.version) == ("sdist", "1.0")


def test_the_higher_build_is_taken() -> None:
    chosen = choose(files("demo-1.0-2-py3-none-any.whl", "demo-1.0-10-py3-none-any.whl"), "demo", "", TAGS)
    assert chosen.file.filename == "demo-1.0-10-py3-none-any.whl"


def test_yanked_files_only_when_pinned() -> None:
    listed = files("demo-1.0.tar.gz") + files("demo-1.1.tar.gz", yanked=True)
    assert choose(listed, "demo", ">=1", TAGS).version == "1.0"
    assert choose(listed, "demo", "==1.1", TAGS).version == "1.1"
    with pytest.raises(LookupError, match=r"1\.1"):
        choose(listed, "demo", "==1.1.*", TAGS)


def test_the_guests_python_counts() -> None:
    listed = files("demo-1.0.tar.gz") + files("demo-2.0.tar.gz", requires_python=">=3.12")
    listed += files("demo-0.5.tar.gz", requires_python="rubbish")
    assert choose(listed, "demo", "", TAGS, "3.11.2").version == "1.0"
    assert choose(listed, "demo", "", TAGS, "3.12.0").version == "2.0"
    assert choose(listed, "demo", "==0.5", TAGS, "3.12.0").version == "0.5"
    with pytest.raises(LookupError, match=r"2.0 wants Python >=3.12, and the guest has 3.11.2"):
        choose(listed, "demo", "==2.0", TAGS, "3.11.2")


@pytest.mark.parametrize(
    ("names", "requested", "prefer", "message"),
    [
        ((), "", "wheel", "no file that pip"),
        (("other-1.0.tar.gz",), "", "wheel", "no file that pip"),
        (NAMES, "==9", "wheel", r"has no version ==9 \(the latest is 1.2\)"),
        (NAMES[:1], "", "sdist", "no source archive"),
        (("demo-1.0-cp312-cp312-win_amd64.whl",), "", "wheel", "neither a wheel"),
    ],
)
def test_what_is_not_there_is_told(names: tuple[str, ...], requested: str, prefer: str, message: str) -> None:
    with pytest.raises(LookupError, match=message):
        choose(files(*names), "demo", requested, TAGS, "3.11", prefer)  # type: ignore[arg-type]


@given(st.binary() | st.text().map(str.encode), st.sampled_from([JSON_TYPE, HTML_TYPE, "text/html"]))
def test_only_value_errors_from_strange_pages(content: bytes, kind: str) -> None:
    for page in (content, b'<a href="' + content + b'">', b'{"files":[{"filename":"a","url":"' + content + b'"}]}'):
        try:
            parse(page, kind, BASE)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # either way is right; anything else is a bug


@given(st.lists(st.text(), max_size=5))
def test_only_lookup_errors_from_strange_file_names(names: list[str]) -> None:
    listed = files(*[name + end for name in names for end in ("", "-1-py3-none-any.whl", "-1.tar.gz")])
    for name in ["demo", *names]:
        try:
            choose(listed, name, "", TAGS, "3.11")
        except LookupError as error:
            assert str(error)  # noqa: PT017  # either way is right; anything else is a bug
