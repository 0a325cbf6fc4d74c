"""What a result depends on: every part that decides something is in a key, and what decides nothing is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sandbox import fingerprints, profiles
from sandbox.backends.native import BACKEND
from sandbox.plan import Artifact, Limits, Toolchain
from sandbox.registries import Registries, Registry
from sandbox.toolchain import HostTools
from tests import test_shape

ARTIFACT = Artifact(
    ecosystem="npm", name="left-pod", version="1.0.0", target="npm:left-pod", purl="pkg:npm/left-pod@1.0.0",
    digest="sha512:" + "1" * 128, spec="left-pod@1.0.0",
)  # fmt: skip
REGISTRIES = Registries(
    npm=Registry(ecosystem="npm", url="https://packages.test/npm/"),
    pypi=(Registry(ecosystem="pypi", url="https://packages.test/simple/"),),
)


class Place:
    """A backend, as far as a key looks at it."""

    def __init__(self, name: str = "native", runtime: str = "") -> None:
        self.name = name
        self.runtime = runtime


class Tools:
    """Tools, as far as a key looks at them."""

    def __init__(self, identity: str = "", programs: tuple[str, ...] = (), **toolchain: Any) -> None:
        base: dict[str, Any] = {"node": "/usr/bin/node", "node_version": "20.1.0", "npm_version": "11.0.0"}
        self.toolchain = Toolchain(**{**base, **toolchain})
        self.identity = identity
        self.programs = programs


def guest(backend: Any = None, tools: Any = None) -> str:
    return fingerprints.guest_key(backend or Place(), tools or Tools())


def plan(artifact: Artifact = ARTIFACT, **fields: Any) -> str:
    base: dict[str, Any] = {"limits": Limits(), "seconds": 300.0, "registries": REGISTRIES}
    base |= fields
    return fingerprints.plan_key(artifact, base["limits"], base["seconds"], base["registries"])


def test_what_decides_the_phases_is_in_the_plan() -> None:
    other = msgspec.structs.replace
    scoped = other(REGISTRIES, npm_scopes={"@acme": Registry(ecosystem="npm", url="https://acme.test/")})
    moved = other(REGISTRIES, npm=Registry(ecosystem="npm", url="https://mirror.test/"))
    variants = [
        plan(), plan(seconds=60.0), plan(limits=Limits(processes=10)), plan(registries=scoped), plan(registries=moved),
        plan(other(ARTIFACT, spec="/home/dev/Downloads/left-pod-1.0.0.tgz")), plan(other(ARTIFACT, kind="tarball")),
        plan(other(ARTIFACT, extras=("socks",))), plan(other(ARTIFACT, ecosystem="pypi")),
    ]  # fmt: skip
    assert len(set(variants)) == len(variants)


def test_what_decides_nothing_is_not_in_the_plan() -> None:
    other = msgspec.structs.replace
    assert plan(other(ARTIFACT, target="pkg:npm/left-pod@1.0.0")) == plan()
    assert plan(registries=other(REGISTRIES, pypi=())) == plan()
    assert plan(registries=other(REGISTRIES, ca_text="x")) == plan()


def test_the_guest_is_named_and_told_apart() -> None:
    assert guest().startswith("native, node 20.1.0, npm 11.0.0 (")
    assert guest(Place("docker", "runsc"), Tools("sha256:12")).startswith("docker, runsc, sha256:12, node 20.1.0, ")
    variants = [
        guest(), guest(Place("docker")), guest(Place("docker", "runsc")), guest(Place("docker"), Tools("sha256:1")),
        guest(Place("docker"), Tools("sha256:2")), guest(tools=Tools(programs=("gcc",))),
        guest(tools=Tools(node_version="22.0.0")), guest(tools=Tools(pip_version="26.0")),
        guest(tools=Tools(environment={"npm_config_nodedir": "/usr"})), guest(tools=Tools(shell="/bin/sh")),
    ]  # fmt: skip
    assert len(set(variants)) == len(variants)
    assert guest() == guest()


def test_a_key_is_the_same_each_time_and_whatever_the_order_of_personas() -> None:
    def key(*personas: str) -> object:
        return fingerprints.run_key(
            ARTIFACT, personas=personas, limits=Limits(), seconds=300.0, registries=REGISTRIES,
            tools=HostTools(), backend=BACKEND,
        )  # fmt: skip

    assert key("laptop", "server") == key("server", "laptop", "server")
    assert key("laptop") != key("server")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(profiles.profile_folder(), tmp_path / "profiles")
    return tmp_path / "profiles"


def test_every_profile_that_counts_is_in_the_judge(folder: Path) -> None:
    def key(ecosystem: str = "npm", *more: Path) -> str:
        return fingerprints.judge_key(ecosystem, [folder, *more])

    before = key()
    assert before == key()
    assert before != key("pypi")
    (folder / "packages" / "npm" / "new-one.yaml").write_text("about: x\n")
    added = key()
    (folder / "base.yaml").write_text((folder / "base.yaml").read_text() + "\n")
    edited = key()
    own = folder.parent / "own"
    (own / "packages" / "npm" / "@acme").mkdir(parents=True)
    with_own = key("npm", own)
    (own / "packages" / "npm" / "@acme" / "x.yaml").write_text("about: x\n")
    filled = key("npm", own)
    assert len({before, added, edited, with_own, filled}) == 5
    (folder / "packages" / "pypi" / "other.yaml").write_text("about: x\n")
    (folder / "personas" / "other.yaml").write_text("")
    assert key("npm", own) == filled


def test_the_order_of_folders_counts(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "base.yaml").write_text("about: mine\n")
    assert fingerprints.judge_key("npm", [folder, own]) != fingerprints.judge_key("npm", [own, folder])


def test_a_profile_that_cannot_be_read_is_for_the_judge_to_say(folder: Path) -> None:
    (folder / "packages" / "npm" / "gone.yaml").symlink_to(folder / "nowhere.yaml")
    assert fingerprints.judge_key("npm", [folder])


@pytest.mark.parametrize("name", ["PLAN_SOURCES", "SENSOR_SOURCES", "JUDGE_SOURCES"])
def test_every_named_source_is_there(name: str) -> None:
    here = Path(fingerprints.__file__).parent
    for source in getattr(fingerprints, name):
        assert (here / source).exists(), f"{name} names {source}, which there is not"


def reached(root: Path, *starts: str) -> set[str]:
    """Every module of ours that these import, and theirs, as paths below `sandbox`."""
    known = test_shape.modules(root)
    pending = [name for name in known if test_shape.within(name, starts)]
    seen = set(pending)
    while pending:
        for other in known[pending.pop()].own_imports(set(known)) - seen:
            seen.add(other)
            pending.append(other)
    return {str(known[name].path.relative_to(root / "sandbox")) for name in seen if name != "__init__"}


def covered(path: str, sources: tuple[str, ...]) -> bool:
    return any(path == source or path.startswith(source + "/") for source in sources)


def test_everything_that_judges_is_in_the_judges_key() -> None:
    ours = reached(test_shape.ROOT, "judge", "rules", "profiles")
    left = {path for path in ours if not covered(path, fingerprints.JUDGE_SOURCES)}
    harmless = {"errors.py", "unpacked.py"}
    assert left == harmless, "add it to fingerprints.JUDGE_SOURCES, or to this list of what changes no report"


def test_everything_that_sees_or_shows_is_in_a_runs_key() -> None:
    ours = reached(test_shape.ROOT, "observe", "guest", "gateway", "decoys", "warden", "ecosystems", "backends")
    sources = fingerprints.SENSOR_SOURCES + fingerprints.PLAN_SOURCES
    left = {path for path in ours if not covered(path, sources)}
    # How packages and registries' answers are found and checked; the digest says what came of it.
    fetching = {
        "archive_index.py", "archives.py", "cache.py", "fetch.py", "interpreter.py", "local_packages.py",
        "manifests.py",
        "npm_settings.py", "packuments.py", "pinned.py", "pip_settings.py", "process.py", "registries.py",
        "simple_index.py", "tarballs.py", "targets.py", "upstream.py",
    }  # fmt: skip
    harmless = {"discovery.py", "errors.py", "events.py", "plaintext.py", "profiles.py", "settings.py", "unpacked.py"}
    # What says whether guests can be made here.
    harmless |= {"docker_doctor.py", "doctor.py", "probe.py"}
    assert left - fetching <= harmless, (
        "add it to fingerprints.SENSOR_SOURCES, or to this list of what changes nothing that is seen"
    )


def test_an_edited_source_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(fingerprints.__file__).parent / "decoys", tmp_path / "decoys")
    monkeypatch.setattr(fingerprints, "__file__", str(tmp_path / "fingerprints.py"))
    keys = []
    for text in ("", "# changed\n"):
        (tmp_path / "decoys" / "extra.py").write_text(text)
        fingerprints.source_key.cache_clear()
        keys.append(fingerprints.source_key(("decoys",)))
    fingerprints.source_key.cache_clear()
    assert keys[0] != keys[1]
