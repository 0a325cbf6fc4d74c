"""`baitbox store`: what is kept, whether it is sound, and making it smaller."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sandbox import errors
from sandbox.errors import StoreError, UsageError
from sandbox.options import offers
from sandbox.output import emit

if TYPE_CHECKING:
    from sandbox.store import Pruned, Store, StoredRun

KEEP_DAYS = 90.0
MOST_BYTES = 10 * 1024**3

app = typer.Typer(
    help="Look at what is stored, check it, make it smaller, take something out of it.",
    short_help="Look at the stored results, check them, remove old ones.",
    rich_markup_mode=None,
    context_settings={"max_content_width": 100},
)

Format = Annotated[
    Literal["terminal", "json"],
    typer.Option("--format", metavar="terminal|json", help="How it is written. [terminal]", show_default=False),
]
RunNumber = Annotated[int, typer.Argument(metavar="RUN", help="Its number in `baitbox store list`.", min=1)]


@app.command("list")
@offers("store")
def list_runs(
    text: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="Only packages whose purl contains it.", show_default=False)
    ] = "",
    verdict: Annotated[
        Literal["clean", "suspicious", "malicious", "inconclusive"] | None,
        typer.Option("--verdict", metavar="VERDICT", help="Only runs with this verdict.", show_default=False),
    ] = None,
    served: Annotated[
        str,
        typer.Option(
            "--served", metavar="TEXT", help="Only runs that installed a file with this in its URL or digest.",
            show_default=False,
        ),
    ] = "",
    many: Annotated[
        int, typer.Option("--most", metavar="N", help="At most N, the newest. [1000]", min=1, show_default=False)
    ] = 1000,
    style: Format = "terminal",
    **flags: Any,
) -> int:  # fmt: skip
    """List the stored runs, newest first."""
    with _store(flags) as store:
        runs = store.runs(_as_in_purl(text), verdict, served=served, many=many)
        if style == "json":
            _json([_summary(store, run) for run in runs])
        else:
            for line in _table(runs):
                emit(line)
        _damage(store)
    return errors.EXIT_CLEAN


@app.command(short_help="Show one stored run.")
@offers("store")
def show(number: RunNumber, style: Format = "terminal", **flags: Any) -> int:
    """Show one stored run: its report, what it was served, and where its recordings are."""
    import msgspec

    from sandbox import __version__, discovery, report, reuse
    from sandbox.plaintext import escape
    from sandbox.reporters.terminal import REPORTER

    with _store(flags) as store:
        run = store.run(number)
        served = store.served(run)
        if style == "json":
            _json({**_summary(store, run), "served": served, "report": run.report})
            return errors.EXIT_CLEAN
        tool = report.Tool(version=__version__, rules=len(discovery.load("rules", "RULE")))
        package = msgspec.structs.replace(run.report, stored=reuse.moment(run.ran))
        emit(REPORTER.render(report.Report(tool=tool, verdict=run.verdict, packages=(package,))))
        emit(f"run {run.id} in {escape(str(store.folder))}\nguest: {escape(run.key.guest)}")
        for one in served:
            emit(f"served: {escape(one.url)}  {escape(one.digest[:23])}")
        for recording in run.recordings:
            emit(f"recording ({escape(recording.persona)}, {recording.size:,} bytes): {store.place(recording)}")
    return errors.EXIT_CLEAN


@app.command(short_help="Check that everything is as it was stored.")
@offers("store")
def verify(**flags: Any) -> int:
    """Check the database, every row, and the digest of every recording. Exits 3 where something is wrong."""
    from sandbox.plaintext import escape

    with _store(flags) as store:
        problems = store.verify()
        for problem in problems:
            emit(escape(problem))
        if problems:
            many = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
            raise StoreError(
                f"{many} wrong in the store {store.folder}",
                "damaged results are not used; `baitbox store prune` removes files that belong to no run",
            )
        emit("everything is as it was stored")
    return errors.EXIT_CLEAN


@app.command(short_help="Remove old runs and stray files.")
@offers("store")
def prune(
    keep_days: Annotated[
        float,
        typer.Option(
            "--keep-days", metavar="DAYS", help="Remove runs and scans older than this. [90]", min=0, show_default=False
        ),
    ] = KEEP_DAYS,
    most_bytes: Annotated[
        int,
        typer.Option(
            "--most-bytes", metavar="N", help="Then the oldest, until no more than this is kept. [10 GiB]", min=0,
            show_default=False,
        ),
    ] = MOST_BYTES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    **flags: Any,
) -> int:  # fmt: skip
    """Remove old runs with their recordings, and files that belong to no run."""
    with _store(flags) as store:
        emit(_pruned(store.prune(keep_days=keep_days, most_bytes=most_bytes, dry_run=dry_run), dry_run))
    return errors.EXIT_CLEAN


@app.command(short_help="Write a run, or all reports, as files or JSON lines.")
@offers("store")
def export(
    number: Annotated[
        int | None,
        typer.Argument(metavar="[RUN]", help="Its number in `baitbox store list`.", min=1, show_default=False),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Where the files of RUN are written. [.]", show_default=False)
    ] = Path(),
    **flags: Any,
) -> int:
    """Write the report and the recordings of RUN as files; without RUN, every report to stdout, one JSON
    object a line."""
    with _store(flags) as store:
        if number is not None:
            for path in _files(store, store.run(number), folder):
                emit(str(path))
            return errors.EXIT_CLEAN
        for run in store.runs():
            emit(_text({**_summary(store, run), "report": run.report}))
        _damage(store)
    return errors.EXIT_CLEAN


def _store(flags: dict[str, Any]) -> Store:
    from sandbox import settings
    from sandbox.store import Store

    found = settings.load(flags, os.environ, Path.cwd())
    settings.require_folders(found, "store")
    return Store.open(found.store, create=False)


def _as_in_purl(text: str) -> str:
    """A package as users write it, as it stands in a purl: npm:@babel/core is pkg:npm/%40babel/core."""
    for ecosystem in ("npm", "pypi"):
        if text.startswith(f"{ecosystem}:"):
            text = f"pkg:{ecosystem}/" + text.partition(":")[2].replace("==", "@")
    return re.sub(r"(^|/)@", r"\1%40", text)


def _table(runs: Iterable[StoredRun]) -> Iterable[str]:
    from sandbox import reuse
    from sandbox.plaintext import escape

    for run in runs:
        size = sum(one.stored for one in run.recordings) / 1024
        yield f"{run.id:>6}  {reuse.moment(run.ran)}  {run.verdict:<12}  {size:7.0f} KiB  {escape(run.key.purl)}"


def _summary(store: Store, run: StoredRun) -> dict[str, Any]:
    """One run as JSON says it, without its report."""
    import msgspec

    from sandbox import reuse

    recordings = [{**msgspec.structs.asdict(one), "file": str(store.place(one))} for one in run.recordings]
    return {
        "run": run.id,
        "ran": reuse.moment(run.ran),
        "purl": run.key.purl,
        "digest": run.key.digest,
        "verdict": run.verdict,
        "personas": run.key.personas,
        "guest": run.key.guest,
        "recordings": recordings,
    }


def _files(store: Store, run: StoredRun, folder: Path) -> Iterable[Path]:
    """Write a run's report and recordings into a folder. Raises UsageError where that cannot be done."""
    from sandbox import reuse

    words = re.sub(r"[^A-Za-z0-9._-]+", "-", run.key.purl.removeprefix("pkg:"))[:120].strip("-.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        report = folder / f"{words}-{run.id}.report.json"
        report.write_text(_text({**_summary(store, run), "report": run.report}) + "\n", encoding="utf-8")
        yield report
        for recording in run.recordings:
            path = folder / f"{words}-{run.id}-{recording.persona}.jsonl"
            reuse.copy(store, recording, path)
            yield path
    except OSError as error:
        raise UsageError(f"nothing can be written to {folder}: {error.strerror}") from None


def _pruned(done: Pruned, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    counts = [
        f"{count} {word if count == 1 else word + 's'}"
        for count, word in (
            (done.runs, "run"), (done.scans, "scan"), (done.recordings, "recording"), (done.orphans, "stray file"),
        )
    ]  # fmt: skip
    freed, kept = done.freed / 1024**2, done.kept / 1024**2
    return f"{would}removed: {', '.join(counts)}, {freed:.1f} MiB; {kept:.1f} MiB of recordings stay"


def _damage(store: Store) -> None:
    """Say what was passed over."""
    if store.damaged:
        more = f", and {len(store.damaged) - 1} more" if len(store.damaged) > 1 else ""
        raise StoreError(store.damaged[0] + more, "`baitbox store verify` says more; damaged runs are not used")


def _json(value: object) -> None:
    import msgspec

    emit(msgspec.json.format(_text(value), indent=2))


def _text(value: object) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
