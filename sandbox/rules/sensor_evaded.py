"""A way around the sensor was tried, or a debugger looked for.

What: calls that the sensor refuses because they would pass it by (io_uring, bpf, another architecture's
calls, kernel modules, handles to files), tracing tricks that detect an observer, and signals to processes
outside its own line.
Why it matters: honest packages do not know that they are watched. Another architecture's calls, bpf and
kernel modules have no honest reason: malicious. The others (a library probing for io_uring) may be
harmless: suspicious.
What to do: read the calls in the evidence. A runtime that probes for a feature belongs into a profile.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed
from sandbox.rules._names import LOADER

_CERTAIN = frozenset(
    {
        "foreign_architecture", "bpf", "kexec_load", "init_module", "finit_module", "delete_module",
        "open_by_handle_at",
    }
)  # fmt: skip
_ELSEWHERE = frozenset(
    {"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "pivot_root", "setns", "unshare", "clone",
     "chroot"}
)  # fmt: skip
"""Refused as well, and judged as attempts to leave the guest."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    deeds = [deed for deed in case.of("syscall") if deed.subject not in _ELSEWHERE and _is_telling(case, deed)]
    for group in by_package(deeds):
        certain = any(deed.subject in _CERTAIN for deed in group)
        yield case.finding(
            group,
            title=f"tried to evade a sensor: {listed(deed.subject for deed in group)}",
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "medium",
            confidence="high" if certain else "medium",
        )


def _is_telling(case: Case, deed: Deed) -> bool:
    event = deed.event
    if deed.subject == "foreign_architecture" and _is_version_asked(case, deed):
        return False
    if event.denied or deed.subject in _CERTAIN:
        return True
    if deed.subject == "ptrace":
        return bool(event.args) and event.args[0] == 0  # PTRACE_TRACEME: fails under a debugger
    if deed.subject in ("kill", "pidfd_send_signal"):
        return _is_foreign_target(case, deed)
    return deed.subject.startswith(("socket packet", "socket inet raw", "socket inet6 raw", "socket alg"))


def _is_version_asked(case: Case, deed: Deed) -> bool:
    """`ldd` asks each loader that the machine has for its version first, those of other architectures too."""
    program = deed.actor.program
    if program is None or program.argv[1:] != ["--version"]:
        return False
    # A loader answers before it loads anything; any other program may be given code to load by its environment.
    return case.facts.table.is_system(program.exe) and LOADER.fullmatch(program.name) is not None


def _is_foreign_target(case: Case, deed: Deed) -> bool:
    """Every process, the guest's first one, or one of another line."""
    args = deed.event.args
    if len(args) < 2 or args[1] == 0:
        return False  # signal 0 only asks whether it exists
    target = args[0]
    if target in (-1, 1):
        return True
    if deed.subject != "kill" or target <= 0:
        return False
    found = case.facts.by_pid.get(target)
    if found is None or found.actor.stem == deed.actor.stem:
        return False
    return found.started < deed.at


RULE = Rule(
    title="tried to evade a sensor",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1562.001", "T1622", "T1497"),
    check=check,
)
