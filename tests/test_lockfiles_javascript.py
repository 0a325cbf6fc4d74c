"""pnpm, yarn and bun: what the project of the samples asked for, written by hand, and what only a hostile file has."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sandbox.lockfiles import Lock, Locked, read

SAMPLES = Path(__file__).parent / "lockfiles"
INTEGRITY = "sha512-" + "A" * 86 + "=="
DIGEST = "sha512:" + "00" * 64
REGISTRY = {"@types/ms@0.7.34", "fsevents@2.3.3", "left-pad@1.2.0", "left-pad@1.3.0", "minimist@1.2.8", "mkdirp@0.5.6",
            "ms@2.1.3"}  # fmt: skip
PNPM = ["pnpm-7", "pnpm-8", "pnpm-9", "pnpm-10"]


def sample(place: str) -> Lock:
    """A lockfile that a real tool wrote."""
    (path,) = (SAMPLES / place).iterdir()
    return read(path.read_bytes(), path.name)


def entries(lock: Lock) -> dict[str, Locked]:
    """The entries, by name and version."""
    return {f"{one.name}@{one.version}": one for one in lock.entries}


def from_registry(lock: Lock) -> set[str]:
    """What is a registry's."""
    return {name for name, one in entries(lock).items() if one.source == "registry"}


def npm_digests() -> dict[str, tuple[str, ...]]:
    """The digests that npm wrote for the same packages."""
    lock = sample("package_lock/v3")
    return {name: one.digests for name, one in entries(lock).items() if one.source == "registry"}


@pytest.mark.parametrize("place", [*(f"pnpm_lock/{one}" for one in PNPM), "yarn_classic/yarn-1", "bun_lock/bun-1.2"])
def test_the_sample_project(place: str) -> None:
    lock = sample(place)
    found = entries(lock)
    assert from_registry(lock) == REGISTRY
    assert {name: found[name].digests for name in REGISTRY} == npm_digests()
    assert all(found[name].direct for name in REGISTRY)
    assert found["left-pad@1.2.0"].aliases == ("pad",)
    assert {one.name for one in lock.entries if one.aliases} == {"left-pad"}
    sources = {one.name: one.source for one in lock.entries if one.source != "registry"}
    wanted = {"bundler": "file", "local": "file"}
    if place not in ("pnpm_lock/pnpm-8", "bun_lock/bun-1.2"):
        wanted["fromgit"] = "git"
    if place.startswith("bun"):
        wanted["one"] = "workspace"
    assert sources == wanted


@pytest.mark.parametrize("place", [*(f"pnpm_lock/{one}" for one in PNPM), "bun_lock/bun-1.2"])
def test_what_is_for_development_or_optional(place: str) -> None:
    lock = sample(place)
    assert {one.name for one in lock.entries if one.development} == {"mkdirp"}
    assert {one.name for one in lock.entries if one.optional} == {"fsevents"}
    assert entries(lock)["fsevents@2.3.3"].systems == ("os:darwin",)


def test_versions_of_pnpms_format() -> None:
    assert [sample(f"pnpm_lock/{one}").version for one in PNPM] == ["5.4", "6.0", "9.0", "9.0"]
    assert all("bundler brings further packages in its archive: inner" in sample(f"pnpm_lock/{one}").notes[0].text
               for one in PNPM)  # fmt: skip


