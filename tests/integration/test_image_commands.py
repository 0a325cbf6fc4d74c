"""`baitbox image` on a real daemon: what it makes carries labels, and only that is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import containers, images
from tests.integration.command_line import Machine

pytestmark = pytest.mark.docker


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def test_the_runner_image_that_is_there_is_not_built_again(machine: Machine) -> None:
    ended = machine.run("image", "build")
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith(images.tag())
    assert ended.seconds < 20


def test_the_images_are_listed_with_their_state(machine: Machine) -> None:
    ended = machine.run("image", "list")
    assert ended.code == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if images.tag() in line]
    assert len(lines) == 1
    assert lines[0].endswith("runner  current")


def test_pruning_takes_what_is_old_and_nothing_else(machine: Machine) -> None:
    with containers.client() as api:
        base = api.inspect_image(images.tag())["Id"]
        made = api.create_container(base, ["true"], labels={})["Id"]
        old = api.commit(made, images.RUNNER, "0000000000000000", conf={"Labels": {containers.LABEL: "runner"}})
        api.remove_container(made)
        dead = dict(containers.labels("guest"))
        dead[containers.OWNER] = dead[containers.OWNER].rpartition(":")[0] + ":1"
        left = api.create_container(base, ["true"], labels=dead)["Id"]
    ended = machine.run("image", "prune")
    assert ended.code == 0, ended.stderr
    with containers.client() as api:
        ids = {image["Id"] for image in api.images()}
        assert left not in {container["Id"] for container in api.containers(all=True)}
    assert base in ids
    assert old["Id"] not in ids
    assert "abandoned containers" in ended.stdout
