"""uv, poetry, pipenv, pdm and pylock.toml: what the samples' project asked for, and what only hostile files have."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sandbox.lockfiles import Lock, Locked, read
from sandbox.lockfiles._python import joined_markers

SAMPLES = Path(__file__).parent / "lockfiles"
HASH = "a" * 64

ASKED = {"httpx": "0.27.0", "certifi": "2024.2.2", "colorama": "0.4.6", "iniconfig": "2.0.0"}
"""What the project asks for, with the versions; six 1.16.0 too, as an extra, where the tool has extras."""
NEEDED = {"anyio", "h11", "httpcore", "idna", "sniffio", "socksio", "typing-extensions"}
"""What those need: httpx's metadata, with its extra socks, on Python 3.11 and 3.12."""
CERTIFI = {
    "sha256:0569859f95fc761b18b45ef421b1290a0f65f147e92a1e5eb3e635f9a5e4e66f",
    "sha256:dc383c07b76109f368f6106eee2b593b04a011ea4d55f652c6ca24a754d1cdd1",
}
"""certifi 2024.2.2 has a wheel and a source archive."""
EVERY = ["uv_lock/uv", "poetry_lock/poetry-2", "pipfile_lock/pipenv", "pdm_lock/pdm-2", "pylock/uv", "pylock/pdm"]


def sample(place: str) -> Lock:
    """A lockfile that a real tool wrote."""
    (path,) = (SAMPLES / place).iterdir()
    return read(path.read_bytes(), path.name)


def entries(lock: Lock) -> dict[str, Locked]:
    """The entries by name."""
    return {one.name: one for one in lock.entries}


@pytest.mark.parametrize("place", EVERY)
def test_the_sample_project(place: str) -> None:
    found = entries(sample(place))
    asked = ASKED if place.startswith("pipfile") else {**ASKED, "six": "1.16.0"}
    assert {name: found[name].version for name in asked} == asked
    checkouts = set() if place.endswith("pdm-2") or place.endswith("/pdm") else {"fromgit"}
    assert set(found) == {*asked, *NEEDED, "local", *checkouts}
    assert set(found["certifi"].digests) == CERTIFI
    assert all(one.digests for one in found.values() if one.source == "registry")
    assert found["local"].source == "file" and found["local"].location in ("local", "./local")
    assert not found["local"].digests
    for name in checkouts:
        assert found[name].source == "git" and found[name].location.startswith("git+file://")
        assert len(found[name].location[-40:]) == 40 and int(found[name].location[-40:], 16)
    assert "win32" in found["colorama"].marker
    assert "win32" not in found["httpx"].marker
    assert all(found[name].location in ("", "https://registry.test/simple") for name in asked)


def test_what_the_project_itself_asks_for() -> None:
    def direct(place: str) -> set[str]:
        return {one.name for one in sample(place).entries if one.direct}

    assert direct("uv_lock/uv") == {*ASKED, "six", "local", "fromgit"}
    # certifi is needed by httpx as well, so nothing in these files shows that the project asks for it.
    assert direct("poetry_lock/poetry-2") == {*ASKED, "six", "local", "fromgit"} - {"certifi"}
    assert direct("pdm_lock/pdm-2") == {*ASKED, "six", "local"} - {"certifi"}
    # pipenv names the index of what has a version alone.
    assert direct("pipfile_lock/pipenv") == {"certifi", "iniconfig", "local", "fromgit"}


def test_what_is_for_development_or_optional() -> None:
    def those(place: str, kind: str) -> set[str]:
        return {one.name for one in sample(place).entries if getattr(one, kind)}

    for place in ("uv_lock/uv", "poetry_lock/poetry-2", "pipfile_lock/pipenv"):
        assert those(place, "development") == {"iniconfig"}, place
    for place in ("uv_lock/uv", "poetry_lock/poetry-2"):
        assert those(place, "optional") == {"six"}, place
    assert those("pdm_lock/pdm-2", "optional") == {"six", "iniconfig"}


def test_extras() -> None:
    for place in ("uv_lock/uv", "pipfile_lock/pipenv", "pdm_lock/pdm-2"):
        assert entries(sample(place))["httpx"].extras == ("socks",), place


def test_requirements_that_real_tools_write() -> None:
    uv, compiled = sample("requirements/uv"), sample("requirements/pip-compile")
    assert {one.name for one in uv.entries} == {*ASKED, *NEEDED, "six", "fromgit"}
    assert {one.name for one in uv.entries if one.direct} == {*ASKED, "six", "fromgit"}
    assert ["./local does not say which package it is" in note.text for note in uv.notes] == [True]
    # pip-compile locks for this machine, so nothing of Windows; and no group for development.
    assert {one.name for one in compiled.entries} == {"httpx", "certifi", "six", *NEEDED}
    assert {one.name for one in compiled.entries if one.direct} == {"httpx", "certifi", "six"}
    assert not compiled.notes
    for lock in (uv, compiled):
        assert set(entries(lock)["certifi"].digests) == CERTIFI


