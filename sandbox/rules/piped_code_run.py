"""Code was run that is in no file.

What: an interpreter was fed through a pipe, from a download or a decoder (`curl ... | sh`, `base64 -d |
bash`), given a decoder and its input as an argument (`python -c "exec(b64decode(...))"`), or a program was
run from memory (memfd); or a shell was started for somebody to type into.
Why it matters: what runs leaves nothing on the disk for a scanner to read. A download or a decoder that
feeds an interpreter, and a program without a file, have no honest reason here: malicious. An interpreter
that reads its program from its input, or a shell, is suspicious, and malicious where its line of processes had
reached a host before: whoever is there decides what runs.
A script that tries a shell out (autoconf's configure tells each that it finds a few words, to see what it can do) is
none: it feeds the shell itself, by no other program, and the shell then does nothing but count.
What to do: reject the package; the command line stands in the evidence.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from sandbox.facts import Deed, Facts
from sandbox.lineage import SHELLS, Actor, Process, Program, program_name
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package
from sandbox.rules._names import DOWNLOADERS

_SOURCE = (
    r"(?:\b(?:curl|wget|fetch|nc|ncat|socat)\b|\bbase64\s+(?:-d|-D|--decode)|\bopenssl\s+(?:enc|base64)"
    r"|\bxxd\s+-r|\bgunzip\b|\bzcat\b|\bgzip\s+-d|\bprintf\b|\becho\b[^|]*\bbase64\b)"
)
_TARGET = r"\|\s*(?:sudo\s+|env\s+|exec\s+)*(?:/\S*/)?(?:(?:ba|z|da|k|a)?sh|python[0-9.]*|node|perl|ruby|php|bun)\b"
_PIPED = re.compile(_SOURCE + r"[^;\n]{0,2000}?" + _TARGET)
_SUBSTITUTED = re.compile(
    r"(?:\beval\b|\b(?:ba|z|da)?sh\s+-c|\bsource\b|(?:^|\s)\.)\s*[\"']?(?:\$\(|<\(|`)\s*(?:curl|wget|base64|openssl|echo)"
    r"|\b(?:ba|z|da)?sh\s+<\(\s*(?:curl|wget|base64)"
)
_DECODED = re.compile(
    r"\b(?:exec|eval|compile|Function|runInThisContext)\b[^\n]{0,200}?"
    r"(?:b64decode|b85decode|a85decode|base64|unhexlify|fromhex|atob|decompress|inflate|unpack|marshal\.loads)"
    r"|(?:b64decode|atob)\([^\n]{0,4000}\)[^\n]{0,40}\b(?:exec|eval)\b"
)
_LONG = 64 * 1024
_NOWHERE = ("/dev/null", "/dev/tty")
_COUNTERS = frozenset({"expr", "test", "[", "true", "false"})
"""Programs that compare and count: what a shell without such commands of its own calls to do so."""


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, the worst of what was seen."""
    certain: set[int] = set()
    deeds = []
    busy = _Busy(case.facts)
    downloads = {
        actor.stem for _, _, actor in case.facts.programs if actor.program and actor.program.name in DOWNLOADERS
    }
    reached: dict[int, int] = {}
    for exit_ in case.exits:
        reached.setdefault(exit_.actor.stem, exit_.line)
    for line, event, actor in case.facts.programs:
        program = actor.program
        if program is None or program.forked or actor.role != "package":
            continue
        planned = actor.process.root and len(actor.process.programs) == 1
        handed = _reads_input(program) or _is_interactive(program)
        if planned or not (_is_unfiled(program) or _is_told(program) or handed):
            continue
        deed = case.deed("run", line, event, actor, subject=program.exe)
        if handed and case.judged.is_own_habit(deed):
            continue  # a package whose purpose is to open a shell says so in its own profile
        # An interpreter for whoever is at the other end of a connection, or for what was downloaded.
        if not handed or actor.stem in downloads or reached.get(actor.stem, line) < line:
            certain.add(id(deed))
        elif _is_tried_out(actor, program, case, busy):
            continue
        deeds.append(deed)
    for group in by_package(deeds):
        yield _finding(case, group, any(id(deed) in certain for deed in group))


def _finding(case: Case, deeds: list[Deed], certain: bool) -> Finding:
    return case.finding(
        deeds,
        title="ran code that is in no file" if certain else "ran an interpreter on its input",
        verdict="malicious" if certain else "suspicious",
        severity="critical" if certain else "high",
        confidence="high" if certain else "medium",
    )


def _is_unfiled(program: Program) -> bool:
    """A program from memory, by its own descriptor."""
    return program.exe.startswith(("/memfd:", "memfd:", "/dev/shm/memfd:")) or (
        program.exe.endswith(" (deleted)") and program.requested.startswith(("/proc/", "/dev/fd/"))
    )


