"""The user's files were destroyed.

What: a package removed, renamed, truncated or overwrote files at home that are none of its own; planted
secrets above all.
Why it matters: some attacks wipe the machine when they find nothing, or to hide. Three planted files, or
ten files at home, are no accident: malicious. Fewer are suspicious.
What to do: do not run it anywhere that matters.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.facts import Deed
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_MANY_BAIT = 3
_MANY_FILES = 10
_MANY_FOLDERS = 10_000
_DESTROYS = ("removed", "renamed", "truncated")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    old = _old_folders(case)
    deeds = [deed for deed in case.of("write", "change") if _destroys(case, deed, old)]
    for group in by_package(deeds):
        bait = {path: decoy for deed in group for path, decoy in _bait(case, deed)}
        files = {deed.subject for deed in group} | set(bait)
        certain = len(bait) >= _MANY_BAIT or len(files) >= _MANY_FILES
        if not bait and not certain:
            continue
        yield case.finding(
            group,
            title=f"destroyed {len(files)} of the user's files: "
            f"{listed((case.pathname(deed.subject) for deed in group), 3)}",
            verdict="malicious" if certain else "suspicious",
            severity="critical" if certain else "high",
            decoys=bait.values(),
        )


def _bait(case: Case, deed: Deed) -> list[tuple[str, str]]:
    """The planted files that a deed destroys, also with a folder above them, and their decoys."""
    if deed.decoy:
        return [(deed.subject, deed.decoy)]
    if deed.subject not in case.facts.watched:
        return []
    below = deed.subject + "/"
    return [(path, file.decoy) for path, file in case.facts.planted.items() if path.startswith(below)]


def _old_folders(case: Case) -> set[str]:
    """The folders at home in which the user's files lie, under all names that they got; none where the recording does
    not say. What lies in a folder that was made since cannot be the user's, but by a renaming that is told itself."""
    old = set(case.header.folders)
    for _, event, _, path, target in case.facts.changed:
        if event.change == "renamed" and path in old and target and len(old) < _MANY_FOLDERS:
            old |= {target + folder[len(path) :] for folder in old if folder == path or folder.startswith(path + "/")}
    return old


def _destroys(case: Case, deed: Deed, old: set[str]) -> bool:
    """Of what was there before: bait in any way, other files at home by removal and the like."""
    if deed.decoy:
        return deed.verb == "write" or deed.method in _DESTROYS
    if deed.verb != "change" or deed.method not in _DESTROYS or deed.subject in case.facts.origins:
        return False
    if old and deed.subject.rpartition("/")[0] not in old:
        return False
    at_home = deed.subject.startswith(case.header.home + "/")
    return at_home and not deed.subject.startswith(case.header.project + "/node_modules/")


RULE = Rule(
    title="destroyed the user's files",
    severity="critical",
    confidence="high",
    verdict="malicious",
    attack=("T1485", "T1070.004"),
    check=check,
)