def uv(text: str) -> Lock:
    """A uv.lock."""
    return read(f"version = 1\n{text}".encode(), "uv.lock")


def test_uv_sources() -> None:
    lock = uv(f"""
[[package]]
name = "Private.Thing"
version = "1.0"
source = {{ registry = "https://someone:secret@index.test/simple" }}
wheels = [{{ url = "https://f.test/p.whl", hash = "sha256:{HASH}" }}, {{ path = "p", hash = "sha512:{HASH * 2}" }}]

[[package]]
name = "web"
version = "2.0"
source = {{ url = "https://files.test/web-2.0.tar.gz" }}
sdist = {{ hash = "sha256:{HASH}" }}

[[package]]
name = "member"
version = "0.1"
source = {{ editable = "packages/member" }}
dependencies = [{{ name = "web", marker = "os_name == 'nt'" }}]

[[package]]
name = "wheel-here"
source = {{ path = "dist/wheel_here-3.0-py3-none-any.whl" }}
wheels = [{{ filename = "x.whl", hash = "sha256:{HASH}" }}]
""")
    found = entries(lock)
    assert found["private-thing"].location == "https://index.test/simple"
    assert found["private-thing"].digests == (f"sha256:{HASH}", f"sha512:{HASH * 2}")
    assert (found["web"].source, found["web"].direct, found["web"].marker) == ("url", True, "os_name == 'nt'")
    assert (found["member"].source, found["member"].location) == ("workspace", "packages/member")
    assert (found["wheel-here"].source, found["wheel-here"].version) == ("file", "3.0")
    assert [found[name].line for name in ("private-thing", "web", "member", "wheel-here")] == [3, 9, 15, 21]


def test_a_file_without_a_hash_leaves_no_digest() -> None:
    package = (
        f'[[package]]\nname = "a"\nversion = "1"\nsource = {{ registry = "x" }}\nsdist = {{ hash = "sha256:{HASH}" }}\n'
    )
    assert uv(package).entries[0].digests == (f"sha256:{HASH}",)
    lock = uv(package + 'wheels = [{ url = "https://files.test/a.whl" }]\n')
    assert lock.entries[0].digests == ()
    assert "not held to a digest" in lock.notes[0].text


def test_headers_in_strings_and_comments_shift_no_line() -> None:
    lock = uv('''
x = """
[[package]]
name = "no"
"""
# [[package]]
y = 'a"b' # "
[[package]]
name = "yes"
version = "1"
source = { registry = "x" }
''')
    assert [(one.name, one.line) for one in lock.entries] == [("yes", 9)]


def test_packages_without_headers_have_no_line() -> None:
    lock = uv('package = [{ name = "a", version = "1", source = { registry = "x" } }]\n')
    assert [(one.name, one.line) for one in lock.entries] == [("a", 0)]


def test_old_poetry() -> None:
    lock = read(
        f"""[[package]]
name = "a"
version = "1.0"
description = ""
category = "dev"
optional = false
python-versions = "*"

[package.dependencies]
B-c = {{version = "*", extras = ["x"]}}

[[package]]
name = "b.c"
version = "2.0"
category = "main"
optional = true
python-versions = "*"

[metadata]
lock-version = "1.1"

[metadata.files]
a = [{{file = "a.whl", hash = "sha256:{HASH}"}}]
"b.c" = []
""".encode(),
        "poetry.lock",
    )
    first, second = lock.entries
    assert (first.name, first.development, first.digests, first.direct) == ("a", True, (f"sha256:{HASH}",), True)
    assert (second.name, second.optional, second.digests, second.direct, second.extras) == (
        "b-c",
        True,
        (),
        False,
        ("x",),
    )


def test_poetry_markers_by_group() -> None:
    def marker(written: str) -> str:
        package = f'[[package]]\nname = "a"\nversion = "1"\ngroups = ["main", "dev"]\nmarkers = {written}\n'
        return read(f'{package}[metadata]\nlock-version = "2.1"\n'.encode(), "poetry.lock").entries[0].marker

    assert marker("\"os_name == 'nt'\"") == "os_name == 'nt'"
    assert marker("{main = \"os_name == 'nt'\"}") == ""
    assert (
        marker("{main = \"os_name == 'nt'\", dev = \"os_name == 'posix'\"}")
        == "(os_name == 'nt') or (os_name == 'posix')"
    )
    assert marker("\"extra == 'more'\"") == ""


def test_joined_markers() -> None:
    assert joined_markers([]) == joined_markers(["a", ""]) == ""
    assert joined_markers(["a", "a"]) == "a"
    assert joined_markers(["a", "b"]) == "(a) or (b)"


