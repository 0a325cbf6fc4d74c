"""Builds the fixtures' archives: the same bytes every time, so that a digest names one package.

`python -m tests.packages.build NAME FOLDER` builds one and prints its path (used by `make demo`).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tests.packages.fixture import Built

C_SOURCES = Path(__file__).parent / "c"
_MOMENT = 499162500  # the modification time that npm itself gives to every file it packs

_WHEEL = b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

Files = Mapping[str, str | bytes]


def build(name: str, folder: Path) -> Path:
    """Build the fixture called `name` in `folder`; the archive or package folder to check."""
    return make(name, folder).target


def make(name: str, folder: Path) -> Built:
    """Build the fixture called `name` in `folder`, with everything that its guest needs."""
    from tests.packages.catalogue import FIXTURES  # the catalogue is made of what this module builds

    folder.mkdir(parents=True, exist_ok=True)
    return FIXTURES[name].build(folder)


def npm(
    folder: Path,
    name: str,
    files: Files,
    *,
    version: str = "1.0.0",
    executable: Collection[str] = (),
    **manifest: Any,
) -> Path:
    """Write `<name>-<version>.tgz` with a package.json of `manifest` and these files."""
    members = {"package.json": package_json(name, version, **manifest), **files}
    path = folder / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
    path.write_bytes(_tar_gz(members, "package", executable))
    return path


def npm_folder(folder: Path, name: str, files: Files, *, version: str = "1.0.0", **manifest: Any) -> Path:
    """Write the same as a package folder, as a developer has it."""
    root = folder / name
    for path, content in {"package.json": package_json(name, version, **manifest), **files}.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_bytes(content))
    return root


def package_json(name: str, version: str, **manifest: Any) -> str:
    """A package.json with what every package has."""
    whole = {"name": name, "version": version, "license": "Apache-2.0", **manifest}
    return json.dumps(whole, indent=2) + "\n"


def sdist(folder: Path, name: str, files: Files, *, version: str = "1.0.0") -> Path:
    """Write `<name>-<version>.tar.gz` with a PKG-INFO and these files."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}.tar.gz"
    path.write_bytes(_tar_gz({"PKG-INFO": metadata(name, version), **files}, stem, ()))
    return path


def wheel(
    folder: Path,
    name: str,
    files: Files,
    *,
    version: str = "1.0.0",
    scripts: Mapping[str, str] | None = None,
    requires: Collection[str] = (),
    group: str = "console_scripts",
) -> Path:
    """Write `<name>-<version>-py3-none-any.whl` with metadata, a RECORD, and `scripts`, entry points of `group`."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    members: dict[str, bytes] = {path: _bytes(content) for path, content in files.items()}
    members[f"{info}/METADATA"] = metadata(name, version, requires).encode()
    members[f"{info}/WHEEL"] = _WHEEL
    if scripts:
        lines = "".join(f"{command} = {target}\n" for command, target in scripts.items())
        members[f"{info}/entry_points.txt"] = f"[{group}]\n{lines}".encode()
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD")
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            entry = zipfile.ZipInfo(member, (1985, 10, 26, 8, 15, 0))
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path


def metadata(name: str, version: str, requires: Collection[str] = ()) -> str:
    """Core metadata with what every distribution has."""
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Small tools.\n"]
    lines += [f"Requires-Dist: {item}\n" for item in requires]
    return "".join(lines)


def program(name: str) -> bytes:
    """The static program of `c/<name>.c`, compiled on this host."""
    source = C_SOURCES / f"{name}.c"
    flags = ["-static", "-no-pie", "-fno-pie", "-O1", "-s", "-pthread", "-Wall", "-Wl,--build-id=none"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / name
        command = ["gcc", *flags, "-o", str(output), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"gcc could not build {source.name}: {done.stderr}")
        return output.read_bytes()


def git_repository(files: Files) -> dict[str, bytes]:
    """A bare git repository with one commit of `files` on `main`, as its own files by relative path."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "R. Hale",
        "GIT_AUTHOR_EMAIL": "hale@forms.test",
        "GIT_AUTHOR_DATE": f"{_MOMENT} +0000",
        "GIT_COMMITTER_NAME": "R. Hale",
        "GIT_COMMITTER_EMAIL": "hale@forms.test",
        "GIT_COMMITTER_DATE": f"{_MOMENT} +0000",
    }
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare"
        tree = Path(folder) / "tree"

        def git(*words: str) -> str:
            command = ["git", f"--git-dir={bare}", f"--work-tree={tree}", *words]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            return done.stdout.strip()

        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(_bytes(content))
        git("init", "--quiet", "--template=", "--initial-branch=main")
        git("add", "--all")
        git("update-ref", "refs/heads/main", git("commit-tree", "-m", "Add the formatter", git("write-tree")))
        (bare / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        (bare / "index").unlink()
        found = sorted(path for path in bare.rglob("*") if path.is_file())
        return {str(path.relative_to(bare)): path.read_bytes() for path in found}


def _tar_gz(files: Files, root: str, executable: Collection[str]) -> bytes:
    """A tar.gz of `files` under `root`, with fixed times and owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{root}/{path}")
            entry.size = len(_bytes(content))
            entry.mtime = _MOMENT
            entry.mode = 0o755 if path in executable else 0o644
            archive.addfile(entry, io.BytesIO(_bytes(content)))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _record(members: Mapping[str, bytes], own: str) -> bytes:
    """A wheel's RECORD: every member with its digest and size, itself without."""
    lines = []
    for path, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return "".join([*lines, f"{own},,\n"]).encode()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


if __name__ == "__main__":
    print(build(sys.argv[1], Path(sys.argv[2])))
