"""What a path or URL says about the Python package that it is: its name, its version and its kind."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.utils import parse_sdist_filename, parse_wheel_filename

from sandbox.lockfiles import Source

_VCS = re.compile(r"(?:git|hg|svn|bzr)\+", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EGG = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)")


def source_of(place: str) -> Source:
    """git (any version control), url, or file."""
    if _VCS.match(place) or place.startswith("git@"):
        return "git"
    if place.lower().startswith("file:") or not _URL.match(place):
        return "file"
    return "url"


def file_name(place: str) -> str:
    """The last part of a path or URL, without query and fragment; empty where there is none."""
    try:
        path = unquote(urlsplit(place).path)
    except ValueError:
        return ""
    return path.replace("\\", "/").rpartition("/")[2]


def named_by(place: str) -> tuple[str, str]:
    """Name and version, as far as a path or URL gives them away: by `#egg=` or by the file's name."""
    try:
        eggs = parse_qs(urlsplit(place).fragment, max_num_fields=20).get("egg", [])
    except ValueError:
        eggs = []
    file = file_name(place)
    try:
        if file.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(file)
            return str(name), str(version)
        if file.endswith((".tar.gz", ".zip")) and source_of(place) != "git":
            sdist, release = parse_sdist_filename(file)
            return str(sdist), str(release)
    except ValueError:
        pass  # a file name of another kind
    match = _EGG.match(eggs[0]) if eggs else None
    return (match[1], "") if match else ("", "")


def digests_in(place: str) -> list[str]:
    """The digests that a URL's fragment holds (`#sha256=HEX`), as written."""
    fragment = place.partition("#")[2]
    return [part for part in fragment.split("&") if re.match(r"(?:md5|sha\d+)=", part)]
