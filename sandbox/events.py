"""The vocabulary: everything that can be seen in a guest, in the past tense, and its recording on disk.

No backend and no rule owns these types. Left of them things act; right of them nothing does (no socket,
process, clock or environment), so a recording can be judged again anywhere. A recording is JSON lines: the first
is a `Header`, each other an event. Paths and arguments come from hostile processes: bytes that are not UTF-8 are
kept as `\\xNN`, and whoever prints them must escape control characters (`reporters.terminal` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec

from sandbox import unpacked

FORMAT_VERSION = 1

NOT_LOADED = 97
"""The exit code with which an import phase says that loading raised. Any other means that the module ran: one that
ends its process (a command line without arguments) has been loaded."""

ALL_TRIED = 96
"""The exit code with which a phase that loads several modules in turn says that it came to the last, and that what has
to load did. Any other means that the rest was not loaded."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True, gc=False):
    """One thing that happened. `at` is seconds since the guest began; `process` is a `ProcessStarted.process`,
    0 where none is known; `phase` is the name of the phase under way, empty before the first and after the last.

    The garbage collector passes events over: none can be part of a cycle, and recordings hold hundreds of thousands."""

    at: float
    phase: str = ""
    process: int = 0


class PlannedPhase(msgspec.Struct, frozen=True):
    """A phase that the plan wants; coverage is judged against it. `required` phases must end with exit code 0 to
    count as run (an import: not with NOT_LOADED); the others only have to have run, being stopped at their limit
    included where `open_ended`. Phases with the same non-empty `either` load the same file: one that ran is enough; a
    phase whose `fallback` that is runs only where all of them raised. Where several packages are installed together,
    `package` and `version` are the one that the phase exercises (empty: all of them), and `complete` the exit code by
    which alone it says that it came to its end."""

    name: str
    kind: str
    required: bool = True
    open_ended: bool = False
    either: str = ""
    package: str = ""
    version: str = ""
    complete: int = 0
    fallback: str = ""


class PhasesPlanned(Event, frozen=True, kw_only=True, tag="phases.planned"):
    """What is to run from here on: known in part only when the package is installed. `not_exercised` is what this
    tool does not look at for this package, one sentence each."""

    phases: list[PlannedPhase] = []
    not_exercised: list[str] = []


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase.started"):
    """A planned phase began; `process` is its root process."""

    kind: str
    argv: list[str]
    cwd: str


class PhaseEnded(Event, frozen=True, kw_only=True, tag="phase.ended"):
    """A phase ended. `status`: `exited` (with `code`), `killed` (by `signal`), `timeout` (stopped at its limit),
    `failed` (could not be started: `reason`)."""

    status: Literal["exited", "killed", "timeout", "failed"]
    code: int = 0
    signal: int = 0
    seconds: float = 0.0
    reason: str = ""


class ProcessStarted(Event, frozen=True, kw_only=True, tag="process.started"):
    """A process was seen for the first time. `process` is its serial number, never used again (pids are).
    `parent` is the serial of the process that made it, 0 for the root of a phase. `parent_known` is false where it
    was already an orphan when first seen and the parent was inferred."""

    pid: int
    parent: int = 0
    parent_known: bool = True
    session: int = 0


class ProgramRequested(Event, frozen=True, kw_only=True, tag="program.requested"):
    """A process asked to become another program; it may have failed (a search through PATH tries many)."""

    path: str
    argv: list[str]


class ProgramStarted(Event, frozen=True, kw_only=True, tag="program.started"):
    """A process is now running `exe` (as the kernel says, not as the process says)."""

    exe: str
    argv: list[str]
    cwd: str


class ProcessExited(Event, frozen=True, kw_only=True, tag="process.exited"):
    """A process asked to end, or was reaped."""

    code: int = 0


class FileOpened(Event, frozen=True, kw_only=True, tag="file.opened"):
    """An open was asked for. Whether it succeeded is not known to the sensor; a decoy's `DecoyTouched` tells."""

    path: str
    access: Literal["read", "write", "readwrite", "path"]
    created: bool = False
    directory: bool = False


class FileProbed(Event, frozen=True, kw_only=True, tag="file.probed"):
    """A path was asked about (stat, access, readlink) and not opened."""

    path: str
    call: str


class FileChanged(Event, frozen=True, kw_only=True, tag="file.changed"):
    """A change to the tree was asked for. `target` is the new name of a rename or link."""

    path: str
    change: Literal["renamed", "removed", "linked", "symlinked", "mode", "owner", "truncated", "made", "times"]
    target: str = ""
    mode: int = 0


