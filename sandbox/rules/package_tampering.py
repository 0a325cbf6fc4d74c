"""A package changed what is installed.

What: a package wrote into another package's folder, planted a file that Python runs at every start (`.pth`,
`sitecustomize`), or rewrote or removed its own manifest or the script that was running.
Why it matters: code planted elsewhere runs when the culprit is long gone, and a manifest swapped after the
act hides what was there. Python's start files have no honest reason here: malicious. The others are
suspicious: some tools patch or generate code on purpose.
What to do: compare the installed tree with the archives. A generator's target belongs into its profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.lineage import package_of
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_START = re.compile(r".*/(site|dist)-packages/([^/]+\.(pth|egg-link)|(site|user)customize(\.py|/.*))")
_SITE = re.compile(r".*/(site|dist)-packages/(?P<top>[^/]+)(/|$)")
_OWN = re.compile(r"package\.json|npm-shrinkwrap\.json|binding\.gyp|setup\.py|pyproject\.toml|RECORD|METADATA")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    start: list[Deed] = []
    others: list[Deed] = []
    own: list[Deed] = []
    scripts = {program.script or (program.argv[1] if len(program.argv) > 1 else "")
               for _, _, actor in case.facts.programs if (program := actor.program) is not None}  # fmt: skip
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
        elif _is_own_trace(deed, scripts):
            own.append(deed)
    yield from _findings(case, start, "planted code that Python runs at every start", "malicious")
    yield from _findings(case, others, "changed other packages' files", "suspicious")
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
        owner = package_of(deed.subject)
        return owner is not None and owner != deed.actor.package and deed.kind == "install"
    site = _SITE.match(deed.subject)
    return site is not None and _plain(site["top"]) != _plain(deed.actor.package) and "__pycache__" not in deed.subject


def _is_own_trace(deed: Deed, scripts: set[str]) -> bool:
    """Its manifest rewritten, or the script that ran removed."""
    name = deed.subject.rsplit("/", 1)[-1]
    installed = "/node_modules/" in deed.subject or "-packages/" in deed.subject
    if installed and _OWN.fullmatch(name):
        return True
    removed = deed.method in ("removed", "renamed", "truncated")
    return installed and removed and any(word == deed.subject or word == name for word in scripts if word)


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
