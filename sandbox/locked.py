"""From what a lockfile pins to packages that can be run together: their files, by the lock's digest or not at all.

The file is fetched by its usual address and checked against the lock's own digest, on the host; the registry's word is
asked for only where the lock holds none. What an archive says of itself is kept by its digest, as reading hundreds of
archives takes longer than installing them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from sandbox import fetch, local_packages, manifests, pinned
from sandbox.batches import Packed
from sandbox.cache import STRONG, Answer, Cache
from sandbox.errors import TargetError
from sandbox.plan import Artifact, Toolchain
from sandbox.registries import Registry
from sandbox.targets import Target
from sandbox.upstream import NotFoundError, Upstream

_DESCRIPTION = "description 1"
"""Counts up where what is read of an archive changes."""


def packed(target: Target, location: str, upstream: Upstream, tools: Toolchain) -> Packed:
    """The package that a target of a lockfile's entry means. Raises TargetError where its file is not there, or is not
    what the lockfile says, and RegistryError where a registry fails."""
    if target.ecosystem == "npm":
        return _npm(target, location, upstream)
    artifact = fetch.resolve_with(target, upstream, tags=tools.tags, python_version=tools.python_version)
    url, filename = fetch.file_of(artifact, upstream)
    return Packed(artifact=artifact, url=url, filename=filename)


def light(target: Target) -> Artifact | None:
    """What is known of a package before anything is fetched, enough to find it in the store; None where that is not
    enough (of PyPI, which file of several would be taken)."""
    digests = pinned.strongest(target.digests)
    if target.ecosystem != "npm" or len(digests) != 1 or digests[0].partition(":")[0] not in STRONG:
        return None
    return _artifact(target, digests[0], manifests.Described(name="", version="", manifest={}, files=()))


def _npm(target: Target, location: str, upstream: Upstream) -> Packed:
    """By the usual address, without the package's metadata, which are megabytes for some and say nothing more."""
    registry = upstream.registries.for_npm(target.name)
    usual = f"{registry.url}{target.name}/-/{target.name.rpartition('/')[2]}-{target.requested}.tgz"
    url = location if _is_at(registry, location) else usual
    digests = pinned.strongest(target.digests)
    if not digests:
        return Packed(artifact=fetch.resolve_with(target, upstream), url=usual)
    what = f"{target.name}@{target.requested}"
    try:
        path, digest = upstream.file(url, digests[0], what)
    except NotFoundError:
        # Its address is an unusual one: the metadata name it.
        artifact = fetch.resolve_with(target, upstream)
        return Packed(artifact=artifact, url=usual)
    except TargetError as error:
        raise TargetError(f"{what} is not what the lockfile says: {error}", error.hint) from None
    described = describe(path, digest, "package.tgz", "npm", upstream.cache)
    return Packed(artifact=_artifact(target, digest, described), url=url)


def _artifact(target: Target, digest: str, described: manifests.Described) -> Artifact:
    return Artifact(
        ecosystem="npm", name=target.name, version=target.requested, target=target.text,
        purl=local_packages.purl("npm", target.name, target.requested), digest=digest,
        spec=f"{target.name}@{target.requested}", manifest=described.manifest, files=described.files, kind="registry",
    )  # fmt: skip


def _is_at(registry: Registry, location: str) -> bool:
    """Whether a lockfile's address is on the registry that the package comes from here; another is a mirror's, or the
    public registry's where this machine has its own, and says nothing."""
    try:
        return fetch.fetchable(location) and urlsplit(location).hostname in (registry.host, *registry.file_hosts)
    except ValueError:
        return False


def describe(
    path: Path, digest: str, filename: str, ecosystem: Literal["npm", "pypi"], cache: Cache
) -> manifests.Described:
    """What an archive says of itself, read once for each digest. Raises TargetError where it is no package."""
    key = f"{_DESCRIPTION} {ecosystem} {digest} {filename if ecosystem == 'pypi' else ''}"
    known = cache.answer(key)
    content = cache.read(known.blob) if known is not None else None
    if content is not None:
        try:
            return msgspec.msgpack.decode(content, type=manifests.Described)
        except msgspec.DecodeError:
            pass  # an older baitbox's
    try:
        described = local_packages.describe(path, filename, ecosystem)
    except (ValueError, OSError) as error:
        raise TargetError(f"its file is not a package that can be run: {error}") from None
    with cache.writer() as writer:
        writer.write(msgspec.msgpack.encode(described))
        blob = writer.finish()
    cache.remember(Answer(key=key, stored=time.time(), blob=blob, immutable=True))
    return described
