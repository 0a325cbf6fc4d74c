"""Code was run that is in no file.

What: an interpreter was fed through a pipe, from a download or a decoder (`curl ... | sh`, `base64 -d |
bash`), given a decoder and its input as an argument (`python -c "exec(b64decode(...))"`), or a program was
run from memory (memfd); or a shell was started for somebody to type into.
Why it matters: what runs leaves nothing on the disk for a scanner to read. A download or a decoder that
feeds an interpreter, and a program without a file, have no honest reason here: malicious. An interpreter
that reads its program from its input, or a shell, is suspicious, and malicious where its line of processes had
reached a host before: whoever is there decides what runs.
What to do: reject the package; the command line stands in the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.lineage import SHELLS, Program
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


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase, the worst of what was seen."""
    certain: set[int] = set()
    deeds = []
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
        deeds.append(deed)
        # An interpreter for whoever is at the other end of a connection, or for what was downloaded.
        if not handed or actor.stem in downloads or reached.get(actor.stem, line) < line:
            certain.add(id(deed))
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


RULE = Rule(
    title="ran code that is in no file",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1059", "T1620", "T1027"),
    check=check,
)
