"""A program was run that did not come with the package.

What: a package executed a file, or gave an interpreter a script, that it had itself written during this
run, and that no compiler or linker made. Scripts in the folder of a build are ordinary (a configure that is copied
or written there), until something was received from a host that no profile expects.
Why it matters: a dropper fetches its real payload after the scan. Run from a place for temporary files, or
after something was received from a host that no profile expects, it is malicious; else suspicious.
What to do: reject the package unless its profile can name the download and its reason.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.lineage import INTERPRETERS, Actor, Program
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_BUILDERS = re.compile(
    r"(?:[a-z0-9_]+-[a-z0-9_-]*-)?(?:ld(?:\.bfd|\.gold|\.lld)?|lld|mold|collect2|gcc|g\+\+|cc|c\+\+|cc1|clang|clang\+\+|as|ar"
    r"|strip|objcopy|rustc|cargo|go|link|gfortran|f951|nasm|cmake|ninja|g?make|meson|ranlib|chrpath|patchelf|libtool"
    r"|config\.status|configure|m4|autoconf|automake|autoreconf|cython|swig|install)(?:-[0-9.]+)?"
)
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/")
_BUILD = re.compile(
    r"/tmp/(pip-[a-z-]+[^/]*|tmp[^/]*[./]?(build|wheel|dist)[^/]*|node-gyp[^/]*|cc[A-Za-z0-9]{6}[^/]*)(/|$)"
)


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    deeds = []
    first_exit: dict[int, int] = {}
    for deed in case.exits:
        first_exit.setdefault(deed.actor.stem, deed.line)
    for line, event, actor in case.facts.programs:
        program = actor.program
        if program is None or program.forked or actor.role != "package":
            continue
        fetched = first_exit.get(actor.stem, line) < line
        path = _dropped(case, program, line, fetched)
        if path and not _is_own_habit(case, path, program, actor, event.phase):
            deeds.append(case.deed("run", line, event, actor, subject=path))
    for group in by_package(deeds):
        certain = any(_is_certain(case, deed, first_exit) for deed in group)
        yield case.finding(
            group,
            title=f"ran what it had just written: {listed(case.pathname(deed.subject) for deed in group)}",
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "high",
            confidence="high" if certain else "medium",
        )


def _dropped(case: Case, program: Program, line: int, fetched: bool) -> str:
    """The path that runs and that a package wrote before; empty where there is none. `fetched`: something may have come
    from an unexpected host."""
    path = program.exe.removesuffix(" (deleted)")
    if _was_written(case, path, line):
        return path
    if program.script and _was_written(case, program.script, line):
        return "" if _is_build_script(case, program, fetched) else program.script
    if program.name in INTERPRETERS or program.name == "python":
        script = next((word for word in program.argv[1:] if not word.startswith("-")), "")
        if script and not any(word in ("-c", "-e", "-m", "-p", "--eval", "--print") for word in program.argv[1:4]):
            path = posixpath.normpath(posixpath.join(program.cwd, script))
            inside = path.startswith(case.header.project + "/") or (_BUILD.match(path) and not fetched)
            if not inside and _was_written(case, path, line):
                return path
    return ""


def _is_own_habit(case: Case, path: str, program: Program, actor: Actor, phase: str) -> bool:
    """Whether the package's own sheet names this program: what it fetches or builds in order to run it."""
    arguments = " ".join(program.argv[1:])
    deed = Deed(
        verb="run", subject=path, actor=actor, phase=phase, kind=case.facts.kind(phase), line=0, at=0.0,
        arguments=arguments,
    )  # fmt: skip
    return case.judged.is_own_habit(deed)


def _was_written(case: Case, path: str, line: int) -> bool:
    origin = case.facts.origins.get(path)
    if origin is None or origin[0] >= line:
        return False
    return not _is_builder(origin[1])


def _is_builder(actor: Actor) -> bool:
    program = actor.program
    return program is not None and any(_BUILDERS.fullmatch(name) for name in program.names)


def _is_build_script(case: Case, program: Program, fetched: bool) -> bool:
    """A script in a build's own folder, and an interpreter of the system's for it (configure, setuptools)."""
    return not fetched and bool(_BUILD.match(program.script)) and case.facts.table.is_system(program.exe)


def _is_certain(case: Case, deed: Deed, first_exit: dict[int, int]) -> bool:
    """From a place for temporary files, or hidden at home, or after something came from an unexpected host."""
    path = deed.subject
    hidden = path.startswith(case.header.home + "/.") and "/node_modules/" not in path
    if hidden or (path.startswith(_TEMPORARY) and not _BUILD.match(path)):
        return True
    reached = first_exit.get(deed.actor.stem)
    return reached is not None and reached < deed.line


RULE = Rule(
    title="ran what it had just written",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1105", "T1204.002"),
    check=check,
)
