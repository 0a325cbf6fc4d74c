"""From what was seen to entries of a profile: the narrowest globs, conditions, and the evidence as the `why`."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from sandbox.behaviour import Behaviour
from sandbox.events import Header
from sandbox.facts import Deed
from sandbox.lineage import INTERPRETERS
from sandbox.noise import PLACEHOLDERS
from sandbox.plaintext import escape, shorten
from sandbox.profiles import is_plain_name
from sandbox.report import Evidence
from sandbox.sheets import PROPOSED, VERBS, Expectation, Sheet

_PHASES = ("install", "start", "import", "run", "shell", "linger")
_SPECIAL = re.compile(r"[*{}<>]|[^\x20-\x7e]")
"""What a glob, or a placeholder of profiles, is written with: a hostile name must not become a wildcard. What cannot be
read as it stands must not be allowed by a reader's nod."""
_LONGEST = 300
_MANY_IN_A_FOLDER = 8
"""From so many files on in one folder, the folder is proposed."""
_SHARED = frozenset({
    ".", "~", "/", "~/.config", "~/.cache", "~/.local", "~/.local/share", "~/.local/state", "~/.local/bin", "~/bin",
    "~/.vscode", "./node_modules", "./.venv", "./.git", "./src", "./.github",
})  # fmt: skip
"""Folders that belong to nobody: never proposed whole."""
_NOISE = re.compile("|".join(map(re.escape, PLACEHOLDERS)))
_WORDS_OF_EVIDENCE = 3


