"""Another tool's cache was changed.

What: a package wrote, replaced or removed something in the cache of a package manager or of a tool that runs what it
keeps there (pip, uv, poetry, pre-commit, npm, yarn, pnpm, go, cargo), and was not that tool.
Why it matters: what is kept there is installed or run later, in other projects, without being fetched and compared
again, and it stays when the package is removed. Honest packages have caches of their own, so it is suspicious.
What to do: look at what was written, and empty that cache where the package ran outside.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.deviations import deed_of
from sandbox.facts import Deed
from sandbox.globs import Matcher
from sandbox.lineage import Actor, Process, Program, program_name
from sandbox.profiles import package_key
from sandbox.report import Finding
from sandbox.rules import Case, Rule, by_package, listed

_CACHES: dict[str, tuple[str, ...]] = {
    "pip": ("~/.cache/pip/**",),
    "uv": ("~/.cache/uv/**", "~/.local/share/uv/**"),
    "poetry": ("~/.cache/pypoetry/**",),
    "pipenv": ("~/.cache/pipenv/**",),
    "pdm": ("~/.cache/pdm/**",),
    "pre-commit": ("~/.cache/pre-commit/**",),
    "npm": ("~/.npm/_cacache/{content-v2,index-v5}/**", "~/.npm/_npx/**"),  # below tmp it builds git dependencies
    "yarn": ("~/.cache/yarn/**", "~/.yarn/**"),
    "pnpm": ("~/.cache/pnpm/**", "~/.local/share/pnpm/**"),
    "bun": ("~/.bun/install/**",),
    "deno": ("~/.cache/deno/**",),
    "corepack": ("~/.cache/node/corepack/**",),
    "go": ("~/.cache/go-build/**", "~/go/pkg/**"),
    "cargo": ("~/.cargo/{bin,registry,git}/**",),
}
_ALSO = {"npx": "npm", "npm-cli.js": "npm", "npx-cli.js": "npm", "uvx": "uv", "yarn.js": "yarn", "yarnpkg": "yarn",
         "pnpx": "pnpm", "pnpm.cjs": "pnpm", "corepack.js": "corepack", "rustup": "cargo", "rustc": "cargo",
         "maturin": "cargo", "__pip-runner__.py": "pip", "yarn.cjs": "yarn"}  # fmt: skip
"""Other names of these tools' programs, and those that they share a cache with."""
_CHANGES = frozenset({"removed", "renamed", "linked", "symlinked", "truncated"})


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    home = case.header.home
    caches = Matcher((home + glob[1:], tool) for tool, globs in _CACHES.items() for glob in globs)
    deeds = [
        deed
        for tool, deed in _written(case, caches)
        if not _is(tool, deed.actor)
        and package_key("pypi", deed.actor.package) != tool
        and not case.judged.is_own_habit(deed)
    ]
    for group in by_package(deeds):
        tools = listed(caches.find(deed.subject) or "" for deed in group)
        where = listed((case.pathname(deed.subject) for deed in group), 3)
        yield case.finding(group, title=f"changed what another tool keeps ({tools}): {where}")


def _written(case: Case, caches: Matcher[str]) -> Iterator[tuple[str, Deed]]:
    """Whatever packages wrote and changed there: to most of it, a cache is an ordinary place."""
    facts = case.facts
    for (path, access, actor, _), use in facts.opened.items():
        if access in ("write", "readwrite") and actor.role == "package" and (tool := caches.find(path)):
            yield tool, deed_of(facts, "write", path, use.line, use.event, actor)
    for line, event, actor, path, target in facts.changed:
        if actor.role != "package" or event.change not in _CHANGES:
            continue
        for subject in {"renamed": (path, target), "linked": (target,)}.get(event.change, (path,)):
            if tool := caches.find(subject):
                yield tool, deed_of(facts, "change", subject, line, event, actor, method=event.change)


def _is(tool: str, actor: Actor) -> bool:
    """Whether a process is the tool, or works for it."""
    process: Process | None = actor.process
    if actor.program is not None and _runs(tool, actor.program):
        return True
    while process is not None and process.actor.role == "package":
        if any(_runs(tool, program) for program in process.programs):
            return True
        process = process.parent
    return False


def _runs(tool: str, program: Program) -> bool:
    words = program.argv
    names = [*program.names, *(program_name(word) for word in words[1:2])]
    if words[1:2] == ["-m"]:
        names += [word.replace("_", "-") for word in words[2:3]]
    names.append(words[0].partition(" ")[0] if words else "")  # npm renames its own process
    return any(_ALSO.get(name, name) == tool for name in names)


RULE = Rule(
    title="changed another tool's cache",
    severity="high",
    confidence="medium",
    verdict="suspicious",
    attack=("T1554", "T1195.002"),
    check=check,
)
