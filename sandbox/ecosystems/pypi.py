"""PyPI: pip install, bare interpreter start, import of every top-level module, console scripts, a shell.

See docs/phases.md for what runs, why, and what does not.
"""

from __future__ import annotations

import keyword
import posixpath
import re
from collections.abc import Iterable, Mapping

import msgspec

from sandbox.ecosystems._pypi_rest import MOST_REST, STARTED, main_phases, plugins
from sandbox.ecosystems._pypi_rest import WAIT as WAIT
from sandbox.ecosystems._pypi_rest import rest_phases as rest_phases
from sandbox.errors import TargetError
from sandbox.events import NOT_LOADED
from sandbox.plan import ONLY_LOADED, Artifact, Installed, Phase, Toolchain, shell_phase

MOST_MODULES = 24
MOST_SCRIPTS = 12
BUDGET = 50_000
"""File names of the archive that are looked at."""
_DEEPEST = 4
IMPORT_SECONDS = 45.0
HELP_SECONDS = 10.0
_RUN_SECONDS = 5.0

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_SCRIPT = re.compile(r"[\w.~+][\w.~+-]{0,99}", re.ASCII)
_SUFFIXES = (".py", ".pyc", ".so")
_NOT_PACKAGES = (".dist-info", ".egg-info", ".data", ".libs", ".pth")
_PLANTED = re.compile(r"python[0-9.]*|activate.*", re.ASCII | re.IGNORECASE)
_BESIDE = re.compile(r"tests?|testing|docs?|examples?|benchmarks?|scripts?|setup|conftest", re.IGNORECASE)
"""Top-level names that stand in a distribution by accident: tried, but never what the package is for."""
_VERSIONS = range(8, 21)
"""Minor versions of Python 3 whose site-packages are asked for; only one is there."""

_IMPORT = """\
try:
    import {module}
except Exception:
    import sys, traceback
    traceback.print_exc()
    sys.exit({failed})
{wait}"""

_ACTIVATE = """\
# This file must be used with "source bin/activate" *from bash*
# you cannot run it directly

VIRTUAL_ENV={folder}
export VIRTUAL_ENV
_OLD_VIRTUAL_PATH="$PATH"
PATH="$VIRTUAL_ENV/bin:$PATH"
export PATH
deactivate () {{
    PATH="$_OLD_VIRTUAL_PATH"
    export PATH
    unset VIRTUAL_ENV _OLD_VIRTUAL_PATH
    unset -f deactivate
}}
hash -r 2> /dev/null
"""


class Module(msgspec.Struct, frozen=True):
    """A module to import by its dotted name. `own` is false for what may belong to a dependency."""

    name: str
    own: bool = True


