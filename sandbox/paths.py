"""Where a path in a recording leads: folded, through views of processes, through links made in the run. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection

from sandbox.lineage import Actor, Process

_VIEW = re.compile(r"/proc/(?:self|thread-self|\d+)(?:/task/\d+)?/(?P<view>root|cwd)(?=/|$)")
_DESCRIPTOR = re.compile(r"(?:/proc/(?:self|thread-self|\d+)(?:/task/\d+)?|/dev)/fd/\d+/(?P<rest>.+)")
_MANY_VIEWS = 8
_MANY_TIDIED = 500_000
_MANY_LINKS = 100_000
_MANY_FOLDERS = 64


def tidy(path: str) -> str:
    """`path` without `.`, `..` and doubled slashes, and without a detour through /proc/*/root."""
    for _ in range(_MANY_VIEWS):
        # Links come before `..` is folded: what follows counts from where they lead.
        view = _VIEW.match(path) if path.startswith("/proc/") else None
        if view is not None:
            if view["view"] == "cwd":
                return path
            path = path[view.end() :] or "/"
        elif "//" in path or "/./" in path or "/../" in path or path.endswith(("/.", "/..")):
            path = posixpath.normpath(path)
            path = "/" + path.lstrip("/") if path.startswith("/") else path
        else:
            break
    return path


class Paths:
    """Tells what a process means by a path. `watched` are the planted paths and the folders above them."""

    def __init__(self, planted: Collection[str], watched: Collection[str]) -> None:
        self._planted = planted
        self._watched = watched
        self._tidied: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._folders: dict[int, list[str]] = defaultdict(list)

    def meant(self, path: str, actor: Actor, *, follow: bool = True) -> str:
        """The path that `actor` means. Without `follow`, a link in its last place stands for itself."""
        found = self._tidied.get(path)
        if found is None:
            found = tidy(path)
            if found.startswith(("/proc/", "/dev/fd/")):
                found = self._viewed(found, actor)  # who looks there decides
            elif len(self._tidied) < _MANY_TIDIED:
                self._tidied[path] = found
        if not self._links:
            return found
        if follow:
            return self._through(found)
        folder, _, name = found.rpartition("/")
        return tidy(f"{self._through(folder or '/')}/{name}")

    def link(self, name: str, meant: str) -> None:
        """`name` is from now on another name for what `meant` leads to."""
        meant = self._through(meant) if self._links else meant
        if name != meant and len(self._links) < _MANY_LINKS:
            self._links[name] = meant

    def unlink(self, name: str) -> None:
        """`name` is no link any more."""
        self._links.pop(name, None)

    def opened(self, folder: str, actor: Actor) -> None:
        """A folder above bait was opened: its descriptor is another way to it."""
        folders = self._folders[actor.process.serial]
        if folder not in folders and len(folders) < _MANY_FOLDERS:
            folders.append(folder)

    def _viewed(self, path: str, actor: Actor) -> str:
        """Through the working directory of a process, or a descriptor of a folder where that leads to bait."""
        view = _VIEW.match(path)
        if view is not None and actor.program is not None:
            return tidy(actor.program.cwd + path[view.end() :])
        below = _DESCRIPTOR.fullmatch(path)
        if below is None or not self._folders:
            return path
        process: Process | None = actor.process
        for _ in range(_MANY_VIEWS):
            if process is None:
                break
            for folder in reversed(self._folders.get(process.serial, [])):
                reached = tidy(f"{folder}/{below['rest']}")
                if reached in self._planted:
                    return reached
            process = process.parent
        return path

    def _through(self, path: str) -> str:
        """Where the links made in this run lead."""
        for _ in range(_MANY_VIEWS):
            end = len(path)
            while end > 0:
                meant = self._links.get(path[:end])
                if meant is not None:
                    path = tidy(meant + path[end:])
                    break
                end = path.rfind("/", 0, end)
            else:
                break
        return path
