"""What a package says of itself, read from its archive's index: name, version, manifest, entry points. Pure.

Written by whoever wrote the package: every oddity is a ValueError that names the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.archive_index import ArchiveIndex
from sandbox.targets import normalised, valid_npm_name, valid_pypi_name

if TYPE_CHECKING:
    import configparser

_REQUIRED = re.compile(rb"Requires-Dist:\s*([A-Za-z0-9][A-Za-z0-9._-]{0,200})", re.IGNORECASE)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_-]{0,127}")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A package by its own account. `version` is empty where only a build would tell it; `manifest` and
    `files` are as `plan.Artifact` has them."""

    name: str
    version: str
    manifest: dict[str, object]
    files: tuple[str, ...]


def wanted_of_npm(name: str) -> bool:
    """True for the file in an npm package that describes it."""
    return name.count("/") == 1 and name.endswith("/package.json")


def describe_npm(index: ArchiveIndex) -> Described:
    """An npm package file: npm takes the first folder off every name, whatever it is called."""
    found = list(index.contents)
    if not found:
        raise ValueError("it has no package.json")
    if len(found) > 1:
        raise ValueError("it has more than one package.json at its top")
    manifest = read_package_json(index.contents[found[0]])
    files = tuple(name.partition("/")[2] for name in index.names if "/" in name)
    return Described(name=str(manifest["name"]), version=str(manifest["version"]), manifest=manifest, files=files)


def read_package_json(content: bytes) -> dict[str, object]:
    """A package.json with a valid name and a version. Raises ValueError."""
    try:
        manifest = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise ValueError("its package.json is not JSON") from None
    if not isinstance(manifest, dict):
        raise ValueError("its package.json is not an object")
    name, version = manifest.get("name"), manifest.get("version")
    if not isinstance(name, str) or not valid_npm_name(name):
        raise ValueError("its package.json has no valid name")
    if not isinstance(version, str) or not _VERSION.fullmatch(version.strip().lstrip("=v")):
        raise ValueError("its package.json has no valid version")
    return {**manifest, "version": version.strip().lstrip("=v")}


def wanted_of_wheel(name: str) -> bool:
    """True for the files in a wheel that describe it."""
    folder, _, file = name.partition("/")
    return folder.endswith(".dist-info") and file in ("METADATA", "entry_points.txt")


def describe_wheel(index: ArchiveIndex) -> Described:
    """A wheel, by the one `.dist-info` folder that it has."""
    found = [name for name in index.contents if name.endswith("/METADATA")]
    if len(found) != 1:
        raise ValueError("it has no METADATA" if not found else "it has more than one METADATA")
    name, version = _read_metadata(index.contents[found[0]], found[0])
    entry_points = index.contents.get(found[0].removesuffix("METADATA") + "entry_points.txt", b"")
    manifest: dict[str, object] = {
        "names": list(index.names),
        "entry_points": read_entry_points(entry_points),
        "requires": _required(index.contents[found[0]]),
    }
    return Described(name=name, version=version, manifest=manifest, files=index.names)


def _required(metadata: bytes) -> list[str]:
    """The names that a distribution asks for, under whatever condition; bounded, and only what is a name."""
    found: dict[str, None] = {}
    for line in metadata.partition(b"\n\n")[0].splitlines()[:10_000]:
        match = _REQUIRED.match(line)
        if match:
            found[normalised(match[1].decode())] = None
    return list(found)


def wanted_of_sdist(name: str) -> bool:
    """True for the files in a source archive that describe it."""
    _, _, file = name.partition("/")
    return file in ("PKG-INFO", "pyproject.toml", "setup.py", "setup.cfg") or (
        file.count("/") <= 2 and file.endswith(".egg-info/entry_points.txt")
    )