@pytest.mark.parametrize("variant", ["yarn-3", "yarn-4"])
def test_berry(variant: str) -> None:
    lock = sample(f"yarn_berry/{variant}")
    found = entries(lock)
    assert from_registry(lock) >= REGISTRY
    # fsevents builds with node-gyp, so yarn locks that and what it needs too.
    assert {"node-gyp", "tar", "semver"} <= {one.name for one in lock.entries}
    assert {name for name, one in found.items() if one.direct and one.source == "registry"} == REGISTRY
    assert found["left-pad@1.2.0"].aliases == ("pad",)
    assert found["one@"].source == "workspace" and found["one@"].location == "packages/one"
    assert {one.name for one in lock.entries if one.source == "file"} == {"bundler", "local"}
    assert not any(one.name == "sample" for one in lock.entries)
    assert not any(one.digests for one in lock.entries)
    (note,) = lock.notes
    assert "checksums" in note.text
    if variant == "yarn-4":
        assert "fsevents" in {one.name for one in lock.entries if one.optional}
        assert {one.name for one in lock.entries if not one.optional and one.source == "registry"} == {
            "@types/ms", "left-pad", "minimist", "mkdirp", "ms",
        }  # fmt: skip


def test_pnpm_keys_with_peers() -> None:
    five = read(
        b"lockfileVersion: 5.3\npackages:\n  /@a/b/1.0.0_c@2.0.0:\n    resolution: {integrity: " + INTEGRITY.encode()
        + b"}\n    dev: true\n  /@a/b/1.0.0_d@3.0.0:\n    resolution: {integrity: " + INTEGRITY.encode() + b"}\n",
        "pnpm-lock.yaml",
    )  # fmt: skip
    assert [(one.name, one.version, one.digests, one.development) for one in five.entries] == [
        ("@a/b", "1.0.0", (DIGEST,), False)
    ]
    six = read(b"lockfileVersion: '6.0'\npackages:\n  /@a/b@1.0.0(c@2.0.0)(@d/e@3.0.0):\n    {}\n", "pnpm-lock.yaml")
    assert [(one.name, one.version) for one in six.entries] == [("@a/b", "1.0.0")]


def test_pnpm_links_urls_and_other_registries() -> None:
    lock = read(
        b"""lockfileVersion: '9.0'
importers:
  .:
    dependencies:
      away: {specifier: 'link:../away', version: 'link:../away'}
      near: {specifier: 'workspace:*', version: 'link:packages/near'}
  packages/near:
    devDependencies:
      other: {specifier: 'workspace:*', version: 'link:../other'}
packages:
  a@https://files.test/a.tgz:
    resolution: {tarball: https://files.test/a.tgz}
    version: 1.0.0
  b@2.0.0:
    resolution: {tarball: https://npm.test/b/-/b-2.0.0.tgz}
patchedDependencies:
  b@2.0.0: {hash: x, path: b.patch}
""",
        "pnpm-lock.yaml",
    )
    assert {one.name: (one.source, one.location, one.line) for one in lock.entries} == {
        "away": ("file", "../away", 5),
        "near": ("workspace", "packages/near", 6),
        "other": ("workspace", "packages/other", 9),
        "a": ("url", "https://files.test/a.tgz", 11),
        "b": ("registry", "https://npm.test/b/-/b-2.0.0.tgz", 14),
    }
    assert ["b@2.0.0 is patched" in note.text for note in lock.notes] == [True]


