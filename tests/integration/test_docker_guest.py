"""From inside of a container: what is watched, what cannot be reached, and that nothing is left of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import containers, events
from sandbox.backends.docker import BACKEND
from sandbox.plan import Limits
from tests.integration.docker_guest import KEY, Contained

pytestmark = pytest.mark.docker

Make = Callable[..., Contained]


def ours() -> list[str]:
    """Containers of this process's."""
    owner = containers.labels("guest")[containers.OWNER]
    with containers.client() as api:
        listed = api.containers(all=True, filters={"label": f"{containers.OWNER}={owner}"})
    return [container["Id"] for container in listed]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Make]:
    """Makes guests; each is ended, and nothing of it is left."""
    made: list[Contained] = []

    def make(**limits: int) -> Contained:
        made.append(Contained(BACKEND, tmp_path, Limits(**limits)))
        return made[-1]

    yield make
    for one in made:
        one.end()
    assert ours() == []


def test_a_program_runs_and_is_seen(start: Make) -> None:
    guest = start()
    outcome = guest.shell(f"cat {KEY}; exit 3")
    assert (outcome.status, outcome.code) == ("exited", 3)
    opened = [event.path for event in guest.events(events.FileOpened)]
    assert KEY in opened
    assert [(event.decoy, event.how) for event in guest.events(events.DecoyTouched)] == [("ssh", "opened")]
    assert not guest.events(events.SensorLost)


