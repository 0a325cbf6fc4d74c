"""What a result depends on, as short texts: equal ones mean that nothing has to be run, or judged, again.

Sources are taken as they are on the disk, so that no version has to be counted up by hand: an edited gateway, decoy or
rule is another one.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from sandbox import events, profiles
from sandbox.backends import Backend
from sandbox.plan import Artifact, Limits, Tools
from sandbox.registries import Registries
from sandbox.store import RunKey
from sandbox.warden import PROGRAM

PLAN_SOURCES = ("ecosystems", "plan.py")
"""What makes an artifact's phases."""
SENSOR_SOURCES = (
    "backends", "bait.py", "containers.py", "decoys", "furniture.py", "gateway", "globs.py", "guest.py",
    "image_tools.py", "images.py", "link.py", "link_stream.py", "locales.py", "machine.py", "observe.py", "persona.py",
    "recorder.py", "repository.py", "side_by_side.py", "streams.py", "toolchain.py", "warden",
)  # fmt: skip
"""What makes the guest, its bait and its internet, and what sees."""
JUDGE_SOURCES = (
    "deviations.py", "discovery.py", "events.py", "facts.py", "globs.py", "judge.py", "lineage.py", "paths.py",
    "placeholders.py", "plaintext.py", "printed.py", "profiles.py", "report.py", "rules", "sheets.py",
)  # fmt: skip
"""What makes a report of a recording."""

_SHORT = 32


def run_key(
    artifact: Artifact,
    *,
    personas: Iterable[str],
    limits: Limits,
    seconds: float,
    registries: Registries,
    tools: Tools,
    backend: Backend,
) -> RunKey:
    """What a run of this artifact, here and now, is known by."""
    return RunKey(
        purl=artifact.purl,
        digest=artifact.digest,
        plan=plan_key(artifact, limits, seconds, registries),
        personas=tuple(sorted(set(personas))),
        guest=guest_key(backend, tools),
        sensors=sensors_key(),
    )


def plan_key(artifact: Artifact, limits: Limits, seconds: float, registries: Registries) -> str:
    """What decides the phases, and what the guest installs from: the same archive is installed in another way from a
    registry than from a file, and other registries may serve other dependencies."""
    npm = [("", registries.npm.url)] if registries.npm else []
    npm += sorted((scope, one.url) for scope, one in registries.npm_scopes.items())
    sources = npm if artifact.ecosystem == "npm" else [one.url for one in registries.pypi]
    what = (artifact.ecosystem, artifact.kind, artifact.spec, artifact.extras)
    return _hashed(what, limits, seconds, sources, source_key(PLAN_SOURCES))


def guest_key(backend: Backend, tools: Tools) -> str:
    """The backend and the package managers, for people to read, and a digest over everything about them. A backend's
    `runtime`, where it has one, is what its containers are made by."""
    have, runtime = tools.toolchain, str(getattr(backend, "runtime", ""))
    versions = {name: getattr(have, f"{name}_version") for name in ("node", "npm", "python", "pip")}
    named = [f"{name} {version}" for name, version in versions.items() if version]
    words = ", ".join(filter(None, [backend.name, runtime, tools.identity[:19], *named]))
    return f"{words} ({_hashed(backend.name, runtime, tools.identity, have, tools.programs, platform.machine())})"


@cache
def sensors_key() -> str:
    """What sees, and what it shows to the package."""
    warden = hashlib.sha256(PROGRAM.read_bytes()).hexdigest() if PROGRAM.is_file() else ""
    personas = _files([profiles.profile_folder() / "personas"], "*.yaml")
    return _hashed(events.FORMAT_VERSION, warden, source_key(SENSOR_SOURCES), _contents(personas))


def judge_key(ecosystem: str, folders: Sequence[Path]) -> str:
    """The rules, what they are built on, and every profile of `folders` that counts for an ecosystem."""
    sheets = []
    for folder in folders:
        names = _files([folder / "base.yaml", folder / f"{ecosystem}.yaml", folder / "packages" / ecosystem], "*.yaml")
        sheets.append([(str(name.relative_to(folder)), digest) for name, digest in _contents(names)])
    return _hashed(ecosystem, sheets, source_key(JUDGE_SOURCES))


@cache
def source_key(names: tuple[str, ...]) -> str:
    """A digest over modules and folders of this package, by name and content."""
    here = Path(__file__).parent
    files = _files([here / name for name in names], "*.py")
    return _hashed([(str(path.relative_to(here)), digest) for path, digest in _contents(files)])


def _files(places: Iterable[Path], pattern: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        found += sorted(place.rglob(pattern)) if place.is_dir() else [place] if place.is_file() else []
    return found


def _contents(files: Iterable[Path]) -> list[tuple[Path, str]]:
    return [(path, _content(path)) for path in files]


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # whoever needs it will say so


def _hashed(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str, order="deterministic")).hexdigest()[:_SHORT]