def test_pipenv_categories_and_what_is_not_pinned() -> None:
    lock = read(
        f"""{{"_meta": {{"pipfile-spec": 6, "sources": [{{"name": "one", "url": "https://a:b@one.test/simple"}},
 {{"name": "two", "url": "https://two.test/simple"}}]}},
"default": {{
 "a": {{"version": "==1.0", "index": "two", "hashes": ["sha256:{HASH}"]}},
 "b": {{"version": ">=1"}},
 "c": {{"version": "*"}}}},
"docs": {{
 "d": {{"version": "==1.0"}}}}}}""".encode(),
        "Pipfile.lock",
    )
    assert [(one.name, one.location, one.optional, one.direct, one.line) for one in lock.entries] == [
        ("a", "https://two.test/simple", False, True, 4),
        ("d", "", True, False, 8),
    ]
    assert [(note.text.split(" is ")[0], note.line) for note in lock.notes] == [("b>=1", 5), ("c*", 6)]


def test_pylock_kinds() -> None:
    lock = read(
        f"""lock-version = "1.0"
created-by = "hand"
[[packages]]
name = "a"
marker = "'dev' in dependency_groups"
[[packages.wheels]]
url = "https://files.test/a-1.5-py3-none-any.whl"
hashes = {{ sha256 = "{HASH}", sha512 = "{HASH * 2}" }}
[[packages]]
name = "b"
archive = {{ url = "https://files.test/b-1.0.zip", hashes = {{ sha256 = "{HASH}" }} }}
[[packages]]
name = "c"
version = "1.0"
marker = "'x' in extras"
sdist = {{ path = "c-1.0.tar.gz", hashes = {{ blake2b = "00" }} }}
[[packages]]
name = "d"
vcs = {{ type = "git", url = "https://git.test/d", commit-id = "0f" }}
""".encode(),
        "pylock.toml",
    )
    found = entries(lock)
    assert (found["a"].version, found["a"].digests, found["a"].development, found["a"].marker) == (
        "1.5", (f"sha512:{HASH * 2}",), True, "",
    )  # fmt: skip
    assert (found["b"].source, found["b"].version, found["b"].digests) == ("url", "1.0", (f"sha256:{HASH}",))
    assert (found["c"].digests, found["c"].optional, found["c"].marker) == ((), True, "")
    assert (found["d"].source, found["d"].location) == ("git", "git+https://git.test/d@0f")
    assert [note.line for note in lock.notes] == [12]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("uv.lock", "version = 2", "only version 1"),
        ("uv.lock", "version = true", "only version 1"),
        ("uv.lock", "version = 1\npackage = 1", "package is no array of tables"),
        ("uv.lock", "version = 1\npackage = [1]", "package is no array of tables"),
        ("uv.lock", "version = 1\nversion = 1\n", "not valid TOML, line 2"),
        ("uv.lock", "version = " + "9" * 5000, "a number or date that is none"),
        ("uv.lock", "a = " + "[" * 50_000, "too deep"),
        ("uv.lock", "[" + "a." * 300 + "a]", "a key of too many parts"),
        (
            "uv.lock",
            'version = 1\n[[package]]\nname = "a"\nsdist = {hash = "sha256:0"}\nsource = {registry = ""}',
            "line 2: a digest",
        ),
        ("poetry.lock", "", "lock-version none is not known"),
        ("poetry.lock", '[metadata]\nlock-version = "3.0"', "lock-version 3.0 is not known"),
        ("pdm.lock", '[metadata]\nlock_version = "5"', "lock_version 5 is not known"),
        ("pylock.toml", 'lock-version = "2.0"', "lock-version 2.0 is not known"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 7}}', "is not known, only 6"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 6}, "default": []}', "a section is no object"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 6}, "default": {"a": 1}}', "a package is no object"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: str, says: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        read(content.encode(), name)
    assert says in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        "a." * 400_000,
        '"a".' * 200_000,
        "'" * 400_001,
        '"""' + '\\"' * 200_000,
        "[" + "a." * 100_000 + "b]",
        "word" * 200_000,
    ],
    ids=["bare", "quoted", "quotes", "open", "header", "one"],
)
def test_hostile_toml_is_refused_in_linear_time(content: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=r"^uv\.lock is not"):
        read(content.encode(), "uv.lock")
    assert time.process_time() - started < 5


@pytest.mark.slow
def test_a_large_uv_lock_is_read_in_linear_time() -> None:
    text = "version = 1\n" + "".join(
        f'[[package]]\nname = "p{n}"\nversion = "1.{n}"\nsource = {{ registry = "https://registry.test/simple" }}\n'
        f'dependencies = [{{ name = "p{n + 1}" }}]\nsdist = {{ hash = "sha256:{n:064x}" }}\n'
        for n in range(20_000)
    )
    started = time.process_time()
    lock = read(text.encode(), "uv.lock")
    assert time.process_time() - started < 60
    assert len(lock.entries) == 20_000 and lock.entries[-1].line == 2 + 6 * 19_999
