"""Requirements files: includes, constraints, hashes, markers, and every way in which a line is no pin."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sandbox.lockfiles import Lock, Locked, read

SAMPLES = Path(__file__).parent / "lockfiles" / "requirements"
HASH = "a" * 64


def lock(text: str, files: dict[str, str] | None = None, path: str = "requirements.txt") -> Lock:
    """A requirements file, and the files that it may include."""

    def include(name: str) -> bytes:
        if name not in (files or {}):
            raise FileNotFoundError(name)
        return (files or {})[name].encode()

    return read(text.encode(), path, include)


def only(text: str) -> Locked:
    """The one entry of a file."""
    found = lock(text)
    assert not found.notes
    (entry,) = found.entries
    return entry


def test_the_sample_with_includes() -> None:
    folder = SAMPLES / "includes"
    found = read(
        (folder / "requirements.txt").read_bytes(),
        "requirements.txt",
        lambda path: (folder / path).read_bytes(),
    )
    entries = {one.name: one for one in found.entries}
    assert set(entries) == {"certifi", "requests", "urllib3", "bar", "thing", "tool", "pkg", "six", "idna"}
    assert entries["certifi"].version == "2024.2.2" and not entries["certifi"].direct
    assert entries["certifi"].digests == (
        "sha256:0569859f95fc761b18b45ef421b1290a0f65f147e92a1e5eb3e635f9a5e4e66f",
        "sha256:dc383c07b76109f368f6106eee2b593b04a011ea4d55f652c6ca24a754d1cdd1",
    )
    requests = entries["requests"]
    assert (requests.version, requests.extras, requests.line) == ("2.31.0", ("security", "socks"), 10)
    assert requests.marker == 'python_version >= "3.8"' and requests.direct
    assert requests.location == "https://index.test/simple"
    # Asked for without a version, and pinned by the constraint: that is the line that counts.
    assert (entries["urllib3"].version, entries["urllib3"].file, entries["urllib3"].line) == (
        "2.0.1", "more/constraints.txt", 1,
    )  # fmt: skip
    assert not entries["urllib3"].optional
    assert entries["idna"].optional and not entries["idna"].direct
    assert (entries["six"].version, entries["six"].file, entries["six"].line) == ("1.16", "more/base.txt", 2)
    assert (entries["bar"].source, entries["tool"].source) == ("git", "git")
    assert (entries["thing"].source, entries["thing"].version) == ("file", "1.0")
    assert (entries["pkg"].source, entries["pkg"].version) == ("url", "1.2")
    assert entries["pkg"].digests == ("sha256:0569859f95fc761b18b45ef421b1290a0f65f147e92a1e5eb3e635f9a5e4e66f",)
    texts = [note.text for note in found.notes]
    assert any("./src does not say which package it is" in text for text in texts)
    assert any("flask>=1 is not pinned" in text for text in texts)
    assert any("wild==1.* is not pinned" in text for text in texts)
    assert any("--index-url https://index.test/simple" in text for text in texts)
    assert not any("secret" in text for text in texts)
    assert len(texts) == 4


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("x==1.0", "1.0"),
        ("x == 1.0", "1.0"),
        ("X===1.0", "1.0"),
        ("x (==1.0)", "1.0"),
        ("x==1.0,>=0.5", "1.0"),
        ("x==1.0-RC.1", "1.0rc1"),
        ("x==1!2.0+local.1", "1!2.0+local.1"),
        ("x==1.0 # a note", "1.0"),
        ("x==1.0 ; python_version<'3' # a note", "1.0"),
        ("x\\\n==\\\n1.0", "1.0"),
    ],
)
def test_a_pin(text: str, version: str) -> None:
    entry = only(text)
    assert (entry.name, entry.version, entry.direct, entry.line) == ("x", version, True, 1)


@pytest.mark.parametrize("text", ["x", "x>=1", "x~=1.0", "x==1.*", "x==1,==2", "x[a]", "x!=1", "x===legacy"])
def test_no_pin_is_a_note(text: str) -> None:
    found = lock(f"\n{text}\n")
    assert not found.entries
    (note,) = found.notes
    assert f"{text} is not pinned" in note.text and note.line == 2


@pytest.mark.parametrize(
    "options",
    [
        f"--hash=sha256:{HASH}",
        f"--hash sha256:{HASH}",
        f"\\\n  --hash=sha256:{HASH}",
        f'--hash="sha256:{HASH}"',
        f"--hash=sha256:{HASH.upper()} --global-option='--x y'",
    ],
)
def test_hashes(options: str) -> None:
    assert only(f"x==1 {options}").digests == (f"sha256:{HASH}",)


@pytest.mark.parametrize(
    ("text", "name", "version", "source"),
    [
        ("./dist/a_b-1.0-py3-none-any.whl[extra] ; os_name == 'nt'", "a-b", "1.0", "file"),
        ("file:///x/a-1.0.tar.gz", "a", "1.0", "file"),
        ("https://files.test/a-1.0.zip", "a", "1.0", "url"),
        ("git+ssh://git@git.test/a@v1#egg=a[more]&subdirectory=x", "a", "", "git"),
        ("hg+https://hg.test/a#egg=a", "a", "", "git"),
        ("a @ https://files.test/odd.bin", "a", "", "url"),
        ("a[x] @ file:///y/a-2.0.zip ; os_name == 'nt'", "a", "2.0", "file"),
    ],
)
def test_places(text: str, name: str, version: str, source: str) -> None:
    entry = only(text)
    assert (entry.name, entry.version, entry.source) == (name, version, source)


@pytest.mark.parametrize(
    "text", ["https://files.test/odd.bin", "-e .", "../here", "https://[x/y.whl", "git+https://g.test/a"]
)
def test_a_place_that_does_not_say_which_package_it_is(text: str) -> None:
    found = lock(text)
    assert not found.entries
    assert "does not say which package it is" in found.notes[0].text


def test_several_hashes_over_several_lines_with_comments_between() -> None:
    found = lock(f"a==1 \\\n  --hash=sha256:{HASH} \\\n  --hash=sha512:{HASH * 2}\n# end\nb==2 \\\n")
    assert [(one.name, one.digests, one.line) for one in found.entries] == [
        ("a", (f"sha256:{HASH}", f"sha512:{HASH * 2}"), 1),
        ("b", (), 5),
    ]


def test_a_comment_ends_a_continued_line() -> None:
    # As pip: what follows a comment is a line of its own, even where the comment ends in a backslash.
    found = lock("a==1 # comment \\\nb==2")
    assert [one.name for one in found.entries] == ["a", "b"]


def test_markers_of_two_mentions() -> None:
    two = lock("x==1 ; sys_platform == 'win32'\nx==1 ; sys_platform == 'linux'\n")
    assert two.entries[0].marker == '(sys_platform == "win32") or (sys_platform == "linux")'
    assert lock("x==1 ; sys_platform == 'win32'\nx==1\n").entries[0].marker == ""


def test_who_asks_for_it_by_the_comments_of_compilers() -> None:
    found = lock(
        "a==1\n    # via\n    #   -r requirements.in\n    #   b\n"
        "b==1\n    # via a\n"
        "c==1\n    # via thing (pyproject.toml)\n"
    )
    assert {one.name: one.direct for one in found.entries} == {"a": True, "b": False, "c": True}


def test_includes_are_read_from_where_the_file_is() -> None:
    files = {"deps/common.txt": "a==1\n-r ../more/x.txt\n", "more/x.txt": "b==2\n", "deps/c.txt": "a==9\nz==3\n"}
    found = lock("-r common.txt\n-cc.txt\n--requirement=common.txt", files, "deps/requirements.txt")
    assert {(one.name, one.version, one.file, one.optional) for one in found.entries} == {
        ("a", "1", "deps/common.txt", False),
        ("b", "2", "more/x.txt", False),
        ("z", "3", "deps/c.txt", True),
    }


def test_files_that_include_each_other_end() -> None:
    files = {"a.txt": "-r b.txt\na==1", "b.txt": "-r a.txt\nb==1"}
    assert {one.name for one in lock("-r a.txt", files).entries} == {"a", "b"}


def test_too_many_includes_are_refused() -> None:
    files = {f"{n}.txt": f"-r {n + 1}.txt" for n in range(1000)}
    with pytest.raises(ValueError, match="more than 100 files"):
        lock("-r 0.txt", files)


def test_an_include_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"requirements\.txt line 2 includes gone\.txt, which cannot be read"):
        lock("\n-r gone.txt")


def test_an_include_without_a_reader_or_from_elsewhere_is_a_note() -> None:
    (note,) = read(b"-r base.txt\n", "requirements.txt").notes
    assert "base.txt is included and is not read here" in note.text
    (note,) = lock("-r https://u:p@files.test/base.txt\n").notes
    assert "https://files.test/base.txt is included and is a URL" in note.text


def test_every_entry_of_a_constraints_file_may_be_left_out() -> None:
    (entry,) = lock("x==1", path="constraints.txt").entries
    assert entry.optional and not entry.direct


def test_an_option_that_is_not_understood_is_a_note() -> None:
    found = lock("--require-hashes\n--frobnicate yes\nx==1 --mystery")
    assert [note.text for note in found.notes] == [
        "--frobnicate yes is an option that is not understood",
        "--mystery is an option that is not understood",
    ]
    assert len(found.entries) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x==", "==1", "x y", "x==1 --hash=sha256:short", "x==1 --hash=crc32:00", "x==1 --hash=sha256:" + "g" * 64,
        "x==1 --hash='sha256:", "x==1;", "x" * 9000 + "==1", "<html>", "x==1 ; " + "(" * 3000,
        "x==" + "9" * 9000, "x; os_name == 'a' and",
    ],
)  # fmt: skip
def test_what_is_no_requirement_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^requirements\.txt line 2: ") as caught:
        lock("a==1\n" + text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


@pytest.mark.slow
def test_fifty_thousand_lines_take_seconds() -> None:
    text = "".join(f"package-{n}==1.{n} \\\n    --hash=sha256:{n:064x}\n    # via x\n" for n in range(50_000))
    started = time.process_time()
    found = lock(text)
    assert time.process_time() - started < 60
    assert len(found.entries) == 50_000 and found.entries[-1].line == 149_998


def test_one_line_of_many_continuations_is_read_in_linear_time() -> None:
    text = "x==1 \\\n" + f"  --hash=sha256:{HASH} \\\n" * 12_000
    started = time.process_time()
    assert lock(text).entries[0].digests == (f"sha256:{HASH}",)
    assert time.process_time() - started < 5
