"""Finds the package managers on this host that a native guest will see, read-only, and where it sees them.

The guest has the host's /usr (without /usr/local) at its own place. A tool that lives elsewhere, such as a
Python under a version manager in somebody's home, is mounted piece by piece at a neutral place: never a whole
prefix, which could be somebody's ~/.local with more than the tool in it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from sandbox import interpreter, locales, process
from sandbox.errors import BackendError
from sandbox.plan import Toolchain

GUEST_NODE = "/opt/node"
GUEST_PYTHON = "/opt/python"
GUEST_PIP = "/opt/pip/pip"
COMPANIONS = ("bash", "curl", "g++", "gcc", "git", "make", "pkg-config", "tar", "wget")
"""Programs that packages call while they install; used where the host has them in /usr."""

_FORMAT = 1
_KEPT = 8
_HINTS = {
    "node": "install Node.js, for example: sudo apt-get install nodejs npm",
    "npm": "install npm, for example: sudo apt-get install npm",
    "python": "run baitbox from a CPython 3.11 or newer, or name one in the settings",
    "pip": "install pip beside baitbox: python -m pip install pip, or sudo apt-get install python3-pip",
}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Node as it describes itself: the program behind any shim, and its version."""

    executable: str
    version: str


class Python(msgspec.Struct, frozen=True, kw_only=True):
    """A base interpreter by its real paths on the host; see `interpreter.describe`."""

    implementation: str
    version: str
    executable: str
    prefix: str
    stdlib: str
    include: str
    library: str
    packages: tuple[str, ...]
    tags: tuple[str, ...]


_Facts = TypeVar("_Facts", Node, Python)


