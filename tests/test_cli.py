"""The command line: exit codes, one sentence for every failure, data on stdout and talk on stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sandbox import __version__, cli, discovery, errors, events, report, schedule
from sandbox.errors import BackendError, BaitboxError, RegistryError, TargetError, UsageError
from sandbox.settings import Settings
from tests.launch import interruptible

ROOT = Path(__file__).parent.parent
COMMANDS = ("check", "judge", "show", "doctor", "rules", "decoys", "profiles")


def package(verdict: report.Verdict, missing: tuple[str, ...] = ()) -> report.PackageReport:
    coverage = report.Coverage(missing=missing)
    return report.PackageReport(
        purl="pkg:npm/x@1.0.0", target="npm:x", digest="sha512:00", verdict=verdict, coverage=coverage
    )


def outcome(*packages: report.PackageReport, failed: tuple[BaitboxError, ...] = ()) -> schedule.Outcome:
    verdict = report.worst([one.verdict for one in packages])
    whole = report.Report(tool=report.Tool(), verdict=verdict, packages=packages)
    return schedule.Outcome(whole, tuple(("npm:x", error) for error in failed))


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of this machine, and a folder of its own."""
    for name in [name for name in os.environ if name.startswith("BAITBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for everything below the command line: `outcome` is what a check gives, or raises."""
    box: dict[str, Any] = {"outcome": outcome(package("clean")), "calls": []}

    def check_all(targets: Any, settings: Settings, progress: Any) -> schedule.Outcome:
        box["calls"].append((targets, settings))
        progress.step("installing")
        if isinstance(box["outcome"], BaseException):
            raise box["outcome"]
        return box["outcome"]

    reporter = SimpleNamespace(render=lambda whole, **_: json.dumps({"verdict": whole.verdict}), recorded=False)
    monkeypatch.setattr(schedule, "check_all", check_all)
    monkeypatch.setattr("sandbox.settings.names_in", lambda folder: ("json", "terminal") if folder else ())
    monkeypatch.setattr(discovery, "load", lambda *_: {"terminal": reporter, "json": reporter})
    return box


@pytest.mark.parametrize(
    ("verdict", "missing", "flags", "code"),
    [
        ("clean", (), [], 0),
        ("suspicious", (), [], 10),
        ("malicious", (), [], 11),
        ("inconclusive", (), [], 5),
        ("inconclusive", (), ["--allow-inconclusive"], 0),
        ("inconclusive", (), ["--fail-on", "malicious"], 5),
        ("suspicious", (), ["--fail-on", "malicious"], 0),
        ("malicious", (), ["--fail-on", "malicious"], 11),
        ("malicious", (), ["--allow-inconclusive"], 11),
        # The finding is let through, but that something was not seen is not.
        ("suspicious", ("import was not run",), ["--fail-on", "malicious"], 5),
        ("suspicious", ("import was not run",), ["--fail-on", "malicious", "--allow-inconclusive"], 0),
    ],
)
def test_the_verdict_is_the_exit_code(
    results: dict[str, Any], verdict: report.Verdict, missing: tuple[str, ...], flags: list[str], code: int
) -> None:
    results["outcome"] = outcome(package(verdict, missing))
    assert cli.run(["check", "npm:x", *flags]) == code


def test_of_several_packages_an_inconclusive_one_is_not_hidden_by_a_finding_let_through(
    results: dict[str, Any],
) -> None:
    results["outcome"] = outcome(package("suspicious"), package("inconclusive"))
    assert cli.run(["check", "npm:x", "npm:y", "--fail-on", "malicious"]) == 5


@pytest.mark.parametrize(
    ("verdict", "flags", "code"),
    [("clean", [], 3), ("malicious", [], 11), ("inconclusive", ["--allow-inconclusive"], 3)],
)
def test_a_target_that_could_not_be_checked_fails_the_run_and_is_told(
    results: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    verdict: report.Verdict,
    flags: list[str],
    code: int,
) -> None:
    failed = (RegistryError("the registry does not answer", "try again"),)
    results["outcome"] = outcome(package(verdict), package("inconclusive"), failed=failed)
    assert cli.run(["check", "npm:x", "npm:y", *flags]) == code
    assert "error: npm:x: the registry does not answer\nhint: try again\n" in capsys.readouterr().err


def test_stdout_is_data_and_stderr_is_talk(results: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "npm:x", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"verdict": "clean"}
    assert err == "baitbox: installing\n"
    assert cli.run(["check", "npm:x", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_the_report_can_go_to_a_file(results: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "npm:x", "--output", "report.json"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(Path("report.json").read_text()) == {"verdict": "clean"}
    assert cli.run(["check", "npm:x", "--output", "no/report.json"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: the report cannot be written to no/")


def test_several_reports_come_of_one_run_and_change_no_exit_code(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    results["outcome"] = outcome(package("suspicious"))
    assert cli.run(["check", "npm:x", "--report", "json=a.json", "--report", "terminal=b.txt"]) == 10
    assert len(results["calls"]) == 1
    for text in (capsys.readouterr().out, Path("a.json").read_text(), Path("b.txt").read_text()):
        assert json.loads(text) == {"verdict": "suspicious"}


@pytest.mark.parametrize("text", ["json", "xml=a", "json=no/a.json", "json=."])
def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert cli.run(["check", "npm:x", "--report", text]) == 2
    assert results["calls"] == []
    assert capsys.readouterr().err.startswith("error: ")


def recorded(path: Path) -> Path:
    header = events.Header(package="left-pad", version="1.3.0", persona="laptop")
    with path.open("wb") as file:
        events.write(file, header, [events.NameLookedUp(at=0.5, name="a.test", kind="A"), events.GuestEnded(at=1.0)])
    return path


def test_a_recording_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["show", str(recorded(Path("r.jsonl")))]) == 0
    assert "left-pad" in capsys.readouterr().out
    for flag in ("--tree", "--all"):
        assert cli.run(["show", "r.jsonl", flag]) == 0
        assert "left-pad" in capsys.readouterr().out


def test_a_recording_is_judged_again(results: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = ModuleType("sandbox.pipeline")
    pipeline.judge_all = lambda path, settings: [package("suspicious")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sandbox.pipeline", pipeline)
    assert cli.run(["judge", "r.jsonl"]) == 10
    assert cli.run(["judge", "r.jsonl", "--fail-on", "malicious"]) == 0


@pytest.mark.parametrize("content", [None, b"", b"junk\n", b'{"baitbox": 9}\n'])
@pytest.mark.parametrize("command", ["show", "judge"])
def test_what_is_no_recording_is_3(
    capsys: pytest.CaptureFixture[str], command: str, content: bytes | None
) -> None:
    if content is not None:
        Path("r.jsonl").write_bytes(content)
    assert cli.run([command, "r.jsonl"]) == 3
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (TargetError("gone"), 3),
        (RegistryError("down"), 3),
        (BackendError("no guest", "run `baitbox doctor`"), 4),
    ],
)
def test_a_failure_is_one_sentence_and_its_hint(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str], error: BaitboxError, code: int
) -> None:
    results["outcome"] = error
    assert cli.run(["check", "npm:x", "--quiet"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"error: {error}\n" + (f"hint: {error.hint}\n" if error.hint else "")


def test_a_bug_is_no_verdict_and_asks_for_a_report(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results["outcome"] = ZeroDivisionError("by\x1b zero")
    assert cli.run(["check", "npm:x", "--quiet"]) == errors.EXIT_BUG
    err = capsys.readouterr().err
    assert "a bug in baitbox: ZeroDivisionError" in err
    assert "Traceback" not in err
    assert "\x1b" not in err
    monkeypatch.setenv("BAITBOX_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.run(["check", "npm:x", "--quiet"])


def test_an_interrupt_is_130(results: dict[str, Any]) -> None:
    results["outcome"] = KeyboardInterrupt()
    assert cli.run(["check", "npm:x", "--quiet"]) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc", "npm:x"], "No such command 'chekc'"),
        (["check"], "Missing argument"),
        (["check", "npm:x", "--timeuot", "3"], "--timeuot"),
        (["check", "npm:x", "--timeout", "soon"], "--timeout cannot be 'soon'"),
        (["check", "npm:x", "--format", "xml"], "no report format 'xml'"),
        (["check", "npm:x", "--backend", "podman"], "--backend cannot be 'podman'"),
        (["check", "npm:a/b/c"], "a/b/c"),
        (["check", "not a target"], "not a target"),
        (["doctor", "--format", "xml"], "--format cannot be 'xml'"),
    ],
)
def test_wrong_usage_is_2_and_nothing_is_run(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.run(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert "hint: " in err or len(err.splitlines()) == 1
    assert results["calls"] == []


def test_settings_come_from_every_source(results: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pyproject.toml").write_text("[tool.baitbox]\njobs = 3\n")
    monkeypatch.setenv("BAITBOX_TIMEOUT", "7")
    assert cli.run(["check", "npm:x", "pypi:y", "--persona", "laptop", "--sdist", "--quiet"]) == 0
    ((targets, settings),) = results["calls"]
    assert targets == ["npm:x", "pypi:y"]
    assert (settings.jobs, settings.timeout, settings.personas, settings.sdist) == (3, 7.0, ("laptop",), True)


def test_a_package_under_test_gives_no_settings_and_that_is_said(
    results: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").write_text("[tool.baitbox]\nallow-inconclusive = true\n")
    results["outcome"] = outcome(package("inconclusive"))
    assert cli.run(["check", "npm:x", "--quiet"]) == 0
    assert cli.run(["check", "."]) == 5
    assert "note: the pyproject.toml here is of a package under test" in capsys.readouterr().err


def test_without_a_command_there_is_help_and_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 2
    assert "Usage: baitbox" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command, "--help"]) == 0
    assert f"Usage: baitbox {command}" in capsys.readouterr().out


def test_the_commands_are_thin() -> None:
    import ast

    tree = ast.parse((ROOT / "sandbox" / "cli.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in COMMANDS]
    assert len(functions) == len(COMMANDS)
    for node in functions:
        assert (node.end_lineno or 0) - node.body[0].lineno < 20, node.name


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from sandbox import cli; cli.run(['--version']); cli.run(['check', '--help']);"
        "heavy = {'httpx', 'cryptography', 'asyncio', 'yaml', 'sandbox.pipeline', 'sandbox.rules'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[0] == f"baitbox {__version__}"
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["check", "--help"], ["store", "list", "-h"], []])
def test_help_and_version_are_data_too(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "sandbox", *arguments]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: the output cannot be written: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0 if arguments else 2, "")


def test_a_reader_who_left_is_no_error() -> None:
    code = (
        "import sys; from sandbox import cli\n"
        "sys.stdin.read()\n"  # until the test has closed the other end of stdout
        "cli.emit('x' * 200_000); cli.emit('y'); sys.exit(11)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert child.stdin and child.stdout and child.stderr
    child.stdout.close()
    child.stdin.close()
    with child.stderr:
        said = child.stderr.read()
    assert (child.wait(), said) == (11, b"")


def test_ctrl_c_ends_the_command_with_one_word() -> None:
    code = (
        "import sys, time; from sandbox import cli, schedule\n"
        "def wait(*_):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "schedule.check_all = wait\n"
        "sys.argv = ['baitbox', 'check', 'npm:x', '--quiet']\n"
        "import sandbox.settings\n"
        "sandbox.settings.names_in = lambda folder: ('terminal',)\n"
        "cli.main()"
    )
    child = subprocess.Popen(
        interruptible(sys.executable, "-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout and child.stderr
    assert child.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (130, b"", b"interrupted\n")
