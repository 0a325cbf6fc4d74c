"""Runs several packages in one guest, as their lockfile installs them, and judges what was seen of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from sandbox import discovery, events, judge_batch, persona, plan, reuse
from sandbox.backends import Backend
from sandbox.batches import MakesBatch, Packed
from sandbox.cache import Cache
from sandbox.pipeline import recording_file
from sandbox.progress import Progress
from sandbox.registries import Registries
from sandbox.settings import Settings


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What every batch of one scan is run with."""

    settings: Settings
    tools: plan.Tools
    registries: Registries
    cache: Cache
    persona: persona.Persona
    backend: Backend


def run(
    packed: Sequence[Packed],
    bench: Bench,
    progress: Progress,
    name: str = "batch",
    took: Callable[[Path], None] | None = None,
) -> judge_batch.Judgement:
    """Install and exercise these packages together. `name` is the recording's, where it is kept; `took` is given the
    recording before it is gone. Raises BackendError where no guest can be made; whatever else goes wrong stands in the
    judgement."""
    from sandbox import observe  # the guest's half of baitbox: slow to import, and not needed for what is stored

    ecosystem = packed[0].artifact.ecosystem
    makes: MakesBatch = discovery.load("batches", "BATCH")[ecosystem]
    batch = makes.batch(packed)
    bench.tools.require(batch.programs)
    with recording_file(bench.settings.keep, f"{name}-{bench.persona.id}.jsonl") as recording:
        experiment = observe.Experiment(
            artifact=plan.Artifact(
                ecosystem=ecosystem, name="", version="", target=name, purl="", digest="", spec=""
            ),
            ecosystem=batch,
            tools=bench.tools,
            registries=bench.registries,
            cache=bench.cache,
            persona=bench.persona.at_home(bench.tools.toolchain.locales),
            backend=bench.backend,
            limits=plan.Limits(),
            seconds=bench.settings.timeout,
            recording=recording,
            members=tuple(batch.members()),
            pins=tuple((one.url, one.artifact.digest) for one in packed),
            words=batch.words(),
            absent=reuse.sheets(reuse.folders(bench.settings), ecosystem).absent(),
        )  # fmt: skip
        problem = observe.observe(experiment, progress.step)
        read = events.read(recording)
        if took is not None:
            took(recording)
    sheets = reuse.sheets(reuse.folders(bench.settings), ecosystem)
    judgement = judge_batch.judge_batch(read, sheets, discovery.load("rules", "RULE"))
    if bench.settings.keep is not None:
        kept = {
            key: msgspec.structs.replace(one, recordings=(str(recording),)) for key, one in judgement.packages.items()
        }
        judgement = msgspec.structs.replace(judgement, packages=kept)
    if problem:
        judgement = msgspec.structs.replace(judgement, unclear=(*judgement.unclear, f"a registry failed: {problem}"))
    return judgement
