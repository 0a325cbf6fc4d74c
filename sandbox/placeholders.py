"""What profiles write for what differs between recordings: `~`, `.`, `<registries>`, `<package>`, `<target>`. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from sandbox.events import Header

PATHS = ("read", "write", "change", "run", "survive")
_REGISTRIES = "<registries>"
PACKAGE = "<package>"
_TARGET = "<target>"
_PLAIN_NAME = re.compile(r"(?:@[A-Za-z0-9._-]+/)?[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*")


def expand(verb: str, glob: str, header: Header, package: str = "") -> list[str]:
    """A glob with the recording's home, project and registries, the doer's package and the checked one, written out."""
    if PACKAGE in glob:
        if not _PLAIN_NAME.fullmatch(package):
            return []  # names come from folders of the guest: never let one be a wildcard
        glob = glob.replace(PACKAGE, package)
    if _TARGET in glob:
        name = header.package.rpartition("/")[2]
        if not _PLAIN_NAME.fullmatch(name):
            return []
        glob = glob.replace(_TARGET, name)
    if verb in PATHS:
        if glob == "~" or glob.startswith("~/"):
            return [header.home + glob[1:]]
        return [header.project + glob[1:]] if glob == "." or glob.startswith("./") else [glob]
    if glob.startswith("unix:"):
        return ["unix:" + expand("read", glob[5:], header, package)[0]]
    if _REGISTRIES in glob:
        return [glob.replace(_REGISTRIES, host) for host in registry_hosts(header)]
    return [glob]


def registry_hosts(header: Header) -> list[str]:
    """The hosts of the plan's registries, lower case, with a port only where it is not the usual one."""
    hosts = []
    for registry in header.registries:
        try:
            parts = urlsplit(registry if "//" in registry else f"https://{registry}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            continue
        hosts.append(host if port in (None, 80, 443) else f"{host}:{port}")
    return [host for host in dict.fromkeys(hosts) if host]


def is_plain_name(package: str) -> bool:
    """Whether a package's name, which comes from the guest, is one: no wildcard, and no path out of a folder."""
    return bool(_PLAIN_NAME.fullmatch(package))
