"""npm's settings as npm itself would read them: builtin, global, user and project npmrc, then the
environment.

Raw settings only; `sandbox.registries` says what they mean. No program is started: npm's own default registry
is read from the text of its installed files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.pip_settings import read_bounded

Settings = dict[str, tuple[str, str]]

_NPM_DEFAULT = re.compile(r"""["']?\bregistry\b["']?\s*[:,][^{}]*\{\s*default:\s*["'`](https?://[^"'`\s]+)""")


def npm_settings(env: Mapping[str, str], home: Path, project: Path | None, system: Path) -> Settings:
    """Every setting with its source; later sources win, as in npm: builtin, global, user, project,
    environment."""
    given: dict[str, str] = {}
    for name, value in env.items():
        if name.lower().startswith("npm_config_") and value:
            key = name[len("npm_config_") :]
            given[key if key.startswith("//") else key[:1] + key[1:].replace("_", "-").lower()] = value
    user = Path(given.get("userconfig") or home / ".npmrc")
    files = [(path, True) for path in _npm_system_files(env, given, system)]
    files.append((user, True))
    if project is not None:
        own = _npm_project(project) / ".npmrc"
        if not _same(own, user):
            files.append((own, False))
    settings: Settings = {}
    for path, expand_addresses in files:
        for key, value in parse_npmrc(read_bounded(path), env, expand_addresses=expand_addresses).items():
            settings[key] = (value, str(path))
    for key, value in given.items():
        settings[key.lower() if not key.startswith("//") else key] = (value, f"the variable npm_config_{key}")
    return settings


def _npm_system_files(env: Mapping[str, str], given: Mapping[str, str], system: Path) -> Iterable[Path]:
    root = _npm_root(env)
    if root is not None:
        yield root / "npmrc"
    if given.get("globalconfig"):
        yield Path(given["globalconfig"])
        return
    node = shutil.which("node", path=env.get("PATH", ""))
    prefix = (
        given.get("prefix") or env.get("PREFIX") or (node and str(Path(os.path.realpath(node)).parents[1]))
    )
    yield system / "etc" / "npmrc"  # where Debian's npm keeps it
    if prefix:
        yield Path(prefix) / "etc" / "npmrc"


def _npm_project(start: Path) -> Path:
    where = Path(os.path.abspath(start))
    for folder in (where, *where.parents):
        if (folder / "package.json").exists() or (folder / "node_modules").exists():
            return folder
    return where


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def parse_npmrc(text: str, env: Mapping[str, str], *, expand_addresses: bool = True) -> dict[str, str]:
    """The settings of one npmrc. Lines that are no settings are passed over, as npm does. Repeated `ca[]`
    entries are joined by newlines. Never raises."""
    found: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            break  # npm ignores what follows a section heading
        key, equals, value = line.partition("=")
        if not equals or line[0] in ";#":
            continue
        key, value = _unquoted(key.strip()), _unquoted(value.strip())
        if expand_addresses or key.startswith("//"):
            key, value = _expanded(key, env), _expanded(value, env)
        if key.endswith("[]"):
            key = key[:-2]
            value = f"{found[key]}\n{value}" if key in found else value
        found[key] = value
    return found


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        inner = text[1:-1]
        try:
            decoded = json.loads(f'"{inner}"' if text[0] == "'" else text)
        except (ValueError, RecursionError):
            return inner
        return decoded if isinstance(decoded, str) else inner
    plain = re.match(r"(?:\\[;#\\]|[^;#])*", text)
    return re.sub(r"\\([;#\\])", r"\1", plain[0] if plain else text).strip()


def _expanded(text: str, env: Mapping[str, str]) -> str:
    """`${NAME}` by its value; left as it is where there is none, or empty for `${NAME?}`."""

    def value(match: re.Match[str]) -> str:
        return env.get(match[1], "" if match[2] else match[0])

    return re.sub(r"(?<!\\)\$\{([^${}?]+)(\??)\}", value, text)


def _npm_root(env: Mapping[str, str]) -> Path | None:
    """The folder of the installed npm, found from the `npm` on PATH without starting it."""
    program = shutil.which("npm", path=env.get("PATH", ""))
    if program is None:
        return None
    real = Path(os.path.realpath(program))
    candidates = (real.parent.parent, real.parent.parent / "lib" / "node_modules" / "npm")
    return next((path for path in candidates if (path / "package.json").is_file()), None)


def npm_default(env: Mapping[str, str]) -> str:
    """The registry that the installed npm uses when nothing is set; empty where none is found."""
    root = _npm_root(env)
    if root is None:
        return ""
    for base in (root / "node_modules", root.parent, root.parent.parent):
        text = read_bounded(base / "@npmcli" / "config" / "lib" / "definitions" / "definitions.js")
        match = re.search(
            r"""['"]?\bregistry\b['"]?\s*[:,][^{}]*\{\s*default:\s*['"`](https?://[^'"`\s]+)""", text
        )
        if match:
            return match[1]
    return ""
