"""The machine that a guest pretends to be: who works on it, what it looks like, and which bait lies about.

A persona is a YAML file (`profiles/personas/<id>.yaml`), read strictly. Its bait is planted by `plant`; what else a
lived-in machine has comes from `furniture` (the home), `etc_files` and `machine_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from sandbox import discovery, locales
from sandbox import furniture as _furniture
from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person
from sandbox.errors import UsageError
from sandbox.machine import etc_files, machine_files

__all__ = ["Persona", "etc_files", "furniture", "load_personas", "machine_files", "plant", "telling_word"]

TELLING = (
    b"baitbox", b"sandbox", b"fake", b"decoy", b"honey", b"canary", b"mock", b"example", b"dummy", b"test-token",
)  # fmt: skip
"""Words that malware looks for, and that nothing in a guest may contain, not even by chance."""

ATTEMPTS = 20

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+\Z")]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
_Folder = Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9._/-]+\Z")]
_Made = TypeVar("_Made")


class Persona(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One machine and its owner. `memory` is in bytes, `uptime` in seconds; `decoys` names files of the folder."""

    id: _Name
    title: _Text
    decoys: Literal["all"] | tuple[str, ...]
    user: _Name
    name: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f:,\"'\\]+\Z")]
    email: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.]+@[a-z0-9.-]+\Z")]
    company: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]{0,31}\Z")]
    host: _Name
    home: _Folder
    project: _Folder
    locale: _Text
    timezone: _Text
    cpus: Annotated[int, msgspec.Meta(ge=1, le=256)]
    memory: Annotated[int, msgspec.Meta(ge=2**28, le=2**44)]
    uptime: Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    environment: dict[str, str]
    path: tuple[_Folder, ...]

    def person(self, npm_registry: str, pypi_registry: str) -> Person:
        """Who the decoys belong to, and the registries of this run (see `Person`)."""
        return Person(
            user=self.user,
            name=self.name,
            email=self.email,
            host=self.host,
            home=self.home,
            project=self.project,
            company=self.company,
            npm_registry=npm_registry,
            pypi_registry=pypi_registry,
        )

    def at_home(self, known: Collection[str]) -> Persona:
        """This persona where its programs know these locales: it speaks one that works."""
        return msgspec.structs.replace(self, locale=locales.usable(self.locale, known))

    def variables(self) -> dict[str, str]:
        """The whole environment of this user's shell, without what decoys add."""
        own = {"HOME": self.home, "USER": self.user, "LOGNAME": self.user, "PATH": ":".join(self.path)}
        return {**self.environment, **own, "LANG": self.locale, "TZ": self.timezone}


def load_personas(folders: Iterable[Path]) -> dict[str, Persona]:
    """Every persona in these folders by id; a later folder's replaces an earlier one's of the same id.

    Raises UsageError naming the file, and the key's path in it, where one cannot be used as written.
    """
    found: dict[str, Persona] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.yaml")):
            persona = _read(file)
            found[persona.id] = persona
    return found


def plant(persona: Persona, draw: Draw, person: Person) -> list[Bait]:
    """The persona's bait, each decoy's in turn, with fresh tokens."""
    decoys: dict[str, Decoy] = discovery.load("decoys", "DECOY")
    names = decoys if persona.decoys == "all" else persona.decoys

    def one(name: str) -> Bait:
        return _unsuspicious(lambda: decoys[name].plant(draw, person), bait_texts, f"the decoy {name!r}", persona)

    return [one(name) for name in names]


def furniture(persona: Persona, draw: Draw) -> list[BaitFile]:
    """What a lived-in home and project hold besides bait: configuration, documents, sources, of many ages."""
    return _unsuspicious(lambda: _furniture.furniture(persona, draw), file_texts, "the furniture", persona)


def telling_word(texts: Iterable[bytes]) -> str:
    """The first of the TELLING words in `texts`, whatever its case; empty where there is none."""
    everything = b"\n".join(texts).lower()
    return next((word.decode() for word in TELLING if word in everything), "")


def file_texts(files: Iterable[BaitFile]) -> Iterator[bytes]:
    """Everything about files that a guest can see."""
    for file in files:
        yield file.path.encode()
        yield file.content


def bait_texts(bait: Bait) -> Iterator[bytes]:
    """Everything of a bait that a guest can see."""
    yield from file_texts(bait.files)
    for name, value in bait.environment.items():
        yield f"{name}={value}".encode()
    for command in bait.commands:
        yield f"{command.name}\n{command.script}".encode()
    for endpoint in bait.endpoints:
        yield endpoint.body
        yield "\n".join(f"{name}: {value}" for name, value in endpoint.headers).encode()


def _read(file: Path) -> Persona:
    try:
        persona = msgspec.yaml.decode(file.read_bytes(), type=Persona)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the persona {file} cannot be used: {error}") from error
    if persona.id != file.stem:
        raise UsageError(f"the persona {file} cannot be used: its id is {persona.id!r}, not {file.stem!r} - at `$.id`")
    if persona.decoys != "all":
        known = discovery.load("decoys", "DECOY")
        for position, name in enumerate(persona.decoys):
            if name not in known:
                raise UsageError(
                    f"the persona {file} cannot be used: there is no decoy {name!r} - at `$.decoys[{position}]`",
                    "`baitbox decoys` lists those that there are.",
                )
    return persona


def _unsuspicious(
    make: Callable[[], _Made], texts: Callable[[_Made], Iterable[bytes]], what: str, persona: Persona
) -> _Made:
    """What `make` makes, made again while chance puts a telling word into a random part."""
    word = ""
    for _ in range(ATTEMPTS):
        made = make()
        word = telling_word(texts(made))
        if not word:
            return made
    raise UsageError(
        f"the persona {persona.id!r} cannot be used: {what} would contain the word {word!r}",
        "Malware looks for this word; choose other names in the persona.",
    )
