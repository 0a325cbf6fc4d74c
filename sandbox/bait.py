"""What a decoy is made of: files, environment, endpoints and stub commands, and the tokens that give a thief away.

Decoys live in `sandbox/decoys/`, one file each, and define `DECOY`, a `Decoy`. Nothing here names a secret that
exists: tokens are drawn fresh for every run from the run's own random source, right in format.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import msgspec

Weight = Literal["high", "medium", "low"]


class Token(msgspec.Struct, frozen=True):
    """One secret that is recognisable when it leaves. `name` is shown in reports ("secret access key"), `value`
    never is. Only values of 12 characters or more, random enough never to occur by chance, may be tokens."""

    decoy: str
    name: str
    value: str


class BaitFile(msgspec.Struct, frozen=True):
    """A file to plant. `path` starts with `~/` (the home), `./` (the project) or `/`. `age` is how old it looks,
    in days. `weight` says how much a stranger's reading of it means on its own."""

    path: str
    content: bytes
    mode: int = 0o600
    age: float = 30.0
    weight: Weight = "high"


class StubCommand(msgspec.Struct, frozen=True):
    """A program placed on PATH that answers plausibly (a POSIX shell script; it must not name baitbox or say that
    it is fake). Running it is seen by the syscall sensor; it needs to record nothing itself."""

    name: str
    script: str


class Endpoint(msgspec.Struct, frozen=True):
    """What the fake world answers for an address or host of this decoy. `hosts` are exact lower-case names or IP
    addresses; `path` is a regular expression matched against the whole path (no query); `method` is exact, or
    empty for any. `ports` empty means any."""

    hosts: tuple[str, ...]
    path: str
    body: bytes
    method: str = ""
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = ()
    telling: bool = True
    """True where asking is itself an `endpoint.asked` event (credentials, accounts), False for small talk."""


class Bait(msgspec.Struct, frozen=True):
    """What one decoy plants in one run."""

    decoy: str
    files: tuple[BaitFile, ...] = ()
    environment: dict[str, str] = {}
    endpoints: tuple[Endpoint, ...] = ()
    commands: tuple[StubCommand, ...] = ()
    tokens: tuple[Token, ...] = ()


class Person(msgspec.Struct, frozen=True):
    """Who the persona pretends to be; decoys write these into their files so that they agree with each other."""

    user: str = "dev"
    name: str = "Jordan Avery"
    email: str = "jordan.avery@northlake.internal"
    host: str = "nl-thinkpad"
    home: str = "/home/dev"
    project: str = "/home/dev/project"
    company: str = "northlake"
    npm_registry: str = ""
    """The npm registry's host and path, as in an .npmrc key, without scheme (set from the host's settings)."""
    pypi_registry: str = ""
    """The PyPI simple index's URL (set from the host's settings)."""


class Draw:
    """The run's source of randomness for tokens: `draw.text(alphabet, n)`, `draw.bytes(n)`.

    Seeded from the operating system in real runs and from a fixed seed in tests.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._random: random.Random = random.SystemRandom() if seed is None else random.Random(seed)

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters drawn evenly from `alphabet`."""
        return "".join(self._random.choices(alphabet, k=length))

    def bytes(self, length: int) -> bytes:
        """`length` random bytes."""
        return bytes(self._random.getrandbits(8) for _ in range(length))

    def number(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return self._random.randint(low, high)


class Decoy(msgspec.Struct, frozen=True):
    """A decoy as its file defines it. `plant` is pure but for `draw`; the `Bait` it returns carries the decoy's
    id (its file name)."""

    title: str
    summary: str
    plant: Callable[[Draw, Person], Bait]
    references: tuple[str, ...] = ()
