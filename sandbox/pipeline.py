"""The whole of baitbox on one screen: target -> artifact -> recording -> verdict.

Left of the recording things act on the world; right of it (`judge_again`) nothing does.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sandbox import discovery, events
from sandbox.backends import Backend
from sandbox.errors import BackendError, RegistryError, TargetError, UsageError
from sandbox.persona import Persona
from sandbox.plan import Limits
from sandbox.preload import preload
from sandbox.progress import Prefixed, Progress
from sandbox.report import PackageReport, worst
from sandbox.settings import Settings, inside_package, require_folders
from sandbox.targets import Target


def check(asked: str | Target, settings: Settings, progress: Progress) -> PackageReport:
    """Run one package among bait and judge what it did. Raises BaitboxError where that cannot be done."""
    from sandbox import fetch, reuse
    from sandbox.cache import Cache
    from sandbox.recorder import file_name
    from sandbox.registries import registry_settings

    target = asked if isinstance(asked, Target) else Target.parse(asked, sdist=settings.sdist)
    # A package under test must not choose, by an .npmrc of its own, where the user's token is sent.
    own = target.kind == "folder" and inside_package(Path.cwd(), [Path(target.path)])
    registries = registry_settings(project=None if own or not target.project_settings else Path())
    cache = Cache(settings.cache)
    ecosystem = discovery.load("ecosystems", "ECOSYSTEM")[target.ecosystem]
    backend = choose_backend(settings)
    tools = backend.tools(progress.step)
    tools.require(ecosystem.programs)
    progress.step(f"fetching {target.text}")
    python = tools.toolchain
    artifact = fetch.resolve(target, registries, cache, tags=python.tags, python_version=python.python_version)

    who, limits, packages = personas(settings), Limits(), []
    step = Prefixed(progress, f"{artifact.name} {artifact.version}").step
    memory = reuse.memory(settings, artifact, who, limits, registries, tools, backend, step)
    stored = memory.recall(lambda paths: together([judge_again(path, settings) for path in paths]))
    if stored is not None:
        return msgspec.structs.replace(stored, target=target.text)

    from sandbox.observe import Experiment, observe  # the guest's half of baitbox: 0.2 s to import

    preload("judge", "rules", "reporters.terminal")
    for persona in who:
        with recording_file(settings.keep, file_name(artifact, persona)) as recording:
            experiment = Experiment(
                artifact=artifact.at_home(persona.home),
                ecosystem=ecosystem,
                tools=tools,
                registries=registries,
                cache=cache,
                persona=persona.at_home(tools.toolchain.locales),
                backend=backend,
                limits=limits,
                seconds=settings.timeout,
                recording=recording,
                absent=reuse.sheets(reuse.folders(settings), artifact.ecosystem).absent(),
            )
            problem = observe(experiment, step)
            packages.append(judge_again(experiment.recording, settings))
            memory.take(experiment.recording, persona.id)
            if problem and packages[-1].verdict == "inconclusive":  # what was found counts, whatever failed
                raise RegistryError(
                    f"a registry failed while {target.text} was being installed: {problem}",
                    "try again; if it stays so, check your registry settings and network",
                )
    report = together(packages)
    return memory.keep(
        msgspec.structs.replace(
            report, target=target.text, purl=artifact.purl, recordings=report.recordings if settings.keep else ()
        )
    )


def judge_again(recording: Path, settings: Settings) -> PackageReport:
    """Judge a recording with the rules and profiles of today. Nothing is run."""
    from sandbox import judge, reuse

    try:
        read = events.read(recording)
    except OSError as error:
        raise TargetError(f"the recording {recording} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TargetError(f"{recording} is not a recording that can be judged: {error}") from None
    sheets = reuse.sheets(reuse.folders(settings), read.header.ecosystem)
    report = judge.judge(read, sheets, discovery.load("rules", "RULE"))
    return msgspec.structs.replace(report, recordings=(str(recording),))


def judge_all(recording: Path, settings: Settings) -> list[PackageReport]:
    """Judge a recording again, of whichever kind: of one package, or of several that ran together, each of which then
    has a report of its own, and what nobody can be named for is one more."""
    from sandbox import judge_batch, reuse

    try:
        read = events.read(recording)
    except (OSError, ValueError):
        return [judge_again(recording, settings)]  # which says what is wrong
    if not read.header.members:
        return [judge_again(recording, settings)]
    sheets = reuse.sheets(reuse.folders(settings), read.header.ecosystem)
    found = judge_batch.judge_batch(read, sheets, discovery.load("rules", "RULE"))
    return [msgspec.structs.replace(one, recordings=(str(recording),)) for one in found.reports(str(recording))]


def together(packages: list[PackageReport]) -> PackageReport:
    """One package's reports of several personas as one: the worst verdict, all findings, all coverage."""
    if len(packages) == 1:
        return packages[0]
    coverages = [package.coverage for package in packages]
    coverage = msgspec.structs.replace(
        coverages[0],
        personas=tuple(name for one in coverages for name in one.personas),
        phases=tuple(phase for one in coverages for phase in one.phases),
        not_exercised=tuple(dict.fromkeys(text for one in coverages for text in one.not_exercised)),
        missing=tuple(dict.fromkeys(text for one in coverages for text in one.missing)),
    )
    return msgspec.structs.replace(
        packages[0],
        verdict=worst([package.verdict for package in packages]),
        findings=tuple(finding for package in packages for finding in package.findings),
        expected=tuple(dict.fromkeys(text for package in packages for text in package.expected)),
        coverage=coverage,
        recordings=tuple(path for package in packages for path in package.recordings),
    )


