"""The home directory was searched.

What: a package listed several of the folders in which secrets live, or walked through much of the home
directory.
Why it matters: knowing what is there comes before taking it. Packages know the names of their own files.
What to do: look at what was opened after the listing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_FOLDERS_OF_SECRETS = 2
_ANY_FOLDERS = 15


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    home, project, there = case.header.home, case.header.project, frozenset(case.header.folders)
    secret = {
        posixpath.dirname(path) for path, file in case.facts.planted.items() if file.weight == "high"
    } - {home, project}  # fmt: skip
    deeds = [
        deed
        for deed in case.of("read")
        # A name that is tried as a folder, and is none (findup-sync does so with all that it looks for), is no search.
        if deed.subject in secret or ((deed.event.directory and (not there or deed.subject in there))
        and (deed.subject == home or deed.subject.startswith(home + "/"))
        and deed.subject != project
        and not deed.subject.startswith(project + "/"))
    ]
    for group in by_package(deeds):
        folders = list(dict.fromkeys(deed.subject for deed in group))
        hiding = [folder for folder in folders if folder in secret]
        if len(hiding) < _FOLDERS_OF_SECRETS and len(folders) < _ANY_FOLDERS:
            continue
        chosen: list[Deed] = [deed for deed in group if deed.subject in hiding] or group
        yield case.finding(
            chosen,
            title=f"searched {len(folders)} folders at home: "
            f"{listed(case.pathname(deed.subject) for deed in chosen)}",
            decoys=[
                file.decoy for path, file in case.facts.planted.items() if posixpath.dirname(path) in hiding
            ],
        )


RULE = Rule(
    title="searched the home directory",
    severity="medium",
    confidence="medium",
    verdict="suspicious",
    attack=("T1083",),
    check=check,
)
