"""A real guest on the native backend: what reaches the sensors, what it cannot do, and that nothing of it is left.

Programs in the guest are shell, Python of /usr/bin, and a small static C program; they touch only the guest itself
and documentation addresses, which are all local to it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from sandbox import events
from sandbox.backends import GuestSpec, Running
from sandbox.backends.native import BACKEND
from sandbox.guest import Guest, LoopThread, Outcome
from sandbox.plan import Limits, Phase
from sandbox.recorder import Recorder
from sandbox.streams import Peer, Stream
from sandbox.warden.frames import Put

pytestmark = pytest.mark.native

ROOT = Path(__file__).parent.parent.parent
PYTHON = "/usr/bin/python3"
KEY = "/home/dev/.ssh/id_rsa"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home/dev", "USER": "dev", "LANG": "C.UTF-8"}
Kind = TypeVar("Kind", bound=events.Event)


class Internet:
    """Answers every connection with what was asked, and every datagram."""

    def __init__(self) -> None:
        self.connections: list[Peer] = []
        self.sent: dict[int, int] = {}
        self.datagrams: list[tuple[Peer, bytes]] = []

    async def serve(self, stream: Stream) -> None:
        """Says hello to what comes, and counts it."""
        self.connections.append(stream.peer)
        while data := await stream.read():
            self.sent[stream.peer.connection] = self.sent.get(stream.peer.connection, 0) + len(data)
            if data.startswith(b"big"):
                await stream.write(bytes(int(data[3:])))
            elif data.startswith(b"wait"):
                await asyncio.sleep(0.5)
            else:
                await stream.write(b"hello " + data[:20])

    def datagram(self, peer: Peer, data: bytes) -> list[bytes]:
        """Echoes."""
        self.datagrams.append((peer, data))
        return [b"re:" + data]


class Real:
    """A guest that runs, and its recording."""

    def __init__(self, folder: Path, limits: Limits, files: tuple[tuple[str, bytes], ...] = ()) -> None:
        self.path = folder / f"recording-{time.monotonic_ns()}"
        self.recorder = Recorder(self.path, events.Header(), 500_000)
        self.internet = Internet()
        self.loop = LoopThread()
        self.limits = limits
        cpuinfo = ("/proc/cpuinfo", b"processor\t: 0\n" * 8)
        self.running: Running = BACKEND.start(
            GuestSpec(
                host_name="nl-thinkpad", home="/home/dev", uptime=300_000, cpus=8, limits=limits, files=(cpuinfo,)
            )
        )
        self.guest = Guest(self.loop, self.running, self.recorder, self.internet, [("ssh", KEY)], limits)
        puts = [
            Put(KEY, b"secret\n", 0o600),
            Put("/home/dev/project", kind=2, mode=0o755),
            Put("/etc/passwd", b"root:x:0:0::/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/sh\n", owned=False),
            Put("/etc/resolv.conf", b"nameserver 192.168.1.1\n", owned=False),
            *(Put(path, content, 0o755) for path, content in files),
        ]
        self.guest.prepare(puts, 8, [])
        self._ended = False

    def run(self, *argv: str, seconds: float = 30.0) -> Outcome:
        phase = Phase(name="run", kind="run", argv=argv, seconds=seconds)
        return self.guest.run(phase, ENVIRONMENT, "/home/dev/project")

    def shell(self, text: str, seconds: float = 30.0) -> Outcome:
        return self.run("/bin/bash", "-c", text, seconds=seconds)

    def python(self, text: str, seconds: float = 30.0) -> Outcome:
        if not os.path.exists(PYTHON):
            pytest.skip(f"no {PYTHON} here to run in the guest")
        return self.run(PYTHON, "-c", textwrap.dedent(text), seconds=seconds)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self.guest.end()
            self.recorder.close()
            self.loop.close()

    def events(self, kind: type[Kind]) -> list[Kind]:
        self.end()
        return [event for event in events.read(self.path).events if isinstance(event, kind)]

    def printed(self, stream: str = "stdout") -> str:
        return b"".join(e.data for e in self.events(events.OutputWritten) if e.stream == stream).decode()

    def calls(self, name: str) -> list[events.SyscallCalled]:
        return [event for event in self.events(events.SyscallCalled) if event.name == name]

    def losses(self) -> list[str]:
        return [f"{loss.sensor}: {loss.reason}" for loss in self.events(events.SensorLost)]


Make = Callable[..., Real]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run. One that is reaped between two questions about it does not."""
    found = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


