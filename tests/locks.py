"""Lockfiles for tests, written as npm and pip-compile write them, from the digests of real archives."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def integrity(content: bytes, algorithm: str = "sha512") -> str:
    """What npm writes about a tarball."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def digest(content: bytes, algorithm: str = "sha512") -> str:
    """The same as baitbox writes it."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def package(version: str, content: bytes | None = None, **more: Any) -> dict[str, Any]:
    """One entry of a package-lock.json."""
    pinned = {} if content is None else {"integrity": integrity(content)}
    return {"version": version, **pinned, **more}


def npm_lock(packages: Mapping[str, dict[str, Any]], direct: Mapping[str, str] | None = None) -> str:
    """A package-lock.json of these packages, by name or by folder."""
    whole = {"": {"name": "shop", "version": "1.0.0", "dependencies": dict(direct or {})}}
    for name, entry in packages.items():
        whole[name if "/" in name and not name.startswith("@") else f"node_modules/{name}"] = entry
    document = {"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": whole}
    return json.dumps(document, indent=2) + "\n"


def requirements(pinned: Mapping[str, bytes | str | None]) -> str:
    """A requirements.txt of `name==version` lines, with the hash of the content (or the hash itself)."""
    lines = []
    for name, content in pinned.items():
        found = digest(content, "sha256") if isinstance(content, bytes) else content
        lines.append(name + (f" \\\n    --hash={found}" if found else ""))
    return "\n".join(lines) + "\n"


def pnpm_lock(contents: Mapping[str, bytes], version: str = "1.0.0") -> str:
    """A pnpm-lock.yaml of these packages, by name, all of one version."""
    direct = [f"      {name}:\n        specifier: {version}\n        version: {version}" for name in contents]
    packages = [
        f"  {name}@{version}:\n    resolution: {{integrity: {integrity(content)}}}"
        for name, content in contents.items()
    ]
    snapshots = [f"  {name}@{version}: {{}}" for name in contents]
    parts = ["importers:\n  .:\n    dependencies:", *direct, "packages:", *packages, "snapshots:", *snapshots]
    return "lockfileVersion: '9.0'\n" + "\n".join(parts) + "\n"


def yarn_classic_lock(contents: Mapping[str, bytes], version: str = "1.0.0") -> str:
    """A yarn.lock of yarn 1, which names its own default registry in every entry."""
    entries = [
        f'{name}@{version}:\n  version "{version}"\n'
        f'  resolved "https://registry.yarnpkg.com/{name}/-/{name}-{version}.tgz#{hashlib.sha1(content).hexdigest()}"\n'
        f"  integrity {integrity(content)}\n"
        for name, content in contents.items()
    ]
    return "# yarn lockfile v1\n\n\n" + "\n".join(entries)


def bun_lock(contents: Mapping[str, bytes], version: str = "1.0.0") -> str:
    """A bun.lock of these packages."""
    packages = {name: [f"{name}@{version}", "", {}, integrity(content)] for name, content in contents.items()}
    root = {"name": "shop", "dependencies": dict.fromkeys(contents, version)}
    return json.dumps({"lockfileVersion": 1, "workspaces": {"": root}, "packages": packages}, indent=2) + "\n"
