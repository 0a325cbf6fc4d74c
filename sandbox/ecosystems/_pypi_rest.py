"""What of a distribution has no phase of its own: modules beyond the limit, plugins, and `python -m`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sandbox.events import ALL_TRIED
from sandbox.plan import Phase

MOST_REST = 400
MOST_MAINS = 6
_MANY = 5_000
STARTED = ("console_scripts", "gui_scripts")
"""Groups whose entries are programs, which are run."""

PATIENCE = 10
"""Seconds that threads get which were started by an import and would end with the process. In the program that uses
the package they live on."""
WAIT = f"""\
import _thread, time
late = time.monotonic() + {PATIENCE}
while _thread._count() and time.monotonic() < late:
    time.sleep(0.05)
"""

_LOAD = """\
import importlib, sys, time, traceback
until = time.monotonic() + 30
for name in {names}:
    if time.monotonic() > until:
        sys.exit(1)
    try:
        importlib.import_module(name)
    except BaseException:
        traceback.print_exc()
{wait}sys.exit({complete})
"""


def rest_phases(name: str, modules: Sequence[str], start: Phase) -> list[Phase]:
    """One process that imports modules in turn, whatever they raise, and says that it came to the last; none where
    there are no modules."""
    if not modules:
        return []
    code = _LOAD.format(names=list(modules), complete=ALL_TRIED, wait=WAIT)
    argv = (start.argv[0], "-c", code)
    return [
        msgspec.structs.replace(start, name=f"import:{name} (others)", kind="import", argv=argv, complete=ALL_TRIED)
    ]


def plugins(manifest: Mapping[str, object]) -> list[str]:
    """The modules that other programs load because the distribution says so: its entry points, but for programs."""
    groups = manifest.get("entry_points")
    found: dict[str, None] = {}
    for group, entries in list(groups.items())[:_MANY] if isinstance(groups, dict) else ():
        if group in STARTED:
            continue
        values: Iterable[object] = ()
        if isinstance(entries, dict):
            values = list(entries.values())[:_MANY]
        elif isinstance(entries, (list, tuple)):
            values = [str(entry).partition("=")[2] for entry in entries[:_MANY]]
        for value in values:
            module = str(value).partition(":")[0].partition("[")[0].strip()
            if len(module) <= 200 and module.isascii() and all(part.isidentifier() for part in module.split(".")):
                found[module] = None
    return list(found)


def mains(modules: Iterable[str], names: Iterable[str]) -> list[str]:
    """The packages among `modules` that can be run with `python -m`, by the archive's file names."""
    ends = "/__main__.py"
    folders = {name.removesuffix(ends) for name in names if name.endswith(ends)}
    parts = {"/".join(folder.split("/")[-depth:]) for folder in folders for depth in range(1, 6)}
    return [module for module in modules if module.replace(".", "/") in parts]


def main_phases(
    modules: Iterable[str], names: Iterable[str], base: Phase, seconds: float
) -> tuple[list[Phase], list[str]]:
    """`python -m MODULE --help` for the first that can be run so; and what is left out."""
    found = mains(modules, names)
    phases = [
        msgspec.structs.replace(
            base,
            name=f"run:python -m {module} --help",
            kind="run",
            argv=(base.argv[0], "-m", module, "--help"),
            seconds=min(base.seconds, seconds),
            required=False,
            open_ended=True,
        )
        for module in found[:MOST_MAINS]
    ]
    over = len(found) - MOST_MAINS
    return phases, [f"{over} packages are not run with `python -m`: at most {MOST_MAINS} are."] if over > 0 else []