def test_pnpms_document_of_its_own_is_read_too() -> None:
    first = b"lockfileVersion: '9.0'\npackages:\n  own@1.0.0: {}\n---\n"
    lock = read(first + b"lockfileVersion: '9.0'\npackages:\n  a@1.0.0: {}\n", "pnpm-lock.yaml")
    assert [one.name for one in lock.entries] == ["own", "a"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("lockfileVersion: '9.0'\npackages: &a\n  x: *a\n", "aliases are not for lockfiles, line 2"),
        ("lockfileVersion: '9.0'\npackages: !!python/name:os.system ''\n", "tags are not for lockfiles, line 2"),
        ("lockfileVersion: '9.0'\nlockfileVersion: '9.0'\n", "a key stands twice, line 2"),
        ("lockfileVersion: '9.0'\n? [a]\n: b\n", "a key is no text, line 2"),
        ("lockfileVersion: '7.0'\n", "lockfileVersion 7.0 is not known"),
        ("lockfileVersion: '9.0'\npackages: []\n", "packages is no mapping"),
        ("lockfileVersion: '9.0'\npackages:\n  a@1.0.0: 1\n", "a package is no mapping"),
        (
            "lockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: {integrity: x-y}\n",
            "an integrity that is none",
        ),
        ("lockfileVersion: '9.0'\n---\na: 1\n---\nb: 1\n", "too many documents"),
        ("lockfileVersion: '9.0'\npackages: {" + "a: {" * 200 + "}" * 201, "too deep in one another"),
        ("a: [\n", "not valid YAML"),
        ("\ta: 1", "not valid YAML"),
    ],
)
def test_what_is_wrong_with_yaml_is_said(content: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^pnpm-lock\.yaml") as caught:
        read(content.encode(), "pnpm-lock.yaml")
    assert says in str(caught.value)


def test_classic_without_integrity_has_the_digest_of_its_fragment() -> None:
    sha1 = "5b8a3a7765dfe001261dde915589e782f8c94d1e"
    lock = read(
        f'# yarn lockfile v1\n\n\n"@a/b@^1", "@a/b@1.x":\n  version "1.0.0"\n  resolved "https://r.test/@a/b/-/b-1.0.0.tgz#{sha1}"\n'
        f'  dependencies:\n    c "^2"\n\nc@^2:\n  version "2.0.0"\n  resolved "git+https://git.test/c#{sha1}"\n'.encode(),
        "yarn.lock",
    )
    first, second = lock.entries
    assert (first.name, first.version, first.digests, first.line, first.direct) == (
        "@a/b",
        "1.0.0",
        (f"sha1:{sha1}",),
        4,
        True,
    )
    assert first.location == "https://r.test/@a/b/-/b-1.0.0.tgz"
    assert (second.source, second.digests, second.direct, second.line) == ("git", (), False, 10)


def test_classic_entry_that_fetches_another_package_is_no_registry_entry() -> None:
    lock = read(
        b'lodash@^4:\n  version "4.0.0"\n  resolved "https://r.test/evil/-/evil-4.0.0.tgz#' + b"0" * 40 + b'"\n',
        "yarn.lock",
    )
    assert [(one.name, one.source) for one in lock.entries] == [("lodash", "url")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('a@1:\n  version "1.0.0"\na@1:\n  version "1.0.0"\n', "line 3: a key stands twice"),
        ('a@1:\n  version "1.0.0"\n  version "1.0.0"\n', "line 3: a key stands twice"),
        ('a@1:\n   version "1.0.0"\n', "line 2: it is not indented"),
        ('  version "1.0.0"\n', "line 1: it is not indented"),
        ("a@1\n", "line 1: it is no list of keys"),
        ('a@1:\n  version "1.0.0\n', "line 2: a word is not closed"),
        ('a@1:\n  "\\ud800x" "1.0.0\\q"\n', "line 2: a word is not closed"),
        ("<<<<<<< HEAD\na@1:\n", "line 1: it is no list of keys"),
        ("a:\n", "has no @"),
        ('a@1:\n  version "1.0.0"\n  integrity sha512-xx\n', "line 1: an integrity that is none"),
    ],
)
def test_what_is_wrong_with_classic_is_said(content: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^yarn\.lock ") as caught:
        read(content.encode() + b"# yarn lockfile v1\n", "yarn.lock")
    assert says in str(caught.value)


def test_berry_patches_and_archives() -> None:
    lock = read(
        b"""__metadata:
  version: 8
"a@patch:a@npm%3A1.0.0#~/.yarn/patches/a.patch":
  version: 1.0.0
  resolution: "a@patch:a@npm%3A1.0.0#~/.yarn/patches/a.patch::version=1.0.0&hash=0"
"l@file:../lib::locator=w%40workspace%3Apackages%2Fw":
  version: 1.0.0
  resolution: "l@file:../lib#../lib::hash=0&locator=w%40workspace%3Apackages%2Fw"
"b@npm:^1":
  version: 1.0.0
  resolution: "b@npm:1.0.0::__archiveUrl=https%3A%2F%2Fnpm.test%2Fb%2F-%2Fb-1.0.0.tgz"
"c@https://git.test/c.git#commit=0f":
  version: 1.0.0
  resolution: "c@https://git.test/c.git#commit=0f"
"d@npm:1":
  version: 1.0.0
  resolution: "d@npm:1.0.0::__archiveUrl=https%3A%2F%2Fnpm.test%2Fevil.tgz"
"r@workspace:.":
  version: 0.0.0-use.local
  resolution: "r@workspace:."
""",
        "yarn.lock",
    )
    assert [(one.name, one.source, one.location) for one in lock.entries] == [
        ("a", "registry", ""),
        ("l", "file", "file:packages/lib"),
        ("b", "registry", "https://npm.test/b/-/b-1.0.0.tgz"),
        ("c", "git", "https://git.test/c.git#commit=0f"),
        ("d", "url", "https://npm.test/evil.tgz"),
    ]
    assert ["a is patched by the project" in note.text for note in lock.notes] == [True]


def test_berrys_version_is_the_one_that_is_fetched() -> None:
    lock = read(
        b"""__metadata:
  version: 8
"lodash@npm:^4":
  version: 4.17.21
  resolution: "lodash@npm:4.17.20"
"x@npm:^1":
  version: 1.0.0
  resolution: "evil@npm:6.6.6"
"p@patch:p@npm%3A2.0.0#~/p.patch":
  version: 9.9.9
  resolution: "p@patch:p@npm%3A2.0.0#~/p.patch::version=9.9.9"
""",
        "yarn.lock",
    )
    assert [(one.name, one.version, one.aliases) for one in lock.entries] == [
        ("lodash", "4.17.20", ()),
        ("evil", "6.6.6", ("x",)),
        ("p", "2.0.0", ()),
    ]


def test_bun_places_and_comments() -> None:
    lock = read(
        f"""{{
  // a comment, with "quotes" and [brackets],
  "lockfileVersion": 1,
  "workspaces": {{ "": {{ "dependencies": {{ "a": "^1", }}, }}, }}, /* and
  one more */
  "packages": {{
    "a": ["a@1.0.0", "https://npm.test/a/-/a-1.0.0.tgz", {{ "dependencies": {{ "b": "1" }} }}, "{INTEGRITY}"],
    "a/b": ["b@1.0.0", "", {{ "optionalDependencies": {{ "c": "1", }} }}, "{INTEGRITY}"],
    "b": ["b@2.0.0", "", {{}}, "{INTEGRITY}"],
    "c": ["c@github:some/where#0f1e2d", {{}}, "some-where-0f1e2d"],
    "d": ["d@https://files.test/d.tgz", {{}}, "{INTEGRITY}"],
    "root": ["sample@root:", {{ "bin": "x" }}],
    "a/e": ["e@1.0.0", "", {{ "bundled": true }}],
    "a/f": ["f@1.0.0", "", {{ "bundled": true }}, "{INTEGRITY}"],
  }},
}}""".encode(),
        "bun.lock",
    )
    assert [(one.name, one.version, one.source, one.line) for one in lock.entries] == [
        ("a", "1.0.0", "registry", 7),
        ("b", "1.0.0", "registry", 8),
        ("b", "2.0.0", "registry", 9),
        ("c", "", "git", 10),
        ("d", "", "url", 11),
        ("e", "1.0.0", "bundled", 13),
        # It has an archive of its own, so it may as well be fetched.
        ("f", "1.0.0", "registry", 14),
    ]
    found = {f"{one.name}@{one.version}": one for one in lock.entries}
    assert found["a@1.0.0"].direct and not found["b@1.0.0"].direct
    assert found["c@"].optional and not found["b@1.0.0"].optional
    assert found["d@"].digests == (DIGEST,) and found["e@1.0.0"].location == "a"
    assert found["f@1.0.0"].digests == (DIGEST,)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("yarn.lock", '__metadata:\n  version: 8\n"a@1":\n  version: 1.0.0\n', "has no resolution"),
        ("yarn.lock", "__metadata: 8\n", "has no __metadata"),
        ("yarn.lock", '__metadata:\n  version: 8\n"a@1": b\n', "a package is no mapping"),
        ("yarn.lock", "__metadata:\n  version: 8\n---\na: 1\n", "a second document"),
        ("bun.lock", '{"lockfileVersion": 2, "workspaces": {}}', "lockfileVersion 2 is not known"),
        ("bun.lock", '{"lockfileVersion": 1, "packages": []}', "packages or workspaces is no object"),
        ("bun.lock", '{"lockfileVersion": 1, "packages": {"a": {}}}', "a package is no list with its name"),
        ("bun.lock", '{"lockfileVersion": 1, "packages": {"a": []}}', "a package is no list with its name"),
        ("bun.lock", '{"lockfileVersion": 1, "workspaces": {"": 1}}', "a workspace is no object"),
        (
            "bun.lock",
            '{"lockfileVersion": 1, "packages": {"a": ["a@1.0.0", "", {}, "sha512-x"]}}',
            "an integrity that is",
        ),
        ("bun.lock", '{"lockfileVersion": 1, "packages": {"' + "a" * 1025 + '": ["a@1.0.0"]}}', "a key is too long"),
    ],
)
def test_what_is_wrong_with_berry_and_bun_is_said(name: str, content: str, says: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        read(content.encode(), name)
    assert says in str(caught.value)


def test_bun_patches_are_noted() -> None:
    lock = read(b'{"lockfileVersion": 1, "packages": {}, "patchedDependencies": {"a@1.0.0": "a.patch"}}', "bun.lock")
    assert ["a@1.0.0 is patched by the project" in note.text for note in lock.notes] == [True]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"#!/usr/bin/env bun\nbun-lockfile-format-v0\n\0\1\2", "bun.lockb"),
        (b"#!/usr/bin/env bun\nbun-lockfile-format-v0\n\0\1\2", "bun.lock"),
        (b"{}", "some/BUN.LOCKB"),
    ],
)
def test_buns_binary_lockfile_is_refused_with_what_to_do(content: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=r"binary.*--save-text-lockfile.*writes bun\.lock"):
        read(content, name)