def describe_sdist(index: ArchiveIndex) -> Described:
    """A source archive, without building it: what it says beforehand of itself."""
    tops = {name.partition("/")[0] for name in index.contents}
    if not tops:
        raise ValueError("it has no PKG-INFO, pyproject.toml, setup.py or setup.cfg")
    if len(tops) > 1:
        raise ValueError("it has more than one folder at its top")
    top = tops.pop()
    files = {name.removeprefix(f"{top}/"): content for name, content in index.contents.items()}
    if not files.keys() & {"pyproject.toml", "setup.py", "setup.cfg"}:
        raise ValueError("it has no pyproject.toml, setup.py or setup.cfg, so nothing could build it")
    name, version, entry_points = describe_source(files)
    manifest: dict[str, object] = {"names": list(index.names), "entry_points": entry_points}
    return Described(name=name, version=version, manifest=manifest, files=index.names)


def describe_source(files: Mapping[str, bytes]) -> tuple[str, str, dict[str, dict[str, str]]]:
    """(name, version, entry points) of a source tree, from those of its files that say so; name and version
    are empty where only a build would tell."""
    project = _read_pyproject(files.get("pyproject.toml", b""))
    setup = _read_cfg(files.get("setup.cfg", b""), "setup.cfg")
    metadata = setup["metadata"] if setup.has_section("metadata") else {}
    name = _plain(project.get("name")) or _plain(metadata.get("name"))
    version = _plain(project.get("version")) or _plain(metadata.get("version"))
    if "PKG-INFO" in files:
        name, version = _read_metadata(files["PKG-INFO"], "PKG-INFO")
    if name and not valid_pypi_name(name):
        raise ValueError("it has no valid name")
    points: dict[str, dict[str, str]] = {}
    if isinstance(scripts := project.get("scripts"), dict):
        points["console_scripts"] = {str(key): str(value) for key, value in scripts.items()}
    if "options.entry_points" in setup:
        text = "\n".join(f"[{key}]\n{value}" for key, value in setup["options.entry_points"].items())
        points = {**points, **read_entry_points(text.encode())}
    for file, content in files.items():
        if file.endswith("entry_points.txt"):
            points = {**points, **read_entry_points(content)}
    return name, version if _VERSION.fullmatch(version) else "", points


def read_entry_points(content: bytes) -> dict[str, dict[str, str]]:
    """An entry_points.txt: groups of names and what they start. What pip could not read is empty."""
    try:
        parsed = _read_cfg(content, "entry_points.txt")
    except ValueError:
        return {}
    return {group: dict(parsed[group]) for group in parsed.sections()}


def _read_cfg(content: bytes, file: str) -> configparser.RawConfigParser:
    import configparser  # 8 ms that npm packages do without

    class Parser(configparser.RawConfigParser):
        def optionxform(self, optionstr: str) -> str:
            return optionstr

    parser = Parser(delimiters=("=",), strict=False)
    try:
        parser.read_string(content.decode("utf-8", "replace"))
    except (configparser.Error, AttributeError, ValueError):
        raise ValueError(f"its {file} cannot be read") from None
    return parser


def _read_pyproject(content: bytes) -> dict[str, Any]:
    import tomllib  # 13 ms, likewise

    try:
        parsed = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("its pyproject.toml is not TOML") from None
    project = parsed.get("project")
    return project if isinstance(project, dict) else {}


def _plain(value: object) -> str:
    """A value that stands there as it is: not `attr: ...` or `file: ...`, which only a build follows."""
    return value.strip() if isinstance(value, str) and ":" not in value else ""


def _read_metadata(content: bytes, file: str) -> tuple[str, str]:
    """Name and version from the headers of a METADATA or PKG-INFO file."""
    found: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and key.lower() in ("name", "version"):
            found.setdefault(key.lower(), value.strip())
    name, version = found.get("name", ""), found.get("version", "")
    if not valid_pypi_name(name) or not _VERSION.fullmatch(version):
        raise ValueError(f"its {file.rpartition('/')[2]} has no valid name and version")
    return name, version


def same_release(described: Described, name: str, version: str) -> bool:
    """True where a PyPI file says that it is what its index says it is. One without a version says nothing."""
    from packaging.version import InvalidVersion, Version

    if normalised(described.name) != normalised(name):
        return described.name == ""
    try:
        return not described.version or Version(described.version) == Version(version)
    except InvalidVersion:
        return False
