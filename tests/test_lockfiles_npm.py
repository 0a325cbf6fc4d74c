"""npm's own lockfiles: what the project of the samples asked for, written by hand, and what only a hostile file has."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.lockfiles import Lock, Locked, read

SAMPLES = Path(__file__).parent / "lockfiles" / "package_lock"
INTEGRITY = "sha512-" + "A" * 86 + "=="
DIGEST = "sha512:" + "00" * 64


def sample(variant: str, name: str = "package-lock.json") -> Lock:
    """A lockfile that npm itself wrote."""
    return read((SAMPLES / variant / name).read_bytes(), name)


def lock(packages: dict[str, Any] | None = None, **more: Any) -> Lock:
    """A lockfile of version 3 with these packages."""
    value: dict[str, Any] = {"lockfileVersion": 3, "packages": packages or {}, **more}
    return read(json.dumps(value, indent=1).encode(), "package-lock.json")


def by_name(found: Lock) -> dict[str, Locked]:
    """The entries, by name and version."""
    return {f"{one.name}@{one.version}": one for one in found.entries}


@pytest.mark.parametrize("variant", ["v2", "v3"])
def test_the_sample_project(variant: str) -> None:
    found = by_name(sample(variant))
    assert set(found) == {
        "@types/ms@0.7.34", "bundler@1.0.0", "inner@1.0.0", "fromgit@3.0.0", "fsevents@2.3.3", "left-pad@1.3.0",
        "left-pad@1.2.0", "local@0.0.1", "minimist@1.2.8", "mkdirp@0.5.6", "ms@2.1.3", "one@0.1.0",
    }  # fmt: skip
    assert {name for name, one in found.items() if not one.direct} == {"inner@1.0.0", "one@0.1.0"}
    assert {name for name, one in found.items() if one.development} == {"mkdirp@0.5.6"}
    assert {name for name, one in found.items() if one.optional} == {"fsevents@2.3.3"}
    assert found["fsevents@2.3.3"].systems == ("os:darwin",)
    assert found["left-pad@1.2.0"].aliases == ("pad",)
    assert found["left-pad@1.3.0"].aliases == ()
    assert {name: one.source for name, one in found.items() if one.source != "registry"} == {
        "bundler@1.0.0": "file", "inner@1.0.0": "bundled", "fromgit@3.0.0": "git", "local@0.0.1": "workspace",
        "one@0.1.0": "workspace",
    }  # fmt: skip
    assert found["inner@1.0.0"].location == "bundler"
    assert found["one@0.1.0"].location == "packages/one"
    assert found["fromgit@3.0.0"].location.startswith("git+file:///src/repo#")
    assert found["@types/ms@0.7.34"].location == "https://registry.test/@types/ms/-/ms-0.7.34.tgz"
    # npm's `sha512-XI5MPzVN...`, by `base64 -d | xxd -p`.
    assert found["left-pad@1.3.0"].digests == (
        "sha512:5c8e4c3f354d0298c0ca1433a615fc06498ab0a5310f82ddc8adb88997901a29"
        "c137dc93413ddb165081cbf695c761eb35ca901ac768b7c821ae3cabbcc0a810",
    )
    assert all(one.digests for one in found.values() if one.source == "registry")


def test_the_sample_project_in_version_1() -> None:
    found = by_name(sample("v1"))
    assert set(found) == {
        "@types/ms@0.7.34", "bundler@", "inner@1.0.0", "fromgit@", "fsevents@2.3.3", "left-pad@1.3.0",
        "left-pad@1.2.0", "local@", "minimist@1.2.8", "mkdirp@0.5.6", "ms@2.1.3", "one@",
    }  # fmt: skip
    assert found["left-pad@1.2.0"].aliases == ("pad",)
    assert found["inner@1.0.0"].source == "bundled"
    assert found["fromgit@"].source == "git"
    assert found["one@"].source == "file"
    # Another package requires these, so nothing shows that the project does too.
    assert {name for name, one in found.items() if not one.direct} == {"inner@1.0.0", "minimist@1.2.8", "ms@2.1.3"}


def test_all_versions_name_the_same_artifacts() -> None:
    def artifacts(found: Lock) -> set[tuple[str, str, tuple[str, ...]]]:
        return {(one.name, one.version, one.digests) for one in found.entries if one.source == "registry"}

    wanted = artifacts(sample("v3"))
    assert len(wanted) == 7
    assert artifacts(sample("v1")) == artifacts(sample("v2")) == wanted
    assert artifacts(sample("shrinkwrap", "npm-shrinkwrap.json")) == wanted
    assert [sample(variant).version for variant in ("v1", "v2", "v3")] == ["1", "2", "3"]


def test_a_package_that_fetches_another_is_no_registry_entry() -> None:
    found = lock({
        "node_modules/lodash": {"version": "4.17.21", "resolved": "https://r.test/evil/-/evil-4.17.21.tgz"},
        "node_modules/a": {"version": "1.0.0", "resolved": "https://r.test/a/-/a-1.0.0.tgz"},
        "node_modules/@s/b": {"version": "1.0.0", "resolved": "https://r.test/x/npm/@s/b/-/@s/b-1.0.0.tgz"},
        "node_modules/@s/c": {"version": "1.0.0", "resolved": "https://r.test/download/@s/c/1.0.0/0af"},
        "node_modules/@s/d": {"version": "1.0.0", "resolved": "https://r.test/@s%2fd/-/d-1.0.0.tgz"},
        "node_modules/e": {"version": "1.0.0", "resolved": "https://[r/e/-/e-1.0.0.tgz"},
    })  # fmt: skip
    assert [one.source for one in found.entries] == ["url", "registry", "registry", "registry", "registry", "url"]


def test_equal_packages_stand_once_and_a_second_digest_is_kept() -> None:
    other = "sha512-" + "B" * 86 + "=="
    found = lock({
        "": {"dependencies": {"a": "1"}},
        "node_modules/b/node_modules/a": {"version": "1.0.0", "integrity": INTEGRITY, "dev": True, "optional": True},
        "node_modules/a": {"version": "1.0.0", "integrity": INTEGRITY},
        "node_modules/c/node_modules/a": {"version": "1.0.0", "integrity": other, "dev": True},
    })  # fmt: skip
    (entry,) = found.entries
    assert (entry.direct, entry.development, entry.optional, entry.line) == (True, False, False, 9)
    assert len(entry.digests) == 2 and entry.digests[0] == DIGEST


def test_what_only_claims_to_be_bundled_is_looked_at() -> None:
    around = {"version": "1.0.0", "bundleDependencies": ["b"]}
    place = "https://r.test/b/-/b-1.0.0.tgz"
    found = lock({
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": True},
        "node_modules/c": around,
        "node_modules/c/node_modules/b": {"version": "2.0.0", "inBundle": True, "integrity": INTEGRITY},
        "node_modules/c/node_modules/d": {"version": "3.0.0", "inBundle": True, "resolved": place.replace("b", "d")},
        "node_modules/c/node_modules/e/node_modules/f": {"version": "4.0.0", "inBundle": True},
        "node_modules/g": {"version": "5.0.0", "inBundle": True},
    })  # fmt: skip
    assert {one.name: one.source for one in found.entries if one.name not in "ac"} == {
        "b": "registry", "d": "url", "f": "bundled", "g": "registry",
    }  # fmt: skip
    assert [one.location for one in found.entries if one.source == "bundled"] == ["c"]


def test_what_npm_6_alone_would_install_is_not_hidden() -> None:
    packages = {"node_modules/a": {"version": "1.0.0", "integrity": INTEGRITY}}
    same = {"a": {"version": "1.0.0", "integrity": INTEGRITY}}
    other = {"a": {"version": "1.0.1", "integrity": INTEGRITY}}
    assert not lock(packages, lockfileVersion=2, dependencies=same).notes
    found = lock(packages, lockfileVersion=2, dependencies=other)
    assert [one.version for one in found.entries] == ["1.0.0", "1.0.1"]
    assert "only in the part that npm 6 reads" in found.notes[0].text


def test_a_login_in_a_url_is_not_kept() -> None:
    found = lock({"node_modules/a": {"version": "1.0.0", "resolved": "https://u:p@r.test/a/-/a-1.0.0.tgz"}})
    assert found.entries[0].location == "https://r.test/a/-/a-1.0.0.tgz"


@pytest.mark.parametrize(
    ("package", "says"),
    [
        ({"version": "../x"}, "its version is none"),
        ({"version": "1.0.0\x1b[2J"}, "its version is overlong or has control characters"),
        ({}, "it has no version"),
        ({"version": ["1.0.0"]}, "it has no version"),
        ({"version": "1.0.0", "name": "../up"}, "its name is none that a registry could hold"),
        ({"version": "1.0.0", "resolved": "https://r.test/\u202e"}, "control characters"),
    ],
)
def test_what_cannot_be_looked_at_is_a_note(package: dict[str, Any], says: str) -> None:
    found = lock({"node_modules/a": package})
    assert not found.entries
    (note,) = found.notes
    assert says in note.text and note.text.isprintable() and note.line == 4 and note.file == "package-lock.json"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"lockfileVersion": 4, "packages": {}}', "lockfileVersion 4 is not known"),
        ('{"lockfileVersion": true, "packages": {}}', "lockfileVersion True is not known"),
        ('{"lockfileVersion": 3}', "it has no packages"),
        ('{"lockfileVersion": 3, "packages": []}', "packages is no object"),
        ('{"lockfileVersion": 3, "packages": {"a": 1}}', "a package is no object"),
        ('{"lockfileVersion": 3, "packages": {}, "packages": {}}', "a key stands twice, line 1"),
        ('{"lockfileVersion": 3, "packages": {"a": {"version": "1", "version": "2"}}}', "a key stands twice"),
        ('{"lockfileVersion": 3, "packages": {"a": {"integrity": "sha512-AAAA"}}}', "an integrity that is none"),
        ('{"lockfileVersion": NaN}', "NaN is no JSON"),
        ('{"lockfileVersion": ' + "9" * 5000 + "}", "a number that is too long"),
        ('{"lockfileVersion": 3,\n"packages": {}}}', "Extra data, line 2"),
        ('{"lockfileVersion": 3,\n"packages": {', "not valid JSON"),
        ('{"lockfileVersion": 1, "dependencies": {"a": {"dependencies": 1}}}', "dependencies is no object"),
        ('{"lockfileVersion": 1, "dependencies": ' + '{"a": {"dependencies": ' * 200, "too deep"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(content: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^package-lock\.json") as caught:
        read(content.encode(), "package-lock.json")
    assert says in str(caught.value)


@pytest.mark.slow
def test_a_hundred_thousand_packages_take_seconds() -> None:
    packages = {
        f"node_modules/p{n}": {"version": f"1.0.{n}", "integrity": INTEGRITY, "x": "y" * 300} for n in range(100_000)
    }
    content = json.dumps({"lockfileVersion": 3, "packages": packages}, indent=2).encode()
    assert len(content) > 48_000_000
    started = time.process_time()
    found = read(content, "package-lock.json")
    assert time.process_time() - started < 40
    assert len(found.entries) == 100_000 and found.entries[-1].line == 3 + 5 * 100_000 - 5 + 1
