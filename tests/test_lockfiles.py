"""Every format of lockfile: what all promise, and what hostile ones get."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import lockfiles
from sandbox.lockfiles import Lock, Lockfile, by_name, formats, identify, read

SAMPLES = Path(__file__).parent / "lockfiles"
ALL = [pytest.param(one, id=name) for name, one in formats().items()]


def reader(root: Path) -> Callable[[str], bytes]:
    """Reads what a file includes, within one folder."""
    return lambda path: (root / path).read_bytes()


def samples(format_name: str) -> list[Path]:
    """The real lockfiles of one format, each in a folder of its variant, under its real name."""
    return sorted(
        path
        for path in (SAMPLES / format_name).glob("*/*")
        if path.is_file() and by_name(path.name)
    )  # fmt: skip


def parsed(path: Path) -> Lock:
    """A sample, read as a user's file would be."""
    return read(path.read_bytes(), path.name, reader(path.parent))


EVERY = [pytest.param(path, id=str(path.relative_to(SAMPLES))) for name in formats() for path in samples(name)]
HOSTILE = [b"", b"\0", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf", b"{}", b"[]", b"null", b"1", b"a", b"a: *b", b"{" * 100_000,
           b"[" * 100_000, b"((" * 5000, b'{"a":' * 50_000, b"a:\n " * 20_000, b"9" * 100_000, b"x = " + b"9" * 10_000,
           b"- " * 50_000, b"x=" + b"[" * 50_000, b"x==1\n" + b"\\\n" * 50_000, b'"' * 9999, b"#" * 9999,
           b"\xed\xa0\x80", b"!!python/object/apply:os.system [echo]\n", b"&a [*a, *a]"]  # fmt: skip


def refused(one: Lockfile, content: bytes, path: str = "file") -> None:
    """Read something hostile: either it is understood, or it is a ValueError of one sentence."""
    kind: type[Exception] = ValueError
    text = "understood"
    try:
        check(one.parse(content, path))
    except ValueError as error:
        text, kind = str(error), type(error)
    assert kind is ValueError
    assert text and "\n" not in text and text.isprintable() and len(text) < 1000


def check(lock: Lock) -> None:
    """What holds for any lock, whoever wrote it."""
    identities = [(entry.name, entry.version, entry.source, entry.location) for entry in lock.entries]
    assert len(set(identities)) == len(identities)
    assert lock.format in formats()
    for entry in lock.entries:
        assert entry.ecosystem == lock.ecosystem
        assert entry.name and entry.name.isprintable() and len(entry.name) <= 214
        assert entry.version or entry.source not in ("registry", "bundled")
        assert entry.line >= 0
        for text in (entry.version, entry.location, entry.marker, *entry.extras, *entry.systems, *entry.aliases):
            assert text.isprintable() and len(text) <= 4096
        for digest in entry.digests:
            algorithm, _, value = digest.partition(":")
            assert len(bytes.fromhex(value)) == {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48,
                                                 "sha512": 64}[algorithm]  # fmt: skip
            assert digest == digest.lower()
    for note in lock.notes:
        assert note.text.isprintable() and note.file


@pytest.mark.parametrize("one", ALL)
def test_a_format_says_what_it_is(one: Lockfile) -> None:
    assert formats()[one.name] is one
    assert one.ecosystem in ("npm", "pypi")
    assert one.names and all(name == name.lower() for name in one.names)
    assert samples(one.name), "a format has real samples"


@pytest.mark.parametrize("path", EVERY)
def test_a_real_file_is_found_and_read(path: Path) -> None:
    format_name = path.relative_to(SAMPLES).parts[0]
    content = path.read_bytes()
    assert identify(str(path), content).name == format_name
    lock = parsed(path)
    check(lock)
    assert (lock.format, lock.path) == (format_name, path.name)
    assert lock.entries
    lines = content.decode().split("\n")
    for entry in lock.entries:
        if not entry.file:
            assert entry.line, entry
            window = "\n".join(lines[entry.line - 1 : entry.line + 1]).lower().replace("_", "-").replace(".", "-")
            names = [entry.name, *entry.aliases]
            assert any(name.lower().replace("_", "-").replace(".", "-") in window for name in names), entry


@pytest.mark.parametrize("path", EVERY)
def test_line_ends_and_a_mark_change_nothing(path: Path) -> None:
    content = path.read_bytes()
    again = read(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"), path.name, reader(path.parent))
    assert again == parsed(path)


@pytest.mark.parametrize("path", EVERY)
def test_a_real_file_is_recognised_without_its_name(path: Path) -> None:
    content = path.read_bytes()
    if path.suffix == ".txt" and not any(b"==" in line for line in content.splitlines()[:40]):
        pytest.skip("nothing in it is a requirement")
    assert identify("before", content).name == path.relative_to(SAMPLES).parts[0]


@pytest.mark.parametrize("one", ALL)
@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:12]))
def test_hostile_bytes_are_refused_in_one_sentence(one: Lockfile, content: bytes) -> None:
    started = time.process_time()
    refused(one, content)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("one", ALL)