def gone(processes: list[psutil.Process], seconds: float = 1.0) -> bool:
    """Whether all of them are gone within that time."""
    limit = time.monotonic() + seconds
    while alive(processes) and time.monotonic() < limit:
        time.sleep(0.02)
    return not alive(processes)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Make]:
    """Makes guests; whatever a test does, each is ended, and must then be gone."""
    made: list[Real] = []
    before = set(psutil.Process().children(recursive=True))

    def make(files: tuple[tuple[str, bytes], ...] = (), **limits: Any) -> Real:
        made.append(Real(tmp_path, Limits(**limits), files))
        return made[-1]

    yield make
    ours = [one for one in psutil.Process().children(recursive=True) if one not in before]
    for one in made:
        one.end()
    assert gone(ours), f"still alive a second after the end: {alive(ours)}"


@pytest.fixture(scope="module")
def compiler() -> str:
    """A C compiler, for programs that no interpreter can be."""
    found = shutil.which("cc") or shutil.which("gcc")
    if not found:
        pytest.skip("no C compiler here: apt-get install gcc libc6-dev")
    return found


def built(compiler: str, folder: Path, text: str) -> bytes:
    """A static program."""
    source = folder / "program.c"
    source.write_text(text)
    flags = ["-D_GNU_SOURCE", "-static", "-O1", "-pthread"]
    subprocess.run([compiler, *flags, "-o", str(folder / "program"), str(source)], check=True)
    return (folder / "program").read_bytes()


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


SURVIVORS = """
setsid nohup sleep 1000000 >/dev/null 2>&1 </dev/null &
(setsid bash -c 'trap "" TERM INT HUP QUIT; (while :; do read -t 0.1 </dev/zero; sleep 0.1; done) & disown' &)
( ( ( trap '' TERM; exec -a innocent tail -f /dev/null ) & ) & )
exec 1>&- 2>&-
"""


def test_nothing_survives_the_end(start: Make) -> None:
    guest = start(sleep=2_000_000.0)
    assert guest.shell(SURVIVORS).status == "exited"
    time.sleep(0.3)
    survivors = guest.guest.survivors()
    assert len(survivors) >= 3
    assert any("sleep" in exe for _, exe, _ in survivors)
    assert any(argv[:1] == ["innocent"] for _, _, argv in survivors)
    ours = psutil.Process().children(recursive=True)
    assert len(ours) >= 5
    before = time.monotonic()
    guest.end()
    assert time.monotonic() - before < 1
    assert gone(ours)


HOST = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from sandbox.plan import Limits
import importlib.util
specification = importlib.util.spec_from_file_location("rig", {file!r})
rig = importlib.util.module_from_spec(specification)
sys.modules["rig"] = rig
specification.loader.exec_module(rig)
guest = rig.Real(Path({folder!r}), Limits(sleep=2_000_000.0))
{script}
"""


def host_script(folder: Path, script: str) -> str:
    return HOST.format(root=str(ROOT), file=__file__, folder=str(folder), script=textwrap.dedent(script))


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


def test_every_address_is_the_gateway_s(start: Make) -> None:
    guest = start()
    addresses = [("192.0.2.1", 80), ("198.51.100.77", 443), ("10.0.0.1", 22), ("203.0.113.9", 65535)]
    if os.path.exists("/proc/net/if_inet6"):
        addresses += [("2001:db8::7", 443), ("::ffff:192.0.2.5", 8443)]
    outcome = guest.python(
        f"""
        import socket
        for address, port in {addresses!r}:
            s = socket.create_connection((address, port), 5)
            s.sendall(f"{{address}}".encode())
            assert s.recv(100) == f"hello {{address}}".encode()[:26], address
            assert s.getpeername()[:2] == (address, port)
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    seen = [(peer.address, peer.port) for peer in guest.internet.connections]
    assert seen == [(address.removeprefix("::ffff:"), port) for address, port in addresses]
    assert {peer.process for peer in guest.internet.connections} == {1}


