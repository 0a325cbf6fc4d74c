"""What package archives hold, as they are read: names and a few small files, each checked, all within bounds.

Whatever is wrong is one ValueError that names the member: a path out of the archive, a link out of it, a name given
twice, too much of anything.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

import msgspec

MEMBERS = 100_000
"""The largest honest packages (icon sets) have about 50,000 files."""
UNPACKED = 2 * 1024**3
"""Bytes of all members together."""
FILE = 4 * 1024**2
"""Bytes of one file whose content is kept."""
_WANTED_TOGETHER = 16 * 1024**2
NAME = 4096
"""Characters of a member's name."""
RATIO = 200
RATIO_FROM = 128 * 1024**2
"""From so many bytes on, an archive may not unpack to more than `RATIO` times its size."""

Wanted = Callable[[str], bool]
"""Whether a file's content is kept, by its name."""


class ArchiveIndex(msgspec.Struct, frozen=True):
    """What an archive holds: the names of its files (normalised, relative, in order), the bytes of the wanted
    ones, and its size when unpacked."""

    names: tuple[str, ...]
    contents: dict[str, bytes]
    unpacked: int


class Listing:
    """Names seen so far, and the checks on each that both formats share."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.contents: dict[str, bytes] = {}
        self.members = 0
        self.unpacked = 0
        self._kept = 0

    def member(self, raw: str, size: int) -> str:
        """Count a member and return its normalised name; empty for the archive's own root."""
        self.members += 1
        self.unpacked += size
        if self.members > MEMBERS:
            raise ValueError(f"it has more than {MEMBERS} members")
        if self.unpacked > UNPACKED:
            raise ValueError(f"it unpacks to more than {UNPACKED // 1024**2} MiB")
        return checked_name(raw)

    def file(self, name: str) -> None:
        """Take down a file's name, which no other may have."""
        if not name or name in self.names:
            raise ValueError(f"it has {show(name)} twice" if name else "a file in it has no name")
        self.names[name] = None

    def keep(self, name: str, size: int, read: Callable[[], bytes]) -> None:
        """Keep what `read()` gives as the file's content, if `size` is not too much."""
        if size > FILE or self._kept + size > _WANTED_TOGETHER:
            raise ValueError(f"{show(name)} in it is larger than {FILE // 1024**2} MiB")
        content = read()
        self._kept += len(content)
        self.contents[name] = content

    def link(self, name: str, target: str, *, hard: bool) -> None:
        """Check that a link stays inside; a hard one counts from the archive's root."""
        base = "" if hard else posixpath.dirname(name)
        try:
            checked_name(
                posixpath.join(base, target) if not target.startswith(("/", "\\")) else target, within=True
            )
        except ValueError:
            raise ValueError(f"{show(name)} in it links out of the archive") from None

    def index(self) -> ArchiveIndex:
        """All that was taken down."""
        return ArchiveIndex(tuple(self.names), self.contents, self.unpacked)


def checked_name(raw: str, *, within: bool = False) -> str:
    """A member's name, normalised. Raises ValueError for one that is absolute, or goes up; with `within`,
    going up is fine as long as it stays inside."""
    if len(raw) > NAME:
        raise ValueError(f"it has a name of more than {NAME} characters")
    if raw.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", raw) or "\0" in raw:
        raise ValueError(f"{show(raw)} in it is an absolute path")
    parts: list[str] = []
    for part in raw.replace("\\", "/").split("/"):
        if part == ".." and not (within and parts):
            raise ValueError(f"{show(raw)} in it leads out of the archive")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def show(name: str) -> str:
    """A hostile name, short and printable."""
    return ascii(name[:120])
