"""Plans are values: they cannot be changed on the way, and their defaults are bounded."""

from __future__ import annotations

import msgspec
import pytest

from sandbox import plan


def test_a_phase_cannot_be_changed() -> None:
    phase = plan.Phase(name="install", kind="install", argv=("npm", "ci"))
    with pytest.raises(AttributeError):
        phase.seconds = 1.0  # type: ignore[misc]  # that is the point


def test_every_limit_is_set_and_above_zero() -> None:
    limits = plan.Limits()
    assert all(value > 0 for value in msgspec.structs.asdict(limits).values())


def test_a_phase_counts_unless_it_is_said_not_to() -> None:
    phase = plan.Phase(name="install", kind="install", argv=("npm", "ci"))
    assert phase.required
    assert not phase.open_ended
    assert phase.either == ""


def test_the_kinds_of_phases_are_those_that_profiles_may_name() -> None:
    from typing import get_args

    assert get_args(plan.PhaseKind) == ("install", "start", "import", "run", "shell", "linger")


def test_a_local_archive_goes_into_the_downloads_of_whoever_the_guest_is() -> None:
    fields = {"name": "a", "version": "1", "target": "", "purl": "", "digest": ""}
    where = "/home/dev/Downloads/a-1.tar.gz"
    local = plan.Artifact(ecosystem="pypi", spec=f"{where}[x]", upload=((where, b"1"),), **fields)
    moved = local.at_home("/home/runner")
    assert moved.spec == "/home/runner/Downloads/a-1.tar.gz[x]"
    assert moved.upload == (("/home/runner/Downloads/a-1.tar.gz", b"1"),)
    assert local.at_home("/home/dev") == local
    registry = plan.Artifact(ecosystem="pypi", spec="a==1", **fields)
    assert registry.at_home("/home/runner") is registry
