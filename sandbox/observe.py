"""Runs an artifact among bait and records what it does: the part of the pipeline that needs a guest.

Order matters: the recording is open before the guest is, everything is planted and watched before the first
phase, and the recording is closed only when the guest is gone.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from sandbox import bait, events, persona, plan
from sandbox.backends import Backend, GuestSpec
from sandbox.cache import Cache
from sandbox.errors import BackendError
from sandbox.gateway.recognise import Recogniser
from sandbox.gateway.registry import Mirror
from sandbox.gateway.server import Gateway
from sandbox.gateway.tls import CertificateAuthority
from sandbox.guest import Guest, GuestGoneError, LoopThread, Outcome
from sandbox.recorder import Recorder
from sandbox.registries import Registries
from sandbox.side_by_side import run_all
from sandbox.warden.frames import Put

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
TRUST = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT")
"""Tools that bring their own certificates are pointed at the system's, as companies that inspect TLS do."""
SENSORS = ("syscalls", "network", "witness", "gateway")
LINGER_STEP = 0.1
SHORTEST_WAIT = 3.0
"""A wait that is shorter would have ended while they were watched anyhow: they do it again and again."""
LONGEST_LINGER = 60.0
"""Seconds for which survivors are watched that wait for a time of their own."""
BUSY_SECONDS = 10.0
"""How long an import may take that went on to its limit when the same file was loaded another way."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one run needs, chosen by the pipeline."""

    artifact: plan.Artifact
    ecosystem: plan.Ecosystem
    tools: plan.Tools
    registries: Registries
    cache: Cache
    persona: persona.Persona
    backend: Backend
    limits: plan.Limits
    seconds: float
    """Limit for the install phase."""
    recording: Path
    members: tuple[events.Member, ...] = ()
    """Where several packages are installed together: all of them. `artifact` then has no name."""
    pins: tuple[tuple[str, str], ...] = ()
    """(address, digest): files that the guest gets with this digest or not at all."""
    words: frozenset[str] = frozenset()
    """What requests repeat of the files that were planted for the installation."""
    absent: tuple[str, ...] = ()
    """Globs of the addresses that are answered with "not found": see `Policy`."""


class Scene(msgspec.Struct, frozen=True):
    """Who the machine belongs to, and what lies about there: the bait, and what makes it look lived in."""

    draw: bait.Draw
    who: bait.Person
    planted: list[bait.Bait]
    furniture: list[bait.BaitFile]

    def files(self) -> list[bait.BaitFile]:
        """All of it that is files."""
        return [file for one in self.planted for file in one.files] + self.furniture

    def folders(self) -> list[str]:
        """The folders at home that these files make, sorted."""
        found = {self.who.home}
        for file in self.files():
            folder = posixpath.dirname(_place(file.path, self.who))
            while folder not in found and folder.startswith(self.who.home + "/"):
                found.add(folder)
                folder = posixpath.dirname(folder)
        return sorted(found)


class World(msgspec.Struct, frozen=True):
    """A guest that is up and prepared, and what plays the internet to it."""

    guest: Guest
    environment: dict[str, str]
    not_seen: tuple[str, ...] = ()


def observe(experiment: Experiment, step: Callable[[str], None]) -> str:
    """Run it and record it. Returns what was wrong with a registry where the installation failed for that, else "".
    Raises BackendError where no guest can be made; everything else that goes wrong stands in the recording."""
    scene = set_scene(experiment)
    refuse = _finder(scene.planted)
    mirror = Mirror(experiment.registries, experiment.cache, experiment.artifact.ecosystem, refuse=refuse)
    if experiment.artifact.name:
        mirror.prime(experiment.artifact.name)
    for url, digest in experiment.pins:
        mirror.pin(url, digest)
    header = _header(experiment, scene, mirror.hosts)
    recorder = Recorder(experiment.recording, header, experiment.limits.events)
    try:
        step("making the guest")
        with world(experiment, recorder, mirror, scene) as made:
            installed = _install(experiment, made, step)
            try:
                if installed:
                    _exercise(experiment, made, recorder, step)
                _linger(made.guest, recorder, experiment.limits.linger, step)
            except GuestGoneError as error:
                recorder.add(events.SensorLost, sensor="guest", reason=str(error))
            for reason in [*mirror.too_large, *(mirror.problems if installed else ())]:
                recorder.add(events.SensorLost, sensor="registry", reason=reason)
    except BaseException:
        recorder.abandon()
        raise
    recorder.close()
    return mirror.problems[0] if mirror.problems and not installed else ""


