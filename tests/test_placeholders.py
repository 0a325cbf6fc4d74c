"""What profiles write for places is filled in, and never by what a guest made up."""

from __future__ import annotations

import pytest

from sandbox.events import Header
from sandbox.placeholders import expand, is_plain_name, registry_hosts

HEADER = Header(
    package="@s/tool", home="/home/ann", project="/home/ann/shop",
    registries=["https://npm.test/", "http://mirror.test:8080"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "glob", "package", "wanted"),
    [
        ("read", "~/.npmrc", "", ["/home/ann/.npmrc"]),
        ("read", "./.env", "", ["/home/ann/shop/.env"]),
        ("write", "./node_modules/<package>/**", "@s/a", ["/home/ann/shop/node_modules/@s/a/**"]),
        ("write", "./node_modules/<package>/**", "*", []),
        ("write", "./node_modules/<package>/**", "..", []),
        ("connect", "<registries>:443", "", ["npm.test:443", "mirror.test:8080:443"]),
        ("lookup", "a.test", "", ["a.test"]),
        ("write", "~/code/<target>/**", "other", ["/home/ann/code/tool/**"]),
        ("connect", "unix:~/code/<target>/**", "", ["unix:/home/ann/code/tool/**"]),
    ],
)
def test_places_are_written_out(verb: str, glob: str, package: str, wanted: list[str]) -> None:
    assert expand(verb, glob, HEADER, package) == wanted


@pytest.mark.parametrize("package", ["", "@s/..", "*", "{a,b}"])
def test_a_checked_package_without_a_plain_name_has_no_folder(package: str) -> None:
    header = Header(package=package, home="/home/ann")
    assert expand("write", "~/code/<target>/**", header) == []


def test_a_name_from_a_folder_is_no_pattern() -> None:
    assert is_plain_name("left-pad")
    assert not any(is_plain_name(name) for name in ("*", "{a,b}", "..", "a/b/c", ""))


def test_a_registry_that_is_no_address_is_passed_over() -> None:
    assert registry_hosts(Header(registries=["http://[", "https://ok.test"])) == ["ok.test"]
