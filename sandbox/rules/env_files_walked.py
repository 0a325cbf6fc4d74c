"""Environment files were looked for in several places.

What: a package opened `.env` files in three or more folders, or in one outside the project.
Why it matters: a dotenv library reads the project's own. A walk through folders collects the passwords of
every project on the machine.
What to do: treat it as a search for secrets; look at what left afterwards.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_ENVIRONMENT = re.compile(r"\.env(\.[A-Za-z0-9_-]+){0,2}|\.envrc|[A-Za-z0-9_-]+\.env")
_MANY = 3


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    project = case.header.project + "/"
    deeds = [
        deed
        for deed in case.of("read")
        if not deed.event.directory
        and _ENVIRONMENT.fullmatch(posixpath.basename(deed.subject))
        and "/node_modules/" not in deed.subject
        and "-packages/" not in deed.subject
    ]
    for group in by_package(deeds):
        folders = {posixpath.dirname(deed.subject) for deed in group}
        outside = [deed for deed in group if not deed.subject.startswith(project)]
        planted = [deed for deed in outside if deed.decoy]
        if len(folders) < _MANY and not planted:
            continue
        yield case.finding(
            group,
            title=f"looked for environment files in {len(folders)} folders: "
            f"{listed((case.pathname(deed.subject) for deed in outside or group), 3)}",
            decoys=[deed.decoy for deed in group],
        )


RULE = Rule(
    title="looked for environment files in several places",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1552.001", "T1083"),
    check=check,
)
