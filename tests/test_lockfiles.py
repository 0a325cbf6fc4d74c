"""Every format of lockfile: what all promise, and what hostile ones get."""

from __future__ import annotations

import fnmatch
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
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
            # pnpm 5 names a checkout by its place alone.
            names += [entry.location.rpartition("#")[2]] if entry.source == "git" else []
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


ODD = ["", "0", "true", "null", "[]", "{}", '""', '"\\u0000"', '[["a"]]', '{a = 1}', '{"a": 1}', "1e999", "-1",
       "~", "'x'", "2024-01-01", "0x" + "f" * 9999, '"\\ud800"', '"../../x"', '"https://[x"', '"git+"', '"npm:"',
       '"@"', '" "', '"' + "x" * 9999 + '"']  # fmt: skip


@pytest.mark.parametrize("path", EVERY)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_real_file_with_other_values(path: Path, data: st.DataObject) -> None:
    """What stands after a key is something else, in whatever way the format writes it."""
    content = path.read_bytes()
    values = list(re.finditer(rb"(?m)(?:[:=]+ *|^ *- |^  \w+ )([^\n]+?)(?=,?$)", content))
    changed, last = b"", 0
    picked = sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1, max_size=4)))
    for match in (values[index] for index in picked):
        odd = data.draw(st.sampled_from(ODD)).encode()
        changed, last = changed + content[last : match.start(1)] + odd, match.end(1)
    refused(identify(path.name, content), changed + content[last:], path.name)


def _other(value: Any, data: st.DataObject) -> Any:
    """A value with something in it replaced, at any depth."""
    odd = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
        | st.sampled_from(["link:../x", "npm:@a/b@1", "workspace:x", "git+ssh://g", "file:", "1.0.0", "=="]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    )  # fmt: skip
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _other(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], _other(value[index], data), *value[index + 1 :]]
    return data.draw(odd)


def _structure(path: Path) -> Any:
    """A JSON or YAML sample as a value; None for other formats."""
    text = path.read_text()
    if path.suffix == ".json" or path.name in ("bun.lock", "Pipfile.lock"):
        return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    return yaml.load(text, yaml.BaseLoader) if path.suffix == ".yaml" or "__metadata" in text else None


STRUCTURED = [pytest.param(one.values[0], id=one.id) for one in EVERY if _structure(one.values[0]) is not None]