class SocketCreated(Event, frozen=True, kw_only=True, tag="socket.created"):
    """A socket of an unusual family or kind was asked for."""

    family: str
    kind: str
    denied: bool = False


class PortBound(Event, frozen=True, kw_only=True, tag="port.bound"):
    """A process bound an address (it may listen there). A Unix socket's is `unix:` and its name, and port 0."""

    address: str
    port: int


class ConnectionOpened(Event, frozen=True, kw_only=True, tag="connection.opened"):
    """A process connected, or sent its first datagram, to `address`:`port`. `connection` names the stream in the
    events that follow (0: refused or inside the guest). `host` is the name by which the package found the
    address, empty where it used the address itself."""

    protocol: Literal["tcp", "udp", "unix"]
    address: str
    port: int = 0
    host: str = ""
    connection: int = 0


class ConnectionClosed(Event, frozen=True, kw_only=True, tag="connection.closed"):
    """A connection ended. Byte counts are as seen on the wire."""

    connection: int
    sent: int
    received: int


class NameLookedUp(Event, frozen=True, kw_only=True, tag="name.looked_up"):
    """A name was asked of a resolver; `server` is the resolver asked (address), `answer` what we said."""

    name: str
    kind: str
    answer: str = ""
    server: str = ""


class TlsEnded(Event, frozen=True, kw_only=True, tag="tls.ended"):
    """A TLS handshake reached us. `error` is empty where it succeeded; a pinned certificate shows here."""

    connection: int
    host: str
    error: str = ""


class RequestSent(Event, frozen=True, kw_only=True, tag="request.sent"):
    """An HTTP request reached the gateway. `url` is absolute; `body` holds at most the first 64 KiB of
    `body_size` bytes. `answered_by`: registry, profile, world, absent (said not to be there, as a profile asks), or
    empty (a plausible nothing)."""

    connection: int
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    body_size: int = 0
    status: int = 200
    answered_by: str = ""


class DataSent(Event, frozen=True, kw_only=True, tag="data.sent"):
    """Bytes that are not HTTP left on a connection; `data` holds at most the first 64 KiB of `size`."""

    connection: int
    data: bytes
    size: int
    protocol: str = "tcp"


class ArtifactServed(Event, frozen=True, kw_only=True, tag="artifact.served"):
    """The registry mirror gave the guest a package file whose digest was checked."""

    url: str
    digest: str
    size: int


class DecoyTouched(Event, frozen=True, kw_only=True, tag="decoy.touched"):
    """The second witness saw a decoy file used. `by` is `witness` (inotify, which names no process) or
    `sensor`. `how`: opened, changed, removed."""

    decoy: str
    path: str
    how: Literal["opened", "changed", "removed"]
    by: Literal["witness", "sensor"] = "witness"


class DecoySent(Event, frozen=True, kw_only=True, tag="decoy.sent"):
    """A planted token was recognised in what left. `token` is the token's name, never its value; `encodings` is
    outermost first (`["base64", "gzip"]`), empty for plain; `where`: body, header, url, dns, data."""

    decoy: str
    token: str
    connection: int
    host: str
    where: str
    encodings: list[str] = []


class EndpointAsked(Event, frozen=True, kw_only=True, tag="endpoint.asked"):
    """A decoy's network endpoint (cloud metadata, an account interface) was asked."""

    decoy: str
    connection: int
    url: str


class SyscallCalled(Event, frozen=True, kw_only=True, tag="syscall.called"):
    """A telling system call. `denied` is true where the sensor refused it. `target` is the serial of the process
    it was aimed at, or 0; `detail` is human-readable."""

    name: str
    args: list[int]
    denied: bool = False
    target: int = 0
    detail: str = ""


class SleepSkipped(Event, frozen=True, kw_only=True, tag="sleep.skipped"):
    """A long sleep returned at once."""

    seconds: float


class OutputWritten(Event, frozen=True, kw_only=True, tag="output.written"):
    """What a phase printed, kept for the analyst and never interpreted; at most the first 64 KiB of `size`."""

    stream: Literal["stdout", "stderr"]
    data: bytes
    size: int


class SurvivorFound(Event, frozen=True, kw_only=True, tag="survivor.found"):
    """A process of an ended phase was still alive when the linger phase ended, and was killed."""

    exe: str
    argv: list[str]