def set_scene(experiment: Experiment) -> Scene:
    """Draw what will be planted."""
    draw, who = bait.Draw(), _person(experiment)
    planted = persona.plant(experiment.persona, draw, who)
    return Scene(draw, who, planted, persona.furniture(experiment.persona, draw))


@contextmanager
def world(
    experiment: Experiment,
    recorder: Recorder,
    mirror: Mirror,
    scene: Scene,
    *,
    traced: bool = True,
) -> Iterator[World]:
    """A guest with its bait planted and its internet up; gone when the block ends, however it ends."""
    authority, planted = CertificateAuthority(), scene.planted
    gateway = Gateway(
        authority=authority,
        bait=planted,
        recorder=recorder,
        registry=mirror,
        host_name=experiment.persona.host,
        seed=os.urandom(16),
        absent=experiment.absent,
    )
    gateway.knows(experiment.words)
    bundle = _bundle(authority)
    watched = [(one.decoy, _place(file.path, scene.who)) for one in planted for file in one.files]
    loop = LoopThread()
    try:
        running = experiment.backend.start(_spec(experiment, bundle))
        try:
            guest = Guest(loop, running, recorder, gateway, watched, experiment.limits, traced=traced)
            puts = _puts(experiment, scene, bundle)
            puts = [*running.puts, *(put for put in puts if put.path not in running.provided)]
            guest.prepare(puts, experiment.persona.cpus, _loopback_ports(planted))
            yield World(guest, _environment(experiment, planted), running.not_seen)
            guest.end()
        finally:
            running.stop()
            _close(gateway, loop, recorder)
    finally:
        mirror.close()
        loop.close()


def _close(gateway: Gateway, loop: LoopThread, recorder: Recorder) -> None:
    """The last look at what was sent; one that does not come to its end is a loss, and not ours to fail on."""
    try:
        loop.call(gateway.close)
    except GuestGoneError as error:
        recorder.add(events.SensorLost, sensor="gateway", reason=str(error))


def _finder(planted: list[bait.Bait]) -> Callable[[str], bool]:
    """Whether a text carries bait: what the guest asks of a registry is asked of the real one."""
    recogniser = Recogniser([token for one in planted for token in one.tokens])
    return lambda text: bool(recogniser.scan(text.encode("utf-8", "replace"), "url").hits)


def _person(experiment: Experiment) -> bait.Person:
    npm, pypi = experiment.registries.npm, experiment.registries.pypi
    place = npm.url.partition("://")[2].rstrip("/") if npm else ""
    return experiment.persona.person(place, pypi[0].url if pypi else "")


def _place(path: str, who: bait.Person) -> str:
    """An absolute guest path of a bait file's `~/`, `./` or `/` path."""
    if path.startswith("~/"):
        return posixpath.join(who.home, path[2:])
    return posixpath.join(who.project, path[2:]) if path.startswith("./") else path


def _header(experiment: Experiment, scene: Scene, registries: list[str]) -> events.Header:
    from sandbox import __version__

    artifact, who = experiment.artifact, scene.who
    install = experiment.ecosystem.install(artifact, experiment.tools.toolchain, who.project, experiment.seconds)
    return events.Header(
        tool=f"baitbox {__version__}",
        ecosystem=artifact.ecosystem,
        package=artifact.name,
        version=artifact.version,
        target=artifact.target,
        digest=artifact.digest,
        persona=experiment.persona.id,
        backend=experiment.backend.name,
        home=who.home,
        project=who.project,
        registries=registries,
        sensors=list(SENSORS),
        phases=[_planned(phase) for phase in install],
        members=list(experiment.members),
        began=round(time.time(), 3),
        planted=[
            events.PlantedFile(one.decoy, _place(file.path, who), file.weight)
            for one in scene.planted
            for file in one.files
        ],
        folders=scene.folders(),
    )


