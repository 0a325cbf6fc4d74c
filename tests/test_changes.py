"""What changed between two lockfiles, and why each package is looked at."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest

from sandbox.changes import Change, compare
from sandbox.lockfiles import Lock, Locked
from sandbox.report import Origin

A, B, C = "sha512:aa", "sha512:bb", "sha512:cc"


def npm(name: str, version: str, *digests: str, **more: Any) -> Locked:
    """An npm package."""
    return Locked(ecosystem="npm", name=name, version=version, digests=digests, **more)


def lock(*entries: Locked, format: str = "package_lock", ecosystem: Literal["npm", "pypi"] = "npm") -> Lock:
    """A lockfile."""
    return Lock(path="package-lock.json", ecosystem=ecosystem, format=format, entries=entries)


def changed(before: Locked, after: Locked) -> Change | None:
    """What became of one package."""
    found = compare(lock(before), lock(after))
    assert len(found.changes) + found.unchanged == 1
    return found.changes[0] if found.changes else None


def test_without_an_earlier_lockfile_everything_is_new() -> None:
    found = compare(None, lock(npm("a", "1.0.0", A), npm("b", "1.0.0", B)))
    assert [(one.entry.name, one.reason, one.previous) for one in found.changes] == [("a", "new", ""), ("b", "new", "")]
    assert (found.removed, found.unchanged) == ((), 0)


def test_new_changed_moved_removed_and_unchanged() -> None:
    gone = npm("gone", "1.0.0", A)
    before = lock(npm("a", "1.0.0", A), npm("b", "1.0.0", A), npm("c", "1.0.0", A), gone)
    after = lock(npm("a", "1.0.0", A), npm("b", "1.1.0", B), npm("c", "1.0.0", B), npm("d", "1.0.0", A))
    found = compare(before, after)
    assert [(one.entry.name, one.reason, one.previous) for one in found.changes] == [
        ("b", "changed", "1.0.0"),
        ("c", "moved", "1.0.0"),
        ("d", "new", ""),
    ]
    assert found.removed == (npm("b", "1.0.0", A), gone)
    assert found.unchanged == 1


def test_a_second_version_of_a_package_is_changed_from_the_ones_there_were() -> None:
    before = lock(npm("a", "1.0.0", A), npm("a", "2.0.0", B))
    (change,) = compare(before, lock(npm("a", "1.0.0", A), npm("a", "2.0.0", B), npm("a", "3.0.0", C))).changes
    assert (change.entry.version, change.previous) == ("3.0.0", "1.0.0, 2.0.0")


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (["1.0.0"], ["1.1.0"], "1.0.0"),
        (["1.0.0", "2.0.0"], ["1.0.0", "2.0.0", "3.0.0"], "2.0.0"),
        (["1.0.0", "2.0.0"], ["1.1.0", "2.0.0"], "1.0.0"),
        (["1.9.0", "1.10.0", "3.0.0"], ["2.0.0"], "1.10.0"),
        (["3.0.0", "2.0.0"], ["1.0.0"], "2.0.0"),
        (["2.0.0-rc.1", "1.9.0"], ["2.0.0"], "2.0.0-rc.1"),
        (["2.0.0-next.9", "2.0.0-next.10"], ["2.0.0"], "2.0.0-next.10"),
        (["not a version", "1.0.0"], ["1.1.0"], "1.0.0"),
        (["1.0.0", "9" * 5000 + ".0.0"], ["1.1.0"], "1.0.0"),
    ],
)
def test_a_changed_package_is_compared_with_the_version_that_it_takes_the_place_of(
    before: list[str], after: list[str], wanted: str
) -> None:
    found = compare(lock(*(npm("a", one) for one in before)), lock(*(npm("a", one) for one in after)))
    assert [one.earlier.version for one in found.changes if one.earlier is not None] == [wanted]


def test_python_versions_are_in_pythons_order() -> None:
    *older, new = (
        Locked(ecosystem="pypi", name="a", version=version) for version in ("1.0rc1", "1.0.post1", "9" * 5000, "1.1")
    )
    found = compare(lock(*older, ecosystem="pypi"), lock(new, ecosystem="pypi"))
    assert [one.earlier.version for one in found.changes if one.earlier is not None] == ["1.0.post1"]


def test_a_new_package_has_nothing_before_it_and_a_moved_one_itself() -> None:
    found = compare(lock(npm("a", "1.0.0", A)), lock(npm("a", "1.0.0", B), npm("b", "1.0.0", B)))
    assert [one.earlier for one in found.changes] == [npm("a", "1.0.0", A), None]


def test_the_same_content_from_elsewhere_is_unchanged() -> None:
    assert (
        changed(npm("a", "1.0.0", A, location="https://r.test/a"), npm("a", "1.0.0", A, location="https://m.test/a"))
        is None
    )


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (("sha512:aa",), ("sha512:bb",), "moved"),
        (("sha512:aa",), ("sha512:aa", "sha512:bb"), "moved"),
        (("sha512:aa", "sha512:bb"), ("sha512:bb",), None),
        (("sha512:aa",), ("sha1:aa",), "moved"),
        (("sha1:aa",), ("sha512:aa",), "changed"),
        (("sha1:aa",), ("sha1:aa", "sha512:bb"), None),
        (("sha512:aa",), (), "changed"),
        ((), ("sha512:aa",), None),
        ((), (), None),
    ],
)
def test_digests_of_an_unchanged_version(before: tuple[str, ...], after: tuple[str, ...], reason: str | None) -> None:
    change = changed(npm("a", "1.0.0", *before), npm("a", "1.0.0", *after))
    assert (change.reason if change else None) == reason
    assert change is None or (change.previous == "1.0.0" and change.detail)


def test_a_python_release_may_get_more_files_but_not_others() -> None:
    def one(*digests: str) -> Lock:
        entry = Locked(ecosystem="pypi", name="x", version="1.0", digests=digests)
        return lock(entry, format="requirements", ecosystem="pypi")

    (more,) = compare(one("sha256:aa"), one("sha256:aa", "sha256:bb")).changes
    assert (more.reason, more.previous) == ("changed", "1.0") and "1 more file than" in more.detail
    (others,) = compare(one("sha256:aa"), one("sha256:bb")).changes
    assert others.reason == "moved"
    assert not compare(one("sha256:aa", "sha256:bb"), one("sha256:aa")).changes


def test_another_source_for_the_same_version() -> None:
    change = changed(npm("a", "1.0.0"), npm("a", "1.0.0", source="git", location="git+https://g.test/a#1"))
    assert change is not None and change.reason == "changed" and "git" in change.detail
    moved = changed(npm("a", "1.0.0", A), npm("a", "1.0.0", B, source="url", location="https://u.test/a.tgz"))
    assert moved is not None and moved.reason == "moved"


def test_another_commit_is_a_change() -> None:
    old = npm("a", "", source="git", location="git+https://g.test/a#1")
    new = npm("a", "", source="git", location="git+https://g.test/a#2")
    change = changed(old, new)
    assert change is not None and change.reason == "changed" and change.previous == "git+https://g.test/a#1"


def test_another_format_without_digests_does_not_make_everything_changed() -> None:
    before = lock(npm("a", "1.0.0", A, location="https://r.test/a"))
    assert not compare(before, lock(npm("a", "1.0.0"), format="yarn_berry")).changes


def test_where_it_stands() -> None:
    after = lock(npm("a", "1.0.0", A, line=7, direct=True), npm("b", "1.0.0", A, line=2, file="more.txt"))
    first, second = compare(None, after).changes
    assert first.origin(after) == Origin(file="package-lock.json", line=7, reason="new", direct=True)
    assert second.origin(after).file == "more.txt"


def test_many_versions_and_places_of_one_package_take_no_quadratic_time() -> None:
    before = lock(*(npm("a", f"1.0.{n}", A, location=f"https://r.test/{n}") for n in range(5_000)))
    after = lock(*(npm("a", f"2.0.{n}", B) for n in range(5_000)))
    places = lock(*(npm("a", "1.0.1", A, source="url", location=f"https://u.test/{n}") for n in range(5_000)))
    started = time.process_time()
    found = compare(before, after)
    assert len(found.changes) == 5_000 and len(found.removed) == 5_000
    assert found.changes[0].previous.endswith(", 1.0.9 and 4990 more")
    assert {one.reason for one in compare(before, places).changes} == {"changed"}
    assert compare(places, places).unchanged == 5_000
    assert time.process_time() - started < 10
