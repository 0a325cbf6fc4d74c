"""Takes a result from the store where nothing that it depends on has changed, and keeps new ones there.

A store that cannot be used is a note on stderr and nothing more: the check goes on without it. What the store says is
never taken further than it can be trusted: a result that is damaged, too old, or not final is as good as none.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from sandbox import fingerprints, profiles
from sandbox.backends import Backend
from sandbox.errors import BackendError, StoreError, TargetError
from sandbox.persona import Persona
from sandbox.plaintext import escape
from sandbox.plan import Artifact, Limits, Tools
from sandbox.profiles import Profiles
from sandbox.registries import Registries
from sandbox.report import PackageReport
from sandbox.settings import Settings
from sandbox.store import Packed, RunKey, Store, StoredRecording, StoredRun, pack
from sandbox.store.rows import plain_report

Judging = Callable[[Sequence[Path]], PackageReport]
"""Judges the recordings of one run, one for each persona, with the rules and profiles of today."""

FUTURE = -1 / 24.0
"""Days that a run may seem to lie in the future: clocks are put right by a little."""

_said: set[str] = set()


def recent(run: StoredRun, settings: Settings, now: float) -> bool:
    """Whether a run is young enough to stand for one of today."""
    return settings.max_age > 0 and FUTURE <= run.age(now) < settings.max_age


def usable(run: StoredRun, settings: Settings, now: float) -> bool:
    """Whether a stored result may stand for a new run: recent, and with nothing left to see."""
    return recent(run, settings, now) and (run.final or settings.reuse_inconclusive)


def moment(seconds: float) -> str:
    """A time as reports say it: ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def folders(settings: Settings) -> list[Path]:
    """Where profiles are: the built-in folder, and the user's."""
    return [profiles.profile_folder(), *settings.profiles]


def memory(
    settings: Settings,
    artifact: Artifact,
    who: Sequence[Persona],
    limits: Limits,
    registries: Registries,
    tools: Tools,
    backend: Backend,
    step: Callable[[str], None],
) -> Memory:
    """What the store knows of an artifact that is about to be run so."""
    key = fingerprints.run_key(
        artifact,
        personas=[persona.id for persona in who],
        limits=limits,
        seconds=settings.timeout,
        registries=registries,
        tools=tools,
        backend=backend,
    )
    judge = fingerprints.judge_key(artifact.ecosystem, folders(settings))
    return Memory(settings, key, judge, step, lambda: _file_names(artifact, who))


def _file_names(artifact: Artifact, who: Sequence[Persona]) -> dict[str, str]:
    from sandbox.recorder import file_name  # not needed for a result without recordings

    return {persona.id: file_name(artifact, persona) for persona in who}


class Memory:
    """What the store knows of one run. Never raises for the store's sake. `names` gives the file names of its
    recordings, by persona."""

    def __init__(
        self,
        settings: Settings,
        key: RunKey,
        judge: str,
        step: Callable[[str], None],
        names: Callable[[], Mapping[str, str]],
    ) -> None:
        self._settings = settings
        self._key = key
        self._judge = judge
        self._step = step
        self._names = names
        self._packed: list[Packed] = []
        self._broken = False

    def recall(self, judging: Judging) -> PackageReport | None:
        """The stored result, judged again where rules or profiles have changed since; None where it must be run.
        Where recordings are to be kept (`--keep`), its are put there. Raises BackendError where they cannot be."""
        if self._settings.no_cache:
            return None
        try:
            with Store.open(self._settings.store) as store:
                run = current(store, self._key, self._settings, self._judge, judging, self._step)
                for problem in store.damaged:
                    tell(f"{problem}; it is run again")
                kept = () if run is None else self._copies(store, run)
        except StoreError as error:
            self._give_up(error)
            return None
        if run is None or kept is None:
            return None
        return msgspec.structs.replace(run.report, recordings=kept, stored=moment(run.ran))

    def take(self, recording: Path, persona: str) -> None:
        """Note a recording of the run under way, for `keep`."""
        try:
            self._packed.append(pack(recording, persona))
        except OSError as error:
            self._give_up(StoreError(f"a recording cannot be read again: {error.strerror}"))

    def keep(self, report: PackageReport) -> PackageReport:
        """Store the result of the run, and return it as it is."""
        if not self._broken:
            try:
                with Store.open(self._settings.store) as store:
                    store.save(self._key, report, self._packed, judge=self._judge)
            except StoreError as error:
                self._give_up(error)
        return report

    def _copies(self, store: Store, run: StoredRun) -> tuple[str, ...] | None:
        """Copies of the recordings in the folder to keep them in; None where one is gone or damaged."""
        folder = self._settings.keep
        if folder is None:
            return ()
        names = self._names()
        paths = [folder / names[one.persona] for one in run.recordings]
        try:
            for path, one in zip(paths, run.recordings, strict=True):
                copy(store, one, path)
        except StoreError as error:
            tell(f"{error}; it is run again")
            return None
        except OSError as error:
            raise BackendError(
                f"a recording cannot be kept in {folder}: {error.strerror}", "free some disk space"
            ) from None
        return tuple(map(str, paths))

    def _give_up(self, error: StoreError) -> None:
        self._broken = True
        tell(f"the result is not stored: {error}" + (f" ({error.hint})" if error.hint else ""))


def current(
    store: Store, key: RunKey, settings: Settings, judge: str, judging: Judging, step: Callable[[str], None]
) -> StoredRun | None:
    """The stored run that may stand for a new one, judged by the rules and profiles that `judge` stands for; None
    where there is none. Raises StoreError."""
    run = store.find(key)
    now = time.time()
    if run is None or not recent(run, settings, now):
        return None
    if run.judge != judge:
        step("judging what was recorded again: rules or profiles have changed")
        run = _judged(store, run, judge, judging)
    return run if run is not None and usable(run, settings, now) else None


def _judged(store: Store, run: StoredRun, judge: str, judging: Judging) -> StoredRun | None:
    """A run with the report that today's rules and profiles make of its recordings; None where that cannot be told."""
    if not run.recordings:
        return None
    try:
        with ExitStack() as stack:
            report = judging([stack.enter_context(store.opened(one)) for one in run.recordings])
    except (StoreError, TargetError) as error:
        tell(f"what was recorded cannot be judged again: {error}; it is run again")
        return None
    if report.digest != run.key.digest:
        tell(f"run {run.id} of the store {store.folder} holds a recording of something else; it is run again")
        return None
    report = plain_report(msgspec.structs.replace(report, purl=run.key.purl))
    try:
        return store.judged(run, report, judge)
    except StoreError as error:
        tell(f"the result is not stored: {error}")
        return msgspec.structs.replace(run, report=report, judge=judge)


def copy(store: Store, recording: StoredRecording, path: Path) -> None:
    """Write a stored recording to a file, which is there only when all of it is. Raises OSError, and StoreError
    where it is gone or damaged."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            for chunk in store.chunks(recording):
                file.write(chunk)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sheets(folders: Sequence[Path], ecosystem: str) -> Profiles:
    """`profiles.load`, without reading what has not changed since the last time in this process."""
    return _loaded(fingerprints.judge_key(ecosystem, folders), tuple(folders), ecosystem)


@lru_cache(maxsize=8)
def _loaded(key: str, folders: tuple[Path, ...], ecosystem: str) -> Profiles:
    del key  # tells the contents of the folders apart
    return profiles.load(folders, ecosystem)


def tell(text: str) -> None:
    """A note on stderr, once in each process."""
    if text not in _said:
        _said.add(text)
        print(f"note: {escape(text)}", file=sys.stderr)
