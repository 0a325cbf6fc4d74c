"""A lockfile pins the same version to other content than before.

What: between two revisions of a lockfile a package kept its name and version, and its digest changed, or was replaced
by one of a weaker kind. This is read from the lockfiles; no recording holds it, so no rule over recordings finds it.
Why it matters: a published version is never published again, by the rules of both registries. So somebody edited the
lockfile, the registry was made to give out another file, or the package now comes from a place that repacks it. What
runs is checked as for every other package, but the old version's good name says nothing about the new content. By
itself it is suspicious, not malicious: a digest proves that the bytes are others, not that they do harm, and private
registries and mirrors that repack do it in honesty. The behaviour of the new content can only make it worse.
What to do: find out who changed the lockfile and why. Compare both digests with those of the registry. Where a move to
another registry explains it, let a person approve it once: the next change is compared with the new digest.
"""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.report import Evidence, Finding

RULE = "digest_moved"
TITLE = "the version is the same and its content is not"
ATTACK = ("T1195.002",)
_SHOWN = 27


def finding(name: str, version: str, detail: str, before: Iterable[str], after: Iterable[str], where: str) -> Finding:
    """The finding about one entry. `before` and `after` are the digests pinned, `where` the file and line."""
    old, new = _list(before), _list(after)
    said = detail or "its digest changed and its version did not"
    return Finding(
        rule=RULE,
        title=f"{name} {version}: {said}",
        severity="high",
        confidence="medium",
        verdict="suspicious",
        package=name,
        attack=ATTACK,
        evidence=(Evidence(at=0.0, phase="", process=0, text=f"{where}: {old} became {new}"),),
    )


def _list(digests: Iterable[str]) -> str:
    listed = list(digests)
    shown = " or ".join(f"{one[:_SHOWN]}..." for one in listed[:3]) or "no digest"
    return shown + (f" or {len(listed) - 3} more" if len(listed) > 3 else "")
