"""From what a lockfile pins to packages that can be run together: their files, by the lock's digest or not at all.

The file is fetched by its usual address and checked against the lock's own digest, on the host; the registry's word is
asked for only where the lock holds none. What an archive says of itself is kept by its digest, as reading hundreds of
archives takes longer than installing them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from sandbox import fetch, local_packages, manifests
from sandbox.batches import Packed
from sandbox.cache import Answer, Cache
from sandbox.errors import TargetError
from sandbox.lockfiles import Locked
from sandbox.plan import Artifact
from sandbox.registries import Registry
from sandbox.targets import Target
from sandbox.upstream import Upstream

_DESCRIPTION = "description 1"
"""Counts up where what is read of an archive changes."""
_BEST_FIRST = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")


class Unusable(Exception):  # no fault: an outcome of one entry
    """Why an entry cannot be run here, in one sentence. `harmful` where the file is another than the lock says."""

    def __init__(self, text: str, *, harmful: bool = False) -> None:
        super().__init__(text)
        self.harmful = harmful


def best_digest(digests: Iterable[str]) -> str:
    """The strongest of some digests, as `algorithm:hex`; empty where there is none."""
    given = {digest.partition(":")[0]: digest for digest in digests}
    return next((given[algorithm] for algorithm in _BEST_FIRST if algorithm in given), "")


def npm_packed(entry: Locked, upstream: Upstream) -> Packed:
    """The package that an npm lockfile's entry pins. Raises Unusable, and BaitboxError where a registry fails."""
    digest = best_digest(entry.digests)
    registry = upstream.registries.for_npm(entry.name)
    usual = f"{registry.url}{entry.name}/-/{entry.name.rpartition('/')[2]}-{entry.version}.tgz"
    url = entry.location if _is_at(registry, entry.location) else usual
    if not digest:
        artifact = fetch.resolve_with(Target.parse(f"npm:{entry.name}@{entry.version}"), upstream)
        return Packed(artifact=artifact, url=usual)
    try:
        path, known = upstream.file(url, digest, f"{entry.name}@{entry.version}")
    except TargetError as error:
        raise Unusable(str(error), harmful="is not the file" in str(error)) from None
    described = describe(path, known, "package.tgz", "npm", upstream.cache)
    text = f"npm:{entry.name}@{entry.version}"
    artifact = Artifact(
        ecosystem="npm", name=entry.name, version=entry.version, target=text,
        purl=local_packages.purl("npm", entry.name, entry.version), digest=known, spec=text.removeprefix("npm:"),
        manifest=described.manifest, files=described.files, kind="registry",
    )  # fmt: skip
    return Packed(artifact=artifact, url=url)


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
    """What an archive says of itself, read once for each digest. Raises Unusable where it is no package."""
    key = f"{_DESCRIPTION} {ecosystem} {digest} {filename if ecosystem == 'pypi' else ''}"
    known = cache.answer(key)
    content = cache.read(known.blob) if known is not None else None
    if content is not None:
        try:
            return msgspec.msgpack.decode(content, type=manifests.Described)
        except msgspec.DecodeError:
            pass
    try:
        described = local_packages.describe(path, filename, ecosystem)
    except (ValueError, OSError) as error:
        raise Unusable(f"its file is not a package that can be run: {error}") from None
    with cache.writer() as writer:
        writer.write(msgspec.msgpack.encode(described))
        blob = writer.finish()
    cache.remember(Answer(key=key, stored=time.time(), blob=blob, immutable=True))
    return described
