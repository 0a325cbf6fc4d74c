"""From a target to the artifact that will run: which version, which file, its digest, what it says of itself."""

from __future__ import annotations

import platform
from pathlib import Path
from urllib.parse import quote, urlsplit

from sandbox import local_packages, manifests, packuments, simple_index
from sandbox.cache import Cache
from sandbox.errors import RegistryError, TargetError
from sandbox.plan import Artifact
from sandbox.registries import Registries
from sandbox.simple_index import ProjectFile
from sandbox.targets import Target, normalised, shown
from sandbox.upstream import NotFoundError, Progress, Upstream, place

PACKUMENT_TYPE = "application/vnd.npm.install-v1+json"
PACKUMENT_TYPES = f"{PACKUMENT_TYPE}; q=1.0, application/json; q=0.8, */*"
SIMPLE_TYPES = f"{simple_index.JSON_TYPE}, {simple_index.HTML_TYPE};q=0.1, text/html;q=0.01"


def resolve(
    target: Target,
    registries: Registries,
    cache: Cache,
    *,
    tags: tuple[str, ...] = (),
    python_version: str = "",
    home: str = local_packages.HOME,
    progress: Progress | None = None,
) -> Artifact:
    """The artifact that `target` means, fetched and checked. `tags` (best first) and `python_version` are those
    of the guest's Python. Raises TargetError, RegistryError or BackendError (a full disk), each one sentence."""
    if target.kind != "registry":
        return local_packages.read_local(target, home)
    with Upstream(registries, cache, progress) as upstream:
        return resolve_with(target, upstream, tags=tags, python_version=python_version)


def resolve_with(
    target: Target, upstream: Upstream, *, tags: tuple[str, ...] = (), python_version: str = ""
) -> Artifact:
    """`resolve` for a target in a registry, with connections that are used for many."""
    if target.ecosystem == "npm":
        return _npm(target, upstream)
    return _pypi(target, upstream, tags, python_version)


def packument_url(base: str, name: str) -> str:
    """Where a registry keeps the metadata of an npm package."""
    return base + quote(name, safe="@")


def page_url(base: str, name: str) -> str:
    """Where an index keeps the page of a PyPI project."""
    return f"{base}{normalised(name)}/"


def fetchable(url: str) -> bool:
    """True for an address that metadata may name for a file: http(s), with a host, and nothing odd in it."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and len(url) <= 4096
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
    except ValueError:
        return False


def _npm(target: Target, upstream: Upstream) -> Artifact:
    registry = upstream.registries.for_npm(target.name)
    try:
        document = upstream.document(packument_url(registry.url, target.name), PACKUMENT_TYPES)
        packument = packuments.parse(document.content())
        version = packument.choose(target.requested)
    except NotFoundError:
        raise TargetError(f"{registry.host} has no package {target.name}", "check its name") from None
    except LookupError as error:
        raise TargetError(f"{target.name} {error}", f"see the versions with npm view {target.name}") from None
    except ValueError as error:
        raise RegistryError(f"{registry.host} answered for {target.name} with what is {error}") from None
    dist = packument.versions[version].dist
    what = f"{target.name}@{version}"
    path, digest = _file(upstream, dist.tarball, dist.digest, what, registry.host)
    described = _described(path, "package.tgz", what, "npm")
    return Artifact(
        ecosystem="npm", name=target.name, version=version, target=target.text,
        purl=local_packages.purl("npm", target.name, version), digest=digest, spec=what,
        manifest=described.manifest, files=described.files, kind="registry",
    )  # fmt: skip


def _pypi(target: Target, upstream: Upstream, tags: tuple[str, ...], python: str) -> Artifact:
    files: list[ProjectFile] = []
    missing: list[str] = []
    for registry in upstream.registries.for_pypi():
        try:
            document = upstream.document(page_url(registry.url, target.name), SIMPLE_TYPES)
            answer = document.answer
            files += simple_index.parse(document.content(), answer.content_type, answer.url)
        except NotFoundError:
            missing.append(registry.host)
        except ValueError as error:
            raise RegistryError(f"{registry.host} answered for {target.name} with what is {error}") from None
    if len(missing) == len(upstream.registries.pypi):
        raise TargetError(f"{' and '.join(missing)} has no project {target.name}", "check its name")
    if not tags:
        tags, python = _own_tags(), python or platform.python_version()
    try:
        chosen = simple_index.choose(files, target.name, target.requested, tags, python, target.prefer)
    except LookupError as error:
        raise TargetError(f"{target.name} {error}", "choose another with pypi:NAME==VERSION") from None
    filename = chosen.file.filename
    path, digest = _file(upstream, chosen.file.url, chosen.file.digest, filename, "its index")
    described = _described(path, filename, filename, "pypi")
    if not manifests.same_release(described, target.name, chosen.version):
        said = f"{described.name} {described.version}"
        raise TargetError(f"{filename} says that it is {shown(said)}, so pip would refuse it")
    extras = f"[{','.join(target.extras)}]" if target.extras else ""
    return Artifact(
        ecosystem="pypi", name=described.name or target.name, version=chosen.version, target=target.text,
        purl=local_packages.purl("pypi", target.name, chosen.version), digest=digest,
        spec=f"{target.name}{extras}=={chosen.version}", extras=target.extras,
        manifest=described.manifest, files=described.files, kind=chosen.kind,
    )  # fmt: skip


def _file(upstream: Upstream, url: str, digest: str, what: str, named_by: str) -> tuple[Path, str]:
    if not fetchable(url):
        raise RegistryError(f"{named_by} names no usable address for {what}")
    if not digest:
        raise TargetError(f"{named_by} publishes no digest for {what}, so the file cannot be checked")
    try:
        return upstream.file(url, digest, what)
    except NotFoundError:
        raise TargetError(f"{place(url)} does not have {what}, though {named_by} lists it") from None


def _described(path: Path, filename: str, what: str, ecosystem: str) -> manifests.Described:
    try:
        return local_packages.describe(path, filename, ecosystem)
    except ValueError as error:
        raise TargetError(f"{what} is not a package that can be run: {error}") from None


def _own_tags() -> tuple[str, ...]:
    from packaging.tags import sys_tags

    return tuple(str(tag) for tag in sys_tags())