@pytest.mark.parametrize(
    "content",
    ["/*" * 200_000, '{"a": "' + '\\"' * 300_000, "," + " " * 400_000, '{"lockfileVersion": 1,' + ", \n" * 100_000],
    ids=["comments", "quotes", "spaces", "commas"],
)
def test_a_hostile_bun_lock_is_refused_in_linear_time(content: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=r"^bun\.lock is not"):
        read(content.encode(), "bun.lock")
    assert time.process_time() - started < 5


@pytest.mark.slow
def test_a_large_pnpm_lock_is_read_in_linear_time() -> None:
    text = "lockfileVersion: '9.0'\npackages:\n" + "".join(
        f"  package-{n}@1.0.{n}:\n    resolution: {{integrity: {INTEGRITY}}}\n" for n in range(20_000)
    )
    started = time.process_time()
    lock = read(text.encode(), "pnpm-lock.yaml")
    assert time.process_time() - started < 40
    assert len(lock.entries) == 20_000 and lock.entries[-1].line == 3 + 2 * 19_999


@pytest.mark.slow
def test_a_large_yarn_lock_is_read_in_linear_time() -> None:
    text = "# yarn lockfile v1\n" + "".join(
        f'package-{n}@^1.0.0:\n  version "1.0.{n}"\n  integrity {INTEGRITY}\n' for n in range(100_000)
    )
    started = time.process_time()
    lock = read(text.encode(), "yarn.lock")
    assert time.process_time() - started < 40
    assert len(lock.entries) == 100_000 and lock.entries[-1].line == 2 + 3 * 99_999