def test_what_is_too_large_is_refused(one: Lockfile) -> None:
    with pytest.raises(ValueError, match="larger than"):
        one.parse(b" " * (lockfiles.MOST_BYTES + 1), "file")


@pytest.mark.parametrize("path", EVERY)
def test_more_entries_than_allowed_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.lockfiles._entries.MOST_ENTRIES", 1)
    with pytest.raises(ValueError, match="more than 1 entries"):
        parsed(path)


@pytest.mark.parametrize("one", ALL)
@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes(one: Lockfile, content: bytes) -> None:
    refused(one, content)


@pytest.mark.parametrize("path", EVERY)
def test_any_beginning_of_a_real_file(path: Path) -> None:
    content = path.read_bytes()
    one = identify(path.name, content)
    step = max(1, len(content) // 60)
    for end in range(0, len(content), step):
        refused(one, content[:end], path.name)


@pytest.mark.parametrize("path", EVERY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_real_file_with_other_bytes_in_it(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    one = identify(path.name, bytes(content))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = start + data.draw(st.sampled_from([0, 1, 2, 20, 200]))
        content[start:end] = data.draw(st.sampled_from([b"", b"{", b"}", b"[", b'"', b"\n", b"null", b"1", b"-", b": ",
                                                        b"\0", b"\xff", b"\\", b"'", b"#", b"../", b"@", b"&a ", b"*a",
                                                        b"<<: ", b"!!int ",
                                                        b"= ", b"\x1b[31m", b"\xe2\x80\xae"]))  # fmt: skip
        if not content:
            return
    refused(one, bytes(content), path.name)


@pytest.mark.parametrize("path", EVERY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_real_file_with_its_lines_shuffled(path: Path, data: st.DataObject) -> None:
    content = path.read_bytes()
    lines = content.split(b"\n")
    for _ in range(data.draw(st.integers(1, 4))):
        one, other = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
        lines[one], lines[other] = lines[other], lines[one]
    refused(identify(path.name, content), b"\n".join(lines), path.name)


def test_names_are_told_apart() -> None:
    for name, wanted in {
        "package-lock.json": "package_lock", "some/where/npm-shrinkwrap.json": "package_lock",
        "requirements.txt": "requirements", "requirements-dev.txt": "requirements",
        "requirements_dev.txt": "requirements",
        "dev-requirements.txt": "requirements", "requirements/base.txt": "requirements",
        "constraints.txt": "requirements", "a\\requirements.txt": "requirements",
    }.items():  # fmt: skip
        assert [one.name for one in by_name(name)] == [wanted], name
    for name in ("package.json", "notes.txt", "requirements.in", "", "x/requirements/"):
        assert not by_name(name), name


def test_what_is_no_lockfile_is_said() -> None:
    with pytest.raises(ValueError, match=r"notes\.txt is no lockfile"):
        read(b"hello", "notes.txt")
    with pytest.raises(ValueError, match="is no lockfile") as caught:
        read(b"hello", "a\x1b[31m\nb")
    assert str(caught.value).isprintable()


def test_names_are_matched_as_lower_case() -> None:
    assert by_name("Requirements.TXT")
    assert all(fnmatch.fnmatchcase(name, name) for one in formats().values() for name in one.names if "*" not in name)
