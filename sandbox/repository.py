"""A git repository as files: one commit, its objects, an index, so that `git status` and `git log` answer."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator

Tree = dict[str, "Tree | bytes"]


def repository(files: dict[str, bytes], author: str, when: int, message: str, remote: str) -> dict[str, bytes]:
    """The files below `.git` of a repository with `files` (relative path, content) in one commit on `main`.

    `author` is `Name <address>`, `when` the commit's time in seconds since 1970.
    """
    objects: dict[str, bytes] = {}
    tree = _store(objects, "tree", _tree(objects, _nested(files)))
    stamp = f"{author} {when} -0400"
    commit = f"tree {tree}\nauthor {stamp}\ncommitter {stamp}\n\n{message}\n"
    head = _store(objects, "commit", commit.encode())
    config = (
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
        f'[remote "origin"]\n\turl = {remote}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
        '[branch "main"]\n\tremote = origin\n\tmerge = refs/heads/main\n'
    )
    log = f"{'0' * 40} {head} {stamp}\tclone: from {remote}\n".encode()
    found = {
        "HEAD": b"ref: refs/heads/main\n",
        "config": config.encode(),
        "description": b"Unnamed repository; edit this file 'description' to name the repository.\n",
        "refs/heads/main": f"{head}\n".encode(),
        "refs/remotes/origin/main": f"{head}\n".encode(),
        "logs/HEAD": log,
        "logs/refs/heads/main": log,
        "info/exclude": b"",
        "index": _index(files),
    }
    return found | {f"objects/{name[:2]}/{name[2:]}": content for name, content in objects.items()}


def _nested(files: dict[str, bytes]) -> Tree:
    root: Tree = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        place = root
        for folder in folders:
            below = place.setdefault(folder, {})
            assert isinstance(below, dict)
            place = below
        place[name] = content
    return root


def _store(objects: dict[str, bytes], kind: str, data: bytes) -> str:
    whole = f"{kind} {len(data)}\0".encode() + data
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    objects[name] = zlib.compress(whole, 1)
    return name


def _tree(objects: dict[str, bytes], entries: Tree) -> bytes:
    return b"".join(line for _, line in sorted(_lines(objects, entries)))


def _lines(objects: dict[str, bytes], entries: Tree) -> Iterator[tuple[bytes, bytes]]:
    """Each entry with what git sorts it by: a folder as if its name ended in a slash."""
    for name, entry in entries.items():
        if isinstance(entry, bytes):
            mode, key, digest = b"100644", name.encode(), _store(objects, "blob", entry)
        else:
            mode, key, digest = b"40000", f"{name}/".encode(), _store(objects, "tree", _tree(objects, entry))
        yield key, mode + b" " + name.encode() + b"\0" + bytes.fromhex(digest)


def _index(files: dict[str, bytes]) -> bytes:
    """A version 2 index without file times: git compares the contents once and then knows."""
    body = struct.pack(">4sII", b"DIRC", 2, len(files))
    for path in sorted(files, key=str.encode):
        content = files[path]
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest()
        entry = struct.pack(">10I", 0, 0, 0, 0, 0, 0, 0o100644, 1000, 1000, len(content)) + digest
        name = path.encode()
        entry += struct.pack(">H", len(name)) + name
        body += entry + bytes(8 - len(entry) % 8)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
