"""What will be done with an artifact: which phases, in which guest, among which bait. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

PhaseKind = Literal["install", "start", "import", "run", "shell", "linger"]


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A package as it will be run: fetched or built, read on the host, its digest known."""

    ecosystem: Literal["npm", "pypi"]
    name: str
    version: str
    target: str
    """The target as the user wrote it."""
    purl: str
    digest: str
    """`sha512:HEX` or `sha256:HEX` of the file that runs."""
    spec: str
    """What the package manager is told to install: `left-pad@1.3.0`, `six==1.16.0`, or a path in the guest."""
    extras: tuple[str, ...] = ()
    upload: tuple[tuple[str, bytes], ...] = ()
    """Files to put in the guest first (absolute guest path, content): a local archive. Empty from a registry."""
    manifest: dict[str, object] = {}
    """npm: package.json. PyPI: {"names": [every file in the archive], "entry_points": {...}}; read with limits."""
    files: tuple[str, ...] = ()
    """Relative paths of the files in the archive, as far as the limits allow; normalised, never absolute."""
    kind: Literal["registry", "sdist", "wheel", "tarball", "folder"] = "registry"

    def at_home(self, home: str) -> Artifact:
        """This artifact for a guest with this home: a local archive is put into its downloads, whoever's they are."""
        if not self.upload:
            return self
        (where, content), *others = self.upload
        new = f"{home}/Downloads/{where.rpartition('/')[2]}"
        return msgspec.structs.replace(
            self, spec=self.spec.replace(where, new, 1), upload=((new, content), *others)
        )


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One step in the guest. `required`: it must exit 0 to count as run (an import: not say that it raised, and one
    that may is planned so with its reason in the notes). `open_ended`: it may go on until its limit (a server), and
    being stopped there still counts as run."""

    name: str
    kind: PhaseKind
    argv: tuple[str, ...]
    cwd: str = ""
    environment: dict[str, str] = {}
    seconds: float = 120.0
    required: bool = True
    open_ended: bool = False
    either: str = ""
    """Phases with the same non-empty `either` load the same file: one that succeeds is enough."""
    fallback: str = ""
    """It is run only where all imports before it with this `either` raised."""
    package: str = ""
    """The package that it exercises, where several are installed together; empty: the artifact, or all of them."""
    version: str = ""
    """That package's version: a lockfile may have several of one name."""
    complete: int = 0
    """The exit code by which alone it says that it came to its end; 0 where the usual meaning of codes holds."""


ONLY_LOADED = (
    "What the package does only when its functions are called, with arguments, or later than 10 s after it was loaded, "
    "is not exercised."
)
"""True of every package, in every ecosystem: stands in each report."""


def shell_phase(shell: str, base: Phase, seconds: float) -> Phase:
    """A user's terminal: a login shell reads the profile; the interactive one in it reads what those read (`~/.bashrc`
    for bash), whatever the profile does."""
    if shell.endswith("/bash"):
        argv = (shell, "-l", "-i", "-c", "bash -i -c 'exit 0'")
    else:  # dash and busybox read the file that ENV names, where there is one
        argv = (shell, "-l", "-i", "-c", f"{shell} -i -c 'exit 0'")
    return msgspec.structs.replace(base, name="shell", kind="shell", argv=argv, seconds=seconds)


class Installed(msgspec.Struct, frozen=True):
    """What the installation left, as read from the guest's file system by the warden (not as printed):
    directory listings by guest path, each `(name, is_directory)`; and small files by path."""

    listings: dict[str, tuple[tuple[str, bool], ...]] = {}
    files: dict[str, bytes] = {}


class Toolchain(msgspec.Struct, frozen=True, kw_only=True):
    """The package managers of the guest, by their paths in the guest, and their versions."""

    node: str = ""
    node_version: str = ""
    npm_cli: str = ""
    npm_version: str = ""
    python: str = ""
    python_version: str = ""
    pip: str = ""
    """Path of pip's `__pip-runner__.py`."""
    pip_version: str = ""
    shell: str = "/bin/bash"
    """What a user's terminal runs."""
    locales: tuple[str, ...] = ()
    """Those that the guest's C library knows, as `locale -a` prints them; see `locales.usable`."""
    tags: tuple[str, ...] = ()
    """Wheel tags that the guest's Python accepts, best first (`packaging.tags`)."""
    environment: dict[str, str] = {}
    """Variables without which these tools do not run here; the ecosystems put them into their phases."""


class Tools(Protocol):
    """A guest's package managers, and what a backend must do for them to be there: see `toolchain.HostTools`."""

    @property
    def toolchain(self) -> Toolchain:
        """The tools as the guest sees them."""
        ...

    @property
    def programs(self) -> Sequence[str]:
        """The other programs that packages call, as far as they are known."""
        ...

    @property
    def identity(self) -> str:
        """What tells these tools from others of the same versions: an image's id; empty for this machine's."""
        ...

    @property
    def mounts(self) -> Sequence[tuple[str, str]]:
        """(host path, guest path) to bind read-only."""
        ...

    @property
    def links(self) -> Sequence[tuple[str, str]]:
        """(guest path, target) of symbolic links."""
        ...

    @property
    def masks(self) -> Sequence[str]:
        """Guest folders to cover with empty ones."""
        ...

    @property
    def blanks(self) -> Sequence[str]:
        """Guest files to cover with empty ones."""
        ...

    @property
    def bundles(self) -> Sequence[str]:
        """Guest files of certificate authorities, over which the run's bundle goes."""
        ...

    def require(self, programs: Iterable[str]) -> None:
        """Raise BackendError, with what to do, for the first of `programs` (node, npm, python, pip) that is missing."""
        ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on one guest."""

    memory: int = 4 * 1024**3
    """Bytes of address space that count against the guest's processes together, as far as the backend can."""
    disk: int = 4 * 1024**3
    """Bytes in home, project and /tmp together, each."""
    processes: int = 1024
    open_files: int = 4096
    output: int = 64 * 1024
    """Bytes of a phase's output that are kept; the rest is read and counted."""
    events: int = 2_000_000
    sleep: float = 3.0
    """Seconds; a longer sleep returns at once."""
    linger: float = 10.0
    """Seconds that survivors are watched after the last phase."""


class Ecosystem(Protocol):
    """What one package manager needs: `sandbox/ecosystems/<name>.py` defines `ECOSYSTEM`, one of these."""

    name: str
    programs: tuple[str, ...]

    def prepare(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, bytes]]:
        """Files to plant for the run itself (package.json of the project, the virtual environment's layout)."""
        ...

    def directories(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[str]:
        """Empty directories to plant besides, by absolute guest path."""
        ...

    def links(self, artifact: Artifact, tools: Toolchain, home: str, project: str) -> list[tuple[str, str]]:
        """Symbolic links to plant besides: (absolute guest path, target as it is written into the link)."""
        ...

    def install(self, artifact: Artifact, tools: Toolchain, project: str, seconds: float) -> list[Phase]:
        """The phases that install; their names are known before the guest begins."""
        ...

    def wanted(self, artifact: Artifact, project: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(directories to list, files to read) in the guest after installation, for `exercise`."""
        ...

    def exercise(
        self, artifact: Artifact, installed: Installed, tools: Toolchain, project: str, seconds: float
    ) -> tuple[list[Phase], list[str]]:
        """The phases after installation, and what cannot be exercised, one sentence each."""
        ...
