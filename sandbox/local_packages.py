"""Packages on this machine: archives are taken as they are, folders are packed. Nothing of them runs here.

A folder becomes an archive of the kind that its registry would hold, the same bytes for the same content.
Left out are only version control, installed dependencies, tools' caches and `.npmrc`, which npm and Python's
builders leave out as well: the guest gets more than a published package would have, never less.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sandbox import archives, manifests
from sandbox.errors import TargetError
from sandbox.plan import Artifact
from sandbox.targets import Target, normalised, shown

HOME = "/home/dev"
LARGEST = 512 * 1024**2
_FOLDER_FILES = 20_000
_FOLDER_BYTES = 256 * 1024**2
_LEFT_OUT = frozenset({
    ".git", ".hg", ".svn", "CVS", ".bzr", ".npmrc", ".DS_Store",
    ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
})  # fmt: skip
_SOURCE_FILES = ("PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg")
# The same for every file, so that the same folder has the same digest: the first moment of 1980.
_MODIFIED = 315_532_800


def read_local(target: Target, home: str = HOME) -> Artifact:
    """The artifact of an archive or folder on this machine. Raises TargetError for all that is wrong."""
    path = Path(target.path)
    try:
        if target.kind == "folder":
            return _folder(target, path, home)
        return _archive(target, path, home)
    except FileNotFoundError:
        raise TargetError(f"{shown(target.text)}: there is no such file or folder") from None
    except OSError as error:
        raise TargetError(f"{shown(target.text)} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise TargetError(f"{shown(target.text)} is not a package that can be run: {error}") from None


def describe(content: bytes | Path, filename: str, ecosystem: str) -> manifests.Described:
    """What an archive says of itself, by its ecosystem and its file name. Raises ValueError and OSError."""
    if ecosystem == "npm":
        return manifests.describe_npm(archives.read_archive(content, manifests.wanted_of_npm))
    if filename.endswith(".whl"):
        return manifests.describe_wheel(archives.read_archive(content, manifests.wanted_of_wheel))
    return manifests.describe_sdist(archives.read_archive(content, manifests.wanted_of_sdist))


def purl(ecosystem: str, name: str, version: str) -> str:
    """The package URL of one version, or of the package where the version is unknown."""
    from urllib.parse import quote

    plain = normalised(name) if ecosystem == "pypi" else name
    path = "/".join(quote(part, safe="") for part in plain.split("/"))
    return f"pkg:{ecosystem}/{path}" + (f"@{quote(version, safe='')}" if version else "")


def _archive(target: Target, path: Path, home: str) -> Artifact:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 1024**2} MiB")
    content = path.read_bytes()
    described = describe(content, path.name.lower(), target.ecosystem)
    if target.ecosystem == "npm":
        kind = "tarball"
        name = _npm_file(described.name, described.version)
    else:
        kind = "wheel" if path.name.lower().endswith(".whl") else "sdist"
        if not described.name:
            stem = re.sub(r"(?i)(\.tar\.gz|\.tgz|\.zip)$", "", path.name)
            described = msgspec.structs.replace(described, name=_plain_name(stem))
        name = _python_file(path.name, kind, described)
    return _artifact(target, described, kind, f"{home}/Downloads/{name}", content)


def _npm_file(name: str, version: str) -> str:
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def _python_file(written: str, kind: str, described: manifests.Described) -> str:
    """pip reads a wheel's name, so that must stand as it is; a source archive's need only have the right end."""
    if kind == "wheel":
        parts = written[:-4].split("-")
        if not re.fullmatch(r"[A-Za-z0-9._+!-]{1,250}", written) or len(parts) not in (5, 6):
            raise ValueError("its file name is not that of a wheel")
        if not manifests.same_release(described, parts[0], parts[1]):
            said = f"{described.name} {described.version}"
            raise ValueError(f"its METADATA says {said}, not what its file name says")
        return written
    end = ".zip" if written.lower().endswith(".zip") else ".tar.gz"
    return f"{described.name or 'package'}-{described.version or '0'}{end}"


def _artifact(target: Target, described: manifests.Described, kind: str, where: str, content: bytes) -> Artifact:
    algorithm = "sha512" if target.ecosystem == "npm" else "sha256"
    extras = f"[{','.join(target.extras)}]" if target.extras else ""
    return Artifact(
        ecosystem=target.ecosystem,
        name=described.name,
        version=described.version,
        target=target.text,
        purl=purl(target.ecosystem, described.name, described.version),
        digest=f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}",
        spec=where + extras,
        extras=target.extras,
        upload=((where, content),),
        manifest=described.manifest,
        files=described.files,
        kind=kind,  # type: ignore[arg-type]  # one of three words, all allowed
    )


def _folder(target: Target, path: Path, home: str) -> Artifact:
    if not path.is_dir():
        raise FileNotFoundError
    if target.ecosystem == "npm":
        manifest = manifests.read_package_json(_read(path / "package.json"))
        described = manifests.Described(
            name=str(manifest["name"]), version=str(manifest["version"]), manifest=manifest, files=()
        )
        top, filename = "package", _npm_file(described.name, described.version)
        bundled = bool(manifest.get("bundleDependencies") or manifest.get("bundledDependencies"))
    else:
        present = {name: _read(path / name) for name in _SOURCE_FILES if (path / name).exists()}
        if not present:
            raise ValueError("it has no pyproject.toml, setup.py or setup.cfg")
        name, version, points = manifests.describe_source(present)
        name = name or _plain_name(path.resolve().name)
        described = manifests.Described(
            name=name, version=version, manifest={"names": [], "entry_points": points}, files=()
        )
        top = f"{name}-{version or '0'}"
        filename, bundled = f"{top}.tar.gz", False
    content, names = _pack(path, top, _members(path, bundled=bundled), links=target.ecosystem == "pypi")
    if target.ecosystem == "pypi":
        names = tuple(f"{top}/{name}" for name in names)
        described.manifest["names"] = list(names)
    described = msgspec.structs.replace(described, files=names)
    return _artifact(target, described, "folder", f"{home}/Downloads/{filename}", content)


def _plain_name(written: str) -> str:
    """A project name for what only a build could name, from how its file or folder is called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", written)[:100].strip("._-") or "package"


