"""From a lockfile's entry to what checks it, or to why nothing does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.locked_targets import Earlier, Places, Unchecked, earlier, places, target
from sandbox.lockfiles import Locked, Source
from sandbox.registries import Registries, Registry
from sandbox.targets import Target

NPM = Registry(ecosystem="npm", url="https://mirror.test/npm/")
SCOPED = Registry(ecosystem="npm", url="https://private.test/npm/")
INDEX = Registry(ecosystem="pypi", url="https://index.test/simple/", file_hosts=("files.index.test",))
WHERE = Places(
    Registries(npm=NPM, npm_scopes={"@mine": SCOPED}, pypi=(INDEX,)),
    npm_default="default.test",
    pypi_defaults=frozenset({"pip.test", "files.pip.test"}),
)
DIGEST = "sha512:" + "ab" * 64


def npm(name: str = "left-words", version: str = "1.0.0", **more: object) -> Locked:
    return Locked(ecosystem="npm", name=name, version=version, **more)  # type: ignore[arg-type]


def pypi(name: str = "left-words", version: str = "1.0.0", **more: object) -> Locked:
    return Locked(ecosystem="pypi", name=name, version=version, **more)  # type: ignore[arg-type]


def test_a_locked_package_is_its_exact_version_with_its_digests() -> None:
    assert target(npm("@mine/words", "1.0.0-rc.1+b", digests=(DIGEST,)), WHERE) == Target(
        text="npm:@mine/words@1.0.0-rc.1+b", ecosystem="npm", name="@mine/words", requested="1.0.0-rc.1+b",
        digests=(DIGEST,),
    )  # fmt: skip
    assert target(pypi(version="1.0+cpu", extras=("Fast", "fast", "x")), WHERE) == Target(
        text="pypi:left-words==1.0+cpu", ecosystem="pypi", name="left-words", requested="==1.0+cpu",
        extras=("fast", "x"),
    )  # fmt: skip


def test_the_version_before_is_run_at_its_exact_version_and_digests() -> None:
    found = earlier(npm(digests=(DIGEST,)), npm(version="2.0.0"), WHERE)
    assert found == Earlier("1.0.0", target(npm(digests=(DIGEST,)), WHERE))
    assert isinstance(found.target, Target)
    assert (found.can_run, found.target.digests, found.target.requested) == (True, (DIGEST,), "1.0.0")
    without = found.without_project_settings()
    assert without == Earlier("1.0.0", msgspec.structs.replace(found.target, project_settings=False))


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (npm(version="", source="git", location="git+ssh://x.test/y#0"), "git checkout"),
        (npm(version="2.0.0"), "pins no digest"),  # the same version: what the registry has now proves nothing
        (npm(source="file", location="words"), "not at hand"),
        (npm(location="https://other.test/x.tgz", digests=(DIGEST,)), "other.test"),
    ],
)
def test_a_version_before_that_cannot_be_had_says_why(tmp_path: Path, before: Locked, words: str) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "package.json").write_text("{}")
    where = msgspec.structs.replace(WHERE, folder=tmp_path, top=tmp_path)
    found = earlier(before, npm(version="2.0.0"), where)
    assert isinstance(found.target, Unchecked)
    assert words in found.target.why
    assert (found.can_run, found.without_project_settings()) == (False, found)
    assert found.version


@pytest.mark.parametrize(
    "entry",
    [
        npm(version=""), npm(version="latest"), npm(version="^1.0.0"), npm(version="1.x"), npm(version="1.0.0 || 2"),
        npm(version="1.0"), npm(name="../evil"), npm(name="-g"), npm(name="a b"), npm(name="node_modules"),
        pypi(version=""), pypi(version="1.*"), pypi(version=">=1"), pypi(version="1.0 ; x"), pypi(version="1\n2"),
        pypi(name="-r"), pypi(name="a[b]"), pypi(name="a==1"),
    ],
)  # fmt: skip
def test_what_is_no_exact_package_is_never_looked_up(entry: Locked) -> None:
    found = target(entry, WHERE)
    assert isinstance(found, Unchecked)
    assert found.weight == "open"


@pytest.mark.parametrize(
    "entry",
    [
        npm(location="https://mirror.test/npm/left-words/-/left-words-1.0.0.tgz"),
        npm(location="https://default.test/left-words/-/left-words-1.0.0.tgz"),
        npm("@mine/words", location="https://private.test/npm/@mine/words/-/words-1.0.0.tgz"),
        pypi(location="https://index.test/simple"),
        pypi(location="https://FILES.index.test/left_words-1.0.0.tar.gz"),
        pypi(location="https://files.pip.test/x/left_words-1.0.0.tar.gz"),
        npm(),
        pypi(),
    ],
)
def test_a_registry_that_this_machine_is_set_up_for(entry: Locked) -> None:
    assert isinstance(target(entry, WHERE), Target)


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        (npm(location="https://evil.test/left-words/-/left-words-1.0.0.tgz"), "evil.test"),
        (npm(location="https://private.test/npm/left-words/-/left-words-1.0.0.tgz"), "private.test"),
        (npm("@mine/words", location="https://mirror.test/npm/@mine/words/-/words-1.0.0.tgz"), "mirror.test"),
        (npm(location="https://mirror.test@evil.test/left-words/-/left-words-1.0.0.tgz"), "evil.test"),
        (npm(location="https://[bad/left-words"), "https://[bad"),
        (pypi(location="https://evil.test/simple/"), "evil.test"),
        (pypi(location="https://index.test.evil.test/simple/"), "index.test.evil.test"),
    ],
)
def test_another_registry_is_not_asked_for_a_package_of_the_same_name(entry: Locked, host: str) -> None:
    found = target(entry, WHERE)
    assert isinstance(found, Unchecked)
    assert host in found.why
    assert "no registry that this machine is set up for" in found.why
    assert found.weight == "open"


def test_a_strong_digest_stands_for_yarns_own_registry_and_a_weak_one_does_not() -> None:
    where = msgspec.structs.replace(WHERE, by_digest=True)
    for digests, taken in (((DIGEST,), True), (("sha1:" + "ab" * 20,), False), ((), False)):
        entry = npm(location="https://yarn.test/left-words/-/left-words-1.0.0.tgz", digests=digests)
        assert isinstance(target(entry, where), Target) is taken
        assert isinstance(target(entry, WHERE), Unchecked)


def test_without_any_registry_the_reason_is_that() -> None:
    nowhere = Places(Registries(problems={"npm": "no npm registry is set"}))
    found = target(npm(location="https://mirror.test/x"), nowhere)
    assert found == Unchecked("no npm registry is set")


@pytest.mark.parametrize(
    ("source", "weight", "word"),
    [
        ("git", "open", "prepare"), ("url", "open", "download it"), ("file", "open", "local path"),
        ("workspace", "covered", "part of this project"), ("bundled", "covered", "archive of"),
    ],
)  # fmt: skip
def test_every_source_is_told(source: Source, weight: str, word: str) -> None:
    for entry in (npm(source=source, location="x\x1b[31m"), pypi(source=source, location="x\x1b[31m")):
        found = target(entry, WHERE)
        assert isinstance(found, Unchecked)
        assert (found.weight, word in found.why, "\x1b" in found.why) == (weight, True, False)


def test_local_paths_are_checked_where_they_are_on_disk_and_inside(tmp_path: Path) -> None:
    app = tmp_path / "top" / "app"
    for folder in (app / "own", tmp_path / "top" / "shared", tmp_path / "outside"):
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}")
    (app / "own.tgz").write_bytes(b"x")
    (app / "link").symlink_to(tmp_path / "outside")
    where = msgspec.structs.replace(WHERE, folder=app, top=tmp_path / "top")

    def local(location: str, **more: object) -> Target | Unchecked:
        return target(npm(source="file", location=location, **more), where)

    found = local("file:own")
    assert isinstance(found, Target)
    assert (found.kind, found.path, found.text) == ("folder", str(app / "own"), "npm:./app/own")
    found = local("file:own.tgz", digests=(DIGEST,))
    assert isinstance(found, Target)
    assert (found.kind, found.path, found.digests) == ("archive", str(app / "own.tgz"), (DIGEST,))
    found = local("link:../shared")
    assert isinstance(found, Target)
    assert found.path == str(tmp_path / "top" / "shared")
    for outside in ("file:../../outside", "file:link", "/etc", "file:///etc", "~/x", "file:own\0", "file:nothing"):
        assert isinstance(local(outside), Unchecked), outside
    assert local(".") == Unchecked("it is this project itself", "covered")


def test_the_places_of_this_machine_have_the_package_managers_defaults() -> None:
    found = places(Registries(), None)
    assert found.pypi_defaults  # pip is installed beside baitbox
    assert found.folder is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        Locked,
        ecosystem=st.sampled_from(["npm", "pypi"]),
        name=st.text(max_size=20),
        version=st.text(max_size=20),
        location=st.text(max_size=40) | st.from_regex(r"https?://[ -~]{0,30}", fullmatch=True),
        source=st.sampled_from(["registry", "git", "url", "file", "workspace", "bundled"]),
        extras=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        digests=st.just(()),
    )
)
def test_no_entry_raises(entry: Locked) -> None:
    found = target(entry, WHERE)
    assert isinstance(found, Target | Unchecked)
    if isinstance(found, Unchecked):
        assert found.why.isprintable()
