"""A process outlived the phase that started it.

What: a process of a package went on after the installation, import or command that it belonged to had
ended; it was still there when the guest was, or worked on in a later phase.
Why it matters: a thief detaches itself and waits until the installer, and whoever watched it, is gone.
Honest packages do so too (a build daemon, a telemetry flush), so it is suspicious until a profile says why. What a
command leaves to end by itself soon, and does nothing that no profile expects (a look for a newer version), is none.
What to do: look in the process tree (`baitbox show`) at what it did afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.events import SurvivorFound
from sandbox.facts import Deed
from sandbox.lineage import Process, program_name
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_GRACE = 0.25
"""Seconds in which a child may finish what it was doing when its phase ended."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase in which such a process was started."""
    deeds = case.of("survive")
    known = {deed.actor.process.serial for deed in deeds}
    groups: list[Deed] = list(deeds)
    ended = {name: end.at for name, end in case.facts.phase_ends.items()}
    for process in case.facts.table.processes.values():
        actor = process.actor
        if process.serial in known or actor.role != "package" or not process.programs or not process.phase:
            continue
        outlived = process.last_phase != process.phase and process.last_at > ended.get(process.phase, 1e18) + _GRACE
        if outlived and _is_unexpected(case, process.serial) and not _is_harmless(case, process):
            program = process.programs[-1]
            event = SurvivorFound(
                at=process.last_at, phase=process.phase, process=process.serial, exe=program.exe, argv=program.argv
            )
            groups.append(case.deed("survive", process.line, event, actor, subject=program.exe))
    for group in by_package(groups):
        names = listed(program_name(deed.subject) for deed in group)
        yield case.finding(
            group,
            title=f"left processes running: {names}",
            phase=group[0].actor.process.phase or group[0].phase,
        )


def _is_unexpected(case: Case, serial: int) -> bool:
    """Whether its program is not one that a profile lets survive."""
    process = case.facts.table.processes[serial]
    program = process.programs[-1]
    return not case.is_expected("survive", program.exe, process.actor, process.phase, " ".join(program.argv[1:]))


def _is_harmless(case: Case, process: Process) -> bool:
    """Left by a command, ended by itself, and nothing but what profiles expect was done by it or by its children."""
    if case.facts.kind(process.phase) != "run" or process.exited is None:
        return False
    line, serials = [process], set()
    while line:
        one = line.pop()
        serials.add(one.serial)
        line += one.children
    return not any(
        deed.actor.process.serial in serials and (verb != "read" or deed.decoy)
        for verb, deeds in case.judged.deviations.items()
        for deed in deeds
    )


RULE = Rule(
    title="left processes running",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1564", "T1036"),
    check=check,
)
