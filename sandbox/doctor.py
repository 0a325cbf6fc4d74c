"""Says what works on this machine, and what to do about what does not. Changes nothing."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
from pathlib import Path

import msgspec

from sandbox import docker_doctor, probe, process
from sandbox.docker_doctor import Check
from sandbox.errors import BackendError, RegistryError

KERNEL_NEEDED = (5, 9)
BUBBLEWRAP_NEEDED = (0, 7)
"""The first that can bound the size of a tmpfs."""
SPACE_WANTED = 2 * 1024**3

ASKED_FOR = {"npm": "left-pad", "pypi": "six/"}
"""Something small that a registry is likely to have."""

NAMESPACE_SYSCTLS = (
    # (sysctl, value that forbids, value that allows). Ubuntu 24.04 sets the first, also on hosted CI runners.
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
)
IN_CONTAINER = (
    "inside a container the container's own rules may forbid it: run baitbox on the host, or start the container with "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)


def examine(cache: Path) -> list[Check]:
    """Look at everything; `cache` is the folder where packages will be kept."""
    tried = probe.ask()
    return [
        kernel(),
        notification(tried),
        killable(tried),
        namespaces(tried),
        own_proc(tried),
        bubblewrap(),
        trial(),
        warden(),
        time_namespaces(tried),
        *toolchains(),
        cache_folder(cache),
        *docker_doctor.examine(),
    ]


def native_works(checks: list[Check]) -> bool:
    """Whether the native backend can make a guest here."""
    return all(check.ok for check in checks if check.needed)


def any_works(checks: list[Check]) -> bool:
    """Whether a guest can be made here in one way or the other."""
    return native_works(checks) or docker_doctor.works(checks)


def kernel() -> Check:
    """Linux, and new enough."""
    release = platform.release()
    new_enough = platform.system() == "Linux" and _numbers(release) >= KERNEL_NEEDED
    wanted = ".".join(map(str, KERNEL_NEEDED))
    machine = platform.machine()
    detail = f"{platform.system()} {release}, {machine}"
    if machine != "x86_64":
        detail += " (only x86_64 is tested)"
    return Check(name="kernel", ok=new_enough, detail=detail, hint=f"Linux {wanted} or later is needed", needed=True)


def notification(tried: dict[str, str]) -> Check:
    """The seccomp user notification, by which the warden sees system calls."""
    return _tried(
        "seccomp notification",
        tried.get("notification", "EIO"),
        "the kernel needs CONFIG_SECCOMP_FILTER; " + IN_CONTAINER,
        needed=True,
    )


def killable(tried: dict[str, str]) -> Check:
    """A newer seccomp flag, without which programs that use many signals run slowly under the warden."""
    return _tried(
        "seccomp killable wait",
        tried.get("killable", "EIO"),
        "Linux 5.19 or later has it; programs that use many signals (Go) may run slowly without it",
    )


def namespaces(tried: dict[str, str]) -> Check:
    """User and network namespaces, really made."""
    error = tried.get("namespaces", "EIO")
    hint = IN_CONTAINER
    for name, forbidding, allowing in NAMESPACE_SYSCTLS:
        if sysctl(name) == forbidding:
            hint = f"{name} is {forbidding}: sudo sysctl -w {name}={allowing}"
            break
    return _tried("user namespaces", error, hint, needed=True)


def own_proc(tried: dict[str, str]) -> Check:
    """A /proc for the guest's own processes, which cannot be had where this one has masked parts."""
    return _tried(
        "own /proc",
        tried.get("proc", "EIO"),
        "parts of /proc are masked here, as most containers do (Podman shows them with --security-opt unmask=ALL); "
        + IN_CONTAINER,
        needed=True,
    )


def time_namespaces(tried: dict[str, str]) -> Check:
    """Time namespaces give the persona its uptime."""
    return _tried(
        "time namespaces",
        tried.get("time", "EIO"),
        "Linux 5.6 or later has them; without them the guest shows this machine's uptime",
    )


def bubblewrap() -> Check:
    """The bwrap program."""
    said = _version_of("bwrap")
    ok = _numbers(said) >= BUBBLEWRAP_NEEDED
    hint = "apt-get install bubblewrap"
    if said:
        hint = "bubblewrap 0.7 or later is needed, as in Debian 12 or Ubuntu 24.04"
    return Check(name="bubblewrap", ok=ok, detail=said or "not found", hint=hint, needed=True)


