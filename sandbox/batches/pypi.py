"""PyPI: one `pip install` of exactly the files that the lockfile has, then each package in one process.

Only wheels are installed together. A source archive runs its own code while it is being built, in the same process
tree as every other's; it is checked alone. See docs/scan.md.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

import msgspec

from sandbox.batches import Packed
from sandbox.ecosystems import pypi
from sandbox.events import ALL_TRIED, NOT_LOADED, Member
from sandbox.plan import Artifact, Installed, Phase, Toolchain, shell_phase
from sandbox.targets import normalised

_STARTS = re.compile(r"[^/]+\.pth|(?:site|user)customize(?:\.py|/__init__\.py|\..*\.so)", re.IGNORECASE)

_LOAD = """\
import importlib, sys, traceback
loaded = set()
for name, group in {listed}:
    try:
        importlib.import_module(name)
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
        continue
    loaded.add(group)
{wait}sys.exit({complete} if loaded >= {wanted} else {failed})
"""


class PypiBatch:
    """Several wheels in one virtual environment; see `plan.Ecosystem` for what each method promises."""

    name = "pypi"
    programs: tuple[str, ...] = ("python", "pip")

    def __init__(self, packed: Sequence[Packed]) -> None:
        self._packed = list(packed)

    def members(self) -> list[Member]:
        """The packages, as the recording's header lists them."""
        found = []
        for artifact in (packed.artifact for packed in self._packed):
            placed = _placed(artifact)
            tops = tuple(dict.fromkeys(name.partition("/")[0] for name in placed))
            starts = tuple(name for name in placed if _STARTS.fullmatch(name))
            found.append(
                Member(
                    name=artifact.name, version=artifact.version, purl=artifact.purl, target=artifact.target,
                    digest=artifact.digest, tops=tops[:1000], starts=starts[:100],
                )
            )  # fmt: skip
        return found

    def words(self) -> frozenset[str]:
        """Where the files are."""
        return frozenset(packed.url for packed in self._packed)

    def prepare(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, bytes]]:
        """The virtual environment, and the requirements with the digest of the one file that may answer each."""
        lines = []
        for one in (packed.artifact for packed in self._packed):
            algorithm, _, value = one.digest.partition(":")
            lines.append(f"{one.name}=={one.version} --hash={algorithm}:{value}\n")
        made = pypi.ECOSYSTEM.prepare(artifact, tools, home, project)
        return [*made, (f"{project}/requirements.txt", "".join(lines).encode())]

    def directories(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[str]:
        """The environment's folders."""
        return pypi.ECOSYSTEM.directories(artifact, tools, home, project)

    def links(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, str]]:
        """The environment's interpreter."""
        return pypi.ECOSYSTEM.links(artifact, tools, home, project)

    def install(self, artifact: Artifact, tools: Toolchain, project: str, seconds: float) -> list[Phase]:
        """`pip install` with digests, of wheels, without looking for what they depend on: the lockfile has it."""
        del artifact
        command = (
            f"{project}/.venv/bin/python", tools.pip, "install", "--no-input", "--disable-pip-version-check",
            "--progress-bar=off", "--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary=:all:",
            "-r", "requirements.txt",
        )  # fmt: skip
        environment = pypi.tool_environment(tools, project)
        return [
            Phase(name="install", kind="install", argv=command, cwd=project, environment=environment, seconds=seconds)
        ]

    def wanted(self, artifact: Artifact, project: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The programs that were put beside Python."""
        del artifact
        return (f"{project}/.venv/bin",), ()

    def exercise(
        self, artifact: Artifact, installed: Installed, tools: Toolchain, project: str, seconds: float
    ) -> tuple[list[Phase], list[str]]:
        """A bare start of Python, which is everybody's; for each package its modules in one process, and its programs;
        at last a shell."""
        del artifact
        start = Phase(
            name="start",
            kind="start",
            argv=(f"{project}/.venv/bin/python", "-c", pypi.WAIT),
            cwd=project,
            environment=pypi.tool_environment(tools, project),
            seconds=min(seconds, pypi.IMPORT_SECONDS),
        )
        phases = [start]
        for one in (packed.artifact for packed in self._packed):
            own = msgspec.structs.replace(start, package=one.name, version=one.version)
            phases += _exercise(one, installed, own, project)
        return [*phases, shell_phase(tools.shell, start, min(seconds, pypi.HELP_SECONDS))], []


class _Batch:
    """See `batches.MakesBatch`."""

    def together(self, packed: Sequence[Packed]) -> tuple[list[Packed], list[Packed]]:
        """Wheels, one version of each project: an environment holds no two."""
        held: dict[str, Packed] = {}
        left: list[Packed] = []
        for one in packed:
            name = normalised(one.artifact.name)
            if name in held or not pypi.is_wheel(one.artifact):
                left.append(one)
            else:
                held[name] = one
        return list(held.values()), left

    def batch(self, packed: Sequence[Packed]) -> PypiBatch:
        """The plan of one batch."""
        return PypiBatch(packed)

    def needed(self, packed: Sequence[Packed], some: Sequence[Packed]) -> list[Packed]:
        """`some` and all that their metadata ask for, in the order of `packed`."""
        by_name = {normalised(one.artifact.name): one for one in packed}
        pending, held = [normalised(one.artifact.name) for one in some], set()
        while pending:
            name = pending.pop()
            if name in held or name not in by_name:
                continue
            held.add(name)
            requires = by_name[name].artifact.manifest.get("requires")
            pending += [str(other) for other in requires] if isinstance(requires, list) else []
        return [one for one in packed if normalised(one.artifact.name) in held]


BATCH = _Batch()


def _placed(artifact: Artifact) -> list[str]:
    """What a wheel puts into `site-packages`, by relative path."""
    names = artifact.manifest.get("names")
    found = []
    for name in [one for one in names if isinstance(one, str)][: pypi.BUDGET] if isinstance(names, list) else []:
        top, _, rest = name.partition("/")
        scheme, _, inside = rest.partition("/")
        if not top.endswith(".data"):
            found.append(name)
        elif scheme in ("purelib", "platlib"):
            found.append(posixpath.normpath(inside))
    return found


def _exercise(artifact: Artifact, installed: Installed, base: Phase, project: str) -> list[Phase]:
    """One package's phases."""
    label = f"{artifact.name}=={artifact.version}"
    ways, rest, _ = pypi.ways_in(artifact, installed)
    phases = []
    if ways:
        # Of each group one has to load: a module's own where it has to by itself, 0 where none has to.
        named = [way.either or way.name * way.required for way in ways]
        groups = ["", *dict.fromkeys(filter(None, named))]
        listed = [(way.name, groups.index(group)) for way, group in zip(ways, named, strict=True)]
        wanted = set(range(1, len(groups))) or "set()"
        code = _LOAD.format(listed=listed, wanted=wanted, complete=ALL_TRIED, failed=NOT_LOADED, wait=pypi.WAIT)
        phases.append(
            msgspec.structs.replace(
                base, name=f"import:{label}", kind="import", argv=(base.argv[0], "-c", code), complete=ALL_TRIED
            )
        )
    runs, _ = pypi.run_phases(artifact, installed, base, project)
    runs = pypi.rest_phases(artifact.name, rest, base) + runs
    return phases + [msgspec.structs.replace(run, name=f"{run.name} ({label})") for run in runs]
