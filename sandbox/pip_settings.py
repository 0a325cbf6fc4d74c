"""pip's settings as pip itself would read them: its files in their order, then its environment; and netrc.

Raw settings only; `sandbox.registries` says what they mean. pip is never started or imported: its own default
index is read from the text of its installed files.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

Settings = dict[str, tuple[str, str]]

_LARGEST_FILE = 1024 * 1024
_PIP_DEFAULT = re.compile(
    r"""^PyPI\s*=\s*PackageIndex\(\s*["'](https?://[^"']+)["']\s*,\s*file_storage_domain=["']([^"']+)""",
    re.MULTILINE,
)


def read_bounded(path: Path) -> str:
    """A settings file's text; empty where it is missing, unreadable or absurdly large."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return ""
        return path.read_text("utf-8", errors="replace").removeprefix("\ufeff")
    except (OSError, ValueError):
        return ""


def pip_settings(
    env: Mapping[str, str], home: Path, system: Path, problems: dict[str, str]
) -> dict[str, tuple[str, str]]:
    """pip's settings with their sources: files in pip's order, [install] over [global], variables over both.
    """
    by_section: dict[str, dict[str, tuple[str, str]]] = {"global": {}, "install": {}}
    for path in _pip_files(env, home, system):
        text = read_bounded(path)
        if not text:
            continue
        import configparser  # here, because most hosts have no such file

        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            problems["pypi"] = f"pip's settings in {path} cannot be read"
            continue
        for section, values in by_section.items():
            if parser.has_section(section):
                values.update(
                    {
                        key.replace("_", "-"): (value, str(path))
                        for key, value in parser.items(section)
                        if value
                    }
                )
    settings = {**by_section["global"], **by_section["install"]}
    for name, value in env.items():
        if name.startswith("PIP_") and value:
            settings[name[4:].lower().replace("_", "-")] = (value, f"the variable {name}")
    return settings


def _pip_files(env: Mapping[str, str], home: Path, system: Path) -> list[Path]:
    named = env.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    shared = [Path(base) / "pip/pip.conf" for base in env.get("XDG_CONFIG_DIRS", "").split(":") if base]
    files = [*(shared or [system / "etc/xdg/pip/pip.conf"]), system / "etc/pip.conf"]
    if not (named and os.path.exists(named)):
        configured = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
        files += [home / ".pip/pip.conf", configured / "pip/pip.conf"]
    files.append(Path(env.get("VIRTUAL_ENV") or sys.prefix) / "pip.conf")
    return [*files, Path(named)] if named else files


def pip_default() -> tuple[str, tuple[str, ...]]:
    """pip's default index and the host of its files, as its installed source says."""
    from importlib.util import find_spec

    spec = find_spec("pip")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        text = read_bounded(Path(folder) / "_internal" / "models" / "index.py")
        match = _PIP_DEFAULT.search(text)
        if match:
            return match[1].rstrip("/") + "/simple/", (match[2],)
    return "", ()


def netrc_logins(env: Mapping[str, str], home: Path) -> list[tuple[str, str, str]]:
    """(host, login, password) of every machine in the netrc file; none where pip would pass over the file."""
    named = env.get("NETRC")
    paths = [Path(named)] if named else [home / ".netrc", home / "_netrc"]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return []
    import netrc  # here, because most hosts have no such file

    try:
        hosts = netrc.netrc(str(path)).hosts
    except (netrc.NetrcParseError, OSError, ValueError):
        return []
    return [
        (host, login, password or "")
        for host, (login, _, password) in hosts.items()
        if host != "default" and host.isprintable()
    ]