class Sighting(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A deed that no profile expects, and where it stands. `recording` numbers the recordings of one proposal."""

    recording: int
    name: str
    deed: Deed
    words: Evidence


Seen = tuple[Behaviour, list[Sighting]]


def problem(deed: Deed, package: str) -> str:
    """Why no entry can be written for a deed; empty where one can."""
    if not is_plain_name(package):
        return "the package's name is no name"
    if not deed.subject or (deed.verb in ("read", "write", "change", "run") and not deed.subject.startswith("/")):
        return "it says no path"
    if deed.kind not in _PHASES:
        return "it happened in no phase"
    program = deed.actor.program.exe if deed.actor.program is not None else ""
    for text in (deed.subject, deed.arguments, program if _is_telling(deed) else ""):
        if _SPECIAL.search(text):
            return "its text has characters that would be a wildcard, or cannot be read: write the entry by hand"
        if len(text) > _LONGEST:
            return f"its text is longer than {_LONGEST} characters: write the entry by hand"
    return ""


def expectations(seen: Sequence[Seen], headers: Sequence[Header]) -> Iterator[Expectation]:
    """Entries for one package: what shares verb, role and conditions stands together."""
    groups: dict[tuple[Any, ...], dict[str, list[Sighting]]] = defaultdict(lambda: defaultdict(list))
    kinds: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for behaviour, sightings in seen:
        same = (behaviour.verb, behaviour.subject, behaviour.by, behaviour.method, behaviour.arguments)
        kinds[same] |= {sighting.deed.kind for sighting in sightings}
    for behaviour, sightings in seen:
        same = (behaviour.verb, behaviour.subject, behaviour.by, behaviour.method, behaviour.arguments)
        deed = sightings[0].deed
        key = (
            VERBS.index(behaviour.verb),
            behaviour.by,
            tuple(kind for kind in _PHASES if kind in kinds[same]),
            _methods(deed),
            (_free(deed.arguments, behaviour.arguments),) if behaviour.verb in ("run", "survive") else (),
            _programs(deed),
            _rare(sightings, headers),
        )
        groups[key][_glob(behaviour)] += sightings
    for key in sorted(groups):
        verb, *conditions, rare = key
        fields: dict[str, Any] = dict(zip(("by", "phases", "methods", "args", "program"), conditions, strict=True))
        fields[VERBS[verb]] = _gathered(VERBS[verb], groups[key], headers)
        yield Expectation(why=_why([one for found in groups[key].values() for one in found], headers, rare), **fields)


def _glob(behaviour: Behaviour) -> str:
    """The glob for a subject: noise is any text within one segment."""
    return _NOISE.sub("*", behaviour.subject)


def _free(raw: str, quiet: str) -> str:
    """The glob for arguments, in which `~/` and `./` mean nothing: home and project may stand anywhere."""
    words = []
    for before, after in zip(raw.split(" "), quiet.split(" "), strict=True):
        absolute = before != after and before.partition("=")[2 if before.startswith("-") else 0].startswith("/")
        glob = _NOISE.sub("*", after)
        words.append(re.sub(r"^((?:--?[\w-]+=)?)[~.](?=/|$)", r"\1*", glob) if absolute else glob)
    return " ".join(words)


def _methods(deed: Deed) -> tuple[str, ...]:
    if deed.verb != "request" or (deed.method in ("GET", "HEAD") and not getattr(deed.event, "body_size", 0)):
        return ()
    return (deed.method,)


def _is_telling(deed: Deed) -> bool:
    """Whether the doer's program narrows anything: an interpreter is whatever it runs, and what a program is itself
    does not say who ran it."""
    program = deed.actor.program
    if program is None or deed.verb in ("run", "survive") or program.name in INTERPRETERS or program.name == "python":
        return False
    return deed.actor.role == "package"


def _programs(deed: Deed) -> tuple[str, ...]:
    if not _is_telling(deed) or deed.actor.program is None:
        return ()
    exe = deed.actor.program.exe
    if not exe.startswith(("/usr/", "/bin/", "/sbin/", "/opt/")):
        exe = "/**/" + "/".join(exe.rsplit("/", 3)[1:])  # below home, which has another name elsewhere
    return exe, f"{exe} **"


def _gathered(verb: str, globs: Mapping[str, list[Sighting]], headers: Sequence[Header]) -> tuple[str, ...]:
    """The globs, many files of one folder as the folder; never one that is everybody's, or in which bait stands."""
    if verb not in ("read", "write", "change"):
        return tuple(sorted(globs))
    folders: dict[str, list[str]] = defaultdict(list)
    for glob in globs:
        folder = posixpath.dirname(glob)
        while folder not in ("", "/", "~", "."):
            folders[folder].append(glob)
            folder = posixpath.dirname(folder)
    baited = {path for header in headers for file in header.planted for path in _above(file.path, header)}
    found = set(globs)
    for folder in sorted(folders, key=lambda folder: (-folder.count("/"), folder)):  # the narrowest first
        inside = [glob for glob in folders[folder] if glob in found]
        own = folder not in _SHARED and folder not in baited and "*" not in folder
        own = own and folder.count("/") >= (1 if folder.startswith(("~", ".")) else 3)
        if own and len(inside) >= _MANY_IN_A_FOLDER:
            found -= set(inside)
            found.add(f"{folder}/**")
    return tuple(sorted(found))


def _above(path: str, header: Header) -> Iterator[str]:
    """A planted file's folders, as profiles write them."""
    folder = posixpath.dirname(path)
    while len(folder) > 1:
        for place, sign in ((header.project, "."), (header.home, "~")):
            if folder == place or folder.startswith(place + "/"):
                yield sign + folder[len(place) :]
                break
        else:
            yield folder
        folder = posixpath.dirname(folder)


def _why(sightings: Sequence[Sighting], headers: Sequence[Header], rare: str) -> str:
    """The evidence: what was seen, how often, in which phases, by which programs, where it stands."""
    times = sum(sighting.deed.count for sighting in sightings)
    where = sorted({sighting.recording for sighting in sightings})
    phases = list(dict.fromkeys(shorten(sighting.deed.phase or "no phase", 60) for sighting in sightings))
    programs = list(dict.fromkeys(sighting.words.program for sighting in sightings if sighting.words.program))
    first = min(sightings, key=lambda sighting: (sighting.recording, sighting.deed.line))
    parts = [
        f"seen {times} time{'s' if times > 1 else ''} in {_few(phases)}",
        f"by {_few(programs)}" if programs else "",
        f"in {len(where)} of {len(headers)} recordings" if len(headers) > 1 else "",
        f"first in line {first.deed.line} of {first.name}: {first.words.text}",
        rare,
    ]
    return f"{PROPOSED} {escape('; '.join(filter(None, parts)))}"


def _rare(sightings: Sequence[Sighting], headers: Sequence[Header]) -> str:
    """Said of what only one of several repeats of the same run showed."""
    where = sorted({sighting.recording for sighting in sightings})
    if len(where) > 1:
        return ""
    one = headers[where[0]]
    same = (one.package, one.version, one.digest, one.persona)
    repeats = sum((other.package, other.version, other.digest, other.persona) == same for other in headers)
    return f"ONLY IN ONE OF {repeats} REPEATS, so it may be chance" if repeats > 1 else ""


def _few(words: Sequence[str]) -> str:
    more = f" and {len(words) - _WORDS_OF_EVIDENCE} more" if len(words) > _WORDS_OF_EVIDENCE else ""
    return ", ".join(words[:_WORDS_OF_EVIDENCE]) + more


def as_yaml(name: str, sheet: Sheet) -> str:
    """A sheet as a file, with what a reviewer must do at its head."""
    head = (
        f"# A proposal for {name}.yaml. It is refused as long as a `why` begins with `{PROPOSED}`: check each entry\n"
        "# against the package's documentation, strike what has no honest reason, and say the reason in its `why`.\n"
    )
    document: dict[str, Any] = {"about": sheet.about, "extends": sheet.extends}
    document["expect"] = [dict(_fields(entry)) for entry in sheet.expect]
    return head + yaml.safe_dump(document, sort_keys=False, width=110, default_flow_style=None)


def _fields(entry: Expectation) -> Iterable[tuple[str, Any]]:
    """An entry's own fields, what is allowed first and the reason last."""
    yield from ((verb, list(entry.globs(verb))) for verb in VERBS if entry.globs(verb))
    yield "by", entry.by
    for name in ("phases", "args", "methods", "program"):
        if getattr(entry, name):
            yield name, list(getattr(entry, name))
    yield "why", entry.why
