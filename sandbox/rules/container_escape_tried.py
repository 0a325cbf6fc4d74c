"""A way out of the container was tried.

What: a package used the container engine's socket, the kernel's escape levers (core patterns, release
agents, /proc/sys), another process's root, or calls that mount file systems and enter or make namespaces.
Why it matters: on a build server these lead to the host. Kernel levers, mounts and entering namespaces have
no honest reason in a package: malicious. The engine's socket, and a browser's own sandbox (which makes
namespaces), are suspicious until a profile says why.
What to do: reject the package unless its purpose is to drive containers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_SOCKET = re.compile(r"(unix:)?(/var)?/run/(docker\.sock|podman/.*|containerd/.*|crio/.*|user/\d+/(docker|podman).*)")
_LEVER = re.compile(
    r"/proc/sys/.*|/proc/sysrq-trigger|/sys/fs/cgroup/.*(release_agent|notify_on_release|cgroup\.procs|devices\.allow)"
    r"|/sys/kernel/(uevent_helper|mm/.*|security/.*)|/proc/1/(root|cwd|ns|mem|environ|fd)(/.*)?"
    r"|/dev/(sd|nvme|vd|mem|kmem|kmsg).*"
)
_CALLS = frozenset(
    {"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "setns", "chroot"}
)
_NAMESPACES = frozenset({"unshare", "clone"})
_PROGRAMS = re.compile(r"(?:^|/)(nsenter|mount|chroot|pivot_root|insmod|modprobe|capsh)$")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    certain: set[int] = set()
    deeds: list[Deed] = []
    for deed in case.of("read", "write", "change", "connect", "syscall", "run"):
        level = _level(deed)
        if level:
            deeds.append(deed)
            if level > 1:
                certain.add(id(deed))
    for group in by_package(deeds):
        sure = any(id(deed) in certain for deed in group)
        yield case.finding(
            group,
            title=f"tried a way out of the container: {listed(case.pathname(deed.subject) for deed in group)}",
            verdict="malicious" if sure else "suspicious",
            severity="critical" if sure else "medium",
            confidence="high" if sure else "medium",
        )


def _level(deed: Deed) -> int:
    """0: no attempt; 1: perhaps one; 2: one without an honest reason."""
    if deed.verb == "syscall":
        if deed.subject in _CALLS:
            return 2
        return 1 if deed.subject in _NAMESPACES and deed.event.denied else 0
    if deed.verb == "run":
        return 1 if _PROGRAMS.search(deed.subject) else 0
    if _SOCKET.fullmatch(deed.subject):
        return 1
    if deed.verb == "read" and deed.subject.startswith(("/proc/sys/", "/sys/")):
        return 0  # reading the kernel's settings is ordinary
    return 2 if deed.verb != "connect" and _LEVER.fullmatch(deed.subject) else 0


RULE = Rule(
    title="tried a way out of the container",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1611",),
    check=check,
)
