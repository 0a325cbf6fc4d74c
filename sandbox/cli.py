"""The command line: parse, call, print, exit; nothing else. stdout is data, stderr is talk.

Whatever a command needs is imported inside it, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox import __version__, discovery, errors, signals, store_commands
from sandbox.errors import BaitboxError, TargetError, UsageError
from sandbox.options import offers
from sandbox.output import emit

if TYPE_CHECKING:
    from sandbox.events import Recording
    from sandbox.progress import Progress
    from sandbox.reporters import Reporter
    from sandbox.schedule import Outcome
    from sandbox.settings import Settings

WIDTH = 100
"""Of a report that no terminal shows."""

app = typer.Typer(
    name="baitbox",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.add_typer(store_commands.app, name="store")

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET",
        help="npm:NAME[@VERSION], pypi:NAME[==VERSION], a purl (pkg:npm/..., pkg:pypi/...), "
        "a .tgz, .whl or .tar.gz file, or a package folder.",
        show_default=False,
    ),
]
RecordingFile = Annotated[Path, typer.Argument(metavar="RECORDING", help="A file kept by `check --keep`.")]
Name = Annotated[str, typer.Argument(metavar="[NAME]", help="Show this one in full.", show_default=False)]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"baitbox {__version__}")
        raise typer.Exit


@app.callback()
def baitbox(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback where baitbox itself fails.")
    ] = False,
) -> None:
    """Run an npm or PyPI package among bait, watch it, and say whether it hunts credentials.

    Exit codes: 0 clean, 10 suspicious, 11 malicious, 5 inconclusive; 1 a bug in baitbox, 2 usage, 3 no
    such package, 4 no guest can be made here (see `baitbox doctor`), 130 interrupted.
    """
    del version  # its callback has answered
    if debug:
        os.environ["BAITBOX_DEBUG"] = "1"


@app.command(short_help="Run each TARGET in a guest full of bait, and judge what it did.")
@offers(
    "backend", "personas", "format", "output", "fail_on", "allow_inconclusive", "timeout", "jobs", "keep",
    "profiles", "cache", "store", "no_cache", "max_age", "reuse_inconclusive", "sdist", "quiet",
)  # fmt: skip
def check(targets: Targets, **flags: Any) -> int:
    """Install and use each TARGET in a guest full of bait, and judge what it did."""
    from sandbox import pipeline, schedule

    settings = _settings(flags, targets)
    pipeline.vet(settings)
    return _judge(settings, lambda settings, display: schedule.check_all(targets, settings, display))


for _name, _command in discovery.load("commands", "COMMAND").items():
    app.command(_name, short_help=_command.summary)(_command.run)


@app.command(short_help="Judge a RECORDING again; nothing is run.")
@offers("format", "output", "fail_on", "allow_inconclusive", "profiles")
def judge(recording: RecordingFile, **flags: Any) -> int:
    """Judge a RECORDING again, with the rules and profiles of today. Nothing is run."""
    from sandbox import schedule
    from sandbox.pipeline import judge_again

    began = time.monotonic()
    settings = _settings(flags)
    package = judge_again(recording, settings)
    report = schedule.assemble([package], time.monotonic() - began)
    return _report(schedule.Outcome(report), settings)


@app.command()
def show(
    recording: RecordingFile,
    tree: Annotated[bool, typer.Option("--tree", help="Only the process tree.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every event, not only the telling ones.")
    ] = False,
) -> int:
    """Show a RECORDING: its timeline and its process tree."""
    from sandbox import show as shows

    read = _recording(recording)
    parts = [shows.tree(read)] if tree else [shows.timeline(read, all=everything), shows.tree(read)]
    emit("\n\n".join(part.rstrip("\n") for part in parts))
    return errors.EXIT_CLEAN


@app.command(short_help="Say what works on this machine, and what to do.")
def doctor(
    network: Annotated[bool, typer.Option("--network", help="Also try to reach the registries.")] = False,
    style: Annotated[
        str,
        typer.Option(
            "--format", metavar="terminal|json", help="How it is written. [terminal]", show_default=False
        ),
    ] = "terminal",
) -> int:
    """Say what works on this machine, and what to do about what does not. Exits 4 where no guest can be
    made."""
    from sandbox import doctor as doctors

    if style not in ("terminal", "json"):
        raise UsageError(f"--format cannot be {style!r}", "one of: terminal, json")
    settings = _settings({})
    checks = doctors.examine(settings.cache)
    if network:
        checks += doctors.registries()
    emit(doctors.as_json(checks) if style == "json" else doctors.table(checks))
    return errors.EXIT_CLEAN if doctors.native_works(checks) else errors.BackendError.exit_code


@app.command()
def rules(name: Name = "") -> int:
    """List the rules, or show the one called NAME in full."""
    from sandbox import listing

    emit(listing.rules(name))
    return errors.EXIT_CLEAN


@app.command()
def decoys(name: Name = "") -> int:
    """List the decoys, or show the one called NAME and what it plants."""
    from sandbox import listing

    emit(listing.decoys(name))
    return errors.EXIT_CLEAN


@app.command(short_help="List the profiles, or show the one called NAME in full.")
@offers("profiles")
def profiles(name: Name = "", **flags: Any) -> int:
    """List the profiles, or show the one called NAME (such as npm/esbuild) in full."""
    from sandbox import listing
    from sandbox.profiles import profile_folder

    emit(listing.profiles([profile_folder(), *_settings(flags).profiles], name))
    return errors.EXIT_CLEAN


class _Shell:
    """What `sandbox.commands.Shell` promises."""

    def settings(self, flags: Mapping[str, Any], pyproject: str | None = None) -> Settings:
        return _settings(flags, pyproject=pyproject)

    def judge(self, settings: Settings, work: Callable[[Settings, Progress], Outcome]) -> int:
        return _judge(settings, work)

    def emit(self, text: str) -> None:
        emit(text)

    def tell(self, text: str) -> None:
        from sandbox.plaintext import escape

        print(escape(text), file=sys.stderr)


def _settings(flags: Mapping[str, Any], targets: Sequence[str] = (), pyproject: str | None = None) -> Settings:
    from sandbox import settings
    from sandbox.targets import Target

    here = Path.cwd()
    packages = [Path(one.path) for one in map(Target.parse, targets) if one.kind == "folder"]
    if settings.inside_package(here, packages) and (here / "pyproject.toml").exists():
        print(
            "note: the pyproject.toml here is of a package under test: no settings are read from it",
            file=sys.stderr,
        )
    return settings.load(flags, os.environ, here, packages, pyproject)


def _judge(settings: Settings, work: Callable[[Settings, Progress], Outcome]) -> int:
    """Do the work with its progress shown, tell its errors, write the report, and return the exit code."""
    import msgspec

    from sandbox import kept, progress

    with kept.folder(settings.keep, _reporter(settings).recorded) as keep:
        with progress.shown(settings.quiet) as display:
            outcome = work(msgspec.structs.replace(settings, keep=keep), display)
        for target, error in outcome.errors:
            _tell(error, f"{target}: ")
        return _report(outcome, settings, None if settings.keep else keep)


def _recording(path: Path) -> Recording:
    from sandbox import events

    try:
        return events.read(path)
    except OSError as error:
        raise TargetError(f"the recording {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TargetError(f"{path} is not a recording: {error}") from None


def _reporter(settings: Settings) -> Reporter:
    found: Reporter = discovery.load("reporters", "REPORTER")[settings.format]
    return found


def _report(outcome: Outcome, settings: Settings, private: Path | None = None) -> int:
    """Write the report as the settings say, and return the exit code. `private` is the folder of recordings that the
    user does not keep."""
    from sandbox import kept
    from sandbox.plaintext import escape

    reporter = _reporter(settings)
    report, recordings = kept.recordings(outcome.report, private)
    given = recordings if reporter.recorded else None
    if settings.output is None:
        emit(reporter.render(report, width=_width(), colour=_colour(), recordings=given))
    else:
        text = reporter.render(report, width=WIDTH, colour=False, recordings=given)
        try:
            settings.output.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(f"the report cannot be written to {settings.output}: {error.strerror}") from None
    for problem in recordings.problems.values():
        print(f"note: not all is in the report: {escape(problem)}", file=sys.stderr)
    return exit_code(outcome, settings)


def _width() -> int:
    return min(shutil.get_terminal_size((WIDTH, 24)).columns, 140) if sys.stdout.isatty() else WIDTH


def _colour() -> bool:
    """Where a person reads it on a terminal, and has not asked for none (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not plain


def exit_code(outcome: Outcome, settings: Settings) -> int:
    """What the process ends with: a finding outranks a target that could not be checked, and that outranks
    the inconclusive rest."""
    verdict = outcome.report.verdict
    if verdict == "malicious":
        return errors.EXIT_MALICIOUS
    if verdict == "suspicious" and settings.fail_on == "suspicious":
        return errors.EXIT_SUSPICIOUS
    if outcome.errors:
        return max(error.exit_code for _, error in outcome.errors)
    # Also where a finding that does not fail the run (--fail-on malicious) hides that something was not seen.
    incomplete = any(one.verdict == "inconclusive" or one.coverage.missing for one in outcome.report.packages)
    if verdict == "inconclusive" or incomplete:
        return errors.EXIT_CLEAN if settings.allow_inconclusive else errors.EXIT_INCONCLUSIVE
    return errors.EXIT_CLEAN


def _tell(error: BaitboxError, prefix: str = "") -> None:
    from sandbox.plaintext import escape

    print(f"error: {escape(prefix + str(error))}", file=sys.stderr)
    if error.hint:
        print(f"hint: {escape(error.hint)}", file=sys.stderr)


def _crashed(error: Exception) -> int:
    if os.environ.get("BAITBOX_DEBUG"):
        raise error
    from sandbox.plaintext import escape

    print(f"error: a bug in baitbox: {type(error).__name__}: {escape(str(error)[:500])}", file=sys.stderr)
    print(
        "hint: run it again with --debug (`baitbox --debug ...`) and report what it prints", file=sys.stderr
    )
    return errors.EXIT_BUG


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; every failure becomes one sentence on stderr here."""
    command = typer.main.get_command(app)
    if not arguments:
        command.main(["--help"], prog_name="baitbox", standalone_mode=False)
        return UsageError.exit_code
    try:
        code = command.main(arguments, prog_name="baitbox", standalone_mode=False, obj=_Shell())
        return code if isinstance(code, int) else errors.EXIT_CLEAN
    except BaitboxError as error:
        _tell(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return errors.EXIT_INTERRUPTED
    except Exception as error:
        # typer's own usage errors, by what they offer: their class lives in click or in typer, by version.
        if not hasattr(error, "format_message"):
            return _crashed(error)
        path = getattr(getattr(error, "ctx", None), "command_path", "baitbox")
        _tell(UsageError(error.format_message(), f"`{path} --help` shows what can be given"))
        return UsageError.exit_code


def main() -> None:
    """The same for `python -m sandbox.cli`; the `baitbox` command begins in `sandbox.__main__`."""
    signals.run(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
