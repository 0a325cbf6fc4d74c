"""A command that hands out secrets was run.

What: a package ran, or tried to run, the command-line tool of a password manager, a cloud, a cluster, a
code host, or an AI agent.
Why it matters: instead of reading files, a thief asks the tools that are already logged in (`op item get`,
`gh auth token`, `kubectl get secrets`), or has an AI agent do the searching for it. Commands that yield
secrets or set an agent loose have no honest reason here: malicious. Others are suspicious, but for a question about
the tool itself (`docker --version`).
What to do: if the package's purpose is to drive that tool, add a profile entry for the program; else reject
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.facts import Deed
from sandbox.lineage import INTERPRETERS, Actor, program_name
from sandbox.plaintext import command
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed
from sandbox.rules._names import ABOUT_ITSELF

# Command -> the decoy that answers for it, and what in its arguments yields a secret.
_COMMANDS: dict[str, tuple[str, str]] = {
    "op": ("onepassword", r"signin|item|read|inject|run|document|vault|whoami"),
    "bw": ("bitwarden", r"unlock|list|get|login|export|sync"),
    "pass": ("pass_store", r"show|ls|list|find|grep|^$|^[\w/-]+$"),
    "gopass": ("pass_store", r".*"),
    "lpass": ("", r"show|ls|export"),
    "secret-tool": ("", r"lookup|search"),
    "security": ("", r"find-|dump-keychain|export"),
    "keyring": ("", r"get"),
    "gh": ("github", r"auth (token|status)|\bapi\b|secret|ssh-key|gpg-key|repo (create|list)|gist"),
    "glab": ("gitlab", r"auth|\bapi\b|token"),
    "aws": ("aws", r"configure|get-session-token|assume-role|export-credentials|secretsmanager|ssm|sts|s3"),
    "gcloud": ("gcp", r"auth|print-access-token|secrets|iam"),
    "az": ("azure", r"account|keyvault|ad |get-access-token"),
    "vault": ("vault", r"read|kv|list|token|login|print"),
    "kubectl": ("kubernetes", r"secret|config view|exec|get .*-o"),
    "doppler": ("", r"secrets|run"),
    "heroku": ("", r"auth:token|config"),
    "trufflehog": ("", r".*"),
    "gitleaks": ("", r".*"),
    "claude": ("claude", r".*"),
    "codex": ("codex", r".*"),
    "gemini": ("gemini", r".*"),
    "q": ("", r"chat"),
    "cursor-agent": ("cursor", r".*"),
    "docker": ("docker", r"login|--privileged|-v +/:|volume=/:|/var/run/docker\.sock"),
}


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase that ran such commands."""
    yielding: set[int] = set()
    decoys: dict[int, str] = {}
    deeds = []
    for deed, names in _runs(case):
        name = next((name for name in names if name in _COMMANDS), None)
        if name is None:
            continue
        if ABOUT_ITSELF.fullmatch(deed.arguments):
            continue  # whether it is there, which build and deployment tools ask
        decoy, pattern = _COMMANDS[name]
        if deed.arguments and re.search(pattern, deed.arguments):
            yielding.add(id(deed))
        decoys[id(deed)] = decoy
        deeds.append(deed)
    for group in by_package(deeds):
        certain = any(id(deed) in yielding for deed in group)
        words = listed(f"`{_spoken(deed)}`" for deed in group)
        yield case.finding(
            group,
            title=f"ran a command that hands out secrets: {words}" if certain else f"ran {words}",
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "medium",
            decoys=[decoys[id(deed)] for deed in group],
        )


def _runs(case: Case) -> Iterator[tuple[Deed, tuple[str, ...]]]:
    """Unexpected programs, scripts given to an interpreter, and programs asked for that are not there."""
    unexpected = {deed.line for deed in case.of("run")}
    for line, event, actor in case.facts.programs:
        program = actor.program
        if program is None or program.forked or (actor.process.root and _is_exercised(case, actor)):
            continue
        by_path = {program_name(path) for path in (program.exe, program.requested) if path}
        names = program.names if line in unexpected else tuple(set(program.names) - by_path)
        arguments = program.argv[1:]
        if program.name in INTERPRETERS and program.name not in _COMMANDS:
            arguments = arguments[1:]
        yield _deed(case, line, event, actor, " ".join(arguments)), names
    started = {(actor.process.serial, actor.program.requested or actor.program.exe)
               for _, _, actor in case.facts.programs if actor.program is not None}  # fmt: skip
    for line, event, actor in case.facts.attempts:
        deed = _deed(case, line, event, actor, " ".join(event.argv[1:]))
        run = msgspec.structs.replace(deed, subject=event.path)
        if (actor.process.serial, event.path) not in started and not case.judged.is_own_habit(run):
            yield deed, (program_name(event.path),)


def _is_exercised(case: Case, actor: Actor) -> bool:
    """The command that a phase runs, and the interpreter that its script names: the user's doing, not the package's."""
    programs = actor.process.programs
    script = actor.program.argv[1:2] if actor.program is not None else []
    command = programs[0].requested or programs[0].exe
    return actor.program is programs[0] or (command.startswith(f"{case.header.project}/") and script == [command])


def _deed(case: Case, line: int, event: Any, actor: Actor, arguments: str) -> Deed:
    deed = case.deed("run", line, event, actor, subject=" ".join(event.argv[:8]))
    return msgspec.structs.replace(deed, arguments=arguments)


def _spoken(deed: Deed) -> str:
    argv = deed.event.argv
    name = program_name(argv[0]) if argv else "?"
    if name in INTERPRETERS and len(argv) > 1:
        argv, name = argv[1:], program_name(argv[1])
    return command([name, *argv[1:4]], 60)


RULE = Rule(
    title="ran a command that hands out secrets",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1555", "T1059"),
    check=check,
)
