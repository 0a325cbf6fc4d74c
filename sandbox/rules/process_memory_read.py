"""Another process was searched for secrets.

What: a package opened the memory, environment or memory map of another process, traced one, or listed the
command lines of many.
Why it matters: a pipeline's runner holds its secrets in memory and environment; this is how they are taken.
Reading another's memory or environment is malicious, also by a `ps` that is asked to print it. Its memory map is where
that begins, and listing command lines is what `ps` does: suspicious.
What to do: reject the package; where it ran in a pipeline, rotate all secrets that the pipeline had.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import pairwise

from sandbox.facts import Deed
from sandbox.lineage import Actor
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, grouped

_OTHER = re.compile(r"/proc/(?P<pid>\d+)(/task/\d+)?/(?P<what>mem|environ|maps|smaps|pagemap|auxv|cmdline|fd/.+)")
_TAKING = frozenset({"mem", "environ", "pagemap", "fd"})
_CALLS = frozenset({"process_vm_readv", "process_vm_writev", "pidfd_getfd"})
_ATTACH = frozenset({1, 2, 3, 4, 5, 6, 16, 0x4206})
"""Requests of ptrace that read, write, attach to or seize another process."""
_MANY, _FEW = 5, 2
_WHAT = re.compile(r"/(maps|smaps|auxv)$")
_ENVIRONMENTS = re.compile(r"[acfghjlmnrsuvwxHLMSTVXZ]*e[acefghjlmnrsuvwxHLMSTVXZ]*([OUkopqtN].*)?")
"""Letters with which ps, without a dash, prints the environment of each process behind its command."""
_TAKES_A_NAME = re.compile(r"-C|k|-?[A-Za-z]*[oO]|--format|--sort")


def check(case: Case) -> Iterator[Finding]:
    """Findings for what takes secrets, and for sweeps of command lines."""
    taking: list[Deed] = []
    sweeping: list[Deed] = []
    user = posixpath.basename(case.header.home)
    for (path, _, actor, _), use in case.facts.opened.items():
        match = _OTHER.fullmatch(path) if path.startswith("/proc/") else None
        if match is None or actor.role != "package" or int(match["pid"]) == actor.process.pid:
            continue
        deed = case.deed("read", use.line, use.event, actor, subject=path)
        what = match["what"].split("/", 1)[0]
        if case.judged.is_expected(deed) and not (what == "environ" and _prints_environments(actor, user)):
            continue
        (taking if what in _TAKING else sweeping).append(deed)
    for line, event, actor in case.facts.syscalls:
        attaches = event.name == "ptrace" and bool(event.args) and event.args[0] in _ATTACH
        if actor.role == "package" and (event.name in _CALLS or attaches):
            own = len(event.args) > 0 and event.args[0] == actor.process.pid and event.name in _CALLS
            if not own:
                taking.append(case.deed("syscall", line, event, actor, subject=event.name))
    for deeds in grouped(sorted(taking, key=lambda deed: deed.line)):
        yield case.finding(deeds, title="read the memory or environment of another process")
    maps = [deed for deed in sweeping if _WHAT.search(deed.subject) and not _is_descendant(case, deed)]
    for deeds in by_package(maps):
        yield case.finding(deeds, title="looked for another process's memory", verdict="suspicious", severity="high")
    for deeds in by_package(sweeping):
        pids = {deed.subject.split("/")[2] for deed in deeds}
        if len(pids) >= (_FEW if _lists_all(case, deeds) else _MANY):
            yield case.finding(
                deeds,
                title=f"listed what {len(pids)} other processes run",
                verdict="suspicious",
                severity="medium",
                confidence="medium",
            )


def _is_descendant(case: Case, deed: Deed) -> bool:
    """Whether the other process is one that the doer started."""
    other = case.facts.by_pid.get(int(deed.subject.split("/")[2]))
    while other is not None and other is not deed.actor.process:
        other = other.parent
    return other is not None


def _lists_all(case: Case, deeds: list[Deed]) -> bool:
    """Whether the processes were looked for in /proc, by what has no business there: a guest has few of them, and a
    program that looks for its own parents goes from one to the next."""
    doers = {deed.actor.process.serial for deed in deeds if deed.kind in ("install", "start", "import")}
    return any(path == "/proc" and actor.process.serial in doers for path, _, actor, _ in case.facts.opened)


def _prints_environments(actor: Actor, user: str) -> bool:
    """Whether ps is asked for environments: by an `e` in a word without a dash, or with one where it reads those words
    as if they had none (an `x` in it, or a user that there is not); or by the column of that name."""
    argv = actor.program.argv[1:] if actor.program is not None else []
    if any("environ" in word for word in argv):
        return True
    asked = [who for flag, who in pairwise(argv) if flag.startswith("-") and flag[-1] in "uUgG" and flag[1:2] != "-"]
    loose = any(not who.isdigit() and who not in (user, "root") for who in asked)
    words = iter(argv)
    for word in words:
        bare = not word.startswith("-") or loose or ("x" in word and not word.startswith("--"))
        if bare and _ENVIRONMENTS.fullmatch(word.lstrip("-")):
            return True
        if _TAKES_A_NAME.fullmatch(word) and not (loose and word == "-C"):
            next(words, None)
    return False


RULE = Rule(
    title="searched another process for secrets",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1003.007", "T1057"),
    check=check,
)
