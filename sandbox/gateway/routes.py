"""What a path of a registry asks for, and the addresses of files that its metadata named. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from sandbox.fetch import fetchable
from sandbox.packuments import Packument
from sandbox.registries import Registry
from sandbox.simple_index import ProjectFile
from sandbox.targets import normalised, valid_npm_name, valid_pypi_name

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}")


class Ask(msgspec.Struct, frozen=True):
    """One thing that a registry is asked for. `name` is valid, and normalised where the registry does so."""

    kind: Literal["packument", "tags", "version", "tarball", "page"]
    name: str
    version: str = ""


class KnownFile(msgspec.Struct, frozen=True):
    """A file that metadata named: its address, its published digest (may be empty), and whether it is a package
    or only a package's metadata."""

    url: str
    digest: str
    package: bool = True


def npm_ask(rest: str) -> Ask | None:
    """What `rest`, the unquoted path below an npm registry's base, asks for; None for what is no plain reading."""
    name, separator, _ = rest.partition("/-/")
    if separator and valid_npm_name(name):
        return Ask("tarball", name) if rest.endswith(".tgz") else None
    tags = re.fullmatch(r"-/package/(.+)/dist-tags", rest)
    if tags:
        return Ask("tags", tags[1]) if valid_npm_name(tags[1]) else None
    if valid_npm_name(rest):
        return Ask("packument", rest)
    name, _, version = rest.rpartition("/")
    if valid_npm_name(name) and _VERSION.fullmatch(version):
        return Ask("version", name, version)
    return None


def pypi_ask(rest: str) -> Ask | None:
    """The project whose page `rest`, the unquoted path below a simple index, asks for; None for anything else."""
    name = rest.removesuffix("/")
    return Ask("page", normalised(name)) if valid_pypi_name(name) else None


def below(registry: Registry, host: str, path: str) -> str | None:
    """`path` without the registry's own base; None where it does not lie under it."""
    base = urlsplit(registry.url)
    if base.hostname != host or not path.startswith(base.path):
        return None
    return path[len(base.path) :]


def file_key(host: str, target: str) -> str:
    """How a file's address is compared: without scheme and port, and however its path is quoted."""
    return f"{host}{unquote(target, errors='backslashreplace')}"


def address_key(url: str) -> str:
    """`file_key` of an absolute address."""
    parts = urlsplit(url)
    return file_key(parts.hostname or "", parts.path + (f"?{parts.query}" if parts.query else ""))


def npm_files(packument: Packument, registry: Registry) -> Iterable[tuple[str, KnownFile]]:
    """The package files that a packument names, by key. One on another host is also known below the registry
    itself: npm asks for it there where a mirror passes on the original's metadata."""
    origin = urlsplit(registry.url)
    for release in packument.versions.values():
        url = release.dist.tarball
        if not fetchable(url):
            continue
        yield address_key(url), KnownFile(url, release.dist.digest)
        parts = urlsplit(url)
        if parts.hostname != origin.hostname:
            here = f"{origin.scheme}://{origin.netloc}{parts.path}"
            yield address_key(here), KnownFile(here, release.dist.digest)


def pypi_files(files: Iterable[ProjectFile]) -> Iterable[tuple[str, KnownFile]]:
    """The files that a project's page names, and their metadata where the index has them apart (PEP 658)."""
    for file in files:
        if not fetchable(file.url):
            continue
        key = address_key(file.url)
        yield key, KnownFile(file.url, file.digest)
        if file.has_metadata:
            yield f"{key}.metadata", KnownFile(f"{file.url}.metadata", file.metadata_digest, package=False)