def _read(path: Path) -> bytes:
    """A small file of the folder itself, not one that a link leads to elsewhere."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path.name!r} in it is not a regular file")
        content = file.read(_FOLDER_BYTES + 1)
    if len(content) > _FOLDER_BYTES:
        raise ValueError(f"{path.name!r} in it is larger than {_FOLDER_BYTES // 1024**2} MiB")
    return content


def _pack(root: Path, top: str, members: Iterator[tuple[str, Path]], *, links: bool) -> tuple[bytes, tuple[str, ...]]:
    """The folder as a gzipped tar below `top`, and its files' names. npm takes no links out of an archive, so
    there they are left out; a link that leads out of the folder is refused either way."""
    import gzip
    import tarfile

    packed, total = io.BytesIO(), 0
    names: list[str] = []
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in members:
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.mtime = _MODIFIED
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, _link_inside(root, name, path)
                if links:
                    archive.addfile(entry)
                continue
            content = _read(path)
            total += len(content)
            if total > _FOLDER_BYTES or len(names) >= _FOLDER_FILES:
                raise ValueError(
                    f"it has more than {_FOLDER_FILES} files or {_FOLDER_BYTES // 1024**2} MiB without its "
                    "installed dependencies"
                )
            entry.size = len(content)
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
            names.append(name)
    return gzip.compress(packed.getvalue(), 1, mtime=0), tuple(names)


def _members(root: Path, *, bundled: bool) -> Iterator[tuple[str, Path]]:
    """The files and links to pack, in an order that does not depend on the disk."""

    def fail(error: OSError) -> None:
        raise error

    def left_out(here: Path, name: str) -> bool:
        if name == "node_modules":
            return here == root and not bundled
        return name in _LEFT_OUT or (here / name / "pyvenv.cfg").exists()

    for where, folders, files in os.walk(root, onerror=fail):
        here = Path(where)
        kept = sorted(name for name in folders if not left_out(here, name))
        folders[:] = [name for name in kept if not (here / name).is_symlink()]
        names = [name for name in files if name not in _LEFT_OUT]
        for name in sorted([*names, *(name for name in kept if name not in folders)]):
            relative = (here / name).relative_to(root).as_posix()
            if not relative.isprintable():
                raise ValueError(f"{relative[:120]!a} in it is not a name that an archive should hold")
            yield relative, here / name


def _link_inside(root: Path, name: str, path: Path) -> str:
    target = os.readlink(path)
    real = os.path.realpath(path)
    if os.path.isabs(target) or not Path(real).is_relative_to(root.resolve()):
        raise ValueError(f"{name!r} in it links out of the folder")
    return target
