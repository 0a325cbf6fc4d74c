"""One way to check a fixture for real, for the tests of every backend."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from sandbox import events, persona, pipeline
from sandbox.bait import Bait, Draw, Endpoint, Person
from sandbox.events import Recording
from sandbox.report import PackageReport
from sandbox.settings import Settings
from tests.integration.command_line import Machine, orphans_come_here, still_running
from tests.packages import build
from tests.packages.fixture import Built, Check, Fixture
from tests.packages.registry import Registry

REGISTRY = "packages.test"
Checked = tuple[PackageReport, Recording]


def marked(fixture: Fixture) -> object:
    """The fixture as a parameter, with the mark that its needs ask for."""
    marks = [pytest.mark.registry] if "index" in fixture.needs else []
    return pytest.param(fixture, id=fixture.name, marks=marks)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one fixture stay in one process, where what came of a check serves all of them (`check_once`)."""
    for item in items:
        call = getattr(item, "callspec", None)
        fixture = call.params.get("fixture") if call else None
        if isinstance(fixture, Fixture):
            item.add_marker(pytest.mark.xdist_group(fixture.name))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine without a network, on which nothing may be left in the end."""
    made = Machine(tmp_path)
    made.use("http://127.0.0.1:9/npm/", "http://127.0.0.1:9/simple/")
    with orphans_come_here():
        yield made
        assert still_running() == []
        assert made.left_behind() == []


@pytest.fixture(
    params=[pytest.param("native", marks=pytest.mark.native), pytest.param("docker", marks=pytest.mark.docker)]
)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn: a test that asks for it runs once on each that is here."""
    name: str = request.param
    return name


@pytest.fixture
def check(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Builds a fixture, checks it on the backend, and gives its one package's report."""

    def checked(fixture: Fixture) -> PackageReport:
        return check_on(backend, fixture, tmp_path, monkeypatch)[0]

    return checked


IMAGES = tempfile.TemporaryDirectory(prefix="images-")
CHECKED: dict[tuple[str, str], Checked] = {}
"""What came of a fixture on a backend, by their names: one run serves the tests of both, and that they agree."""


@pytest.fixture
def check_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Fixture], Checked]:
    """Checks a fixture on a backend, or gives what came of it before in this session."""

    def checked(name: str, fixture: Fixture) -> Checked:
        key = name, fixture.name
        if key not in CHECKED:
            folder = tmp_path / name
            folder.mkdir()
            CHECKED[key] = check_on(name, fixture, folder, monkeypatch)
        return CHECKED[key]

    return checked


def check_on(
    backend: str, fixture: Fixture, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Checked:
    """A fixture's report and recording on one backend. What is known of an image is found out once for all tests of a
    process; every other cache is the test's own."""
    own = folder / "cache" / "images"
    if not own.exists():
        own.parent.mkdir(exist_ok=True)
        own.symlink_to(IMAGES.name)
    made = build.make(fixture.name, folder / "target")
    settings = Settings(
        backend=backend,  # type: ignore[arg-type]  # one of its values, as text
        image=os.environ.get("BAITBOX_IMAGE", "") if backend == "docker" else "",
        cache=folder / "cache",
        profiles=profile_folders(fixture, folder),
        quiet=True,
    )
    serve(made.served, monkeypatch)
    with Registry(made.archives, host=REGISTRY) as registry:
        if "index" not in fixture.needs:
            point_at(registry, monkeypatch)
        recording = folder / "recording.jsonl"
        return run(fixture, made, settings, recording), events.read(recording)


def profile_folders(fixture: Fixture, tmp_path: Path) -> tuple[Path, ...]:
    """A folder for `--profile` with the fixture's own sheet, where it has one."""
    if not fixture.profile:
        return ()
    folder = tmp_path / "profiles"
    sheet = folder / "packages" / fixture.ecosystem / f"{fixture.package}.yaml"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text(fixture.profile, encoding="utf-8")
    return (folder,)


def point_at(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `registry` the host's npm registry and PyPI index."""
    monkeypatch.setenv("npm_config_registry", registry.npm_url)
    monkeypatch.setenv("PIP_INDEX_URL", registry.pypi_url)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, registry.own_url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def serve(served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make these URLs part of the internet that guests see."""
    plant = getattr(persona.plant, "wrapped", persona.plant)
    endpoints = tuple(
        Endpoint(
            hosts=(str(urlsplit(url).hostname),), path=re.escape(urlsplit(url).path), body=body, telling=False,
            content_type="application/octet-stream",
        )
        for url, body in served.items()
    )  # fmt: skip

    def planted(who: persona.Persona, draw: Draw, person: Person) -> list[Bait]:
        return [*plant(who, draw, person), Bait(decoy="served", endpoints=endpoints)]

    planted.wrapped = plant  # type: ignore[attr-defined]  # so that a second check does not plant twice
    if endpoints:
        monkeypatch.setattr(persona, "plant", planted)


def run(fixture: Fixture, made: Built, settings: Settings, recording: Path) -> PackageReport:
    """What `pipeline.check` does, with the fixture's own uploads and limits."""
    from sandbox.cache import Cache
    from sandbox.discovery import load
    from sandbox.fetch import resolve
    from sandbox.observe import Experiment, observe
    from sandbox.plan import Limits
    from sandbox.registries import registry_settings
    from sandbox.targets import Target

    registries, cache = registry_settings(project=None), Cache(settings.cache)
    backend = pipeline.choose_backend(settings)
    tools = backend.tools(lambda _: None)
    tags, version = tools.toolchain.tags, tools.toolchain.python_version
    artifact = resolve(
        Target.parse(str(made.target)), registries, cache, tags=tuple(tags), python_version=version
    )
    experiment = Experiment(
        artifact=msgspec.structs.replace(artifact, upload=(*artifact.upload, *made.uploads)),
        ecosystem=load("ecosystems", "ECOSYSTEM")[fixture.ecosystem],
        tools=tools,
        registries=registries,
        cache=cache,
        persona=pipeline.personas(settings)[0].at_home(tools.toolchain.locales),
        backend=backend,
        limits=Limits(**fixture.limits),
        seconds=60.0,
        recording=recording,
    )
    observe(experiment, lambda _: None)
    return pipeline.judge_again(recording, settings)