def trial() -> Check:
    """A bubblewrap guest with nothing in it but this machine's programs, really made."""
    program = shutil.which("bwrap")
    if program is None:
        return Check(name="trial guest", ok=False, detail="not tried: no bwrap", needed=True)
    command = [program, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        done = process.run(command, timeout=10)
    except OSError as error:
        return Check(name="trial guest", ok=False, detail=str(error), needed=True)
    said = done.stderr.decode(errors="replace").strip()[-300:]
    detail = "made and gone again" if done.code == 0 else said or f"bwrap ended with {done.code}"
    hint = "see `user namespaces` and `own /proc` above"
    return Check(name="trial guest", ok=done.code == 0, detail=detail, hint=hint, needed=True)


def warden() -> Check:
    """The program that runs in the guest: built, and made for this machine."""
    program = Path(__file__).parent / "warden" / "warden"
    hint = "build it, from your clone of baitbox: pip install --force-reinstall --no-deps . (or -e .)"
    try:
        done = process.run([str(program), "version"], timeout=10)
    except OSError as error:
        return Check(name="warden", ok=False, detail=error.strerror or str(error), hint=hint, needed=True)
    said = done.stdout.decode(errors="replace").strip()
    return Check(name="warden", ok=done.code == 0, detail=said or f"ended with {done.code}", hint=hint, needed=True)


def toolchains() -> list[Check]:
    """The package managers that the guest borrows from this machine, as `sandbox.toolchain` finds them."""
    from sandbox import toolchain

    tools = toolchain.find()
    found = {
        "node": tools.node and f"{tools.node.version} ({tools.node.executable})",
        "npm": tools.npm and f"{tools.npm_version} ({tools.npm})",
        "python": tools.python and f"{tools.python.version} ({tools.python.executable})",
        "pip": tools.pip and f"{tools.pip_version} ({tools.pip})",
    }
    checks = []
    for name, detail in found.items():
        hint = ""
        try:
            tools.require([name])
        except BackendError as error:
            detail, hint = str(error), error.hint
        checks.append(Check(name=name, ok=not hint, detail=detail or "", hint=hint))
    git = "git" in tools.programs
    hint = "git dependencies need it in /usr/bin: apt-get install git"
    checks.append(Check(name="git", ok=git, detail="present" if git else "not found in /usr/bin", hint=hint))
    return checks


def registries() -> list[Check]:
    """The registries that this machine is set up for, and whether each answers. Reaches the network."""
    from sandbox.cache import Cache
    from sandbox.registries import registry_settings
    from sandbox.upstream import NotFoundError, Upstream

    settings = registry_settings()
    checks = []
    with tempfile.TemporaryDirectory() as empty, Upstream(settings, Cache(Path(empty))) as upstream:
        for registry in settings.all():
            name = f"registry {registry.host}"
            detail, hint = f"answers ({registry.ecosystem}, from {registry.source or 'the default'})", ""
            try:
                upstream.document(registry.url + ASKED_FOR[registry.ecosystem], accept="*/*")
            except NotFoundError:
                pass  # it answered; that it lacks this package does not matter
            except RegistryError as error:
                detail, hint = str(error), error.hint or "look at npm's and pip's settings, and at the proxy's"
            checks.append(Check(name=name, ok=not hint, detail=detail, hint=hint))
    for ecosystem, problem in settings.problems.items():
        checks.append(Check(name=f"{ecosystem} registry", ok=False, detail=problem, hint="set one up"))
    return checks


def cache_folder(cache: Path) -> Check:
    """Writable, and with room for packages."""
    hint = "choose another with --cache DIR or BAITBOX_CACHE"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
        free = shutil.disk_usage(cache).free
    except OSError as error:
        return Check(name="cache", ok=False, detail=f"{cache}: {error.strerror}", hint=hint)
    gib = f"{free / 1024**3:.1f} GiB free"
    return Check(name="cache", ok=free >= SPACE_WANTED, detail=f"{cache}, {gib}", hint=f"little room is left; {hint}")


def sysctl(name: str) -> str:
    """The value of a kernel setting, empty where there is no such setting."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def table(checks: list[Check]) -> str:
    """The checks for a terminal, with what to do under each that is not ok."""
    from sandbox.plaintext import escape

    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = "ok  " if check.ok else "FAIL" if check.needed else "warn"
        lines.append(f"{mark}  {check.name:<{width}}  {escape(check.detail)}")
        if not check.ok and check.hint:
            lines.append(f"{'':<{width + 8}}-> {check.hint}")
    works = native_works(checks)
    lines.append("")
    docker = docker_doctor.works(checks)
    if works or docker:
        names = " and ".join([*(["native"] if works else []), *(["docker"] if docker else [])])
        lines.append(f"The {names} backend{'s work' if works and docker else ' works'} here.")
    else:
        lines.append("No backend works here: see the lines marked FAIL.")
    return "\n".join(lines)


def as_json(checks: list[Check]) -> str:
    """The same for programs."""
    listed = [msgspec.structs.replace(check, hint="") if check.ok else check for check in checks]
    document = {"schema": 1, "native": native_works(checks), "docker": docker_doctor.works(checks), "checks": listed}
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def _tried(name: str, error: str, hint: str, needed: bool = False) -> Check:
    detail = "works" if not error else f"refused: {error}"
    return Check(name=name, ok=not error, detail=detail, hint=hint, needed=needed)


def _version_of(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = process.run([path, "--version"], timeout=20)
    except OSError:
        return ""
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return f"{lines[0][:80]} ({path})" if done.code == 0 and lines else ""


def _numbers(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()
