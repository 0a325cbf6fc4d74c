"""A difference between two versions as text: what is new and unexpected first. Everything hostile is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sandbox import errors
from sandbox.behaviour import VERDICTS, Behaviour, Change, Difference, Side, Told
from sandbox.plaintext import shorten

_MANY = 60
"""Lines of one part that are written out; JSON has them all."""


def as_json(difference: Difference) -> str:
    """One JSON object; the same difference is always the same text."""
    return msgspec.json.format(msgspec.json.encode(difference), indent=2).decode() + "\n"


def as_text(difference: Difference) -> str:
    """For a person: what is new, then what both do, then what is gone, then what could not be looked at."""
    expected = [change for change in difference.new if change.seen.expected]
    told = [change for change in expected if is_telling(change)]
    gone = [change for change in difference.gone if is_telling(change)]
    lines = [
        f"{difference.verdict.upper()}  {_named(difference.before)} -> {_named(difference.after)}",
        f"  {VERDICTS[difference.verdict]}.",
        *_findings(difference.findings),
        *_part("new, and no profile expects it:", difference.unexpected),
        *_part("new, and expected by a profile:", told),
        *_counted("also new, and everyday", (change for change in expected if not is_telling(change))),
        *_part("known: the old version did it too, and no profile expects it:", difference.known),
        *_part("gone:", gone),
        *_counted("also gone, and everyday", (change for change in difference.gone if not is_telling(change))),
    ]
    if not (difference.new or difference.gone):
        lines += ["", "  nothing is new, and nothing is gone."]
    for side in (difference.before, difference.after):
        if side.missing:
            lines += ["", f"  not looked at in {_named(side)}:"]
            lines += [f"    - {shorten(text, 200)}" for text in side.missing]
    return "\n".join(lines) + "\n"


def is_telling(change: Change) -> bool:
    """Whether a change is worth a line: no profile expects it, or one package's own sheet does, or it is of bait."""
    return bool(
        not change.seen.expected or change.seen.expected.startswith("packages/") or change.behaviour.decoy
    )


def words(behaviour: Behaviour) -> str:
    """A behaviour in one line that is safe to print: `request POST https://host.test/x, by thing, in install`."""
    parts = [behaviour.verb, behaviour.method, behaviour.subject, behaviour.arguments]
    bait = f" [bait: {behaviour.decoy}]" if behaviour.decoy and behaviour.verb != "send" else ""
    by = behaviour.package if behaviour.by == "package" else f"the {behaviour.by} of {behaviour.package}"
    return f"{shorten(' '.join(filter(None, parts)), 160)}{bait}, by {shorten(by, 80)}, in {behaviour.phase}"


def _named(side: Side) -> str:
    name = f"{len(side.together)} packages together" if side.together else shorten(side.purl, 120)
    return f"{name} ({side.verdict})"


def _findings(findings: Sequence[Told]) -> Iterator[str]:
    """Each once, with all the phases that it was made in."""
    alike: dict[tuple[str, str, str, str, bool], list[Told]] = {}
    for told in findings:
        one = told.finding
        alike.setdefault((one.verdict, one.rule, one.title, one.package, told.known), []).append(told)
    for group in alike.values():
        told, finding = group[0], group[0].finding
        phases = dict.fromkeys(shorten(one.finding.phase, 60) for one in group)
        known = ""
        if told.known:
            known = " (the old version too" + ("; that excuses nothing)" if finding.verdict == "malicious" else ")")
        yield ""
        yield f"  {finding.verdict}: {finding.title}{known}"
        yield f"    rule {finding.rule}, by {finding.package or 'an unknown package'}, in {', '.join(phases)}"


def _part(title: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield f"  {title}"
    for change in changes[:_MANY]:
        times = f", {change.seen.count} times" if change.seen.count > 1 else ""
        expected = f" ({shorten(change.seen.expected, 80)})" if change.seen.expected else ""
        yield f"    {words(change.behaviour)}{times}{expected}  [line {change.seen.evidence.line}]"
    if len(changes) > _MANY:
        yield f"    and {len(changes) - _MANY} more (--format json has them all)"


def _counted(title: str, changes: Iterable[Change]) -> Iterator[str]:
    counts = Counter(change.behaviour.verb for change in changes)
    if counts:
        yield ""
        yield f"  {title}: " + ", ".join(f"{count} of {verb}" for verb, count in sorted(counts.items()))


def exit_code(difference: Difference, fail_on: str, *, allow_inconclusive: bool) -> int:
    """What `baitbox diff` ends with. Malice is never let through; a finding outranks what was not looked at."""
    if difference.verdict == "malicious":
        return errors.EXIT_MALICIOUS
    if difference.verdict == "suspicious" and fail_on == "suspicious":
        return errors.EXIT_SUSPICIOUS
    incomplete = bool(difference.before.missing or difference.after.missing)
    return errors.EXIT_INCONCLUSIVE if incomplete and not allow_inconclusive else errors.EXIT_CLEAN
