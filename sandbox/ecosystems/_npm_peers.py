"""The peers that npm does not install by itself, because a package says that it can do without. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from sandbox.plan import Installed

MOST_PEERS = 64
MOST_INSTALLED = 8
_NAME = re.compile(r"(@[\w!~*'().-]+/)?[\w!~*'().-]+", re.ASCII)
_RANGE = re.compile(r"[0-9A-Za-z.*^~<>=|][0-9A-Za-z.*^~<>=| +-]{0,99}")


def is_name(name: str) -> bool:
    parts = name.removeprefix("@").split("/")
    return len(name) <= 214 and _NAME.fullmatch(name) is not None and not {".", ".."} & set(parts)


def optional_peers(manifest: Mapping[str, object]) -> list[str]:
    """The peers that npm does not install, because the package says that it can do without."""
    meta = manifest.get("peerDependenciesMeta")
    described = list(meta.items())[:MOST_PEERS] if isinstance(meta, dict) else []
    optional = [str(name) for name, about in described if isinstance(about, dict) and about.get("optional") is True]
    return [name for name in optional if is_name(name)]


def absent_peers(manifest: Mapping[str, object], installed: Installed, project: str) -> list[str]:
    """The optional peers that nothing else brought either, by what stands in the guest's node_modules."""
    modules = f"{project}/node_modules"
    present = {
        posixpath.relpath(f"{folder}/{name}", modules)
        for folder, entries in installed.listings.items()
        if folder == modules or posixpath.dirname(folder) == modules
        for name, _ in entries
    }
    return [peer for peer in optional_peers(manifest) if peer not in present]


def wanted_specs(manifest: Mapping[str, object], peers: list[str]) -> list[str]:
    """What to tell npm to install these peers, the first ones: the range that the package names, where it is a range
    and no address. Type declarations are no programs, and what begins with a dash would be an option."""
    ranges = manifest.get("peerDependencies")
    named = ranges if isinstance(ranges, Mapping) else {}
    wanted = [peer for peer in peers if not peer.startswith(("@types/", "-"))][:MOST_INSTALLED]
    texts = {peer: str(named.get(peer) or "").strip() for peer in wanted}
    return [f"{peer}@{text}" if _RANGE.fullmatch(text) else peer for peer, text in texts.items()]
