"""Several packages in one guest, as a lockfile installs them: one file an ecosystem, each defining `BATCH`.

`BATCH(members)` is a `plan.Ecosystem` for all of them together. Pure, like `sandbox/ecosystems`: it says which
commands will run, and starts none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sandbox.events import Member
from sandbox.plan import Artifact, Ecosystem


class Batch(Ecosystem, Protocol):
    """The plan of one batch: an ecosystem that installs and exercises all of its packages."""

    def members(self) -> list[Member]:
        """The packages, as the recording's header lists them."""
        ...

    def words(self) -> frozenset[str]:
        """Addresses and header values that requests for these packages will hold, word for word."""
        ...


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """One package of a batch: what it is, and the address and file name under which the registry has its file."""

    artifact: Artifact
    url: str
    filename: str = ""

    @property
    def key(self) -> str:
        """What tells it from every other: name and version, as a package URL."""
        return self.artifact.purl


class MakesBatch(Protocol):
    """What `BATCH` is: makes the ecosystem of some packages, and says which of them it can install together."""

    def together(self, packed: Sequence[Packed]) -> tuple[list[Packed], list[Packed]]:
        """(those that one installation can hold, those that it cannot)."""
        ...

    def batch(self, packed: Sequence[Packed]) -> Batch:
        """The plan of one batch."""
        ...

    def needed(self, packed: Sequence[Packed], some: Sequence[Packed]) -> list[Packed]:
        """`some`, and whatever of `packed` they depend on: what a smaller batch must hold for them to work."""
        ...
