"""Which version npm would take, and the digests that its metadata give."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.packuments import Dist, parse

VERSIONS = [
    "1.0.0", "1.2.0", "1.2.1", "1.3.0", "2.0.0-rc.1", "2.0.0", "2.1.0", "3.0.0-beta.1", "0.0.1beta", "10.0.0",
]  # fmt: skip
DIGEST = bytes(range(64))


def packument(latest: str = "2.0.0", deprecated: tuple[str, ...] = (), **tags: str) -> bytes:
    versions = {
        version: {
            "dist": {"tarball": f"https://r.test/{version}"},
            **({"deprecated": "old"} if version in deprecated else {}),
        }
        for version in VERSIONS
    }
    return json.dumps({"dist-tags": {"latest": latest, **tags} if latest else tags, "versions": versions}).encode()


@pytest.mark.parametrize(
    ("requested", "version"),
    [
        ("", "2.0.0"),
        ("latest", "2.0.0"),
        ("*", "2.0.0"),
        ("next", "3.0.0-beta.1"),
        ("1.2.0", "1.2.0"),
        ("=1.2.0", "1.2.0"),
        ("v1.2.0", "1.2.0"),
        ("0.0.1beta", "0.0.1beta"),
        ("1.2", "1.2.1"),
        ("^1.0.0", "1.3.0"),
        ("~1.2.0", "1.2.1"),
        (">= 1.2 < 1.3", "1.2.1"),
        ("1.x || 2.x", "2.0.0"),
        ("^1.0.0 || ~ v1.2", "1.3.0"),
        ("2.0.0-rc.1 - 2.0", "2.0.0"),
        ("^2.1", "2.1.0"),
        (">2", "10.0.0"),
        ("^3.0.0-beta.0", "3.0.0-beta.1"),
    ],
)
def test_the_version_that_npm_would_take(requested: str, version: str) -> None:
    assert parse(packument(next="3.0.0-beta.1")).choose(requested) == version


def test_deprecated_versions_come_last() -> None:
    assert parse(packument(deprecated=("1.3.0",))).choose("^1") == "1.2.1"
    assert parse(packument(deprecated=("1.3.0",))).choose("1.3.x") == "1.3.0"
    assert parse(packument(deprecated=("2.0.0",))).choose("") == "2.0.0"


def test_without_a_latest_tag_the_highest_is_taken() -> None:
    assert parse(packument(latest="")).choose("") == "10.0.0"


@pytest.mark.parametrize("requested", ["9.9.9", "nonsense", "^99", ">=1 <0", "1.2.3.4.5"])
def test_an_unknown_version_is_told_with_the_latest(requested: str) -> None:
    with pytest.raises(LookupError, match=r"the latest is 2\.0\.0"):
        parse(packument()).choose(requested)


def test_a_package_without_versions() -> None:
    for requested in ("", "1.0.0", "^1"):
        with pytest.raises(LookupError, match="it has 0 versions"):
            parse(b"{}").choose(requested)
    with pytest.raises(LookupError, match="does not have"):
        parse(b'{"dist-tags":{"latest":"1.0.0"}}').choose("")


def sri(algorithm: str, size: int) -> str:
    return f"{algorithm}-{base64.b64encode(DIGEST[:size]).decode()}"


@pytest.mark.parametrize(
    ("integrity", "shasum", "digest"),
    [
        (sri("sha512", 64), None, f"sha512:{DIGEST.hex()}"),
        (f"{sri('sha1', 20)} {sri('sha512', 64)}?opt", "0" * 40, f"sha512:{DIGEST.hex()}"),
        (sri("sha384", 48), None, f"sha384:{DIGEST[:48].hex()}"),
        (sri("sha512", 20), "AB" * 20, "sha1:" + "ab" * 20),
        ("sha512-*** md5-aaaa", None, ""),
        (None, "xyz", ""),
        (None, None, ""),
    ],
)
def test_the_strongest_digest_counts(integrity: str | None, shasum: str | None, digest: str) -> None:
    assert Dist(integrity=integrity, shasum=shasum).digest == digest


@given(
    st.binary() | st.text().map(lambda text: json.dumps({"dist-tags": {text: text}, "versions": {text: {}}}).encode())
)
def test_only_value_errors_from_strange_metadata(content: bytes) -> None:
    try:
        found = parse(content)
    except ValueError:
        return
    for requested in ("", "1.0.0", *found.dist_tags):
        try:
            assert found.choose(requested) in found.versions
        except LookupError as error:
            assert str(error).startswith("has ")  # noqa: PT017  # either way is right
