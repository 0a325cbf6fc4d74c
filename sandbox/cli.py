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

from sandbox import __version__, discovery, errors, image_commands, signals, store_commands
from sandbox.errors import BaitboxError, UsageError
from sandbox.options import offers
from sandbox.output import emit

if TYPE_CHECKING:
    from sandbox.progress import Progress
    from sandbox.reporters import Recordings, Reporter
    from sandbox.schedule import Outcome
    from sandbox.settings import Settings

app = typer.Typer(
    name="baitbox",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.add_typer(store_commands.app, name="store")
app.add_typer(image_commands.app, name="image")

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="npm:NAME[@VERSION], pypi:NAME[==VERSION], a purl (pkg:npm/..., pkg:pypi/...), "
        "a .tgz, .whl or .tar.gz file, or a package folder.",
        show_default=False,
    ),
]
RecordingFile = Annotated[Path, typer.Argument(metavar="RECORDING", help="A file kept by `check --keep`.")]
Subject = "A recording (a .jsonl file), or a target: it is run then."
Before = Annotated[str, typer.Argument(metavar="A", help=f"What was. {Subject}")]
After = Annotated[str, typer.Argument(metavar="B", help=f"What is now. {Subject}")]
Subjects = Annotated[
    list[str],
    typer.Argument(metavar="TARGET|RECORDING...", help=f"{Subject} Several are merged.", show_default=False),
]
_SHEETS = "Write packages/<ecosystem>/<name>.yaml into this folder instead of to stdout."
Style = Annotated[
    str,
    typer.Option("--format", metavar="terminal|json", help="How it is written. [terminal]", show_default=False),
]
Name = Annotated[str, typer.Argument(metavar="[NAME]", help="Show this one in full.", show_default=False)]


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"baitbox {__version__}")
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
    "backend", "image", "runtime", "personas", "format", "output", "reports", "fail_on", "allow_inconclusive",
    "timeout", "jobs", "keep", "profiles", "cache", "store", "no_cache", "max_age", "reuse_inconclusive", "sdist",
    "quiet",
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
@offers("format", "output", "reports", "fail_on", "allow_inconclusive", "profiles")
def judge(recording: RecordingFile, **flags: Any) -> int:
    """Judge a RECORDING again, with the rules and profiles of today. Nothing is run."""
    from sandbox import schedule
    from sandbox.pipeline import judge_all

    began = time.monotonic()
    settings = _settings(flags)
    packages = judge_all(recording, settings)
    report = schedule.assemble(packages, time.monotonic() - began)
    return _report(schedule.Outcome(report), settings)


@app.command(short_help="Say what B does and A does not: versions, or recordings.")
@offers(
    "backend", "image", "runtime", "personas", "fail_on", "allow_inconclusive", "timeout", "keep", "profiles", "cache",
    "store", "sdist", "quiet",
)  # fmt: skip
def diff(before: Before, after: After, style: Style = "terminal", **flags: Any) -> int:
    """Say what B does and A does not, and the other way round, without the noise of single runs. Exits 11 where B is
    malicious, whatever A did; 10 where B does something new that no profile expects; 0 where it does not."""
    from sandbox import behaviour, differences, schedule, subjects

    _known_style(style)
    sides = [before, after]
    settings = _settings(flags, [one for one in sides if not subjects.is_recording(one)])
    old, new = schedule.recorded(sides, settings)
    sheets = subjects.sheets_for(old + new, settings.profiles)
    subjects.require_alike(old, new)
    found = behaviour.compare_all([one for _, one in old], [one for _, one in new], sheets)
    emit(differences.as_json(found) if style == "json" else differences.as_text(found))
    return differences.exit_code(found, settings.fail_on, allow_inconclusive=settings.allow_inconclusive)