def choose_backend(settings: Settings) -> Backend:
    """The backend that is set, or for `auto` the first that can make guests here: native, unless an image or a runtime
    is named. Raises BackendError, and UsageError for settings that it cannot follow."""
    wanted = settings.backend
    if wanted == "auto" and (settings.image or settings.runtime):
        wanted = "docker"
    backends: dict[str, Backend] = discovery.load("backends", "BACKEND")
    if wanted != "auto" and wanted not in backends:
        raise UsageError(f"there is no backend {wanted!r}", f"one of: auto, {', '.join(sorted(backends))}")
    problems = {}
    for name in [wanted] if wanted != "auto" else sorted(backends, key=lambda name: name != "native"):
        backend = backends[name].configure(settings)
        problem = backend.missing() or (backend.refused() if wanted == "auto" else None)
        if problem is None:
            return backend
        problems[name] = problem
    what, hint = next(iter(problems.values()))
    raise BackendError(f"no guest can be made here: {what}", f"{hint}; `baitbox doctor` says more")


def vet(settings: Settings) -> None:
    """Raise UsageError for a setting that would fail only when all the work is done."""
    from sandbox import profiles, written

    personas(settings)
    require_folders(settings, "cache", "store")
    if settings.profiles:
        profiles.load([profiles.profile_folder(), *settings.profiles], "npm")
    if settings.keep is not None:
        _make_folder(settings.keep)
    written.vet(settings)


def personas(settings: Settings) -> list[Persona]:
    """The personas asked for. Raises UsageError for one that there is not."""
    from sandbox.persona import load_personas
    from sandbox.profiles import profile_folder

    known = load_personas([profile_folder() / "personas"])
    missing = [name for name in settings.personas if name not in known]
    if missing:
        raise UsageError(f"there is no persona {missing[0]!r}", f"one of: {', '.join(sorted(known))}")
    return [known[name] for name in settings.personas]


def _make_folder(keep: Path) -> None:
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if not os.access(keep, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it cannot be written")
    except OSError as error:
        raise UsageError(f"recordings cannot be kept in {keep}: {error.strerror}") from None


@contextmanager
def recording_file(keep: Path | None, name: str) -> Iterator[Path]:
    """Where a recording goes: into the folder to keep it in, made if need be, or into a file that never has a name,
    so that it is gone with us however we end. Raises UsageError or BackendError."""
    if keep is not None:
        _make_folder(keep)
        yield keep / name
        return
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # closed below
    except OSError as error:
        hint = "free some disk space, or name another temporary folder with TMPDIR"
        raise BackendError(f"the recording cannot be written: {error.strerror}", hint) from None
    with file:
        yield Path(f"/proc/self/fd/{file.fileno()}")
