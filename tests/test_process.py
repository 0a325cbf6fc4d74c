"""The one place that starts programs: never hangs, never grows without bound, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sandbox import process

PYTHON = sys.executable


def test_keeps_both_outputs_and_the_exit_code() -> None:
    done = process.run(
        [PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"], timeout=20
    )
    assert (done.code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert not done.timed_out
    assert done.dropped == 0


def test_a_child_that_fills_stderr_first_does_not_hang() -> None:
    code = "import sys; sys.stderr.write('e' * 300_000); sys.stderr.flush(); sys.stdout.write('o' * 300_000)"
    done = process.run([PYTHON, "-c", code], timeout=20)
    assert done.code == 0
    assert (len(done.stdout), len(done.stderr)) == (300_000, 300_000)


def test_output_is_cut_at_the_limit_and_the_rest_is_counted() -> None:
    done = process.run([PYTHON, "-c", "import sys; sys.stdout.write('o' * 300_000)"], timeout=20, limit=1000)
    assert done.code == 0
    assert done.stdout == b"o" * 1000
    assert done.dropped == 299_000


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    done = process.run([PYTHON, "-c", code], timeout=1.0)
    assert time.monotonic() - began < 10
    assert done.timed_out
    assert done.code == -signal.SIGKILL
    assert done.stdout == b"1\n"


def test_a_child_that_obeys_sigterm_may_say_goodbye() -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('bye'));"
        "print(1, flush=True); time.sleep(60)"
    )
    done = process.run([PYTHON, "-c", code], timeout=1.0)
    assert done.timed_out
    assert (done.code, done.stderr) == (1, b"bye\n")


def test_grandchildren_that_hold_the_pipes_are_not_waited_for_and_die(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))"
    )
    began = time.monotonic()
    done = process.run([PYTHON, "-c", code, str(mark)], timeout=30)
    assert done.code == 0
    assert time.monotonic() - began < 10
    pid = int(mark.read_text())
    for _ in range(100):
        if _is_gone(pid):
            break
        time.sleep(0.05)
    assert _is_gone(pid)


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_the_environment_and_the_folder_are_the_ones_given(tmp_path: Path) -> None:
    code = "import os; print(os.environ.get('COLOUR'), 'SECRET_PLACE' in os.environ, os.getcwd())"
    os.environ["SECRET_PLACE"] = "1"
    try:
        done = process.run([PYTHON, "-I", "-c", code], timeout=20, env={"COLOUR": "red"}, cwd=tmp_path)
    finally:
        del os.environ["SECRET_PLACE"]
    assert done.stdout.decode().split() == ["red", "False", str(tmp_path.resolve())]


def test_what_cannot_be_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process.run([str(tmp_path / "nothing")], timeout=1)


def test_input_is_closed() -> None:
    done = process.run([PYTHON, "-c", "import sys; print(repr(sys.stdin.read()))"], timeout=20)
    assert done.stdout == b"''\n"
