"""A package changed what is installed.

What: a package wrote into another package's folder or among the programs of all (`.bin`), planted a file that
Python runs at every start (`.pth`, `sitecustomize`), or rewrote or removed its own manifest or the running script.
Why it matters: code planted elsewhere runs when the culprit is long gone, and a manifest swapped after the
act hides what was there. Python's start files have no honest reason here: malicious. The others are
suspicious: some tools patch or generate code on purpose.
What to do: compare the installed tree with the archives. A generator's target belongs into its profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.deviations import deed_of
from sandbox.facts import Deed
from sandbox.lineage import INTERPRETERS, package_of
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_START = re.compile(
    r".*/(site|dist)-packages/([^/]+\.(pth|egg-link)|(site|user)customize(\.pyc?|(\.[^/]+)?\.so|/.*))"
)
_SITE = re.compile(r".*/(site|dist)-packages/(?P<top>[^/]+)(/|$)")
_OWN = re.compile(r"package\.json|npm-shrinkwrap\.json|binding\.gyp|setup\.py|pyproject\.toml|RECORD|METADATA")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    start: list[Deed] = []
    others: list[Deed] = []
    for deed in case.of("write", "change"):
        if deed.actor.role != "package" or deed.method in ("made", "times", "mode", "owner"):
            continue
        path = deed.subject
        if path.startswith("/tmp/"):
            continue
        if _START.fullmatch(path):
            start.append(deed)
        elif _is_others(case, deed):
            others.append(deed)
    yield from _findings(case, start, "planted code that Python runs at every start", "malicious")
    yield from _findings(case, others, "changed other packages' files", "suspicious")
    own = _own_traces(case)
    yield from _findings(case, own, "changed its own manifest or removed its own script", "suspicious")


def _findings(case: Case, deeds: list[Deed], title: str, verdict: str) -> Iterator[Finding]:
    for group in by_package(deeds):
        certain = verdict == "malicious"
        yield case.finding(
            group,
            title=f"{title}: {listed((case.pathname(deed.subject) for deed in group), 3)}",
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "high",
            confidence="high" if certain else "medium",
        )


def _is_others(case: Case, deed: Deed) -> bool:
    """Within an installed package that is not the doer's."""
    if case.header.ecosystem == "npm":
        if "/node_modules/.bin/" in deed.subject:
            return True  # what everybody's scripts find first; npm itself puts the links there
        owner = package_of(deed.subject)
        return owner is not None and owner != deed.actor.package and deed.kind == "install"
    site = _SITE.match(deed.subject)
    return site is not None and _plain(site["top"]) != _plain(deed.actor.package) and "__pycache__" not in deed.subject


def _own_traces(case: Case) -> list[Deed]:
    """Its manifest rewritten, or the script that ran removed: in its own folder, where it may otherwise write."""
    facts = case.facts
    scripts = {
        word
        for _, _, actor in facts.programs
        if actor.program and (actor.program.name in INTERPRETERS or actor.program.name == "python")
        for word in actor.program.argv[1:2]  # of other programs it is no script: `mv config.log config.log.old`
    }
    deeds = [
        deed_of(facts, "write", path, use.line, use.event, actor)
        for (path, access, actor, _), use in facts.opened.items()
        if access != "read" and actor.role == "package" and _is_manifest(path)
    ]
    for line, event, actor, path, target in facts.changed:
        if actor.role != "package" or event.change not in ("removed", "renamed", "truncated"):
            continue
        for subject in (path, target):
            ran = subject == path and (subject in scripts or _name(subject) in scripts)
            if (_is_installed(subject) and ran) or _is_manifest(subject):
                deeds.append(deed_of(facts, "change", subject, line, event, actor, method=event.change))
    return [deed for deed in deeds if not case.judged.is_own_habit(deed)]


def _is_installed(path: str) -> bool:
    return "/node_modules/" in path or "-packages/" in path


def _is_manifest(path: str) -> bool:
    """What says what an installed package is: at its top, where npm is concerned; a build may write others below."""
    if not _OWN.fullmatch(_name(path)) or not _is_installed(path):
        return False
    folder = path.rpartition("/")[0]
    owner = package_of(folder)
    return (owner is None and "-packages/" in path) or (owner is not None and folder.endswith(f"/node_modules/{owner}"))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name.partition("-")[0] if ".dist-info" in name else name).lower()


RULE = Rule(
    title="changed what is installed",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1554", "T1070.004"),
    check=check,
)
