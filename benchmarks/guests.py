"""Guests for measurements: the pipeline's own, with any command as its one phase, traced or not."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from sandbox import discovery, events, observe, pipeline, plan
from sandbox.cache import Cache
from sandbox.gateway.registry import Mirror
from sandbox.guest import Outcome
from sandbox.recorder import Recorder
from sandbox.registries import registry_settings
from sandbox.settings import Settings, load
from sandbox.targets import EcosystemName


class Prepared(msgspec.Struct, frozen=True):
    """A guest that is up, the experiment that it belongs to, and where it is recorded."""

    experiment: observe.Experiment
    made: observe.World
    recording: Path

    def run(self, argv: Sequence[str], seconds: float = 300.0) -> Outcome:
        """Run one command as a phase; raises RuntimeError with its output where it fails."""
        ecosystem, artifact = self.experiment.ecosystem, self.experiment.artifact
        install = ecosystem.install(artifact, self.experiment.tools.toolchain, self.experiment.persona.project, seconds)
        phase = msgspec.structs.replace(install[0], argv=tuple(argv), seconds=seconds)
        return observe.run_phase(self.experiment, self.made, phase)


def chosen() -> Settings:
    """The settings of the environment: BAITBOX_BACKEND and BAITBOX_IMAGE say where guests are measured."""
    return load({}, os.environ, Path("/"))


def tools() -> plan.Toolchain:
    """The package managers of such guests."""
    return pipeline.choose_backend(chosen()).tools(lambda _: None).toolchain


@contextmanager
def guest(
    ecosystem: EcosystemName, files: dict[str, bytes], *, traced: bool, registry: Any = None
) -> Iterator[Prepared]:
    """A guest like those of `baitbox check`, with `files` (paths in the project) planted, gone at the end."""
    settings = chosen()
    backend = pipeline.choose_backend(settings)
    tools, registries, cache = backend.tools(lambda _: None), registry_settings(), Cache(settings.cache)
    who = pipeline.personas(settings)[0]
    artifact = plan.Artifact(
        ecosystem=ecosystem, name="measured", version="1.0.0", target="", purl="", digest="", spec="measured@1.0.0",
        upload=tuple((f"{who.project}/{name}", content) for name, content in files.items()),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        experiment = observe.Experiment(
            artifact=artifact,
            ecosystem=discovery.load("ecosystems", "ECOSYSTEM")[ecosystem],
            tools=tools,
            registries=registries,
            cache=cache,
            persona=who,
            backend=backend,
            limits=plan.Limits(),
            seconds=300.0,
            recording=Path(folder) / "recording.jsonl",
        )
        scene = observe.set_scene(experiment)
        recorder = Recorder(experiment.recording, events.Header(), experiment.limits.events)
        mirror = registry or Mirror(registries, cache, ecosystem)
        with observe.world(experiment, recorder, mirror, scene, traced=traced) as made:
            yield Prepared(experiment, made, experiment.recording)
        recorder.close()


def timed(prepared: Prepared, argv: Sequence[str]) -> float:
    """Seconds that a command took in a guest; RuntimeError where it did not end well."""
    began = time.perf_counter()
    outcome = prepared.run(argv)
    seconds = time.perf_counter() - began
    if outcome.status != "exited" or outcome.code:
        raise RuntimeError(f"{' '.join(argv)[:200]}: {outcome}")
    return seconds