class HostTools(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What was found. Empty strings and None for what was not; `problems` says why, by program."""

    node: Node | None = None
    headers: str = ""
    """The host's `include/node` of this very node, or empty: native addons then cannot be built."""
    npm: str = ""
    npm_version: str = ""
    python: Python | None = None
    pip: str = ""
    pip_version: str = ""
    programs: tuple[str, ...] = ()
    """Those of COMPANIONS that the guest will have."""
    locales: tuple[str, ...] = ()
    problems: dict[str, str] = {}

    def require(self, programs: Iterable[str]) -> None:
        """Raise BackendError, with what to install, for the first of `programs` (node, npm, python, pip) that
        is missing."""
        present = {"node": self.node, "npm": self.npm, "python": self.python, "pip": self.pip}
        for program in programs:
            if not present.get(program):
                reason = self.problems.get(program, f"{program} is not installed")
                raise BackendError(f"the guest needs {program}: {reason}", _HINTS.get(program, ""))

    @property
    def identity(self) -> str:
        """See `plan.Tools.identity`."""
        return ""

    @cached_property
    def mounts(self) -> list[tuple[str, str]]:
        """(host path, guest path) of every file and folder to bind read-only besides /usr, parents first."""
        found: list[tuple[str, str]] = []
        if self.node is not None and not _is_shared(self.node.executable):
            found.append((self.node.executable, f"{GUEST_NODE}/bin/node"))
            if self.headers:
                found.append((self.headers, f"{GUEST_NODE}/include/node"))
        if self.npm and not _is_shared(self.npm):
            found.append((self.npm, f"{GUEST_NODE}/lib/node_modules/npm"))
        if self.python is not None:
            found += _python_mounts(self.python)
        if self.pip:
            found.append((self.pip, GUEST_PIP))
        return found

    @cached_property
    def links(self) -> list[tuple[str, str]]:
        """(guest path, target) of the symbolic links that give mounted tools their usual names."""
        found: list[tuple[str, str]] = []
        if self.npm and not _is_shared(self.npm):
            folder = "../lib/node_modules/npm/bin"
            found += [(f"{GUEST_NODE}/bin/{name}", f"{folder}/{name}-cli.js") for name in ("npm", "npx")]
        if self.python is not None and not _is_shared(self.python.executable):
            program = os.path.basename(self.python.executable)
            names = {"python3", "python"} - {program}
            found += [(f"{GUEST_PYTHON}/bin/{name}", program) for name in sorted(names)]
        return found

    @cached_property
    def masks(self) -> list[str]:
        """Guest directories to cover with empty ones: they hold the host's own packages or settings."""
        found: list[str] = []
        if self.python is not None:
            seen = "/usr/" if _is_shared(self.python.executable) else f"{GUEST_PYTHON}/lib/"
            inside = [_in_python(self.python, path) for path in self.python.packages]
            found += [path for path in inside if path.startswith(seen)]
        if os.path.isdir("/usr/etc"):
            found.append("/usr/etc")  # the global npmrc of a node in /usr/bin: it may hold a credential
        return found

    @cached_property
    def blanks(self) -> list[str]:
        """Guest files to cover with an empty one: npm's built-in npmrc, where the host has written to it."""
        return [f"{self._guest_npm}/npmrc"] if self.npm and os.path.isfile(f"{self.npm}/npmrc") else []

    @cached_property
    def bundles(self) -> list[str]:
        """Guest files of certificate authorities that tools bring along; the run's bundle goes over them."""
        path = "_vendor/certifi/cacert.pem"
        return [f"{GUEST_PIP}/{path}"] if self.pip and os.path.isfile(f"{self.pip}/{path}") else []

    @property
    def _guest_npm(self) -> str:
        return self.npm if _is_shared(self.npm) else f"{GUEST_NODE}/lib/node_modules/npm"

    @cached_property
    def toolchain(self) -> Toolchain:
        """The same tools as the guest sees them."""
        environment: dict[str, str] = {}
        node = python = ""
        if self.node is not None:
            shared = _is_shared(self.node.executable)
            node = self.node.executable if shared else f"{GUEST_NODE}/bin/node"
            if self.headers:
                prefix = os.path.dirname(os.path.dirname(self.headers)) if shared else GUEST_NODE
                environment["npm_config_nodedir"] = prefix
        if self.python is not None:
            python = _in_python(self.python, self.python.executable)
            if self.python.library and not _is_shared(self.python.library):
                # Its run path names the prefix that it was built for, which the guest does not have.
                environment["LD_LIBRARY_PATH"] = f"{GUEST_PYTHON}/lib"
        return Toolchain(
            node=node,
            node_version=self.node.version if self.node is not None else "",
            npm_cli=f"{self._guest_npm}/bin/npm-cli.js" if self.npm else "",
            npm_version=self.npm_version,
            python=python,
            python_version=self.python.version if self.python is not None else "",
            pip=f"{GUEST_PIP}/__pip-runner__.py" if self.pip else "",
            pip_version=self.pip_version,
            locales=self.locales,
            tags=self.python.tags if self.python is not None else (),
            environment=environment,
        )


def find(search_path: str | None = None, python: str = "", cache: Path | None = None) -> HostTools:
    """Find the tools: node and npm on `search_path` (default: PATH), and `python` (default: baitbox's own
    base interpreter). What a program says of itself is remembered in `cache` until the program changes."""
    path = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    memory = _Memory(_cache_file() if cache is None else cache)
    problems: dict[str, str] = {}
    node = _find_node(path, memory, problems)
    npm, npm_version = _find_npm(path, node)
    found_python = _find_python(python, memory, problems)
    pip, pip_version = _find_pip(problems)
    memory.save()
    return HostTools(
        node=node,
        headers=_find_headers(node),
        npm=npm,
        npm_version=npm_version,
        python=found_python,
        pip=pip,
        pip_version=pip_version,
        programs=tuple(name for name in COMPANIONS if shutil.which(name, path="/usr/bin:/bin")),
        locales=locales.on_this_machine(),
        problems=problems,
    )


def _is_shared(path: str) -> bool:
    """Whether the guest sees this host path at the same place."""
    return path.startswith("/usr/") and not path.startswith("/usr/local/")


def _python_mounts(python: Python) -> list[tuple[str, str]]:
    if _is_shared(python.executable):
        return []
    if os.path.isdir(os.path.join(python.prefix, "conda-meta")):
        # Its modules find their libraries beside them; such a prefix holds nothing but what conda put there.
        pieces = [python.executable, os.path.join(python.prefix, "lib"), python.include]
    else:
        beside = sorted(Path(python.prefix, "lib").glob("t[ck]l*")) + sorted(
            Path(python.prefix, "lib").glob("libt[ck]l*.so*")
        )
        pieces = [python.executable, python.stdlib, python.include, *map(str, beside)]
        if python.library:
            pieces.append(python.library)
    return [(piece, _in_python(python, piece)) for piece in pieces if os.path.exists(piece)]


def _in_python(python: Python, path: str) -> str:
    """Where the guest sees a path of this Python's prefix."""
    if _is_shared(python.executable):
        return path
    if path == python.library:
        return f"{GUEST_PYTHON}/lib/{os.path.basename(path)}"
    inside = os.path.relpath(path, python.prefix)
    if inside.startswith(".."):
        return f"{GUEST_PYTHON}/bin/{os.path.basename(path)}"
    return f"{GUEST_PYTHON}/{inside}"


def _find_node(path: str, memory: _Memory, problems: dict[str, str]) -> Node | None:
    program = shutil.which("node", path=path) or shutil.which("nodejs", path=path)
    if program is None:
        problems["node"] = "no program called node is on PATH"
        return None
    known = memory.recall(program, Node)
    if known is not None and os.access(known.executable, os.X_OK):
        return known
    script = "JSON.stringify({executable: process.execPath, version: process.versions.node})"
    facts = _ask([program, "-p", script], "node", problems)
    try:
        node = msgspec.json.decode(facts, type=Node)
    except (msgspec.DecodeError, msgspec.ValidationError):
        problems.setdefault("node", f"{program} does not answer as Node.js does")
        return None
    node = Node(executable=os.path.realpath(node.executable), version=node.version)
    memory.remember(program, node)
    return node


def _find_npm(path: str, node: Node | None) -> tuple[str, str]:
    """npm's package folder and version: the one on PATH, else the one that came with node, else Debian's."""
    places: list[Path] = []
    program = shutil.which("npm", path=path)
    if program is not None:
        places.append(Path(os.path.realpath(program)).parent.parent)
    if node is not None:
        places.append(Path(node.executable).parent.parent / "lib/node_modules/npm")
        places.append(Path("/usr/share/nodejs/npm"))
    for place in places:
        try:
            manifest = json.loads((place / "package.json").read_bytes())
            if manifest["name"] == "npm" and (place / "bin/npm-cli.js").is_file():
                return str(place.resolve()), str(manifest["version"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return "", ""


def _find_headers(node: Node | None) -> str:
    """`include/node` of this very version, as node-gyp wants it; other headers build addons that crash."""
    if node is None:
        return ""
    folder = Path(node.executable).parent.parent / "include/node"
    try:
        text = (folder / "node_version.h").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = [re.search(rf"#define NODE_{part}_VERSION (\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    version = ".".join(match.group(1) for match in found if match is not None)
    complete = (folder / "node_api.h").is_file() and (folder / "common.gypi").is_file()
    return str(folder.resolve()) if complete and version == node.version else ""


def _find_python(python: str, memory: _Memory, problems: dict[str, str]) -> Python | None:
    program = python or getattr(sys, "_base_executable", "") or sys.executable
    if not os.path.isfile(program):
        problems["python"] = f"there is no program {program}"
        return None
    found = memory.recall(program, Python)
    if found is None or not os.access(found.executable, os.X_OK):
        facts = _ask_python(program, problems) if python else msgspec.json.encode(interpreter.describe())
        try:
            found = msgspec.json.decode(facts, type=Python)
        except (msgspec.DecodeError, msgspec.ValidationError):
            problems.setdefault("python", f"{program} does not answer as Python does")
            return None
        memory.remember(program, found)
    if found.implementation != "cpython":
        problems["python"] = f"{program} is {found.implementation}, not CPython"
        return None
    return found


def _ask_python(program: str, problems: dict[str, str]) -> bytes:
    packaging = importlib.util.find_spec("packaging")
    origin = packaging.origin if packaging is not None else None
    folder = str(Path(origin).parent.parent) if origin else ""
    return _ask([program, "-I", interpreter.__file__, folder], "python", problems)


def _ask(argv: list[str], name: str, problems: dict[str, str]) -> bytes:
    """What a trusted program says of itself, or nothing and an entry in `problems`."""
    env = {key: value for key, value in os.environ.items() if key not in ("NODE_OPTIONS", "PYTHONPATH")}
    try:
        done = process.run(argv, timeout=20, env=env)
    except OSError as error:
        problems[name] = f"{argv[0]} cannot be started: {error.strerror}"
        return b""
    if done.code != 0:
        problems[name] = f"{argv[0]} {'took too long' if done.timed_out else f'ended with code {done.code}'}"
        return b""
    return done.stdout


def _find_pip(problems: dict[str, str]) -> tuple[str, str]:
    """The folder of the pip that is installed beside baitbox, and its version; found without importing it."""
    spec = importlib.util.find_spec("pip")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    if folder is None or not (folder / "__pip-runner__.py").is_file():
        problems["pip"] = "no pip 22.3 or newer is installed beside baitbox"
        return "", ""
    text = (folder / "__init__.py").read_text(encoding="utf-8", errors="replace")
    version = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    return str(folder.resolve()), version.group(1) if version is not None else ""


def _cache_file() -> Path:
    from sandbox.settings import default_cache

    return default_cache() / "toolchain.json"


class _Memory:
    """What programs said of themselves, by path, modification time and size. A memory that cannot be read or
    written is no memory: it costs the time of asking again, and never fails a run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed = False
        self._facts: dict[str, msgspec.Raw] = {}
        try:
            facts = msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw])
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return
        self._facts = dict(list(facts.items())[-_KEPT:])

    def _key(self, program: str) -> str:
        real = os.path.realpath(program)
        stat = os.stat(real)
        try:
            libc = os.confstr("CS_GNU_LIBC_VERSION")  # wheel tags hang on it
        except (OSError, ValueError):
            libc = ""
        return f"{_FORMAT}|{program}|{real}|{stat.st_mtime_ns}|{stat.st_size}|{libc}"

    def recall(self, program: str, kind: type[_Facts]) -> _Facts | None:
        """What is remembered of a program as it is now, or None."""
        try:
            return msgspec.json.decode(self._facts[self._key(program)], type=kind)
        except (OSError, KeyError, msgspec.DecodeError, msgspec.ValidationError):
            return None

    def remember(self, program: str, facts: Node | Python) -> None:
        self._facts[self._key(program)] = msgspec.Raw(msgspec.json.encode(facts))
        self._changed = True

    def save(self) -> None:
        """Write what is new, whole or not at all."""
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".toolchain-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(self._facts))
                os.replace(name, self._file)
            except OSError:
                os.unlink(name)
        except OSError:
            return
