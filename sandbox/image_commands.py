"""`baitbox image`: the images that Docker guests are made of."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox import errors
from sandbox.output import emit

app = typer.Typer(
    help="Build, list and remove the images that Docker guests are made of.",
    short_help="Build, list and remove the images of the Docker backend.",
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)

Base = Annotated[
    str,
    typer.Option(
        "--base", metavar="IMAGE", help="Build on this image instead of the one in Dockerfile.runner.",
        show_default=False,
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]


@app.command()
def build(base: Base = "", quiet: Quiet = False) -> int:
    """Build the runner image, where it is not there yet, and say its name. It is also built on first use."""
    from sandbox import containers, images, progress

    with progress.shown(quiet) as display, containers.client(seconds=3600) as api:
        made = images.ready(api, "", display.step, base)
        if base:  # guests are made of it from now on: the name says nothing of the base
            api.tag(made.id, images.RUNNER, images.tag().partition(":")[2])
    emit(f"{made.name}  {made.id}")
    return errors.EXIT_CLEAN


@app.command("list")
def list_images() -> int:
    """List baitbox's own images: name, size in MB, and whether it is made from today's Dockerfile."""
    from sandbox import containers, images

    with containers.client() as api:
        kept = images.kept(api)
    for image in kept:
        state = "current" if image.current else "old"
        emit(f"{', '.join(image.tags) or image.id}  {image.size // 1_000_000} MB  {image.kind}  {state}")
    if not kept:
        emit("there are none: `baitbox image build`, or the first `baitbox check --backend docker`, makes one")
    return errors.EXIT_CLEAN


@app.command()
def prune(
    everything: Annotated[bool, typer.Option("--all", help="Also those made from today's Dockerfile.")] = False,
) -> int:
    """Remove old images of baitbox's own, and the containers that killed runs have left. What other images and running
    checks need stays."""
    from sandbox import containers, images
    from sandbox.errors import BackendError

    with containers.client() as api:
        swept, gone, problems = images.prune(api, everything=everything)
    emit(f"removed {gone} images and {swept} abandoned containers")
    if problems:
        raise BackendError(f"{len(problems)} images could not be removed: {problems[0]}", "is a check running?")
    return errors.EXIT_CLEAN
