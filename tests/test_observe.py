"""The parts of a run that can be looked at without one; the runs themselves are in tests/integration."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import observe, pipeline, plan, recorder
from sandbox.bait import Bait, Endpoint, Person, Token
from sandbox.guest import Outcome
from sandbox.plan import Phase
from sandbox.registries import Credential, Registries, Registry
from sandbox.settings import Settings

WHO = pipeline.personas(Settings())[0]
ARTIFACT = plan.Artifact(ecosystem="npm", name="a", version="1.0.0", target="", purl="", digest="", spec="a@1.0.0")
REGISTRIES = Registries(
    npm=Registry(ecosystem="npm", url="https://npm.northlake.test/"),
    npm_scopes={"@own": Registry(ecosystem="npm", url="https://own.northlake.test/npm/")},
    pypi=(
        Registry(ecosystem="pypi", url="https://py.northlake.test/simple/"),
        Registry(ecosystem="pypi", url="http://old.northlake.test/simple/"),
    ),
    credentials=(Credential("//npm.northlake.test/", "Bearer wq8-vT2-host-secret"),),
)


def experiment(ecosystem: str) -> observe.Experiment:
    """An experiment of which only the registries and the artifact matter."""
    artifact = msgspec.structs.replace(ARTIFACT, ecosystem=cast(Any, ecosystem))
    unused = cast(Any, None)
    return observe.Experiment(
        artifact=artifact, ecosystem=unused, tools=unused, registries=REGISTRIES, cache=unused, persona=WHO,
        backend=unused, limits=plan.Limits(), seconds=1.0, recording=Path("recording.jsonl"),
    )  # fmt: skip


@given(st.text(max_size=300), st.text(max_size=60))
def test_a_recording_s_name_is_a_plain_file_name(name: str, version: str) -> None:
    artifact = msgspec.structs.replace(ARTIFACT, name=name, version=version)
    made = recorder.file_name(artifact, WHO)
    assert Path(made).name == made
    assert len(made) < 200
    assert made.isascii()
    assert not made.startswith((".", "-"))


def test_two_packages_of_one_name_have_a_recording_each() -> None:
    one, other = (
        plan.Artifact(
            ecosystem="npm", name="a", version="1.0.0", target="", purl="", digest=f"sha512:{content * 64}", spec="a",
            upload=(("/home/dev/a.tgz", b""),),
        )
        for content in ("ab", "cd")
    )  # fmt: skip
    assert recorder.file_name(one, WHO) != recorder.file_name(other, WHO)


@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
def test_the_guest_learns_where_the_registries_are_and_no_credential(ecosystem: str) -> None:
    environment = observe._registry_environment(experiment(ecosystem))
    assert "secret" not in str(environment)
    if ecosystem == "npm":
        assert environment == {
            "npm_config_registry": "https://npm.northlake.test/",
            "npm_config_@own:registry": "https://own.northlake.test/npm/",
        }
    else:
        assert environment == {
            "PIP_INDEX_URL": "https://py.northlake.test/simple/",
            "PIP_EXTRA_INDEX_URL": "http://old.northlake.test/simple/",
            "PIP_TRUSTED_HOST": "old.northlake.test",
        }


@pytest.mark.parametrize(
    ("path", "place"),
    [("~/.aws/config", "/home/dev/.aws/config"), ("./.env", "/home/dev/project/.env"), ("/etc/shadow", "/etc/shadow")],
)
def test_where_bait_is_planted(path: str, place: str) -> None:
    assert observe._place(path, Person()) == place


def test_only_ports_of_the_guest_s_own_loopback_are_answered_there() -> None:
    local = Endpoint(("127.0.0.1", "vault.test"), ".*", b"", ports=(8200,))
    elsewhere = Endpoint(("api.test",), ".*", b"", ports=(9999,))
    assert observe._loopback_ports([Bait("vault", endpoints=(local, elsewhere))]) == [8200]


def test_a_name_asked_of_a_registry_may_not_carry_bait() -> None:
    finds = observe._finder([Bait("npm_token", tokens=(Token("npm_token", "token", "npm_Z8qTk2Vw5RbXs9LdHc3J"),))])
    assert finds("/npm_Z8qTk2Vw5RbXs9LdHc3J")
    assert finds("/" + b"npm_Z8qTk2Vw5RbXs9LdHc3J".hex())
    assert not finds("/left-pad")


def test_what_is_planted_first_is_the_home_that_the_guest_owns() -> None:
    from sandbox import discovery, toolchain

    whole = msgspec.structs.replace(
        experiment("npm"), ecosystem=discovery.load("ecosystems", "ECOSYSTEM")["npm"], tools=toolchain.HostTools()
    )
    scene = observe.set_scene(whole)
    puts = observe._puts(whole, scene, b"certificates")
    assert (puts[0].path, puts[0].kind, puts[0].owned) == ("/home/dev", 2, True)
    assert all(put.owned is False for put in puts if put.path.startswith("/etc/"))
    assert len({put.path for put in puts}) == len(puts)
    folders = scene.folders()
    assert folders[0] == "/home/dev" and "/home/dev/.ssh" in folders and len(folders) > 20
    assert {posixpath.dirname(put.path) for put in puts if put.path.startswith("/home/dev/.ssh/")} <= set(folders)
    assert not set(folders) & {file.path.replace("~", "/home/dev") for file in scene.files()}


def run_each(
    monkeypatch: pytest.MonkeyPatch, phases: list[Phase], ends: Callable[[Phase], Outcome]
) -> dict[str, float]:
    """The phases that were run, each with the seconds that it was given."""
    ecosystem = SimpleNamespace(wanted=lambda *_: ((), ()), exercise=lambda *_: (phases, []))
    experiment = SimpleNamespace(
        artifact=None, ecosystem=ecosystem, tools=SimpleNamespace(toolchain=None), members=(), seconds=60.0,
        persona=SimpleNamespace(project="/p"),
    )  # fmt: skip
    made = SimpleNamespace(guest=SimpleNamespace(alive=True), not_seen=[])
    given: dict[str, float] = {}

    def run_phase(_experiment: object, _made: object, phase: Phase) -> Outcome:
        given[phase.name] = phase.seconds
        return ends(phase)

    monkeypatch.setattr(observe, "run_phase", run_phase)
    recorder = SimpleNamespace(add=lambda *_, **__: None)
    observe._exercise(cast(Any, experiment), cast(Any, made), cast(Any, recorder), lambda _: None)
    return given


def test_a_file_that_was_busy_to_its_limit_is_not_given_the_whole_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    phases = [
        Phase(name=name, kind="import", argv=("x",), seconds=45.0, required=required, either=either)
        for name, either, required in [
            ("a", "f", True), ("b", "f", True), ("c", "g", True), ("d", "h", False), ("e", "h", False),
        ]
    ]  # fmt: skip
    given = run_each(monkeypatch, phases, lambda _: Outcome("timeout"))
    assert given == {"a": 45.0, "b": observe.BUSY_SECONDS, "c": 45.0, "d": 45.0, "e": 45.0}


@pytest.mark.parametrize(
    ("ends", "tried"),
    [
        ({"a": 97, "b": 97}, True),
        ({"a": 97, "b": 0}, False),
        ({"a": 0, "b": 97}, False),
        ({"a": 97, "b": 1}, False),
        ({"a": 97, "b": None}, False),
    ],
)
def test_a_fallback_is_run_only_where_the_others_raised(
    monkeypatch: pytest.MonkeyPatch, ends: dict[str, int | None], tried: bool
) -> None:
    phases = [Phase(name=name, kind="import", argv=("x",), either="f") for name in ("a", "b")]
    phases.append(Phase(name="c", kind="install", argv=("x",), fallback="f"))

    def end(phase: Phase) -> Outcome:
        code = ends.get(phase.name, 0)
        return Outcome("timeout") if code is None else Outcome("exited", code=code)

    assert ("c" in run_each(monkeypatch, phases, end)) is tried