def _is_told(program: Program) -> bool:
    """A command line in which a download or a decoder feeds an interpreter."""
    told = " ".join(program.argv[1:])[:_LONG]
    if program.name in SHELLS and (_PIPED.search(told) or _SUBSTITUTED.search(told)):
        return True
    evaluates = any(word in ("-c", "-e", "-p", "--eval", "--print") for word in program.argv[1:6])
    return evaluates and program.name not in SHELLS and bool(_DECODED.search(told))


def _reads_input(program: Program) -> bool:
    """An interpreter with nothing to run but its standard input."""
    words = program.argv[1:]
    if program.name in SHELLS:
        flags = [word for word in words if word.startswith("-")]
        return not [word for word in words if not word.startswith("-")] and not any(
            word.startswith("--") or "c" in word or "l" in word or "i" in word for word in flags
        )
    if program.name in ("python", "perl", "ruby", "php", "node", "nodejs", "bun"):
        return words[:1] in ([], ["-"], ["/dev/stdin"]) or words[-1:] in (["-"], ["/dev/stdin"])
    return False


def _is_interactive(program: Program) -> bool:
    """A shell for somebody to type into, where nobody sits."""
    flags = [word for word in _flags(program.argv[1:]) if not word.startswith("--")]
    return program.name in SHELLS and any("i" in flag for flag in flags) and not any("c" in flag for flag in flags)


def _flags(words: list[str]) -> Iterator[str]:
    """A shell's own flags: those before its script, whose flags are the script's."""
    rest = iter(words)
    for word in rest:
        if not word.startswith(("-", "+")):
            return
        yield word
        # `-o` and `-O` take a word, also at the end of others: `-eo pipefail`.
        if word in ("--rcfile", "--init-file") or (not word.startswith("--") and word[1:] and word[-1] in "oO"):
            next(rest, None)


class _Busy:
    """Which processes did anything that could matter to anybody: all but forking, counting and reading files."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @cached_property
    def _serials(self) -> set[int]:
        facts = self._facts
        found = {
            actor.process.serial
            for path, access, actor, _ in facts.opened
            if (access != "read" and path not in _NOWHERE) or path in facts.watched
        }
        found |= {actor.process.serial for path, actor, _ in facts.probed if path in facts.planted}
        found |= {actor.process.serial for _, _, actor, _, _ in facts.changed}
        found |= {connection.actor.process.serial for connection in facts.connections}
        for noted in (facts.lookups, facts.syscalls, facts.sockets, facts.sleeps, facts.binds, facts.survivors):
            found |= {actor.process.serial for _, _, actor in noted}
        return found

    @cached_property
    def _asked_for(self) -> dict[int, set[str]]:
        """The programs that each process ran, or asked to run whether they are there or not."""
        found: dict[int, set[str]] = defaultdict(set)
        for _, event, actor in self._facts.attempts:
            found[actor.process.serial].add(program_name(event.path))
        for _, _, actor in self._facts.programs:
            if actor.program is not None and not actor.program.forked:
                found[actor.process.serial].add(actor.program.name)
        return found

    def is_any(self, top: Process, shell: Iterable[str] = ()) -> bool:
        """Whether `top`, which may have become a shell known by the names in `shell`, or any process below it was."""
        pending = [top]
        while pending:
            process = pending.pop()
            ran = self._asked_for.get(process.serial, set()) - _COUNTERS
            if process.serial in self._serials or ran.difference(shell if process is top else ()):
                return True
            pending += process.children
        return False


def _is_tried_out(actor: Actor, program: Program, case: Case, busy: _Busy) -> bool:
    """Whether a script's own shell fed this one, by a built-in command (a fork that ran nothing stands before it), and
    nothing came of it. What the script says stands in a file."""
    process, table = actor.process, case.facts.table
    parent = process.parent
    if parent is None or not process.parent_known or program.name not in SHELLS or not table.is_system(program.exe):
        return False
    script = next((one for one in reversed(parent.programs) if one.line < program.line), None)
    if script is None or script.forked or script.name not in SHELLS or not _runs_a_file(script):
        return False
    place = parent.children.index(process)
    feeder = parent.children[place - 1] if place else None
    return feeder is not None and not busy.is_any(feeder) and not busy.is_any(process, program.names)


def _runs_a_file(program: Program) -> bool:
    """Whether a shell was given a script, not words to run or nothing at all."""
    flags = list(_flags(program.argv[1:]))
    given = any(not flag.startswith(("--", "+")) and ("c" in flag or "s" in flag) for flag in flags)
    return not given and len(program.argv) > 1 + len(flags)


RULE = Rule(
    title="ran code that is in no file",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1059", "T1620", "T1027"),
    check=check,
)
