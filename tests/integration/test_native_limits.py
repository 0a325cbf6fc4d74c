"""A real guest's limits: time, memory, processes, output and files, and what the machine pretends to be."""

from __future__ import annotations

import time

import psutil
import pytest

from sandbox import events
from tests.integration.native_rig import Make, gone, making

pytestmark = pytest.mark.native

start = pytest.fixture(making)


def test_long_sleeps_are_skipped_and_told(start: Make) -> None:
    guest = start(sleep=1.0)
    before = time.monotonic()
    assert guest.shell("sleep 100000; sleep 0.1; read -t 0 < /dev/null; true").code == 0
    assert time.monotonic() - before < 5
    assert [event.seconds for event in guest.events(events.SleepSkipped)] == [100_000.0]


def test_what_the_machine_pretends_to_be(start: Make) -> None:
    guest = start()
    guest.shell("nproc; cut -d. -f1 /proc/uptime; grep -c processor /proc/cpuinfo; id -u; id -un; pwd; hostname")
    count, uptime, processors, number, user, folder, host = guest.printed().split()
    assert (count, processors, number, user) == ("8", "8", "1000", "dev")
    assert int(uptime) >= 300_000
    assert (folder, host) == ("/home/dev/project", "nl-thinkpad")


def test_memory_is_limited(start: Make) -> None:
    guest = start(memory=300 * 1024**2)
    one = guest.python("x = bytearray(600 << 20)")
    assert (one.status, one.code) == ("exited", 1)
    assert "MemoryError" in guest.printed("stderr")


@pytest.mark.parametrize("how", ["together", "shared"])
def test_memory_of_all_together_is_limited_and_told(start: Make, how: str) -> None:
    guest = start(memory=300 * 1024**2)
    script = {
        "together": """
            import os, time
            for _ in range(4):
                if os.fork() == 0:
                    x = bytearray(b"x") * (150 << 20)
                    time.sleep(0.9); time.sleep(0.9); time.sleep(0.9)
                    os._exit(0)
            os.wait()
            """,
        "shared": """
            import mmap, time
            x = mmap.mmap(-1, 600 << 20)
            for at in range(0, len(x), 4096): x[at] = 1
            time.sleep(0.9); time.sleep(0.9)
            """,
    }[how]
    outcome = guest.python(script, seconds=20)
    assert outcome.status == "failed", guest.printed("stderr")
    assert any("more memory than it may" in loss for loss in guest.losses())


def test_processes_are_limited(start: Make) -> None:
    guest = start(processes=40)
    outcome = guest.python(
        """
        import os, time
        made = 0
        try:
            while made < 500:
                if os.fork() == 0: time.sleep(2.5); os._exit(0)
                made += 1
        except BlockingIOError: print("no more", made)
        """,
        seconds=20,
    )
    assert outcome.code == 0
    said, number = guest.printed().rsplit(None, 1)
    assert said == "no more"
    assert 20 < int(number) < 40


def test_a_fork_bomb_ends_with_the_guest(start: Make) -> None:
    guest = start(processes=200)
    outcome = guest.shell(":() { : | : & }; :; sleep 0.5", seconds=2)
    assert outcome.status in ("exited", "timeout", "killed")
    ours = psutil.Process().children(recursive=True)
    guest.end()
    assert gone(ours)


def test_output_is_read_counted_and_kept_small(start: Make) -> None:
    guest = start()
    outcome = guest.shell("head -c 100000000 /dev/zero | tr '\\0' '\\033'; echo end >&2", seconds=60)
    assert outcome.code == 0
    [out] = [event for event in guest.events(events.OutputWritten) if event.stream == "stdout"]
    assert out.size == 100_000_000
    assert len(out.data) == 64 * 1024
    assert guest.path.stat().st_size < 2_000_000
    assert not guest.losses()


def test_files_are_limited(start: Make) -> None:
    guest = start(disk=8 * 1024**2)
    guest.shell("head -c 20000000 /dev/zero > ~/big; head -c 20000000 /dev/zero > /tmp/big; stat -c %s ~/big /tmp/big")
    assert all(int(size) <= 8 * 1024**2 for size in guest.printed().split())