@pytest.mark.parametrize("path", STRUCTURED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_real_file_with_another_structure(path: Path, data: st.DataObject) -> None:
    """JSON is YAML too, so one writer does for both."""
    value = _structure(path)
    for _ in range(data.draw(st.integers(1, 3))):
        value = _other(value, data)
    content = json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    refused(identify(path.name, path.read_bytes()), content, path.name)


SEVERAL = 10_000
QUADRATIC = {
    "requirements.txt": "".join(f"x==1 --hash=sha256:{n:064x}\n" for n in range(SEVERAL)),
    "requirements-2.txt": "x\n" * SEVERAL + "-c c.txt\n",
    "package-lock.json": json.dumps({"lockfileVersion": 3, "packages": {
        "": {"dependencies": {f"p{n}": "1" for n in range(SEVERAL)}},
        "w" * 4000: {"dependencies": {f"p{n}": "1" for n in range(SEVERAL)}},
        **{f"node_modules/p{n}": {"version": "1.0.0", "name": "x", "resolved": "https://r.test/x"}
           for n in range(SEVERAL)}}}),
    "bun.lock": json.dumps({"lockfileVersion": 1, "workspaces": {"": {"dependencies": {"a": "1"}}}, "packages": {
        "/".join("a" * 500): ["a@1.0.0", "", {"dependencies": {f"p{n}": "1" for n in range(SEVERAL)}}],
        **{f"p{n}": ["x@1.0.0", "", {"dependencies": {"a": "1"}}] for n in range(SEVERAL)}}}),
    "yarn.lock": "__metadata:\n  version: 8\n" + "".join(
        f'"a@npm:1::x{n}":\n  version: 1.0.0\n  resolution: "a@npm:1.0.0"\n  dependencies:\n    a: "npm:1"\n'
        for n in range(SEVERAL)),
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\nsnapshots:\n" + "".join(
        f"  a@1.0.0(b@{n}):\n    dependencies: {{x{n}: a@1.0.0}}\n" for n in range(SEVERAL))
        + "packages:\n  a@1.0.0: {}\n",
    "uv.lock": "version = 1\n" + "".join(
        f'[[package]]\nname = "a"\nversion = "1.{n}"\n'
        'source = { virtual = "." }\ndependencies = [{ name = "a" }]\n'
        for n in range(SEVERAL // 2)),
    "uv-extras.lock": 'version = 1\n[[package]]\nname = "a"\nsource = { virtual = "." }\n'
        + 'dependencies = [{ name = "a", extra = ['
        + ", ".join(f'"e{n}"' for n in range(SEVERAL)) + "] }]\n[package.optional-dependencies]\n"
        + "".join(f"e{n} = []\n" for n in range(SEVERAL)),
    "poetry.lock": "".join(
        f'[[package]]\nname = "a"\nversion = "1"\nfiles = [{{hash = "sha256:{n:064x}"}}]\n' for n in range(SEVERAL))
        + '[metadata]\nlock-version = "2.1"\n',
}  # fmt: skip
"""What is small, and would take minutes where a parser looked at everything for each thing."""


@pytest.mark.parametrize("name", QUADRATIC)
def test_nothing_takes_quadratic_time(name: str) -> None:
    content = QUADRATIC[name].encode()
    assert len(content) < 4_000_000
    real = {"requirements-2.txt": "requirements.txt", "uv-extras.lock": "uv.lock"}.get(name, name)
    constraints = "".join(f"x==1.{n}\n" for n in range(SEVERAL)).encode()
    started = time.process_time()
    try:
        check(read(content, real, lambda _: constraints))
    except ValueError as error:
        assert "more than 2000 digests, extras or other names" in str(error)  # noqa: PT017  # both ways are an answer
    assert time.process_time() - started < 30


def test_names_are_told_apart() -> None:
    for name, wanted in {
        "package-lock.json": "package_lock", "some/where/npm-shrinkwrap.json": "package_lock",
        "requirements.txt": "requirements", "requirements-dev.txt": "requirements",
        "requirements_dev.txt": "requirements",
        "dev-requirements.txt": "requirements", "requirements/base.txt": "requirements",
        "constraints.txt": "requirements", "a\\requirements.txt": "requirements",
        "pnpm-lock.yaml": "pnpm_lock", "bun.lock": "bun_lock", "bun.lockb": "bun_lock", "uv.lock": "uv_lock",
        "poetry.lock": "poetry_lock", "Pipfile.lock": "pipfile_lock", "pdm.lock": "pdm_lock", "pylock.toml": "pylock",
        "pylock.dev.toml": "pylock",
    }.items():  # fmt: skip
        assert [one.name for one in by_name(name)] == [wanted], name
    for name in ("package.json", "notes.txt", "requirements.in", "", "x/requirements/"):
        assert not by_name(name), name


def test_yarns_two_formats_are_told_apart_by_their_content() -> None:
    assert {one.name for one in by_name("yarn.lock")} == {"yarn_classic", "yarn_berry"}
    assert identify("yarn.lock", b"# yarn lockfile v1\n").name == "yarn_classic"
    assert identify("yarn.lock", b"__metadata:\n  version: 8\n").name == "yarn_berry"
    with pytest.raises(ValueError, match="is no lockfile"):
        identify("yarn.lock", b"hello: 1\n")


def test_what_is_no_lockfile_is_said() -> None:
    with pytest.raises(ValueError, match=r"notes\.txt is no lockfile"):
        read(b"hello", "notes.txt")
    with pytest.raises(ValueError, match="is no lockfile") as caught:
        read(b"hello", "a\x1b[31m\nb")
    assert str(caught.value).isprintable()


def test_names_are_matched_as_lower_case() -> None:
    assert by_name("Requirements.TXT")
    assert all(fnmatch.fnmatchcase(name, name) for one in formats().values() for name in one.names if "*" not in name)