class Pypi:
    """The PyPI ecosystem; see `plan.Ecosystem` for what each method promises."""

    name = "pypi"
    programs: tuple[str, ...] = ("python", "pip")

    def prepare(
        self, artifact: Artifact, tools: Toolchain, home: str, project: str
    ) -> list[tuple[str, bytes]]:
        """The files of a virtual environment, as `python -m venv` writes them; pip stays outside of it."""
        del artifact, home
        folder = f"{project}/.venv"
        lines = [
            f"home = {posixpath.dirname(tools.python)}",
            "include-system-site-packages = false",
            f"version = {tools.python_version}",
            f"executable = {tools.python}",
            f"command = {tools.python} -m venv {folder}",
        ]
        return [
            (f"{folder}/pyvenv.cfg", "".join(f"{line}\n" for line in lines).encode()),
            (f"{folder}/bin/activate", _ACTIVATE.format(folder=folder).encode()),
        ]

    def directories(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[str]:
        """The environment's empty folders."""
        del artifact, home
        short = _short(tools)
        return [f"{project}/.venv/lib/python{short}/site-packages", f"{project}/.venv/include/python{short}"]

    def links(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, str]]:
        """The environment's interpreter, under its three names."""
        del artifact, home
        folder = f"{project}/.venv"
        return [
            (f"{folder}/bin/python", tools.python),
            (f"{folder}/bin/python3", "python"),
            (f"{folder}/bin/python{_short(tools)}", "python"),
            (f"{folder}/lib64", "lib"),
        ]

    def install(self, artifact: Artifact, tools: Toolchain, project: str, seconds: float) -> list[Phase]:
        """`pip install SPEC`: also a source archive is only ever unpacked and built in the guest."""
        spec = _spec(artifact)
        command = [
            f"{project}/.venv/bin/python",
            tools.pip,
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
            "--no-cache-dir",
        ]
        if not artifact.upload and _NAME.fullmatch(artifact.name):
            # The file whose digest we report is the one to run, also where pip would choose another.
            command += {
                "sdist": [f"--no-binary={artifact.name}"],
                "wheel": [f"--only-binary={artifact.name}"],
            }.get(artifact.kind, [])
        return [
            Phase(
                name="install",
                kind="install",
                argv=(*command, spec),
                cwd=project,
                environment=tool_environment(tools, project),
                seconds=seconds,
            )
        ]

    def wanted(self, artifact: Artifact, project: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was installed, and the scripts; folders of other Python versions are not there, and say so."""
        del artifact
        libraries = [f"{project}/.venv/lib/python3.{minor}/site-packages" for minor in _VERSIONS]
        return (*libraries, f"{project}/.venv/bin"), ()

    def exercise(
        self, artifact: Artifact, installed: Installed, tools: Toolchain, project: str, seconds: float
    ) -> tuple[list[Phase], list[str]]:
        """Start Python, import the modules, run the scripts, open a shell."""
        python = f"{project}/.venv/bin/python"
        start = Phase(
            name="start",
            kind="start",
            argv=(python, "-c", WAIT),
            cwd=project,
            environment=tool_environment(tools, project),
            seconds=min(seconds, IMPORT_SECONDS),
        )
        imports, notes = _imports(artifact, installed, start)
        runs, more = run_phases(artifact, installed, start, project)
        inner = "Modules inside the package that it does not import itself are not exercised."
        shell = shell_phase(tools.shell, start, min(seconds, HELP_SECONDS))
        return [start, *imports, *runs, shell], [*notes, *more, inner, ONLY_LOADED]


ECOSYSTEM = Pypi()


def _short(tools: Toolchain) -> str:
    return ".".join(tools.python_version.split(".")[:2])


def _spec(artifact: Artifact) -> str:
    """The requirement with its extras, which a path takes at its end and a name before its version."""
    spec = artifact.spec
    extras = [extra for extra in artifact.extras if _NAME.fullmatch(extra)]
    if extras and "[" not in spec:
        listed = f"[{','.join(extras)}]"
        name = _NAME.match(spec)
        end = len(spec) if name is None else name.end()
        spec = spec[:end] + listed + spec[end:]
    if spec.startswith("-") or not spec.isprintable():
        raise TargetError(f"pip cannot be told to install {artifact.spec!r}")
    return spec


def tool_environment(tools: Toolchain, project: str) -> dict[str, str]:
    folders = [f"{project}/.venv/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    for program in (tools.python, tools.node):
        folder = posixpath.dirname(program)
        if folder and folder not in folders:
            folders.append(folder)
    needed = {name: value for name, value in tools.environment.items() if not name.startswith("npm_")}
    return {"VIRTUAL_ENV": f"{project}/.venv", "PATH": ":".join(folders), **needed}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(artifact: Artifact) -> list[str]:
    """The archive's files, as strings, as far as the budget goes."""
    names = artifact.manifest.get("names")
    listed: Iterable[object] = names if isinstance(names, (list, tuple)) else artifact.files
    return [name for name in list(listed)[:BUDGET] if isinstance(name, str)]


def _is_wheel(artifact: Artifact, names: list[str]) -> bool:
    if artifact.kind in ("sdist", "folder"):
        return False
    return any(name.endswith(".dist-info/WHEEL") and name.count("/") == 1 for name in names)


def _modules_of_wheel(names: list[str]) -> list[Module]:
    """What a wheel puts on the path: packages, modules, extension modules, and those inside namespaces."""
    placed: set[str] = set()
    for name in names:
        top, _, rest = name.partition("/")
        if top.endswith(".data"):
            scheme, _, inside = rest.partition("/")
            if scheme in ("purelib", "platlib"):
                placed.add(inside)
        else:
            placed.add(name)
    children: dict[str, set[str]] = {}
    for name in placed:
        parts = name.split("/")
        for depth in range(min(len(parts), _DEEPEST + 1)):
            is_folder = depth < len(parts) - 1
            children.setdefault("/".join(parts[:depth]), set()).add(parts[depth] + "/" * is_folder)
    found: dict[str, None] = {}
    _descend("", children, 0, found)
    return [Module(name) for name in found]


def _descend(folder: str, children: Mapping[str, set[str]], depth: int, found: dict[str, None]) -> None:
    for child in sorted(children.get(folder, ())):
        name = _module(child)
        if name is None:
            continue
        path = f"{folder}/{name}" if folder else name
        dotted = path.replace("/", ".")
        inside = children.get(path, set()) if child.endswith("/") else set()
        is_namespace = child.endswith("/") and not any(item.startswith("__init__.") for item in inside)
        if is_namespace and depth < _DEEPEST - 1:
            _descend(path, children, depth + 1, found)
        else:
            found[dotted] = None


def _module(entry: str) -> str | None:
    """The module that a file or folder (with a slash at its end) of a library is, or None."""
    name = entry.rstrip("/")
    if entry.endswith("/"):
        if name.endswith(_NOT_PACKAGES):
            return None
    else:
        if not name.endswith(_SUFFIXES):
            return None
        name = name.partition(".")[0]
    return name if _is_module(name) else None


def _is_module(name: str) -> bool:
    sound = name.isidentifier() and name.isprintable() and len(name) <= 100
    return sound and not keyword.iskeyword(name) and name not in ("__pycache__", "__init__", "__main__")


def _modules_installed(installed: Installed, names: list[str]) -> list[Module]:
    """What stands in site-packages after a build. That the target's own come first, its archive's names tell;
    the rest may be dependencies, or made by the build, and is imported as far as the limit goes."""
    listed = [
        entry + "/" * is_folder
        for folder, entries in installed.listings.items()
        if folder.endswith("/site-packages")
        for entry, is_folder in entries[:BUDGET]
    ]
    known = {part for name in names for part in name.split("/")[-_DEEPEST - 2 :]}
    modules: dict[str, Module] = {}
    for entry in sorted(listed):
        name = _module(entry)
        if name is not None:
            own = name in known or f"{name}.py" in known or f"{name}.c" in known or f"{name}.pyx" in known
            modules[name] = Module(name, own)
    return sorted(modules.values(), key=lambda module: not module.own)


class Way(msgspec.Struct, frozen=True):
    """One module to import. It is `required`, or one of those with the same non-empty `either` is."""

    name: str
    required: bool
    either: str = ""


def _is_beside(module: Module) -> bool:
    return bool(_BESIDE.fullmatch(module.name.partition(".")[0]))


def ways_in(artifact: Artifact, installed: Installed) -> tuple[list[Way], list[str], list[str]]:
    """The modules to import, the one named like the distribution first; those that are imported in turn besides
    (what is beyond the limit, and plugins); and what is left out, one sentence each. Each of the first has to load, but
    for those that are not the package's own or stand beside it by accident; where it has no others, one of these has
    to."""
    names = _names(artifact)
    modules = _modules_of_wheel(names) if is_wheel(artifact) else _modules_installed(installed, names)
    same = _plain(artifact.name)
    ordered = sorted(modules, key=lambda module: (_plain(module.name) != same, not module.own))
    kept = ordered[:MOST_MODULES]
    counted = [module for module in kept if _plain(module.name) == same or (module.own and not _is_beside(module))]
    either = "" if counted else f"import:{artifact.name}"
    ways = [Way(module.name, module in counted, either) for module in kept]
    notes = []
    if counted and len(counted) < len(kept):
        others = ", ".join(module.name for module in kept if module not in counted)
        why = "are a dependency's, or made by the build, or stand beside the package"
        notes.append(f"Modules that {why} ({others}): one that raises is not held against it.")
    if len(names) == BUDGET:
        notes.append(f"The package has more than {BUDGET} files: modules among the others are not imported.")
    if not kept:
        notes.append("The package has no module to import: nothing is imported.")
    more = [module.name for module in ordered[MOST_MODULES:] if module.own]
    known = {way.name for way in ways}
    every = list(dict.fromkeys(name for name in (*plugins(artifact.manifest), *more) if name not in known))
    rest = every[:MOST_REST]
    if rest:
        why = f"beyond the first {MOST_MODULES}, or plugins of other programs"
        notes.append(f"{len(rest)} more modules ({why}) are imported in one process, and need not load.")
    left = len(ordered) - len(kept) - len(more) + len(every) - len(rest)
    if left:
        notes.append(f"{left} more modules are not imported: there are limits.")
    return ways, rest, notes


def _imports(artifact: Artifact, installed: Installed, start: Phase) -> tuple[list[Phase], list[str]]:
    """A fresh Python for every top-level module, and one for the rest."""
    ways, rest, notes = ways_in(artifact, installed)
    phases = [
        msgspec.structs.replace(
            start,
            name=f"import:{way.name}",
            kind="import",
            argv=(start.argv[0], "-c", _IMPORT.format(module=way.name, failed=NOT_LOADED, wait=WAIT)),
            required=way.required,
            either=way.either,
        )
        for way in ways
    ]
    return phases + rest_phases(artifact.name, rest, start), notes


def is_wheel(artifact: Artifact) -> bool:
    """Whether it is installed as it is, without a build."""
    return _is_wheel(artifact, _names(artifact))


def _entry_points(artifact: Artifact, group: str) -> list[str]:
    groups = artifact.manifest.get("entry_points")
    entries = groups.get(group) if isinstance(groups, dict) else None
    listed: Iterable[object] = entries if isinstance(entries, (dict, list, tuple)) else ()
    return [str(entry).partition("=")[0].strip() for entry in list(listed)[:BUDGET]]


def _scripts(artifact: Artifact, installed: Installed, project: str) -> list[str]:
    """The programs that installing the package put beside Python: declared ones, a wheel's own scripts; where
    neither is known (a source archive), all that are there."""
    names = _names(artifact)
    present = installed.listings.get(f"{project}/.venv/bin", ())
    new = sorted(name for name, is_folder in present if not is_folder and not _PLANTED.fullmatch(name))
    declared = [name for group in STARTED for name in _entry_points(artifact, group)]
    for name in names:
        parts = name.split("/")
        if len(parts) == 3 and parts[0].endswith(".data") and parts[1] == "scripts":
            declared.append(parts[2])
    if not declared and not _is_wheel(artifact, names):
        declared = new
    return list(dict.fromkeys(declared))


def run_phases(
    artifact: Artifact, installed: Installed, base: Phase, project: str
) -> tuple[list[Phase], list[str]]:
    """Each console script with `--help`, then without arguments; either may go on until it is stopped."""
    scripts = _scripts(artifact, installed, project)
    present = {name for name, _ in installed.listings.get(f"{project}/.venv/bin", ())}
    sound = [name for name in scripts if _SCRIPT.fullmatch(name) and name not in (".", "..")]
    kept = [name for name in sound if not present or name in present][:MOST_SCRIPTS]
    phases = []
    for name in kept:
        for arguments, limit in ((("--help",), HELP_SECONDS), ((), _RUN_SECONDS)):
            phases.append(
                msgspec.structs.replace(
                    base,
                    name=" ".join((f"run:{name}", *arguments)),
                    kind="run",
                    argv=(f"{project}/.venv/bin/{name}", *arguments),
                    seconds=min(base.seconds, limit),
                    required=False,
                    open_ended=True,
                )
            )
    names = _names(artifact)
    modules = _modules_of_wheel(names) if _is_wheel(artifact, names) else _modules_installed(installed, names)
    more, notes = main_phases([module.name for module in modules if module.own], names, base, HELP_SECONDS)
    phases += more
    if len(scripts) > len(kept):
        why = f"beyond the first {MOST_SCRIPTS}, not installed, or of an unusual name"
        notes.append(f"{len(scripts) - len(kept)} of the package's scripts are not run: {why}.")
    return phases, notes
