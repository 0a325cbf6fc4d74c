"""A process that is asked to end does so once, with one word and the right code, whatever it is doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.launch import interruptible

ROOT = Path(__file__).parent.parent


def started(body: str, before: str = "") -> subprocess.Popen[str]:
    """A process that runs `body` as its command, once that has said that it is ready."""
    lines = [before, "import time", "from sandbox import signals", "def ready():", "    print('ready', flush=True)"]
    lines += ["def command():"]
    lines += [f"    {line}" for line in body.splitlines()]
    code = "\n".join([*lines, "signals.run(command)"])
    child: subprocess.Popen[str] = subprocess.Popen(
        interruptible(sys.executable, "-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    return child


def ended(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=20)
    return child.returncode, out, err


def test_a_code_that_is_returned_is_the_exit_code() -> None:
    assert ended(started("ready()\nreturn 11")) == (11, "", "")
    assert ended(started("ready()\nreturn 130")) == (130, "", "interrupted\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_runs_what_cleans_up(number: int, code: int) -> None:
    child = started("try:\n    ready(); time.sleep(60)\nfinally:\n    print('cleaned')")
    child.send_signal(number)
    assert ended(child) == (code, "cleaned\n", "interrupted\n")


def test_a_second_signal_does_not_interrupt_the_end() -> None:
    cleaning = "print('cleaning', flush=True); time.sleep(0.3); print('cleaned')"
    child = started(f"try:\n    ready(); time.sleep(60)\nfinally:\n    {cleaning}")
    child.send_signal(signal.SIGINT)
    assert child.stdout is not None and child.stdout.readline() == "cleaning\n"
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    assert ended(child) == (130, "cleaned\n", "interrupted\n")


@pytest.mark.parametrize("after", ["time.sleep(60)", "while True: pass"])
def test_an_end_that_hangs_is_cut_short(after: str) -> None:
    child = started(f"try:\n    ready(); time.sleep(60)\nfinally:\n    {after}")
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert ended(child) == (130, "", "interrupted\n")
    assert time.monotonic() - began < 3


def test_an_interrupt_that_is_swallowed_still_ends_it() -> None:
    child = started("try:\n    ready(); time.sleep(60)\nexcept BaseException:\n    time.sleep(60)")
    child.send_signal(signal.SIGTERM)
    assert ended(child) == (143, "", "interrupted\n")


def test_what_was_to_be_ignored_is(tmp_path: Path) -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    child = started("ready(); time.sleep(0.5)\nreturn 0", before=ignoring)
    child.send_signal(signal.SIGHUP)
    assert ended(child) == (0, "", "")


def test_streams_that_the_caller_closed_are_nowhere(tmp_path: Path) -> None:
    code = (
        "from sandbox import signals; import os, sys\n"
        f"def command():\n    with open({str(tmp_path / 'file')!r}, 'w') as file:\n"
        "        print('to stdout'); print('to stderr', file=sys.stderr); return int(file.fileno() < 3)\n"
        "signals.run(command)"
    )
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(closing, cwd=ROOT, env={**os.environ}, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == ""