@app.command(short_help="Propose a profile from what packages did; to be reviewed.")
@offers("backend", "image", "runtime", "personas", "timeout", "keep", "profiles", "cache", "store", "sdist", "quiet")
def learn(
    targets: Subjects,
    output: Annotated[Path | None, typer.Option("--output", metavar="DIR", help=_SHEETS, show_default=False)] = None,
    **flags: Any,
) -> int:
    """Propose profile entries for all that no profile expects, each with its evidence. They are refused until somebody
    has reviewed them. Exits 11, and learns nothing of it, where a rule calls it malicious or bait was touched; 5 where
    something was not seen."""
    from sandbox import discovery, entries, schedule, subjects
    from sandbox import learn as learns

    settings = _settings(flags, [one for one in targets if not subjects.is_recording(one)])
    recorded = [one for found in schedule.recorded(targets, settings) for one in found]
    subjects.require_alone(recorded)
    sheets = subjects.sheets_for(recorded, settings.profiles)
    proposal = learns.propose(recorded, sheets, discovery.load("rules", "RULE"))
    for text in learns.talk(proposal):
        print(text, file=sys.stderr)
    files = {name: entries.as_yaml(name, sheet) for name, sheet in proposal.sheets.items()}
    if output is not None:
        for path in subjects.write(output, files):
            print(f"note: proposed {path}", file=sys.stderr)
    elif files:
        emit("\n---\n".join(files.values()))
    return learns.exit_code(proposal)


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
    from sandbox import subjects

    read = subjects.read(recording)
    parts = [shows.tree(read)] if tree else [shows.timeline(read, all=everything), shows.tree(read)]
    emit("\n\n".join(part.rstrip("\n") for part in parts))
    return errors.EXIT_CLEAN


@app.command(short_help="Say what works on this machine, and what to do.")
def doctor(
    network: Annotated[bool, typer.Option("--network", help="Also try to reach the registries.")] = False,
    style: Style = "terminal",
) -> int:
    """Say what works on this machine, and what to do about what does not. Exits 4 where no guest can be
    made."""
    from sandbox import doctor as doctors

    _known_style(style)
    settings = _settings({})
    checks = doctors.examine(settings.cache)
    if network:
        checks += doctors.registries()
    emit(doctors.as_json(checks) if style == "json" else doctors.table(checks))
    return errors.EXIT_CLEAN if doctors.any_works(checks) else errors.BackendError.exit_code


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

    from sandbox import kept, progress, written

    with kept.folder(settings.keep, written.recorded(settings)) as keep:
        with progress.shown(settings.quiet) as display:
            outcome = work(msgspec.structs.replace(settings, keep=keep), display)
        for target, error in outcome.errors:
            _tell(error, "" if str(error).startswith(target) else f"{target}: ")
        return _report(outcome, settings, None if settings.keep else keep)


def _known_style(style: str) -> None:
    if style not in ("terminal", "json"):
        raise UsageError(f"--format cannot be {style!r}", "one of: terminal, json")


def _report(outcome: Outcome, settings: Settings, private: Path | None = None) -> int:
    """Write the reports as the settings say, and return the exit code. `private` is the folder of recordings that the
    user does not keep."""
    from sandbox import kept, written
    from sandbox.plaintext import escape

    report, recordings = kept.recordings(outcome.report, private)

    def show(reporter: Reporter, given: Recordings | None) -> None:
        emit(reporter.render(report, width=_width(), colour=_colour(), recordings=given))

    written.write(settings, report, recordings, show)
    for problem in recordings.problems.values():
        print(f"note: not all is in the report: {escape(problem)}", file=sys.stderr)
    return exit_code(outcome, settings)


def _width() -> int:
    from sandbox.written import WIDTH

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


def _emitting(command: Any) -> Any:
    """The command, and all below it, with their help written as data are: a full disk, or a reader who left, is no bug
    of ours."""
    told = command.get_help

    def get_help(context: Any) -> str:
        emit(told(context))
        raise typer.Exit

    command.get_help = get_help
    for below in getattr(command, "commands", {}).values():
        _emitting(below)
    return command


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; every failure becomes one sentence on stderr here."""
    command = _emitting(typer.main.get_command(app))
    try:
        if not arguments:
            command.main(["--help"], prog_name="baitbox", standalone_mode=False)
            return UsageError.exit_code
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