def _planned(phase: plan.Phase) -> events.PlannedPhase:
    return events.PlannedPhase(
        phase.name, phase.kind, phase.required, phase.open_ended, phase.either, phase.package, phase.version,
        phase.complete, phase.fallback,
    )  # fmt: skip


def _bundle(authority: CertificateAuthority) -> bytes:
    """The host's certificate bundle and, among its authorities, ours."""
    try:
        system = Path(BUNDLE).read_bytes()
    except OSError:
        system = b""
    return system + authority.ca_pem


def _spec(experiment: Experiment, bundle: bytes) -> GuestSpec:
    tools, who = experiment.tools, experiment.persona
    files = dict(persona.machine_files(who))
    files.update(dict.fromkeys(tools.blanks, b""))
    files.update(dict.fromkeys(tools.bundles, bundle))
    return GuestSpec(
        host_name=who.host,
        home=who.home,
        uptime=who.uptime,
        cpus=who.cpus,
        limits=experiment.limits,
        mounts=tuple(tools.mounts),
        links=tuple(tools.links),
        masks=tuple(tools.masks),
        files=tuple(files.items()),
    )


def _puts(experiment: Experiment, scene: Scene, bundle: bytes) -> list[Put]:
    """Everything to plant, folders first."""
    now, who = time.time(), scene.who
    artifact, ecosystem, tools = experiment.artifact, experiment.ecosystem, experiment.tools.toolchain
    puts = [Put(who.home, kind=2, mode=0o755, modified=int(now) - 86400)]
    puts += [
        Put(folder, kind=2, mode=0o755, modified=int(now) - 3600)
        for folder in [who.project, *ecosystem.directories(artifact, tools, who.home, who.project)]
    ]
    for path, content in persona.etc_files(experiment.persona, scene.draw).items():
        puts.append(Put(path, content, modified=int(now - 90 * 86400), owned=False))
    puts.append(Put(BUNDLE, bundle, modified=int(now - 40 * 86400), owned=False))
    puts.append(Put("/etc/ssl/cert.pem", b"certs/ca-certificates.crt", kind=3, owned=False))
    for file in scene.files():
        place = _place(file.path, who)
        owned = place.startswith(who.home + "/")
        puts.append(Put(place, file.content, file.mode, 0, int(now - file.age * 86400), owned))
    for command in (command for one in scene.planted for command in one.commands):
        place = f"{who.home}/.local/bin/{command.name}"
        puts.append(Put(place, command.script.encode(), 0o755, 0, int(now - 60 * 86400)))
    made = [*ecosystem.prepare(artifact, tools, who.home, who.project), *artifact.upload]
    puts += [Put(path, content, 0o644, 0, int(now) - 3600) for path, content in made]
    for path, target in ecosystem.links(artifact, tools, who.home, who.project):
        puts.append(Put(path, target.encode(), 0o777, 3, int(now) - 3600))
    return puts


def _loopback_ports(planted: list[bait.Bait]) -> list[int]:
    """Ports on the guest's own loopback that a decoy answers on."""
    local = ("127.0.0.1", "localhost", "::1")
    found = {
        port
        for one in planted
        for endpoint in one.endpoints
        if any(host in local for host in endpoint.hosts)
        for port in endpoint.ports
    }
    return sorted(found)


def _environment(experiment: Experiment, planted: list[bait.Bait]) -> dict[str, str]:
    environment = experiment.persona.variables()
    for one in planted:
        environment.update(one.environment)
    return {**environment, **dict.fromkeys(TRUST, BUNDLE), **_registry_environment(experiment)}


def _registry_environment(experiment: Experiment) -> dict[str, str]:
    """The host's choice of registries, by address; its credentials stay with the mirror."""
    registries = experiment.registries
    if experiment.artifact.ecosystem == "pypi":
        urls = [registry.url for registry in registries.pypi]
        plain = [registry.host for registry in registries.pypi if registry.url.startswith("http:")]
        values = (urls[:1], urls[1:], plain)
        names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")
        return {name: " ".join(value) for name, value in zip(names, values, strict=True) if value}
    settings = {f"npm_config_{scope}:registry": one.url for scope, one in registries.npm_scopes.items()}
    if registries.npm:
        settings["npm_config_registry"] = registries.npm.url
    return settings


