"""A program was run that packages do not usually need.

What: a package started a program that is neither its own, nor a usual part of building and running packages
(interpreters, compilers, file commands), nor what a build just had linked in order to try it, nor named in its profile;
or tried to run one for the network, or one that gives more rights, that is not there. Asking one of the machine's for
its version only (`java -version`) is none.
Why it matters: downloaders, network tools, service managers and account tools are how a script does what
its language would make visible. By itself it proves no harm.
What to do: read the command line in the evidence. A profile entry with the program and its arguments allows
it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.lineage import SHELLS, program_name
from sandbox.report import Finding
from sandbox.rules import Case, Rule, grouped, listed
from sandbox.rules._built import without_try_runs
from sandbox.rules._names import ABOUT_ITSELF, CARRIERS, DOWNLOADERS, LOADER, PRIVILEGED

_ABOUT_ITSELF = frozenset({"--version", "-version", "-V", "--help"})
"""Asked by itself, no program does more than answer: which tools are there is what builds ask of many."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, naming the programs."""
    absent = [
        deed for deed in case.missing if program_name(deed.subject.partition(" ")[0]) in CARRIERS | PRIVILEGED
    ]
    for deeds in grouped(absent):
        yield case.finding(
            deeds, title=f"tried to run programs that are not there: {listed(deed.subject for deed in deeds)}"
        )
    for deeds in grouped(without_try_runs(case, [deed for deed in case.of("run") if not _is_about_itself(case, deed)])):
        names = [program_name(deed.subject) for deed in deeds]
        carries = any(name in DOWNLOADERS for name in names)
        yield case.finding(
            deeds,
            title=f"ran programs that no profile expects: {listed(names)}",
            severity="high" if carries else "medium",
        )


def _is_about_itself(case: Case, deed: Deed) -> bool:
    """Whether a program that the package did not bring is only asked for its version or its usage."""
    program = deed.actor.program
    if program is None or deed.subject in case.facts.origins:
        return False
    words = program.argv[1:]
    if program.script and words and program_name(words[0]) == program_name(program.script):
        words = words[1:]
    if deed.subject.startswith(f"{case.header.home}/.local/bin/"):
        return bool(ABOUT_ITSELF.fullmatch(" ".join(words)))
    if not case.facts.table.is_system(deed.subject):
        return False
    return (len(words) == 1 and words[0] in _ABOUT_ITSELF) or _is_run_by_ldd(case, deed)


def _is_run_by_ldd(case: Case, deed: Deed) -> bool:
    """`ldd FILE` is a script that has the system's loaders look at the file, and list what it needs."""
    programs = deed.actor.process.programs
    before = programs[-2] if len(programs) > 1 and programs[-1] is deed.actor.program else None
    if before is None or before.argv[1:2] != ["/usr/bin/ldd"] or LOADER.fullmatch(program_name(deed.subject)) is None:
        return False
    return before.name in SHELLS and case.facts.table.is_system(before.exe)  # others take no script by that argument


RULE = Rule(
    title="ran programs that no profile expects",
    severity="medium",
    confidence="medium",
    verdict="suspicious",
    attack=("T1059",),
    check=check,
)
