"""Something was left behind that runs by itself later.

What: a package wrote, replaced or linked a shell's startup file, a service, a timed job, an authorised key,
a trust store or the package manager itself, or called what makes timed jobs and services, and no profile
expects it.
Why it matters: it survives the removal of the package. None of these has an honest reason during an
installation or an import: malicious. Git hooks, editor tasks, pipelines, a project's own scripts (this one's, or those
of another repository at home) and programs on the PATH are sometimes set by honest development tools: suspicious until
a profile says why.
What to do: reject the package; where it ran outside, remove what it wrote before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.lineage import program_name
from sandbox.plaintext import command
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _places, grouped, listed

# What makes something run later -> arguments with which it does, rather than tell what there is.
_SCHEDULERS = {
    "crontab": r"^(?!.*(^| )-l\b)",
    "at": r"^(?!-[lV])",
    "batch": r"",
    "systemctl": r"\b(enable|link|edit|start|daemon-reload|set-environment)\b",
    "systemd-run": r"",
    "loginctl": r"enable-linger",
    "launchctl": r"\b(load|bootstrap|submit|enable)\b",
    "update-rc.d": r"",
    "chkconfig": r"",
}

_INTO_CRONTAB = re.compile(r"(?<![\w.-])crontab\s+(-(?=\s|$|[);'\"])|[^-\s;|&<>)][^\s]*)|(?<![\w.-])crontab\s*<")
"""A shell's command that hands a table of jobs over."""
_GIT = re.compile(
    r"(core\.(hookspath|sshcommand|fsmonitor|pager|editor|askpass|gitproxy)|init\.templatedir|credential\.(.*\.)?helper"
    r"|url\..*\.(push)?insteadof|alias\..*|(diff|difftool|mergetool|filter|merge)\..*\.(cmd|command|textconv|clean|smudge)"
    r"|gpg\.(.*\.)?program|http\.(.*\.)?(proxy|sslcainfo|sslverify))",
    re.IGNORECASE,
)
"""What of git's settings names a program, or where it goes."""
_MANAGERS = re.compile(
    r"(?:^|[ /])(?:pip[0-9.]*|npm|pnpm|yarn|uv)(?:\.js|-cli\.js)? (?:-\S+ )*config (?:-\S+ )*set (?:-\S+ )*\S*"
    r"(?:index-url|trusted-host|find-links|registry|proxy|cafile|script-shell|node-options|npmregistryserver)",
    re.IGNORECASE,
)
"""A package manager that is told to take packages from elsewhere, or to run something beside them."""

_JOBS = frozenset({"crontab", "at", "batch"})
"""Those that a script only looks for in order to use them."""
_ASKS = re.compile(r"(?:^|(?<=[;&|\s(`]))(?:command +-[vV]|type|hash)(?: +[\w.-]+)+")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that wrote hooks, those without an honest reason first."""
    certain: list[Deed] = []
    possible: list[Deed] = []
    hooks, development = _places.hooks(case.header), _places.development_hooks(case.header)
    kinds: dict[int, str] = {}
    for deed in case.of("write", "change"):
        if deed.verb == "change" and deed.method in ("removed", "times"):
            continue
        for matcher, found in ((hooks, certain), (development, possible)):
            kind = matcher.find(deed.subject)
            if kind is not None:
                kinds[id(deed)] = kind
                found.append(deed)
                break
    for deed in _scheduled(case):
        kinds[id(deed)] = "program that runs others later"
        certain.append(deed)
    for deed in _resettled(case):
        kinds[id(deed)] = "settings of git or of a package manager"
        certain.append(deed)
    for deed in case.sought:
        name = deed.subject.partition(" ")[0]
        if name in _JOBS and not _is_only_asked(deed, name):
            kinds[id(deed)] = "program that runs others later"
            (certain if _INTO_CRONTAB.search(_text(deed)) else possible).append(deed)
    for deeds in grouped(certain):
        yield _finding(case, deeds, kinds, True)
    for deeds in grouped(possible):
        yield _finding(case, deeds, kinds, False)


def _is_only_asked(deed: Deed, name: str) -> bool:
    """Whether the shell's own command names the program only to ask whether it is there (`command -v at`)."""
    text = _text(deed)
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    return bool(word.search(text)) and not word.search(_ASKS.sub("", text))


def _text(deed: Deed) -> str:
    """What a shell was told to run with `-c`; empty where it runs a script."""
    argv = deed.actor.program.argv if deed.actor.program is not None else []
    return argv[2][:10_000] if len(argv) > 2 and argv[1] == "-c" else ""


def _resettled(case: Case) -> Iterator[Deed]:
    """Git and package managers that a package, while it is installed or loaded, tells to go elsewhere or to run
    something: for all of the user's projects. That it was asked for is enough."""
    for line, event, actor in [*case.facts.programs, *case.facts.attempts]:
        if actor.role != "package" or case.facts.kind(event.phase) not in ("install", "start", "import", "linger"):
            continue
        argv = [word[:300] for word in event.argv[:16]]
        words = " ".join(argv)
        everywhere = program_name(event.argv[0]) == "git" and {"--global", "--system"} & set(argv) if argv else False
        settings = [place for place, word in enumerate(argv) if _GIT.fullmatch(word)] if everywhere else []
        # With a value behind it: without one, git tells what is set.
        if _MANAGERS.search(words) or any(place + 1 < len(argv) for place in settings if "--get" not in words):
            yield case.deed("run", line, event, actor, subject=words)


def _scheduled(case: Case) -> Iterator[Deed]:
    """Runs of what makes timed jobs and services, also where it is not installed."""
    for deed in [*case.of("run"), *case.missing]:
        words = deed.subject.split(" ")
        name = program_name(words[0])
        if name in _SCHEDULERS and re.search(_SCHEDULERS[name], deed.arguments):
            yield deed


def _finding(case: Case, deeds: list[Deed], kinds: dict[int, str], certain: bool) -> Finding:
    what = listed(kinds[id(deed)] for deed in deeds)
    where = listed((_spoken(case, deed) for deed in deeds), 3)
    return case.finding(
        deeds,
        title=f"left something that runs later ({what}): {where}",
        verdict="malicious" if certain else "suspicious",
        severity="critical" if certain else "medium",
        confidence="high" if certain else "medium",
        decoys=[deed.decoy for deed in deeds],
    )


def _spoken(case: Case, deed: Deed) -> str:
    if deed.verb != "run":
        return case.pathname(deed.subject)
    return f"`{command(deed.event.argv[:6], 80)}`" if hasattr(deed.event, "argv") else deed.subject


RULE = Rule(
    title="left something that runs later",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1543.002", "T1546.004", "T1053.003", "T1098.004"),
    check=check,
)
