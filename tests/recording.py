"""Builds recordings for tests of what is right of the recording: a few processes, and what they do."""

from __future__ import annotations

from typing import Any

from sandbox import events

HOME, PROJECT = "/home/dev", "/home/dev/project"
NPM = ["/usr/bin/node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "install", "thing"]
PIP = [f"{PROJECT}/.venv/bin/python", "/opt/pip/pip/__pip-runner__.py", "install", "thing"]
SENSORS = ["syscalls", "network"]
PLANTED = [
    events.PlantedFile("aws", f"{HOME}/.aws/credentials"),
    events.PlantedFile("npm_token", f"{HOME}/.npmrc"),
    events.PlantedFile("dotenv", f"{PROJECT}/.env", "medium"),
]
INSTALL = events.PlannedPhase("install", "install")


class Story:
    """Events in order, each a millisecond after the one before."""

    def __init__(self, **header: Any) -> None:
        fields: dict[str, Any] = {
            "package": "thing", "version": "1.0.0", "target": "npm:thing", "digest": "sha512:00", "persona": "laptop",
            "sensors": SENSORS, "planted": PLANTED, "phases": [INSTALL], "registries": ["registry.test"],
        }  # fmt: skip
        self.header = events.Header(**{**fields, **header})
        self.events: list[Any] = []
        self.phase = ""
        self.serial = 0

    def add(self, kind: type[events.Event], /, **fields: Any) -> Story:
        """One event."""
        fields.setdefault("at", round(len(self.events) / 1000, 3))
        fields.setdefault("phase", self.phase)
        self.events.append(kind(**fields))
        return self

    def begin(self, name: str, kind: str, argv: list[str]) -> int:
        """A phase and its root process, running the phase's command."""
        self.phase = name
        root = self.fork(0)
        self.add(events.PhaseStarted, process=root, kind=kind, argv=argv, cwd=PROJECT)
        return self.run(root, "/usr/bin/python3.11" if "python" in argv[0] else argv[0], argv)

    def end(self, root: int = 0, **fields: Any) -> Story:
        """The phase's end: exit code 0 where nothing else is said."""
        self.add(events.PhaseEnded, process=root, **{"status": "exited", **fields})
        self.phase = ""
        return self

    def fork(self, parent: int, *, known: bool = True, session: int = 9) -> int:
        """A new process; returns its serial."""
        self.serial += 1
        serial = self.serial
        self.add(
            events.ProcessStarted, process=serial, pid=100 + serial, parent=parent, parent_known=known, session=session
        )
        return serial

    def run(self, process: int, exe: str, argv: list[str], cwd: str = PROJECT, path: str = "") -> int:
        """A process becomes another program."""
        self.add(events.ProgramRequested, process=process, path=path or exe, argv=argv)
        self.add(events.ProgramStarted, process=process, exe=exe, argv=argv, cwd=cwd)
        return process

    def child(self, parent: int, exe: str, argv: list[str], cwd: str = PROJECT, path: str = "") -> int:
        """A new process with a program of its own."""
        return self.run(self.fork(parent), exe, argv, cwd, path)

    def script(self, root: int, package: str = "thing") -> int:
        """A lifecycle script of npm's."""
        folder = f"{PROJECT}/node_modules/{package}"
        return self.child(root, "/usr/bin/dash", ["sh", "-c", "node x.js"], folder, "/bin/sh")

    def read(self, process: int, path: str, access: str = "read", **fields: Any) -> Story:
        """A file is opened."""
        return self.add(events.FileOpened, process=process, path=path, access=access, **fields)

    def recording(self) -> events.Recording:
        """The events so far, as they are."""
        return events.Recording(self.header, list(self.events))

    def whole(self) -> events.Recording:
        """The events so far, with what makes a recording whole: sensors, plan, end."""
        before = [events.SensorStarted(at=0, sensor=name) for name in self.header.sensors]
        after = [events.PhasesPlanned(at=9), events.GuestEnded(at=9)]
        return events.Recording(self.header, [*before, *self.events, *after])

    def text(self) -> bytes:
        """The whole recording, as its file holds it."""
        whole = self.whole()
        return b"".join(events.encode(one) for one in (whole.header, *whole.events))


def installed(**header: Any) -> Story:
    """npm has installed the package, and nothing else happened."""
    story = Story(**header)
    return story.end(story.begin("install", "install", NPM))
