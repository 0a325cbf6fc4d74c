"""From a lockfile's entry to the target that checks just that: its exact version, its digests, from a registry that
this machine is set up for. What cannot be run as it is locked is said, with how to look at it by hand."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec

from sandbox import npm_settings, pip_settings
from sandbox.cache import STRONG
from sandbox.errors import BaitboxError, UsageError
from sandbox.targets import Target, normalised, shown, valid_npm_name, valid_pypi_name

if TYPE_CHECKING:
    from sandbox.lockfiles import Locked
    from sandbox.registries import Registries

_NPM_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_PYPI_VERSION = re.compile(r"[0-9A-Za-z!.+_-]{1,200}", re.ASCII)


class Unchecked(msgspec.Struct, frozen=True):
    """Why an entry is not run. `weight`: `open` leaves the question open, so nothing can be clean; `covered` is
    looked at in another way, or is no package that anybody downloads."""

    why: str
    weight: Literal["open", "covered"] = "open"


class Places(msgspec.Struct, frozen=True):
    """Where entries may come from: the registries of this machine, the package managers' own defaults (which a
    configured registry stands in for), the folder that relative paths start from, and the one that they must not lead
    out of (None: what they mean is not on disk). `by_digest`: a package with a strong digest is asked of our own
    registry wherever the lockfile fetches it: yarn has a default registry of its own, with npm's packages, and writes
    that one's host into every entry."""

    registries: Registries
    folder: Path | None = None
    top: Path | None = None
    npm_default: str = ""
    pypi_defaults: frozenset[str] = frozenset()
    by_digest: bool = False


class Earlier(msgspec.Struct, frozen=True):
    """The version before a change, and how it is run; or why it is not."""

    version: str
    target: Target | Unchecked

    @property
    def can_run(self) -> bool:
        """Whether there is something to run."""
        return isinstance(self.target, Target)

    def without_project_settings(self) -> Earlier:
        """The same, where the current directory's `.npmrc` has no say."""
        if isinstance(self.target, Unchecked):
            return self
        return Earlier(self.version, msgspec.structs.replace(self.target, project_settings=False))


def places(registries: Registries, top: Path | None) -> Places:
    """`Places` of this machine. Nothing is contacted."""
    index, files = pip_settings.pip_default()
    defaults = frozenset({_host(index), *files} - {""})
    return Places(registries, top, top, _host(npm_settings.npm_default(os.environ)), defaults)


def target(entry: Locked, where: Places) -> Target | Unchecked:
    """What checks `entry`, or why nothing does."""
    match entry.source:
        case "registry":
            return _from_registry(entry, where)
        case "file":
            return _local(entry, where)
        case "workspace":
            return Unchecked("it is a part of this project, which nobody downloads", "covered")
        case "bundled":
            return Unchecked(f"it lies in the archive of {shown(entry.location)}, and runs with that", "covered")
        case "git":
            return Unchecked(
                f"it is a git checkout ({shown(entry.location)}), whose `prepare` script or build runs when it is "
                "installed: check out that commit and run `baitbox check FOLDER`"
            )
        case _:
            return Unchecked(
                f"it is fetched from an address of its own ({shown(entry.location)}): download it and run "
                "`baitbox check FILE`"
            )


def earlier(before: Locked, after: Locked, where: Places) -> Earlier:
    """How the older lockfile's entry is run: from a registry, at its exact version and digests, or not at all."""
    found = target(before, where)
    if isinstance(found, Target) and found.kind != "registry":
        found = Unchecked("it is a local path, and what was there before is not at hand")
    if isinstance(found, Target) and not before.digests and before.version == after.version:
        found = Unchecked("the older lockfile pins no digest of it, so what it was cannot be told")
    return Earlier(before.version or before.location, found)


def _from_registry(entry: Locked, where: Places) -> Target | Unchecked:
    if not entry.version:
        return Unchecked("no exact version is locked, so what will be installed is not known")
    text = f"{entry.ecosystem}:{entry.name}{'@' if entry.ecosystem == 'npm' else '=='}{entry.version}"
    if entry.ecosystem == "npm":
        sound = valid_npm_name(entry.name) and _NPM_VERSION.fullmatch(entry.version) is not None
    else:
        sound = valid_pypi_name(entry.name) and _is_exact(entry.version)
    if not sound:
        return Unchecked(f"{shown(text)} is not the name and exact version of a package")
    stranger = _stranger(entry, where)
    if stranger:
        return stranger
    requested = entry.version if entry.ecosystem == "npm" else f"=={entry.version}"
    extras = tuple(dict.fromkeys(normalised(one) for one in entry.extras if valid_pypi_name(one)))
    return Target(
        text=text, ecosystem=entry.ecosystem, name=entry.name, requested=requested, extras=extras,
        digests=entry.digests,
    )  # fmt: skip


def _is_exact(version: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return _PYPI_VERSION.fullmatch(version) is not None and bool(str(Version(version)))
    except InvalidVersion:
        return False


def _stranger(entry: Locked, where: Places) -> Unchecked | None:
    """The refusal of a package that the lockfile fetches from a host that this machine is not set up for: another
    registry's package of that name is another package, and asking for it would tell a private name."""
    host = _host(entry.location)
    strong = [digest for digest in entry.digests if digest.partition(":")[0] in STRONG]
    if not entry.location or (where.by_digest and strong):
        return None
    try:
        if entry.ecosystem == "npm":
            own = where.registries.for_npm(entry.name)
            known = {own.host, *own.file_hosts, where.npm_default}
            how = f"npm_config_registry, or {entry.name.partition('/')[0]}:registry= in .npmrc"
        else:
            indexes = where.registries.for_pypi()
            known = set(where.pypi_defaults).union(*({one.host, *one.file_hosts} for one in indexes))
            how = "PIP_INDEX_URL or PIP_EXTRA_INDEX_URL"
    except BaitboxError as error:
        return Unchecked(str(error))
    if host and host in known - {""}:
        return None
    return Unchecked(
        f"the lockfile fetches it from {shown(host or entry.location)}, which is no registry that this machine is set "
        f"up for: set {how}"
    )


def _local(entry: Locked, where: Places) -> Target | Unchecked:
    """A folder or an archive beside the lockfile, where it is on disk and inside of the project."""
    path = re.sub(r"^(?:file|link|portal):(?://)?", "", entry.location)
    if where.folder is None or where.top is None or not path:
        return Unchecked(f"it is a local path ({shown(entry.location)}): run `baitbox check PATH`")
    start, top = where.folder.resolve(), where.top.resolve()
    try:
        place = (start / os.path.expanduser(path)).resolve()
        there = place.exists()
    except (OSError, ValueError, RuntimeError):
        return Unchecked(f"it is a local path that cannot be followed ({shown(entry.location)})")
    if place == start:
        return Unchecked("it is this project itself", "covered")
    if not place.is_relative_to(top):
        return Unchecked(f"it is a local path that leads out of the project ({shown(entry.location)})")
    if not there:
        return Unchecked(f"it is a local path where nothing is ({shown(entry.location)})")
    try:
        found = Target.parse(f"{entry.ecosystem}:{place}")
    except UsageError as error:
        return Unchecked(f"it is a local path that cannot be checked: {error}")
    text = f"{entry.ecosystem}:./{place.relative_to(top)}"
    return msgspec.structs.replace(found, text=text, digests=entry.digests if found.kind == "archive" else ())


def _host(url: str) -> str:
    try:
        return (urlsplit(url.partition("+")[2] if url.startswith("registry+") else url).hostname or "").lower()
    except ValueError:
        return ""
