"""Where an npm package comes from, by what a lockfile's `resolved`, `version` or specifier says."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from sandbox.lockfiles import Source

_GIT = re.compile(r"(?:git[+:]|git@|ssh://|github:|gitlab:|bitbucket:|gist:)", re.IGNORECASE)
_GIT_HOST = re.compile(r"https?://[^/]+/.*\.git(?:[#?].*)?", re.IGNORECASE)
_WEB = re.compile(r"https?:", re.IGNORECASE)
_FILE = re.compile(r"(?:file:|link:|portal:|\.{0,2}/|~/|[A-Za-z]:[\\/])")


def source_of(location: str, name: str, version: str) -> Source:
    """The source that a location means. A URL is a registry's where its path is the one that registries give to this
    very name and version; so an entry that says one name and fetches another is a `url`, not a registry's package."""
    if not location:
        return "registry"
    if location.startswith("workspace:"):
        return "workspace"
    if _GIT.match(location) or _GIT_HOST.fullmatch(location):
        return "git"
    if _WEB.match(location):
        return "registry" if _of_a_registry(location, name, version) else "url"
    return "file" if _FILE.match(location) else "url"


def is_remote(text: str) -> bool:
    """Whether a version or specifier names a place rather than a version or range."""
    return bool(_GIT.match(text) or _WEB.match(text) or _FILE.match(text))


def _of_a_registry(location: str, name: str, version: str) -> bool:
    try:
        path = unquote(urlsplit(location).path)
    except ValueError:
        return False
    base = name.rpartition("/")[2]
    return path.endswith((
        f"/{name}/-/{base}-{version}.tgz",
        f"/{name}/-/{name}-{version}.tgz",
        f"/{name}/{version}.tgz",
    )) or f"/download/{name}/{version}/" in path  # fmt: skip