def run_phase(experiment: Experiment, made: World, phase: plan.Phase) -> Outcome:
    """Run one phase in the guest, with the persona's environment and the phase's own."""
    inside = {**made.environment, **phase.environment}
    if "PATH" in phase.environment:
        inside["PATH"] = f"{experiment.persona.home}/.local/bin:{phase.environment['PATH']}"
    return made.guest.run(
        msgspec.structs.replace(phase, environment={}), inside, experiment.persona.project
    )


def _install(experiment: Experiment, made: World, step: Callable[[str], None]) -> bool:
    """Run the install phases; whether all went well, without which nothing else can be run."""
    artifact, tools, project = experiment.artifact, experiment.tools.toolchain, experiment.persona.project
    ran = False
    for phase in experiment.ecosystem.install(artifact, tools, project, experiment.seconds):
        step(phase.name)
        outcome = run_phase(experiment, made, phase)
        if outcome.refused and not ran:
            # Nothing of the package has run yet, so it is not the package that prevents it.
            hint = "the system may refuse the filter that watches system calls: `baitbox doctor` says what to do"
            raise BackendError(f"nothing can be started in a guest here: {outcome.refused}", hint)
        if outcome.status != "exited" or outcome.code or not made.guest.alive:
            return False
        ran = True
    return True


def _exercise(experiment: Experiment, made: World, recorder: Recorder, step: Callable[[str], None]) -> None:
    """Everything that the ecosystem knows to do with what was installed."""
    artifact, ecosystem, tools = experiment.artifact, experiment.ecosystem, experiment.tools.toolchain
    guest, project = made.guest, experiment.persona.project
    folders, files = ecosystem.wanted(artifact, project)
    installed = plan.Installed(
        listings={folder: guest.listing(folder) for folder in folders}, files={file: guest.read(file) for file in files}
    )
    phases, notes = ecosystem.exercise(artifact, installed, tools, project, experiment.seconds)
    notes = [*notes, *made.not_seen]
    recorder.add(events.PhasesPlanned, phases=[_planned(phase) for phase in phases], not_exercised=notes)
    if experiment.members:
        run_all(phases, partial(run_phase, experiment, made), lambda: guest.alive, step)
        return
    _one_by_one(experiment, made, phases, step)


def _one_by_one(experiment: Experiment, made: World, phases: list[plan.Phase], step: Callable[[str], None]) -> None:
    """Run phases in turn; what is a fallback for ways to load a file, only where all of them raised."""
    busy, settled = set(), set()
    for phase in phases:
        if not made.guest.alive:
            break
        if phase.fallback and phase.fallback in settled:
            continue
        step(phase.name)
        if phase.either in busy:
            # Another way to the same file went on to its limit: so will this one.
            phase = msgspec.structs.replace(phase, seconds=min(phase.seconds, BUSY_SECONDS))
        outcome = run_phase(experiment, made, phase)
        if outcome.status == "timeout" and phase.either and phase.required:
            busy.add(phase.either)
        if phase.either and (outcome.status != "exited" or outcome.code != events.NOT_LOADED):
            settled.add(phase.either)


def _linger(guest: Guest, recorder: Recorder, seconds: float, step: Callable[[str], None]) -> None:
    """Watch what is still alive, as long as anything is, but not for ever; what then still lives is named."""
    if not guest.alive:
        return
    left = guest.survivors()
    if not left:
        return
    recorder.phase = "linger"
    step(f"watching {len(left)} processes that outlived their phase")
    began = time.monotonic()
    until = began + seconds
    while left and time.monotonic() < until:
        time.sleep(LINGER_STEP)
        left = guest.survivors()
        # One that has set itself a time is waited for, if that is not far: some thieves wait until nobody looks.
        due = max((one.waits for one in left if LINGER_STEP < one.waits <= LONGEST_LINGER), default=0.0)
        if time.monotonic() + LINGER_STEP >= until and due >= SHORTEST_WAIT:
            until = min(until + due + 1, began + LONGEST_LINGER)
    for one in left:
        recorder.add(events.SurvivorFound, process=one.process, exe=one.exe, argv=one.argv)
    recorder.phase = ""
