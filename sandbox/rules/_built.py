"""Programs that a build makes in order to try them: whether the compiler works, and what this machine can do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sandbox.facts import Deed
from sandbox.lineage import Actor
from sandbox.rules import Case

_LINKERS = re.compile(r"(?:[a-z0-9_]+-[a-z0-9_-]*-)?(?:ld(?:\.bfd|\.gold|\.lld|\.mold)?|lld|mold)(?:-[0-9.]+)?")
_TEMPORARY = ("/tmp/", "/var/tmp/")


def without_try_runs(case: Case, deeds: Sequence[Deed]) -> list[Deed]:
    """Without what an installation runs from a place for temporary files and had a linker of the system make, where
    nobody else had a hand in it: numpy, scikit-learn and many a setup.py do so."""
    candidates = {deed.subject for deed in deeds if _may_be(case, deed)}
    if not candidates:
        return list(deeds)
    hands = [(path, actor) for path, access, actor, _ in case.facts.opened if path in candidates and access != "read"]
    for _, event, actor, path, target in case.facts.changed:
        if event.change in ("renamed", "linked", "truncated"):
            hands += [(one, actor) for one in (path, target) if one in candidates]
    touched = {path for path, actor in hands if not _links(case, actor)}
    return [deed for deed in deeds if deed.subject in touched or not _may_be(case, deed)]


def _may_be(case: Case, deed: Deed) -> bool:
    origin = case.facts.origins.get(deed.subject)
    if deed.kind != "install" or origin is None or not deed.subject.startswith(_TEMPORARY):
        return False
    line, maker = origin
    same = maker.stem == deed.actor.stem and maker.process.phase == deed.phase
    return line < deed.line and same and _links(case, maker)


def _links(case: Case, actor: Actor) -> bool:
    program = actor.program
    return program is not None and bool(_LINKERS.fullmatch(program.name)) and case.facts.table.is_system(program.exe)
