"""From what a lockfile pins to packages that can be run together: their files, by the lock's digest or not at all.

The file is fetched by its usual address and checked against the lock's own digest, on the host; the registry's word is
asked for only where the lock holds none. What an archive says of itself is kept by its digest, as reading hundreds of
archives takes longer than installing them.
"""

from __future__ import annotations

import hashlib
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
from sandbox.registries import Registries, Registry
from sandbox.targets import Target
from sandbox.upstream import NotFoundError, Upstream

_DESCRIPTION = "description 1"
"""Counts up where what is read of an archive changes."""
_CHOICE = "choice 1"
"""Counts up where another of a project's files would be taken."""


class _Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the files that a lockfile pins of a PyPI project is taken here: the artifact, but for what its archive
    says, and where it is. The project's page, of megabytes for some, need not be read again for that."""

    name: str
    version: str
    digest: str
    spec: str
    kind: Literal["wheel", "sdist"]
    url: str
    filename: str


def packed(target: Target, location: str, upstream: Upstream, tools: Toolchain) -> Packed:
    """The package that a target of a lockfile's entry means. Raises TargetError where its file is not there, or is not
    what the lockfile says, and RegistryError where a registry fails."""
    if target.ecosystem == "npm":
        return _npm(target, location, upstream)
    return _pypi(target, upstream, tools)


def light(target: Target, cache: Cache, registries: Registries, tools: Toolchain) -> Artifact | None:
    """What is known of a package before anything is fetched, enough to find it in the store; None where that is not
    enough: of PyPI, where it was not seen before which of several files is taken."""
    digests = pinned.strongest(target.digests)
    if not digests or digests[0].partition(":")[0] not in STRONG:
        return None
    if target.ecosystem == "pypi":
        choice = _chosen(_choice_key(target, registries, tools), cache, digests)
        return _python(target, choice, _UNREAD) if choice else None
    return _artifact(target, digests[0], _UNREAD) if len(digests) == 1 else None


_UNREAD = manifests.Described(name="", version="", manifest={}, files=())


def _pypi(target: Target, upstream: Upstream, tools: Toolchain) -> Packed:
    key = _choice_key(target, upstream.registries, tools)
    choice = _chosen(key, upstream.cache, pinned.strongest(target.digests))
    if choice is not None:
        try:
            path, _ = upstream.file(choice.url, choice.digest, choice.filename)
            described = describe(path, choice.digest, choice.filename, "pypi", upstream.cache)
            return Packed(artifact=_python(target, choice, described), url=choice.url, filename=choice.filename)
        except NotFoundError:
            pass  # it has moved: the page says where to
    artifact = fetch.resolve_with(target, upstream, tags=tools.tags, python_version=tools.python_version)
    url, filename = fetch.file_of(artifact, upstream)
    if artifact.kind in ("wheel", "sdist") and fetch.lists_all(target, upstream):
        choice = _Choice(
            name=artifact.name, version=artifact.version, digest=artifact.digest, spec=artifact.spec,
            kind=artifact.kind, url=url, filename=filename,
        )  # fmt: skip
        _remember(key, msgspec.msgpack.encode(choice), upstream.cache)
    return Packed(artifact=artifact, url=url, filename=filename)


def _choice_key(target: Target, registries: Registries, tools: Toolchain) -> str:
    """Everything that decides which file is taken."""
    of_target = (target.name, target.requested, target.extras, target.prefer, sorted(target.digests))
    indexes = [one.url for one in registries.for_pypi()]
    decides = msgspec.json.encode((of_target, indexes, tools.tags, tools.python_version))
    return f"{_CHOICE} {hashlib.sha256(decides).hexdigest()}"


def _chosen(key: str, cache: Cache, digests: tuple[str, ...]) -> _Choice | None:
    """What was remembered, as long as it is one that the lockfile pins."""
    content = _remembered(key, cache)
    try:
        choice = msgspec.msgpack.decode(content, type=_Choice) if content is not None else None
    except msgspec.DecodeError:
        return None
    return choice if choice is not None and choice.digest in digests else None


def _python(target: Target, choice: _Choice, described: manifests.Described) -> Artifact:
    return Artifact(
        ecosystem="pypi", name=choice.name, version=choice.version, target=target.text,
        purl=local_packages.purl("pypi", target.name, choice.version), digest=choice.digest, spec=choice.spec,
        extras=target.extras, manifest=described.manifest, files=described.files, kind=choice.kind,
    )  # fmt: skip


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
    content = _remembered(key, cache)
    if content is not None:
        try:
            return msgspec.msgpack.decode(content, type=manifests.Described)
        except msgspec.DecodeError:
            pass  # an older baitbox's
    try:
        described = local_packages.describe(path, filename, ecosystem)
    except (ValueError, OSError) as error:
        raise TargetError(f"its file is not a package that can be run: {error}") from None
    _remember(key, msgspec.msgpack.encode(described), cache)
    return described


def _remembered(key: str, cache: Cache) -> bytes | None:
    known = cache.answer(key)
    return cache.read(known.blob) if known is not None else None


def _remember(key: str, content: bytes, cache: Cache) -> None:
    with cache.writer() as writer:
        writer.write(content)
        blob = writer.finish()
    cache.remember(Answer(key=key, stored=time.time(), blob=blob, immutable=True))
