"""`baitbox scan`: check everything that lockfiles pin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.commands import Command, Shell
from sandbox.options import offers

if TYPE_CHECKING:
    from sandbox.progress import Progress
    from sandbox.schedule import Outcome
    from sandbox.settings import Settings

Paths = Annotated[
    list[str],
    typer.Argument(metavar="[PATH]...", help="A lockfile, or a folder that holds some.", show_default=False),
]
OneByOne = Annotated[bool, typer.Option("--one-by-one", help="Each package in a guest of its own.")]
SinceLast = Annotated[
    bool, typer.Option("--since-last", help="List what is new, changed or gone since the last scan of the same.")
]


@offers(
    "backend", "image", "runtime", "personas", "format", "output", "reports", "fail_on", "allow_inconclusive",
    "timeout", "jobs", "keep", "profiles", "cache", "store", "no_cache", "max_age", "reuse_inconclusive", "quiet",
)  # fmt: skip
def scan(
    context: typer.Context, paths: Paths, one_by_one: OneByOne = False, since_last: SinceLast = False, **flags: Any
) -> int:
    """Check every package that the lockfiles at PATH pin, at their exact versions and digests. Each lockfile is
    installed as a whole in one guest; packages that do anything unexpected there are run again, each alone. A scan
    that was stopped goes on where it was."""
    from sandbox import pipeline
    from sandbox import scan as scans

    shell: Shell = context.obj
    settings = shell.settings(flags)
    pipeline.vet(settings)

    def work(settings: Settings, display: Progress) -> Outcome:
        return scans.scan(paths, settings, display, one_by_one=one_by_one, since_last=since_last)

    return shell.judge(settings, work)


COMMAND = Command("Check everything that lockfiles pin.", scan)
