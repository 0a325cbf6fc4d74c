"""A package changed what is installed.

What: a package wrote into another package's folder, over its compiled modules or among the programs of all (`.bin`,
`.venv/bin`), planted a file that Python runs at every start (`.pth`, `sitecustomize`), changed what makes the virtual
environment one (its interpreter, `activate`, `pyvenv.cfg`), or rewrote or removed its own manifest or the running
script. Or a package brings files that the installer puts in the place of another's, or of the environment's.
Why it matters: code planted elsewhere runs when the culprit is long gone, and a manifest swapped after the
act hides what was there. Python's start files and the environment's own have no honest reason here: malicious. The
others are suspicious: some tools patch or generate code on purpose, and some packages bring the same module.
What to do: compare the installed tree with the archives. A generator's target belongs into its profile.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from sandbox.deviations import deed_of
from sandbox.facts import Deed
from sandbox.lineage import INTERPRETERS, package_of
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _distributions, by_package, listed
from sandbox.rules._distributions import Distributions, plain

_START = re.compile(
    r".*/(site|dist)-packages/([^/]+\.(pth|egg-link)|(site|user)customize(\.pyc?|(\.[^/]+)?\.so|/.*))"
)
_ENVIRONMENT = re.compile(
    r"pyvenv\.cfg|bin/(python[0-9.]*|activate(\.(csh|fish|nu|ps1|xsh|bat))?|activate_this\.py|Activate\.ps1)"
)
_COMPILED = re.compile(r"(?P<folder>.*/)__pycache__/(?P<name>[^/.]+)\.[^/]+\.pyc")
_SITE = re.compile(r".*/(site|dist)-packages/(?P<top>[^/]+)(/|$)")
_OWN = re.compile(r"package\.json|npm-shrinkwrap\.json|binding\.gyp|setup\.py|pyproject\.toml|RECORD|METADATA")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    known = _distributions.Distributions(case.facts) if case.header.ecosystem == "pypi" else None
    start: list[Deed] = []
    environment: list[Deed] = []
    others: list[Deed] = []
    for deed in case.of("write", "change"):
        if deed.actor.role != "package" or deed.method in ("made", "times", "mode", "owner"):
            continue
        path = deed.subject
        if path.startswith("/tmp/"):
            continue
        if _START.fullmatch(path):
            start.append(deed)
        elif _is_of_environment(case, path):
            environment.append(deed)
        elif _is_others(case, deed, known):
            others.append(deed)
    if known is not None:
        others += _compiled(case, known)
    yield from _findings(case, start, "planted code that Python runs at every start", "malicious")
    yield from _findings(case, environment, "changed the environment's interpreter or activation", "malicious")
    yield from _findings(case, others, "changed other packages' files", "suspicious")
    own = _own_traces(case)
    yield from _findings(case, own, "changed its own manifest or removed its own script", "suspicious")
    if known is not None:
        yield from _shipped(case, known)


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


def _is_of_environment(case: Case, path: str) -> bool:
    """What makes the project's virtual environment one; it was there before anything was installed."""
    place = f"{case.header.project}/.venv/"
    return path.startswith(place) and _ENVIRONMENT.fullmatch(path[len(place) :]) is not None


def _is_others(case: Case, deed: Deed, known: Distributions | None) -> bool:
    """Within an installed package that is not the doer's."""
    if case.header.ecosystem == "npm":
        if "/node_modules/.bin/" in deed.subject:
            return True  # what everybody's scripts find first; npm itself puts the links there
        owner = package_of(deed.subject)
        return owner is not None and owner != deed.actor.package and deed.kind != "run"
    if deed.subject.startswith(f"{case.header.project}/.venv/bin/"):
        return True  # what everybody finds first, once the environment is activated; pip itself puts programs there
    return "__pycache__" not in deed.subject and _is_others_module(deed.subject, deed.actor.package, known)


def _is_others_module(path: str, package: str, known: Distributions | None) -> bool:
    """In site-packages, and neither called like the package nor, as far as the recording tells, brought by it."""
    site = _SITE.match(path)
    if site is None or _plain(site["top"]) == plain(package):
        return False
    return known is None or plain(package) not in known.owners(path)


def _compiled(case: Case, known: Distributions) -> list[Deed]:
    """Other packages' compiled modules, written as Python does not: it writes beside them, and renames, where there
    is none yet that is newer than its source."""
    facts, found = case.facts, []
    made: set[str] = set()
    for (path, access, actor, _), use in facts.opened.items():
        if access != "read" and actor.role == "package" and _is_others_compiled(path, actor.package, known):
            found.append(deed_of(facts, "write", path, use.line, use.event, actor))
    for line, event, actor, path, target in facts.changed:
        if actor.role == "installer":
            made.add(target)
        pythons = path.startswith(f"{target}.") and path[len(target) + 1 :].isdigit() and target not in made
        if event.change not in ("renamed", "linked", "symlinked") or actor.role != "package" or pythons:
            continue
        new = path if event.change == "symlinked" else target
        if _is_others_compiled(new, actor.package, known):
            found.append(deed_of(facts, "change", new, line, event, actor, method=event.change))
    return found


def _is_others_compiled(path: str, package: str, known: Distributions) -> bool:
    compiled = _COMPILED.fullmatch(path)
    return compiled is not None and _is_others_module(f"{compiled['folder']}{compiled['name']}.py", package, known)


def _shipped(case: Case, known: Distributions) -> Iterator[Finding]:
    """What the installer put in the place of something else: a distribution's file, or the environment's own."""
    spelt = {plain(name): name for name in (case.header.package, *(one.name for one in case.header.members))}
    overwritten = dict(known.overwritten())
    groups: dict[str, list[Deed]] = defaultdict(list)
    for (path, access, actor, _), use in case.facts.opened.items():
        if access == "read" or actor.role != "installer":
            continue
        deed = deed_of(case.facts, "write", path, use.line, use.event, actor)
        if path in overwritten:
            first, *_, last = overwritten[path]
            groups[f"{spelt.get(last, last)} brings its own files in place of those of {first}"].append(deed)
        elif _is_of_environment(case, path):
            groups["a package brings its own files in place of the environment's"].append(deed)
    for title, deeds in groups.items():
        yield case.finding(deeds, title=f"{title}: {listed((case.pathname(deed.subject) for deed in deeds), 3)}")


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
    if not _OWN.fullmatch(_name(path)) or not _is_installed(path) or path.startswith("/tmp/"):
        return False  # a tree of a script's own in /tmp is not what is installed
    folder = path.rpartition("/")[0]
    owner = package_of(folder)
    return (owner is None and "-packages/" in path) or (owner is not None and folder.endswith(f"/node_modules/{owner}"))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _plain(top: str) -> str:
    return plain(top.partition("-")[0] if ".dist-info" in top else top)


RULE = Rule(
    title="changed what is installed",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1554", "T1070.004"),
    check=check,
)
