"""Who did it: the process table of a recording, and the package that each process acts for.

Three roles. The *installer* is the package manager that the plan started, and its own forks. A *tool* is a
program of the system that the installer started for itself (git). Everything else is a *package*: a
lifecycle script, a build, an import, and all that they start. A process that has become a package's stays
one, and so do its children.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from sandbox.events import Header, PhaseStarted, PlannedPhase, ProcessStarted, ProgramRequested, ProgramStarted

Role = Literal["installer", "tool", "package"]

GIT_DEPENDENCY = "(git dependency)"

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ash", "ksh", "busybox", "fish"})
INTERPRETERS = SHELLS | {"node", "nodejs", "bun", "deno", "perl", "ruby", "php", "lua", "tclsh", "env"}
_TOOLS = frozenset({"git", "ssh", "hg", "svn", "bzr", "gpg", "gpgv", "gpg-agent"})
_MANY_IN_ONE = frozenset({"busybox", "toybox"})
_VERSIONED = re.compile(
    r"(?P<stem>python|pypy|pip|node|nodejs|npm|bash|ksh|zsh|perl|ruby|php|lua|luajit|tclsh|gcc|clang|java|go)"
    r"-?[0-9]+(\.[0-9]+)*t?"
)
_GIT_CLONE = re.compile(r"/_cacache/tmp/git-clone[^/]*")
_PIP_BUILD = re.compile(r"/pip-install-[^/]+/(?P<name>[^/]+?)_[0-9a-f]{32}(?:/|$)")
_PIP_FOLDER = re.compile(r"/pip-(?:install|req-build|wheel|modern-metadata|ephem)[^/]*(?:/|$)")
_LONG_WORD = 1000
_WRITABLE = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/", "/proc/", "/memfd:")


def program_name(path: str) -> str:
    """The bare name of a program: `python3.11` is `python`, as `nodejs-22` is `nodejs`."""
    name = path.rsplit("/", 1)[-1].removesuffix(" (deleted)").lstrip("-")
    match = _VERSIONED.fullmatch(name)
    return match["stem"] if match else name


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One program that a process ran: since when, and how it was called."""

    at: float
    line: int
    exe: str
    argv: list[str]
    cwd: str
    requested: str = ""
    """The path that was asked for where it is not `exe`: a script that names an interpreter, a link."""

    script: str = ""
    """The script that names its interpreter, where that is what was asked for."""
    forked: bool = False
    """Whether it is the maker's program, copied when it forked."""

    @property
    def name(self) -> str:
        """The bare name of what runs."""
        return program_name(self.exe)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name by which a reader may know it: the binary, its script, the path asked for."""
        found = [self.name]
        if self.requested:
            found.append(program_name(self.requested))
        if self.name in INTERPRETERS or self.name == "python":
            found += [program_name(word) for word in self.argv[1:2] if not word.startswith("-")]
        return tuple(dict.fromkeys(found))

    @property
    def command(self) -> str:
        """The binary's path and its arguments, joined by spaces, for profiles to match. Of a long one (`-e CODE`) only
        the beginning, and a mark that no argument holds: what stands behind it matches a wildcard or nothing."""
        words = (word if len(word) <= _LONG_WORD else word[:_LONG_WORD] + "\0" for word in self.argv[1:])
        return " ".join([self.exe, *words])


class Actor:
    """A process while it runs one program: what a deed is attributed to. Compared by identity."""

    __slots__ = ("package", "process", "program", "role", "stem")

    def __init__(
        self, process: Process, role: Role, package: str, program: Program | None, stem: int
    ) -> None:
        self.process = process
        self.role: Role = role
        self.package = package
        self.program = program
        self.stem = stem
        """Serial of the first process of this package above it: all that share it are one lineage."""


class Process:
    """One process of the guest, from first sight to exit."""

    __slots__ = (
        "actor", "children", "exited", "guess", "last_at", "last_phase", "line", "parent", "parent_known", "phase",
        "pid", "programs", "root", "serial", "session", "started",
    )  # fmt: skip

    actor: Actor

    def __init__(self, serial: int, event: ProcessStarted | None, line: int, parent: Process | None) -> None:
        self.serial = serial
        self.pid = event.pid if event else 0
        self.parent = parent
        self.parent_known = bool(event and event.parent_known)
        self.session = event.session if event else 0
        self.phase = event.phase if event else ""
        self.started = event.at if event else 0.0
        self.line = line
        self.root = False
        self.guess = ""
        """The package that it probably acts for, where several run together and it cannot be told for certain."""
        self.programs: list[Program] = []
        self.children: list[Process] = []
        self.exited: int | None = None
        self.last_phase = self.phase
        self.last_at = self.started
        if parent is not None:
            parent.children.append(self)


class Table:
    """The processes of one recording, kept up to date by its events in order.

    Where several packages are run together, the root of a phase acts for the package that the phase exercises, and
    what cannot be attributed for certain acts for no package at all (an empty name)."""

    def __init__(
        self, header: Header, phases: list[PhaseStarted], planned: list[PlannedPhase] | None = None
    ) -> None:
        self._header = header
        self._target = header.package
        self._exercised = {phase.name: phase.package for phase in planned or [] if phase.package}
        self._roots = {event.process: event for event in phases if event.process}
        self._requested: dict[int, ProgramRequested] = {}
        self._sessions: dict[int, Process] = {}
        self._latest: Process | None = None
        self._clones: dict[str, str] = {}
        self._system: dict[str, bool] = {}
        self.processes: dict[int, Process] = {}
        self.actors: dict[int, Actor] = {}

    def started(self, line: int, event: ProcessStarted) -> None:
        """A process was first seen: it acts for whom its parent acts for."""
        if event.process in self.processes:
            return
        parent = self.processes.get(event.parent)
        process = Process(event.process, event, line, parent)
        self.processes[event.process] = process
        root = self._roots.get(event.process)
        heir = parent if event.parent_known else self._heir(event, parent)
        if root is not None:
            process.root = True
            role: Role = "installer" if root.kind == "install" else "package"
            package = self._exercised.get(root.phase, self._target)
            actor = Actor(process, role, package, None, event.process)
        elif heir is not None:
            process.guess = heir.guess
            stem = heir.actor.stem if heir.actor.role == "package" else event.process
            actor = Actor(process, heir.actor.role, heir.actor.package, heir.actor.program, stem)
        else:
            actor = Actor(process, "package", self._target, None, event.process)
        if event.session:
            self._sessions.setdefault(event.session, process)
        self._become(process, actor)

    def _heir(self, event: ProcessStarted, parent: Process | None) -> Process | None:
        """Whom an orphan acts for: its session's package, else the package that was last at work. Never the
        installer, whose children are all seen being made. Among several packages only its session is proof."""
        if self._header.members:
            kin = self._sessions.get(event.session)
            if kin is not None and kin.actor.role == "package":
                return kin
            probable = next((one for one in (parent, self._latest) if one is not None), None)
            if probable is not None:
                self.processes[event.process].guess = probable.actor.package or probable.guess
            return None
        for kin in (parent, self._sessions.get(event.session), self._latest):
            if kin is not None and kin.actor.role == "package":
                return kin
        return None

    def unseen(self, serial: int) -> Actor:
        """The actor of an event by a process that was never announced; 0 stands for no process at all."""
        process = self.processes.get(serial)
        if process is None:
            process = Process(serial, None, 0, None)
            self.processes[serial] = process
            self._become(process, Actor(process, "package", self._target, None, serial))
        return process.actor

    def requested(self, event: ProgramRequested) -> None:
        """Remember which path was asked for, until the kernel says what runs."""
        self._requested[event.process] = event

    def program(self, line: int, event: ProgramStarted) -> Actor | None:
        """A process runs a new program: decide anew for whom it acts. None where it is the old one, which the
        sensor names again when a request to become another failed (a search through PATH)."""
        event = self._called(event)
        before = self.unseen(event.process)
        process = before.process
        asked = self._requested.pop(event.process, None)
        if process.programs and (process.programs[-1].exe, process.programs[-1].argv) == (event.exe, event.argv):
            return None
        requested = asked.path if asked is not None and asked.path != event.exe else ""
        forked = asked is None and _is_copy(before, event)
        program = Program(
            at=event.at, line=line, exe=event.exe, argv=event.argv, cwd=event.cwd, requested=requested,
            script=requested if _is_script(requested, event) else "", forked=forked,
        )  # fmt: skip
        role, package = (before.role, before.package) if forked else self._role(process, before, program)
        stem = before.stem if before.role == role == "package" else process.serial
        process.programs.append(program)
        actor = Actor(process, role, package, program, stem)
        self._become(process, actor)
        if role == "tool":
            self._note_clone(program)
        return actor

    def _called(self, event: ProgramStarted) -> ProgramStarted:
        """One program under many names (busybox) is the one that it was called by: its first argument decides what it
        does, as it does for the program itself. Only the system's own: a thief may bring another of that name."""
        if program_name(event.exe) not in _MANY_IN_ONE or not self.is_system(event.exe):
            return event
        names = [program_name(word) for word in event.argv[:2]]
        name = names[1] if len(names) == 2 and names[0] in _MANY_IN_ONE else names[0] if names else ""
        folder = event.exe.rpartition("/")[0]
        return event if not name else msgspec.structs.replace(event, exe=f"{folder}/{name}")

    def _become(self, process: Process, actor: Actor) -> None:
        process.actor = actor
        self.actors[process.serial] = actor
        if actor.role == "package" and process.serial:
            self._latest = process

    def _role(self, process: Process, before: Actor, program: Program) -> tuple[Role, str]:
        if before.role == "package":
            return "package", before.package
        if before.role == "tool":
            helper = self.is_system(program.exe) and (_is_tool(program.name) or program.name in SHELLS)
            if helper:
                return "tool", before.package
            return "package", self._owner(program.cwd) or self._target
        manager = self._is_manager(program)
        if process.root and (manager or not any(self._is_manager(earlier) for earlier in process.programs)):
            return "installer", before.package
        owner = self._owner(program.cwd)
        if manager and (owner is None or owner.startswith(GIT_DEPENDENCY[:-1])):
            return "installer", before.package
        if self.is_system(program.exe) and (_is_tool(program.name) or (owner is None and _is_plain(program))):
            return "tool", before.package
        return "package", owner or self._target

    def _is_manager(self, program: Program) -> bool:
        """npm or pip themselves, from where the guest's user cannot write (pip: or its environment)."""
        if program.argv and program.argv[0].split(" ", 1)[0] == "npm" and program.name in ("node", "nodejs"):
            return True  # npm renames its own process
        script = next((word for word in program.argv[1:] if not word.startswith("-")), "")
        if program.name in ("node", "nodejs", "npm", "npx"):
            is_npm = script.endswith(("/npm-cli.js", "/npx-cli.js", "/bin/npm", "/bin/npx"))
            return is_npm and self.is_system(program.exe) and self.is_system(script)
        if program.name == "python":
            if program.argv[1:3] == ["-m", "pip"]:
                return True
            own = script.startswith(self._header.project + "/.venv/") or self.is_system(script)
            return own and script.endswith("/pip/__pip-runner__.py")
        return False

    def is_system(self, path: str) -> bool:
        """Whether `path` lies where the guest's user cannot write."""
        known = self._system.get(path)
        if known is None:
            folders = (*_WRITABLE, self._header.home + "/", self._header.project + "/")
            known = self._system[path] = path.startswith("/") and not path.startswith(folders)
        return known

    def _owner(self, cwd: str) -> str | None:
        """The package whose folder `cwd` is in; None where it is in none."""
        clone = _GIT_CLONE.search(cwd)
        if clone:
            origin = self._clones.get(cwd[: clone.end()], "")
            return f"{GIT_DEPENDENCY[:-1]} {origin})" if origin else GIT_DEPENDENCY
        if self._header.ecosystem == "npm":
            return package_of(cwd)
        build = _PIP_BUILD.search(cwd)
        if build:
            return build["name"]
        return self._target if _PIP_FOLDER.search(cwd) else None

    def _note_clone(self, program: Program) -> None:
        """Remember which repository a git clone of npm's came from: a clone's folder says nothing else."""
        words = [word[:300] for word in program.argv[1:]]
        folder = next((found for found in map(_GIT_CLONE.search, [*words, program.cwd]) if found), None)
        origin = next((word for word in words if "://" in word or word.endswith(".git")), "")
        if folder and origin and len(self._clones) < 1000:
            self._clones.setdefault(folder.string[: folder.end()], origin)