def test_the_package_is_nobody_and_cannot_become_more(start: Make) -> None:
    guest = start()
    status = dict(line.split(":\t") for line in guest.told("cat /proc/self/status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert status["Groups"].strip() == ""
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert int(status["Seccomp_filters"]) >= 2  # the runtime's own, and the warden's


def test_no_route_leads_out(start: Make) -> None:
    guest = start()
    program = """
import json, socket
found = {}
for address in ("192.0.2.1", "198.51.100.7", "203.0.113.9", "172.17.0.1", "169.254.169.254", "2001:db8::1"):
    try:
        with socket.create_connection((address, 80), timeout=5) as one:
            one.sendall(b"x")
            found[address] = one.recv(100).decode()
    except OSError as error:
        found[address] = str(error)
for name, family in (("raw4", socket.AF_INET), ("raw6", socket.AF_INET6)):
    try:
        socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        found[name] = "opened"
    except OSError as error:
        found[name] = error.strerror
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    found["packet"] = "opened"
except OSError as error:
    found["packet"] = error.strerror
found["interfaces"] = [name for _, name in socket.if_nameindex()]
print(json.dumps(found))
"""
    found = json.loads(guest.told(f"python3 - <<'END'\n{program}END"))
    # Whatever is asked, the gateway answers; every address is one of the guest's own.
    assert {found[address] for address in found if "." in address or "::" in address} == {"hello x"}
    assert found["interfaces"] == ["lo"]
    assert "opened" not in (found["raw4"], found["raw6"], found["packet"])
    assert {peer.address for peer in guest.internet.connections} >= {"192.0.2.1", "169.254.169.254", "2001:db8::1"}


def test_the_warden_and_its_stream_cannot_be_reached(start: Make) -> None:
    guest = start()
    said = guest.told(
        """
for process in $(ls /proc | grep -E '^[0-9]+$'); do
    [ "$(stat -c %u /proc/$process 2>/dev/null)" = 0 ] || continue
    echo "root $process"
    ls /proc/$process/fd >/dev/null 2>&1 && echo "FD $process"
    for fd in 0 1 2 10 11; do
        (: </proc/$process/fd/$fd) 2>/dev/null && echo "OPENED $process $fd"
    done
    cat /proc/$process/mem >/dev/null 2>&1 && echo "MEMORY $process"
    cat /proc/$process/environ >/dev/null 2>&1 && echo "ENVIRONMENT $process"
    kill -9 $process 2>/dev/null && echo "KILLED $process"
done
echo done
"""
    )
    lines = said.splitlines()
    assert lines[-1] == "done"
    assert [line for line in lines if line.startswith("root ")], said
    assert [line for line in lines if not line.startswith(("root ", "done"))] == []
    assert guest.shell("true").status == "exited"


def test_nothing_of_the_system_can_be_written(start: Make) -> None:
    guest = start()
    said = guest.told(
        """
for place in / /etc /usr /usr/bin /usr/lib/systemd /proc /proc/sys/kernel /sys /sys/fs/cgroup /dev /var/lib /boot; do
    (echo x >"$place/.left") 2>/dev/null && echo "WROTE $place"
done
for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /etc/hosts /etc/resolv.conf /etc/passwd \\
        /proc/1/oom_score_adj
do (echo x >"$file") 2>/dev/null && echo "WROTE $file"; done
for name in /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock; do
    [ -e "$name" ] && echo "THERE $name"
done
cat /usr/lib/systemd/systemd >/dev/null 2>&1 && echo "READ the warden"
mount -t tmpfs none /mnt 2>/dev/null && echo "MOUNTED"
echo done
"""
    )
    assert said == "done\n"


def test_the_machine_is_the_personas(start: Make) -> None:
    guest = start()
    said = guest.told(
        "hostname; grep -c processor /proc/cpuinfo; cut -d. -f1 /proc/uptime; nproc; cat /proc/self/cgroup; "
        "ls -d /.dockerenv 2>/dev/null; test -e /.dockerenv && echo there; cat /etc/resolv.conf; echo done"
    ).splitlines()
    assert said[:4] == ["nl-thinkpad", "8", "300000", "8"]
    assert not any("docker" in line for line in said)
    assert "there" not in said
    assert [line for line in said if line.startswith("nameserver")] == ["nameserver 192.168.1.1"]
    assert not any(line.startswith("search") and line != "search ." for line in said)


def test_what_detached_is_found_and_gone_with_the_container(start: Make) -> None:
    guest = start()
    guest.shell("setsid sh -c 'while :; do sleep 1; done' >/dev/null 2>&1 &")
    assert [one.exe.rsplit("/", 1)[-1] for one in guest.guest.survivors()]
    guest.end()
    assert ours() == []


def test_memory_processes_and_disk_have_bounds(start: Make) -> None:
    guest = start(memory=256 << 20, disk=64 << 20, processes=64)
    said = guest.told("dd if=/dev/zero of=fill bs=1M count=200; rm fill; echo done")
    assert "No space left" in said
    program = "import os\ncount = 0\ntry:\n    while count < 1000:\n        if os.fork() == 0:\n"
    program += "            import time\n            time.sleep(20)\n            os._exit(0)\n        count += 1\n"
    program += "except OSError:\n    pass\nprint(count)"
    assert int(guest.told(f"python3 -c '{program}' & wait", seconds=60).split()[-1]) < 200
    guest.shell("python3 -c 'x = bytearray(2 << 30)'")
    assert any("memory" in loss.reason for loss in guest.events(events.SensorLost)) or guest.guest.alive is False


def test_the_wardens_processes_keep_only_what_they_need(start: Make) -> None:
    guest = start()
    caps = "grep -HE '^Cap(Prm|Eff|Inh)' /proc/$process/status"
    said = guest.told(f"for process in 1 $(pgrep -u root .); do {caps}; done")
    held = {line.split("\t")[-1] for line in said.splitlines() if "Cap" in line}
    assert len(held) >= 2, said
    never = 1 << 21 | 1 << 12 | 1 << 13  # SYS_ADMIN, NET_ADMIN, NET_RAW
    assert not [value for value in held if int(value, 16) & never], said


def test_an_escape_that_is_tried_is_refused_and_seen(start: Make) -> None:
    guest = start()
    guest.shell("unshare -r true; unshare -m true; mount -t tmpfs none /mnt; nsenter -t 1 -m true; exit 0")
    tried = {event.name for event in guest.events(events.SyscallCalled) if event.denied}
    assert {"unshare", "mount"} <= tried