class SensorStarted(Event, frozen=True, kw_only=True, tag="sensor.started"):
    """A sensor is up: syscalls, network, witness, gateway."""

    sensor: str


class SensorLost(Event, frozen=True, kw_only=True, tag="sensor.lost"):
    """A sensor missed `count` records (0: unknown), or a `registry` did not give what it was asked for. Never clean."""

    sensor: str
    reason: str
    count: int = 0


class GuestEnded(Event, frozen=True, kw_only=True, tag="guest.ended"):
    """The guest is gone and the recording is whole: the last line. A recording without it was cut."""

    counts: dict[str, int] = {}


AnyEvent = (
    PhasesPlanned | PhaseStarted | PhaseEnded | ProcessStarted | ProgramRequested | ProgramStarted
    | ProcessExited | FileOpened | FileProbed | FileChanged | SocketCreated | PortBound | ConnectionOpened
    | ConnectionClosed | NameLookedUp
    | TlsEnded | RequestSent | DataSent | ArtifactServed | DecoyTouched | DecoySent | EndpointAsked
    | SyscallCalled | SleepSkipped | OutputWritten | SurvivorFound | SensorStarted | SensorLost | GuestEnded
)  # fmt: skip


class PlantedFile(msgspec.Struct, frozen=True):
    """Where a decoy stands in the guest (absolute path) and how much touching it means (high, medium, low)."""

    decoy: str
    path: str
    weight: Literal["high", "medium", "low"] = "high"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One of several packages that were installed together."""

    name: str
    version: str
    purl: str
    target: str = ""
    digest: str = ""
    starts: tuple[str, ...] = ()
    """PyPI: files of its archive that every start of Python runs (`.pth`, `sitecustomize`)."""
    tops: tuple[str, ...] = ()
    """PyPI: what its archive puts at the top of `site-packages`."""
    place: str = ""
    """npm: the folder that it is installed in, from the project on."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a recording: who recorded what, and what was planned and planted. Of several packages that
    were installed together, `members` lists each, and `package` is empty; phases may then run at the same time."""

    baitbox: int = FORMAT_VERSION
    tool: str = ""
    ecosystem: Literal["npm", "pypi"] = "npm"
    package: str = ""
    version: str = ""
    target: str = ""
    digest: str = ""
    persona: str = ""
    backend: str = ""
    home: str = "/home/dev"
    project: str = "/home/dev/project"
    registries: list[str] = []
    sensors: list[str] = []
    phases: list[PlannedPhase] = []
    planted: list[PlantedFile] = []
    folders: list[str] = []
    """The folders at home that were there from the start; none where an older recording does not say."""
    dependencies: list[str] = []
    why: str = ""
    members: list[Member] = []
    began: float = 0.0
    """When, in seconds since 1970 by the host's clock; 0 where it is not known. Every `at` counts from then."""


class Recording(msgspec.Struct, frozen=True):
    """A header and its events, whole in memory."""

    header: Header
    events: list[AnyEvent]


_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(Header)
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(item: Header | AnyEvent) -> bytes:
    """One line of a recording, with its newline."""
    return _encoder.encode(item) + b"\n"


def write(file: IO[bytes], header: Header, events: Iterable[AnyEvent]) -> None:
    """Write a whole recording."""
    file.write(encode(header))
    for event in events:
        file.write(encode(event))


def lines(file: Iterable[bytes]) -> Iterator[AnyEvent]:
    """Decode events strictly; raises ValueError naming the line that is not one."""
    decode = _event_decoder.decode
    for number, line in enumerate(file, start=2):
        if not line.isspace():
            try:
                yield decode(line)
            except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
                raise ValueError(f"line {number} is not an event: {error}") from error


def read(path: Path) -> Recording:
    """Read a recording, plain or gzipped; raises ValueError where it is not one, or of a version that this baitbox
    cannot read."""
    with path.open("rb") as file:
        text = unpacked.lines(file)
        first = next(text, b"")
        try:
            header = _header_decoder.decode(first)
            if "baitbox" not in msgspec.json.decode(first):
                raise ValueError("the first line is not a recording's header: it says no format")
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
            raise ValueError(f"the first line is not a recording's header: {error}") from error
        if header.baitbox != FORMAT_VERSION:
            raise ValueError(f"recording format {header.baitbox} is not {FORMAT_VERSION}: update baitbox")
        return Recording(header, list(lines(text)))