def package_of(path: str) -> str | None:
    """The npm package whose folder under `node_modules` holds `path` (the innermost); None outside any."""
    _, found, rest = (path + "/").rpartition("/node_modules/")
    parts = rest.split("/")
    if not found or not parts[0] or parts[0].startswith("."):
        return None
    if parts[0].startswith("@"):
        return "/".join(parts[:2]) if len(parts) > 2 and parts[1] else None
    return parts[0]


def _is_copy(before: Actor, event: ProgramStarted) -> bool:
    """Whether a process's first program is only what its maker ran: it has forked, and nothing more."""
    made_by = before.program
    if before.process.programs or made_by is None or event.exe != made_by.exe:
        return False
    # A process that gave itself a title has written it over its arguments.
    titled = len([word for word in event.argv if word]) <= 1 or event.argv[0].startswith("npm ")
    return titled or event.argv == made_by.argv


def _is_script(requested: str, event: ProgramStarted) -> bool:
    """Whether the kernel runs an interpreter because the file asked for names it."""
    name = requested.rsplit("/", 1)[-1]
    return bool(name) and any(word.rsplit("/", 1)[-1] == name for word in event.argv[1:4])


def _is_tool(name: str) -> bool:
    return name in _TOOLS or name.startswith("git-")


def _is_plain(program: Program) -> bool:
    """A program that does what it says, not one that runs whatever it is given."""
    return program.name not in INTERPRETERS and program.name != "python"