def test_datagrams_are_answered_from_where_they_were_sent(start: Make) -> None:
    guest = start()
    addresses = ["192.168.1.1", "203.0.113.5"]
    if os.path.exists("/proc/net/if_inet6"):
        addresses.append("2001:db8::53")
    outcome = guest.python(
        f"""
        import socket
        for address in {addresses!r}:
            for way in ("sendto", "connect", "sendmsg"):
                s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(5)
                if way == "sendto":
                    s.sendto(b"ask", (address, 53))
                elif way == "sendmsg":
                    s.sendmsg([b"ask"], [], 0, (address, 53))
                else:
                    s.connect((address, 53)); s.send(b"ask")
                data, source = s.recvfrom(100)
                assert (data, source[:2]) == (b"re:ask", (address, 53)), (way, data, source)
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert [peer.address for peer, _ in guest.internet.datagrams] == [one for one in addresses for _ in range(3)]
    assert {peer.process for peer, _ in guest.internet.datagrams} == {1}, "each is known to be this process's"


def test_a_package_s_own_server_is_its_own(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import socket, threading
        server = socket.create_server(("127.0.0.1", 8080))
        threading.Thread(target=lambda: server.accept()[0].sendall(b"own"), daemon=True).start()
        assert socket.create_connection(("127.0.0.1", 8080), 5).recv(10) == b"own"
        try: socket.socket().bind(("0.0.0.0", 443))
        except PermissionError: pass
        s = socket.create_connection(("192.0.2.1", 443), 5)  # a bind that failed takes no port away
        s.sendall(b"x"); assert s.recv(10) == b"hello x"
        try: socket.create_connection(("127.0.0.1", 9), 5)
        except ConnectionRefusedError: print("refused")
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert [peer.address for peer in guest.internet.connections] == ["192.0.2.1"]
    assert next((event.address, event.port) for event in guest.events(events.PortBound)) == ("127.0.0.1", 8080)
    assert guest.printed() == "refused\n"


def test_a_large_answer_arrives_whole_and_a_large_upload_is_taken(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import socket, time
        s = socket.create_connection(("192.0.2.1", 80), 5)
        s.sendall(b"big30000000")
        s.shutdown(socket.SHUT_WR)
        time.sleep(0.3)  # a slow reader
        size = 0
        while data := s.recv(1 << 16):
            size += len(data)
        assert size == 30_000_000, size
        s = socket.create_connection(("192.0.2.2", 80), 5)
        s.sendall(b"wait")
        time.sleep(0.1)
        for _ in range(100): s.sendall(b"wait" + bytes(99_996))
        s.shutdown(socket.SHUT_WR)
        while s.recv(1 << 16): pass
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert not guest.losses()
    assert sorted(guest.internet.sent.values()) == [11, 10_000_004]


def test_unusual_sockets_and_namespaces_are_refused_and_told(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import ctypes, errno, os, socket
        def refused(make):
            try: make()
            except OSError as error: return errno.errorcode[error.errno]
            return "no"
        libc = ctypes.CDLL(None, use_errno=True)
        def call(number, *args):
            if libc.syscall(number, *args) == -1: raise OSError(ctypes.get_errno(), "")
        print(refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)))
        print(refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)))
        print(refused(lambda: socket.socket(40, socket.SOCK_STREAM)))
        print(refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)))
        print(refused(lambda: call(425, 8, 0)))                 # io_uring_setup
        print(refused(lambda: call({"x86_64": 272}.get(os.uname().machine, 97), 0x10000000)))  # unshare
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert guest.printed().split() == ["EPERM", "EPERM", "EAFNOSUPPORT", "EAFNOSUPPORT", "ENOSYS", "EPERM"]
    sockets = [(event.family, event.kind, event.denied) for event in guest.events(events.SocketCreated)]
    assert ("inet", "raw", False) in sockets
    assert ("vsock", "stream", True) in sockets
    assert ("packet", "raw", True) in sockets
    assert [event.denied for event in guest.calls("io_uring_setup")] == [True]
    assert [event.denied for event in guest.calls("unshare")] == [True]


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


def test_a_socket_that_drops_what_comes_does_not_stop_the_warden(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import socket
        for _ in range(10):
            s = socket.socket()
            s.setsockopt(socket.IPPROTO_IP, 21, 255)  # IP_MINTTL: nothing that comes is taken
            try: s.connect(("192.0.2.1", 80))
            except TimeoutError: print("late")
        """,
        seconds=10,
    )
    assert outcome.status == "exited"
    assert outcome.seconds < 5
    assert guest.printed() == "late\n" * 10
    assert len([event for event in guest.events(events.ConnectionOpened) if event.address == "192.0.2.1"]) == 10


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


def test_five_thousand_connections(start: Make) -> None:
    guest = start(open_files=5200)
    outcome = guest.python(
        """
        import resource, socket
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        held = []
        for number in range(5000):
            s = socket.socket()
            s.settimeout(5)
            s.connect((f"198.51.{number // 250}.{number % 250 + 1}", 80))
            held.append(s)
        for s in held[:100]:
            s.sendall(b"x")
            assert s.recv(10) == b"hello x"
        print(len(held))
        """,
        seconds=60,
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert guest.printed() == "5000\n"
    lost = sum(event.count for event in guest.events(events.SensorLost))
    assert len(guest.internet.connections) + lost == 5000, "each was served or is told of"
    assert len(guest.internet.connections) >= 1000


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
