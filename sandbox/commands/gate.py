"""`baitbox gate`: check what a change brings in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.commands import Command, Shell
from sandbox.options import offers

if TYPE_CHECKING:
    from sandbox.progress import Progress
    from sandbox.schedule import Outcome
    from sandbox.settings import Settings

Lockfiles = Annotated[
    list[str] | None,
    typer.Argument(metavar="[LOCKFILE]...", help="Only these; without any, all of the repository.", show_default=False),
]
Base = Annotated[
    str, typer.Option("--base", metavar="REV", help="The revision before the change.", show_default=False)
]
Head = Annotated[
    str,
    typer.Option("--head", metavar="REV", help="The revision after it. [the working tree]", show_default=False),
]
Before = Annotated[
    Path | None, typer.Option("--before", metavar="FILE", help="Instead: the older lockfile.", show_default=False)
]
After = Annotated[Path | None, typer.Option("--after", metavar="FILE", help="And the newer one.", show_default=False)]


@offers(
    "backend", "image", "runtime", "personas", "format", "output", "reports", "fail_on", "allow_inconclusive",
    "timeout", "jobs", "keep", "profiles", "cache", "store", "no_cache", "max_age", "reuse_inconclusive", "quiet",
)  # fmt: skip
def gate(
    context: typer.Context,
    lockfiles: Lockfiles = None,
    base: Base = "",
    head: Head = "",
    before: Before = None,
    after: After = None,
    **flags: Any,
) -> int:
    """Check what a change brings in: the packages that are new or changed in its lockfiles, at their exact versions
    and digests, direct and transitive, and nothing else."""
    from sandbox import gate as gates
    from sandbox import on_github, pipeline

    shell: Shell = context.obj
    compared = gates.compare(lockfiles or (), base, head, before, after)
    if compared.pyproject is not None:
        shell.tell(f"note: this change touches [tool.baitbox]: the settings are those of {compared.base}")
    settings = shell.settings(flags, compared.pyproject)
    pipeline.vet(settings)

    def work(settings: Settings, display: Progress) -> Outcome:
        outcome = gates.check(compared, settings, display)
        on_github.tell(outcome.report, os.environ)
        return outcome

    return shell.judge(settings, work)


COMMAND = Command("Check the packages that a change of lockfiles brings in.", gate)
