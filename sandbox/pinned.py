"""Whether a file is one that a lockfile pins, by digests as `algorithm:hex`. Pure but for reading the file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sandbox.errors import TargetError

_STRONGEST_FIRST = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")
_HINT = (
    "somebody changed the lockfile, or the registry gives out another file: compare both with what the author published"
)


def strongest(digests: Sequence[str]) -> tuple[str, ...]:
    """Those in the best algorithm that any of them is in, as npm and pip count them: a weak digest beside a strong one
    proves nothing. Empty where none is in an algorithm that is known."""
    for algorithm in _STRONGEST_FIRST:
        found = tuple(digest.lower() for digest in digests if digest.lower().startswith(f"{algorithm}:"))
        if found:
            return found
    return ()


def comparable(digest: str, pinned: Sequence[str]) -> bool:
    """Whether `digest` is in the algorithm of `pinned`, so that the two can be told apart without the file."""
    return bool(pinned) and digest.partition(":")[0] == pinned[0].partition(":")[0]


def require(path: Path, digests: Sequence[str], known: str, what: str) -> None:
    """Raise TargetError unless the file at `path`, whose digest `known` was checked before, is one that is pinned.
    Nothing is asked where nothing is pinned."""
    pinned = strongest(digests)
    if not digests or known in pinned:
        return
    if not pinned:
        raise TargetError(f"{what}: the lockfile's digest is in no algorithm that is known: {digests[0][:20]}", _HINT)
    algorithm = pinned[0].partition(":")[0]
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    if f"{algorithm}:{actual}" not in pinned:
        raise other_file(what, f"{algorithm}:{actual}", pinned)


def other_file(what: str, actual: str, pinned: Sequence[str]) -> TargetError:
    """The refusal of a file that is not what the lockfile says."""
    wanted = f"{pinned[0][:23]}..." + (f" or {len(pinned) - 1} others" if len(pinned) > 1 else "")
    return TargetError(f"{what} is not what the lockfile says: it has {actual[:23]}..., the lockfile {wanted}", _HINT)
