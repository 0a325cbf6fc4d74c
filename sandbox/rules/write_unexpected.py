"""Files were written where a package has no business.

What: a package made or changed files at home or in the system, outside temporary folders and the caches that
profiles know; or, while it was installed or imported, in the project outside what is installed there. A command that
is run or a module that is loaded keeps its settings in a folder with its own name, its command's or its module's, or
that of a dependency which it has loaded (`~/.thing`, `~/.config/thing`), or in a file of that name (`~/.thingrc`,
`~/.thing_history`, `~/.thing.log`): that is none, unless it is planted or holds what is, or what is put there is a
program by its name or its mode.
Why it matters: it is how state, payloads and loot are kept for later. Honest packages keep settings there,
so it is suspicious and no more.
What to do: look at what was written. A profile entry with the folder and the reason makes it ordinary.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from sandbox.facts import Deed
from sandbox.lineage import Actor
from sandbox.report import Finding
from sandbox.rules import Case, Rule, _places, grouped, listed

_OUTSIDE = ("/etc/", "/usr/", "/opt/", "/var/", "/srv/", "/root/", "/boot/", "/lib/", "/bin/", "/sbin/", "/home/")
_SETTINGS = ("/.", "/.config/", "/.local/share/", "/.local/state/")
"""Where, below home, a program's folder begins with its name."""
_PLAIN = re.compile(
    r"\.?[a-z0-9_-]+"
    r"|.*\.(?:json|jsonl|ya?ml|toml|ini|cfg|conf|log|lock|db|db3|sqlite3?|ldb|dat|dir|pag|csv|pid|sock|txt|md|tag|tmp|bak"
    r"|png|jpe?g|gif|svg|ico|ttf|otf|woff2?|css|xml)"
    r"(?:[.~-](?:tmp-?)?[0-9a-f]*|-(?:journal|wal|shm))?",
    re.IGNORECASE,
)
"""Names of files that hold settings, logs, state, pictures or fonts, and of such before they are put in their place."""
_OTHERS = frozenset({
    "autostart", "aws", "az", "bash", "bun", "cargo", "cf", "claude", "code", "codex", "cursor", "docker", "emacs",
    "environment", "fish", "fs", "gcloud", "gemini", "gh", "git", "gnupg", "go", "gtk", "hg", "js", "kube", "kubectl",
    "mozilla", "node", "npm", "nvim", "op", "os", "pip", "pnpm", "poetry", "ps", "py", "python", "sh", "ssh", "systemd",
    "tmux", "ts", "twine", "uv", "vi", "vim", "yarn", "zsh",
})  # fmt: skip
"""What a command or module may be called and settings of that name are still somebody else's."""
_NOBODYS = frozenset({"", "cli", "config", "local"})
_EXERCISED = re.compile(r"(?:run|import):([A-Za-z0-9][\w-]*)(?:[ .].*)?")
"""A phase that runs a command (`run:thing --help`) or loads a module (`import:thing.sub`)."""
_INSTALLED = re.compile(
    r"node_modules(/|$)|\.venv(/(bin(/.*)?|pyvenv\.cfg|lib(64)?(/python[^/]*(/site-packages(/.*)?)?)?)?)?$", re.DOTALL
)
"""Where, in the project, another rule says what is a package's own and what is not."""
_LOADED = re.compile(r".*/(?:site-packages|node_modules)/((?:@[^/]+/)?[^/]+?)(?:\.[^/]*)?(?:/.*)?", re.DOTALL)
"""A file of an installed package's or module's: `.../site-packages/thing.py`, `.../node_modules/@thing/core/x.js`."""
_MADE = ("made", "linked", "symlinked", "renamed", "truncated", "mode", "owner")


def check(case: Case) -> Iterator[Finding]:
    """One finding for each package and phase."""
    others = (
        _places.hooks(case.header), _places.development_hooks(case.header), _places.agents(case.header)
    )  # fmt: skip
    names = _Names(case)
    deeds = [
        deed
        for deed in case.of("write", "change")
        if _is_outside(case, deed) and not deed.decoy and not any(matcher.find(deed.subject) for matcher in others)
        and not _is_settings(case, deed, names)
    ]  # fmt: skip
    for group in grouped(deeds):
        yield case.finding(
            group,
            title=f"wrote where no profile expects it: {listed((case.pathname(deed.subject) for deed in group), 3)}",
        )


