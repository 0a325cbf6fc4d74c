"""A real guest on the native backend: what reaches the sensors, and that nothing of it is left.

Programs in the guest are shell, Python of /usr/bin, and a small static C program; they touch only the guest itself
and documentation addresses, which are all local to it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sandbox import events
from sandbox.plan import Phase
from tests.integration.native_rig import (
    ENVIRONMENT,
    KEY,
    SURVIVORS,
    Make,
    alive,
    built,
    compiling,
    gone,
    host_script,
    making,
)

pytestmark = pytest.mark.native

start = pytest.fixture(making)
compiler = pytest.fixture(scope="module")(compiling)


def test_a_program_runs_and_is_seen(start: Make) -> None:
    guest = start()
    outcome = guest.shell("cat ~/.ssh/id_rsa; echo out; echo err >&2; exit 3")
    assert (outcome.status, outcome.code) == ("exited", 3)
    assert guest.printed() == "secret\nout\n"
    assert guest.printed("stderr") == "err\n"
    assert not guest.losses()
    programs = {Path(event.exe).name for event in guest.events(events.ProgramStarted)}
    assert "bash" in programs
    assert "cat" in programs
    opened = [event for event in guest.events(events.FileOpened) if event.path == KEY]
    assert [event.access for event in opened] == ["read"]
    touched = guest.events(events.DecoyTouched)
    assert [(event.decoy, event.path, event.how, event.by) for event in touched] == [("ssh", KEY, "opened", "witness")]
    parents = {event.process: event.parent for event in guest.events(events.ProcessStarted)}
    assert parents[opened[0].process] == 1


def test_killed_and_missing_programs_and_folders(start: Make) -> None:
    guest = start()
    assert guest.shell("kill -KILL $$").status == "killed"
    assert guest.run("/no/such/program").status == "failed"
    phase = Phase(name="run", kind="run", argv=("/bin/true",), cwd="/not/there")
    assert guest.guest.run(phase, ENVIRONMENT, "/").status == "failed"
    assert guest.run("/bin/true").code == 0, "and it still works"


def test_a_phase_is_stopped_at_its_limit(start: Make) -> None:
    guest = start()
    outcome = guest.shell("trap '' TERM INT HUP; while :; do :; done", seconds=0.5)
    assert outcome.status == "timeout"
    assert outcome.seconds < 3
    assert guest.shell("true").status == "exited"


def test_nothing_survives_the_end(start: Make) -> None:
    guest = start(sleep=2_000_000.0)
    assert guest.shell(SURVIVORS).status == "exited"
    time.sleep(0.3)
    survivors = guest.guest.survivors()
    assert len(survivors) >= 3
    assert any("sleep" in one.exe for one in survivors)
    assert any(one.argv[:1] == ["innocent"] for one in survivors)
    ours = psutil.Process().children(recursive=True)
    assert len(ours) >= 5
    before = time.monotonic()
    guest.end()
    assert time.monotonic() - before < 1
    assert gone(ours)


@pytest.mark.parametrize("busy", ["idle", "in a phase"])
def test_a_guest_dies_with_its_host(tmp_path: Path, busy: str) -> None:
    script = f"guest.shell({SURVIVORS!r})\nprint('up', flush=True)\n"
    script += "time.sleep(60)" if busy == "idle" else "guest.shell('while :; do cat /etc/passwd; done', 60)"
    host = subprocess.Popen([sys.executable, "-c", host_script(tmp_path, script)], stdout=subprocess.PIPE)
    try:
        assert host.stdout is not None
        assert host.stdout.readline() == b"up\n"
        until = time.monotonic() + 10
        while len(theirs := psutil.Process(host.pid).children(recursive=True)) < 7:
            assert time.monotonic() < until, "the warden twice, bubblewrap, the guest's first process, three survivors"
            time.sleep(0.05)
    finally:
        host.send_signal(signal.SIGKILL)
        host.wait()
        if host.stdout:
            host.stdout.close()
    assert gone(theirs, 2.0), f"left behind: {alive(theirs)}"


def test_nothing_of_the_host_can_be_reached(start: Make, tmp_path: Path) -> None:
    guest = start()
    secret = tmp_path / "secret-of-the-host"
    secret.write_text("xyzzy")
    guest.shell(
        f"""
        ls -A /root /opt /srv /mnt /usr/local; cat {secret} {secret.parent}/*; ls /home
        cat /proc/1/environ /proc/1/maps; ls -l /proc/1/root /proc/1/cwd /proc/1/fd; cat /proc/1/mem
        cat /proc/*/environ | tr '\\0' '\\n' | grep -v '^\\(PATH\\|HOME\\|USER\\|LANG\\|PWD\\|OLDPWD\\|SHLVL\\|_\\)='
        echo x > /usr/bin/x; echo x > /etc/x; echo x > /x; mkdir /root/x; chmod 777 /etc
        mount -t tmpfs none /mnt; umount /usr; hostname other; echo 1 > /proc/sys/kernel/core_pattern
        kill -9 1; kill -9 -1
        """
    )
    again = start()
    again.shell("ls -A /usr/bin/x /etc/x /x; hostname; ls /home; tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/comm")
    assert "xyzzy" not in guest.printed() + guest.printed("stderr")
    assert "->" not in guest.printed(), "where process 1 stands cannot be read"
    # An ordinary user's guest may count the descriptors of process 1 and open its own empty /root; root's may not.
    shown = (line for line in guest.printed().splitlines() if line and "/proc/1/" not in line)
    names = [line for line in shown if line != "/root:" and not line.startswith(("total 0", "lr", "l-", "lrwx"))]
    assert names == ["/mnt:", "/opt:", "/srv:", "/usr/local:", "dev"], guest.printed()
    assert again.printed().split() == ["nl-thinkpad", "dev", "/sbin/init", "systemd"]
    said = guest.printed("stderr")
    for denied in ("/proc/1/environ", "/proc/1/mem", "/usr/bin/x", "/etc/x"):
        assert denied in said


def test_the_guest_outlives_a_package_that_kills_all_it_can_see(start: Make) -> None:
    guest = start()
    assert guest.shell("kill -9 -1; kill -9 1; echo here").status in ("exited", "killed")
    assert guest.shell("echo still here").code == 0
    assert "still here" in guest.printed()
    assert not guest.losses()
    assert {event.detail for event in guest.calls("kill")} >= {"pid -1", "pid 1"}


FOREIGN = """
#include <stdio.h>
int main(void) {
    long answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory"); /* i386 getpid */
    printf("%ld\\n", answer);
    __asm__ volatile("syscall" : "=a"(answer) : "a"(0x40000000L + 39) : "rcx", "r11", "memory"); /* x32 getpid */
    printf("%ld\\n", answer);
    return 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is x86's")
def test_foreign_calls_are_refused_and_told(start: Make, tmp_path: Path, compiler: str) -> None:
    guest = start(files=(("/home/dev/program", built(compiler, tmp_path, FOREIGN)),))
    assert guest.run("/home/dev/program").code == 0
    assert guest.printed().split() == ["-38", "-38"]
    told = guest.calls("foreign_architecture")
    assert [event.denied for event in told] == [True, True]
    assert "0x3" in told[0].detail


THREAD = """
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
static void *run(void *unused) {
    (void)unused;
    unshare(CLONE_FILES);
    int fd = socket(AF_INET, SOCK_STREAM, 0), at = dup2(fd, 50);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444)};
    inet_pton(AF_INET, "192.0.2.44", &to.sin_addr);
    char text[64];
    printf("%d\\n", connect(at, (struct sockaddr *)&to, sizeof to));
    printf("%zd\\n", write(at, "x", 1));
    printf("%zd\\n", read(at, text, sizeof text));
    fflush(stdout);
    _exit(0);
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, run, NULL);
    pthread_exit(NULL); /* the first thread is gone; the other has descriptors of its own */
}
"""


def test_a_thread_with_descriptors_of_its_own_is_followed(start: Make, tmp_path: Path, compiler: str) -> None:
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if version < (6, 9):
        pytest.skip("this kernel cannot copy a thread's own descriptors (6.9)")
    guest = start(files=(("/home/dev/program", built(compiler, tmp_path, THREAD)),))
    assert guest.run("/home/dev/program").code == 0
    assert guest.printed().split() == ["0", "1", "7"]
    assert [(peer.address, peer.port, peer.process) for peer in guest.internet.connections] == [("192.0.2.44", 4444, 1)]


def test_the_same_as_an_ordinary_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests already run as an ordinary user")
    setpriv = shutil.which("setpriv")
    if not setpriv:
        pytest.skip("no setpriv here to become an ordinary user with")
    become = [setpriv, "--reuid", "12345", "--regid", "12345", "--clear-groups", "--inh-caps=-all"]
    if subprocess.run([*become, sys.executable, "-c", "import asyncio, pytest"], check=False).returncode:
        pytest.skip("an ordinary user cannot run this Python")
    allowed = subprocess.run([*become, "unshare", "--user", "true"], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip(f"an ordinary user may not make namespaces here: {allowed.stderr.decode().strip()}")
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    script = """
        guest.shell("id -u; cat ~/.ssh/id_rsa; cat /proc/1/environ; nproc; ls /root")
        guest.shell("exec 3<>/dev/tcp/192.0.2.1/80; printf x >&3; head -c 7 <&3; sleep 2050000")
        print(guest.printed(), [peer.address for peer in guest.internet.connections], guest.losses())
        print(len(guest.events(rig.events.DecoyTouched)), len(guest.events(rig.events.SleepSkipped)))
    """
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    done = subprocess.run(
        [*become, sys.executable, "-c", host_script(folder, script)],
        capture_output=True, text=True, timeout=60, env=environment, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[:3] == ["1000", "secret", "8"], done.stdout
    assert "hello x ['192.0.2.1'] []" in done.stdout
    assert done.stdout.split("\n")[-2] == "1 1"
    assert not [path for path in folder.iterdir() if path.name.startswith("guest-")]
