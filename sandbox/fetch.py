"""From a target to the artifact that will run: which version, which file, its digest, what it says of itself."""

from __future__ import annotations

import platform
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from sandbox import local_packages, manifests, packuments, pinned, simple_index
from sandbox.cache import Cache
from sandbox.errors import RegistryError, TargetError, UnfitError
from sandbox.plan import Artifact
from sandbox.registries import Registries
from sandbox.simple_index import Chosen, ProjectFile
from sandbox.targets import Target, normalised, shown
from sandbox.upstream import Document, NotFoundError, Progress, Upstream, place

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
    of the guest's Python. Where the target has digests, the artifact is a file that matches one of them. Raises
    TargetError, RegistryError or BackendError (a full disk), each one sentence."""
    if target.kind != "registry":
        artifact = local_packages.read_local(target, home)
        if target.digests:
            pinned.require(Path(target.path), target.digests, artifact.digest, shown(target.text))
        return artifact
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
        packument = _packument(target, upstream, packument_url(registry.url, target.name))
        version = packument.choose(target.requested)
    except NotFoundError:
        raise TargetError(f"{registry.host} has no package {target.name}", "check its name") from None
    except LookupError as error:
        raise TargetError(f"{target.name} {error}", f"see the versions with npm view {target.name}") from None
    except ValueError as error:
        raise RegistryError(f"{registry.host} answered for {target.name} with what is {error}") from None
    dist = packument.versions[version].dist
    what = f"{target.name}@{version}"
    path, digest = _tarball(target, upstream, dist, what, registry.host)
    described = _described(path, "package.tgz", what, "npm")
    return Artifact(
        ecosystem="npm", name=target.name, version=version, target=target.text,
        purl=local_packages.purl("npm", target.name, version), digest=digest, spec=what,
        manifest=described.manifest, files=described.files, kind="registry",
    )  # fmt: skip


def _packument(target: Target, upstream: Upstream, url: str) -> packuments.Packument:
    """The metadata, however old where they have the very file that the lockfile pins: a digest does not age."""
    wanted = pinned.strongest(target.digests)
    known = upstream.remembered(url, PACKUMENT_TYPES) if wanted else None
    if known is not None:
        packument = packuments.parse(known.content())
        if packument.versions.get(target.requested, packuments.Release()).dist.digest in wanted:
            return packument
    return packuments.parse(upstream.document(url, PACKUMENT_TYPES).content())


def _tarball(target: Target, upstream: Upstream, dist: packuments.Dist, what: str, host: str) -> tuple[Path, str]:
    """The file that the registry has for a version, checked against its digest and against the lockfile's."""
    wanted = pinned.strongest(target.digests)
    if wanted and dist.digest not in wanted and pinned.comparable(dist.digest, wanted):
        raise pinned.other_file(what, dist.digest, wanted)  # nothing needs to be fetched to know that
    path, digest = _file(upstream, dist.tarball, dist.digest or "".join(wanted[:1]), what, host)
    pinned.require(path, target.digests, dist.digest, what)
    return path, digest


def _pypi(target: Target, upstream: Upstream, tags: tuple[str, ...], python: str) -> Artifact:
    files: list[ProjectFile] = []
    missing: list[str] = []
    for registry in upstream.registries.for_pypi():
        try:
            files += _page(target, upstream, page_url(registry.url, target.name))
        except NotFoundError:
            missing.append(registry.host)
        except ValueError as error:
            raise RegistryError(f"{registry.host} answered for {target.name} with what is {error}") from None
    if len(missing) == len(upstream.registries.pypi):
        raise TargetError(f"{' and '.join(missing)} has no project {target.name}", "check its name")
    if not tags:
        tags, python = _own_tags(), python or platform.python_version()
    chosen, alone = _chosen(target, files, tags, python)
    filename = chosen.file.filename
    path, digest = _file(upstream, chosen.file.url, chosen.file.digest, filename, "its index")
    pinned.require(path, target.digests, chosen.file.digest, filename)
    described = _described(path, filename, filename, "pypi")
    if not manifests.same_release(described, target.name, chosen.version):
        said = f"{described.name} {described.version}"
        raise TargetError(f"{filename} says that it is {shown(said)}, so pip would refuse it")
    extras = f"[{','.join(target.extras)}]" if target.extras else ""
    return Artifact(
        ecosystem="pypi", name=described.name or target.name, version=chosen.version, target=target.text,
        purl=local_packages.purl("pypi", target.name, chosen.version), digest=digest,
        # pip would take another file of this version, one that the lockfile does not have: it is told which.
        spec=f"{target.name}{extras} @ {chosen.file.url}#{chosen.file.digest.replace(':', '=')}" if alone
        else f"{target.name}{extras}=={chosen.version}",
        extras=target.extras,
        manifest=described.manifest, files=described.files, kind=chosen.kind,
    )  # fmt: skip


def file_of(artifact: Artifact, upstream: Upstream) -> tuple[str, str]:
    """The address and file name of a PyPI artifact, by the pages that were just read. Raises TargetError where none
    of them has its file."""
    for registry in upstream.registries.for_pypi():
        known = upstream.remembered(page_url(registry.url, artifact.name), SIMPLE_TYPES)
        for file in _files(known) if known is not None else ():
            if file.digest == artifact.digest:
                return file.url, file.filename
    raise TargetError(f"no index has the file of {artifact.name} {artifact.version} any more", "try again")


def lists_all(target: Target, upstream: Upstream) -> bool:
    """Whether the pages that were just read have every file that the lockfile pins: nothing that is published later
    then changes which of them is taken."""
    missing = set(pinned.strongest(target.digests))
    if not missing:
        return False
    for registry in upstream.registries.for_pypi():
        known = upstream.remembered(page_url(registry.url, target.name), SIMPLE_TYPES)
        missing -= {file.digest for file in _files(known)} if known is not None else set()
    return not missing


def _page(target: Target, upstream: Upstream, url: str) -> list[ProjectFile]:
    """A project's files, however old the page where it has every file that the lockfile pins."""
    wanted = set(pinned.strongest(target.digests))
    known = upstream.remembered(url, SIMPLE_TYPES) if wanted else None
    if known is not None:
        files = _files(known)
        if wanted <= {file.digest for file in files}:
            return files
    return _files(upstream.document(url, SIMPLE_TYPES))


def _files(document: Document) -> list[ProjectFile]:
    return simple_index.parse(document.content(), document.answer.content_type, document.answer.url)


def _chosen(target: Target, files: list[ProjectFile], tags: tuple[str, ...], python: str) -> tuple[Chosen, bool]:
    """The file to run, and whether pip left to itself would take another."""
    wanted = pinned.strongest(target.digests)
    allowed = [one for one in files if not pinned.comparable(one.digest, wanted) or one.digest in wanted]

    def choose(among: list[ProjectFile]) -> Chosen:
        return simple_index.choose(among, target.name, target.requested, tags, python, target.prefer)

    try:
        chosen = choose(allowed)
        return chosen, len(allowed) < len(files) and choose(files).file != chosen.file
    except simple_index.NoFileError as error:
        among = " among the files that the lockfile has" if len(allowed) < len(files) else ""
        raise UnfitError(f"{target.name} {error}{among}", "choose another with pypi:NAME==VERSION") from None
    except LookupError as error:
        problem = TargetError(f"{target.name} {error}", "choose another with pypi:NAME==VERSION")
    if len(allowed) < len(files):
        with suppress(LookupError):
            found = choose(files).file
            problem = pinned.other_file(found.filename, found.digest, wanted)
    raise problem


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