def _is_outside(case: Case, deed: Deed) -> bool:
    """At home or in the system; a system path cannot be written, but somebody tried."""
    path = deed.subject
    if deed.verb == "change" and deed.method not in _MADE:
        return False
    if path == case.header.project or (deed.method == "made" and case.header.project.startswith(path + "/")):
        return False  # `mkdir -p` asks for every folder above
    if path.startswith(case.header.project + "/"):
        # A command that the user runs may work on the project; what is installed or imported has no business there.
        inside = path.removeprefix(case.header.project + "/")
        return deed.actor.role == "package" and deed.kind != "run" and not _INSTALLED.match(inside)
    return path.startswith((case.header.home + "/", *_OUTSIDE))


def _is_settings(case: Case, deed: Deed, names: _Names) -> bool:
    """A program's own folder for its settings, logs and state, or a folder above it that was not there."""
    path, made = deed.subject, deed.method == "made"
    if deed.kind not in ("run", "import") or deed.actor.role != "package":
        return False
    if not _PLAIN.fullmatch(posixpath.basename(path)):
        return False
    if deed.method in ("linked", "symlinked") or (
        deed.method == "mode" and deed.event.mode & 0o111 and path not in names.folders
    ):
        return False
    for name in names.of(deed.actor):
        own = rf"/\.{re.escape(name)}([_-]?history(-[0-9]*(\.tmp)?)?|rc|\.log)"
        if re.fullmatch(own, path.removeprefix(case.header.home)) and path not in case.facts.watched:
            return True
        for place in _SETTINGS:
            folder = f"{case.header.home}{place}{name}"
            if folder not in case.facts.watched and path.startswith(folder + "/"):
                return True
            if made and f"{folder}/".startswith(f"{path}/"):
                return True
    return False


class _Names:
    """What each package's program is called: `@thing/cli`, `thing-cli` and `thing_core` are `thing`, whatever stands
    between the words; what its commands and modules are called, and the packages of which its process opened a file. No
    names of programs that everybody has."""

    def __init__(self, case: Case) -> None:
        self.folders = {path for _, event, _, path, _ in case.facts.changed if event.change == "made"}
        """Those that were made in this run: they bear the bit that makes a file a program."""
        self._opened = case.facts.opened
        self._exercised: dict[str, set[str]] = defaultdict(set)
        self._known: dict[tuple[str, int], set[str]] = {}
        for phase in case.facts.planned:
            called = _EXERCISED.fullmatch(phase.name) if phase.kind in ("run", "import") else None
            if called is not None:
                self._exercised[phase.package or case.header.package].add(called[1].lower())

    def of(self, actor: Actor) -> set[str]:
        """The names of one package's, and of what one process loaded."""
        key = (actor.package, actor.process.serial)
        if key not in self._known:
            own = _called(actor.package)
            loaded = {name for package in self._loaded[actor.process.serial] for name in _called(package)}
            spelt = {
                re.sub(r"[-_.]+", between, one)
                for one in own | loaded | self._exercised.get(actor.package, set())
                for between in ("-", "_", ".", "")
            }
            found = own | (spelt - _OTHERS)
            self._known[key] = {one for one in found if len(one) > 2 or one in spelt - _OTHERS} - _NOBODYS
        return self._known[key]

    @cached_property
    def _loaded(self) -> dict[int, set[str]]:
        """By the serials of processes, the packages of which each opened a file for reading."""
        found: dict[int, set[str]] = defaultdict(set)
        for path, access, actor, _ in self._opened:
            file = _LOADED.fullmatch(path) if access == "read" else None
            if file is not None:
                found[actor.process.serial].add(file[1])
        return found


def _called(package: str) -> set[str]:
    scope, _, name = package.lower().removeprefix("@").rpartition("/")
    return {scope, name, re.sub(r"[-_](?:cli|core)$", "", name)} - {""}


RULE = Rule(
    title="wrote where no profile expects it",
    severity="low",
    confidence="low",
    verdict="suspicious",
    attack=("T1074.001",),
    check=check,
)
