"""What is built in, as text: the rules, the decoys and the profiles, one line each, or one of them in
full."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import UsageError


def overview(titles: Mapping[str, str]) -> str:
    """One line for each: its id and what it is."""
    width = max(map(len, titles), default=0)
    return "\n".join(f"{name:<{width}}  {title}" for name, title in titles.items())


def rules(name: str = "") -> str:
    """Every rule, or the manual page of one: what it looks for, why, and what to do."""
    from sandbox import digest_moved  # the one finding that lockfiles make, and no recording

    found = _load("rules", "RULE")
    if not name:
        return overview({one: found[one].title for one in found} | {digest_moved.RULE: f"{digest_moved.TITLE} (gate)"})
    if name == digest_moved.RULE:
        return f"{name}: {digest_moved.TITLE}\n\n{inspect.getdoc(digest_moved)}\n\nATT&CK: {digest_moved.ATTACK[0]}"
    rule = _pick("rule", found, name)
    attack = ", ".join(getattr(rule, "attack", ()))
    facts = f"\n\nATT&CK: {attack}" if attack else ""
    return f"{name}: {rule.title}\n\n{_manual('rules', name, rule)}{facts}"


def decoys(name: str = "") -> str:
    """Every decoy, or one of them with what it plants (never the tokens: they are new in every run)."""
    from sandbox.bait import Draw, Person

    found = _load("decoys", "DECOY")
    if not name:
        return overview({one: found[one].title for one in found})
    decoy = _pick("decoy", found, name)
    bait = decoy.plant(Draw(), Person())
    planted = {
        "files": [f"{file.path} ({file.weight})" for file in bait.files],
        "environment": sorted(bait.environment),
        "endpoints": sorted({host for endpoint in bait.endpoints for host in endpoint.hosts}),
        "commands": [command.name for command in bait.commands],
        "tokens": [token.name for token in bait.tokens],
    }
    lines = [f"{name}: {decoy.title}", "", decoy.summary]
    for heading, items in planted.items():
        if items:
            lines += ["", f"{heading}:", *(f"  {item}" for item in items)]
    return "\n".join(lines)


def profiles(folders: Sequence[Path], name: str = "") -> str:
    """Every profile of all folders, or one of them: its expectations, each with its reason."""
    from sandbox import sheets
    from sandbox.profiles import load

    found: dict[str, tuple[Path, sheets.Sheet]] = {}
    for ecosystem in ("npm", "pypi"):
        for one, path, sheet in load(folders, ecosystem).sheets():
            found[one.removeprefix("packages/")] = (path, sheet)
    if not name:
        return overview({one: sheet.about or _count(sheet) for one, (_, sheet) in sorted(found.items())})
    path, sheet = _pick("profile", found, name.removeprefix("packages/"))
    lines = [f"{name}: {sheet.about}", f"file: {path}"]
    for entry in sheet.expect:
        lines += ["", f"- why: {entry.why}", f"  by: {entry.by}"]
        lines += [f"  {verb}: {', '.join(entry.globs(verb))}" for verb in sheets.VERBS if entry.globs(verb)]
        for condition in ("phases", "args", "methods", "program"):
            values = getattr(entry, condition)
            lines += [f"  {condition}: {', '.join(values)}"] if values else []
        lines += ["  absent: the guest is told that it is not there"] if entry.absent else []
    for excused in sheet.may_fail:
        lines += ["", f"- why: {excused.why}", f"  may fail: {', '.join(excused.phases)}"]
    return "\n".join(lines)


def _count(sheet: Any) -> str:
    return f"{len(sheet.expect)} expectations"


def _load(folder: str, attribute: str) -> dict[str, Any]:
    from sandbox import discovery

    return discovery.load(folder, attribute)


def _pick(kind: str, found: Mapping[str, Any], name: str) -> Any:
    if name not in found:
        raise UsageError(f"there is no {kind} {name!r}", f"`baitbox {kind}s` lists them")
    return found[name]


def _manual(folder: str, name: str, rule: Any) -> str:
    """The rule's docstring is its manual page; it stands on the class or at the head of the file."""
    module = sys.modules[f"sandbox.{folder}.{name}"]
    return inspect.cleandoc(module.__doc__ or type(rule).__doc__ or "")
