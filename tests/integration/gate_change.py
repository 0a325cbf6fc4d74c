"""A repository on a machine of its own, a registry, and the real `baitbox gate` run in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.git_repository import Repository
from tests.integration.command_line import Ended, Machine
from tests.locks import package
from tests.packages.registry import Registry


class Change:
    """A repository on a machine, and the gate run in it."""

    def __init__(self, machine: Machine, registry: Registry, archives: Mapping[str, Path]) -> None:
        self.machine = machine
        self.registry = registry
        self.repository = Repository(machine.root / "shop")
        self.archives = archives

    def entry(self, name: str, version: str, **more: Any) -> dict[str, Any]:
        """What npm locks of a package that the registry has."""
        file = f"{name}-{version}.tgz"
        content = self.archives[file].read_bytes()
        return package(version, content, resolved=f"{self.registry.npm_url}{name}/-/{file}", **more)

    def content(self, file: str) -> bytes:
        return self.archives[file].read_bytes()

    def gate(self, *arguments: str, **more: str) -> Ended:
        folder = ("env", "-C", str(self.repository.root))
        return self.machine.run("gate", *arguments, wrapped=folder, timeout=240, **more)

    def report(self, *arguments: str, code: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON report, and its packages by target."""
        ended = self.gate("--format", "json", *arguments)
        assert ended.code == code, (ended.code, ended.stderr, ended.stdout)
        whole = json.loads(ended.stdout)
        return whole, {one["target"]: one for one in whole["packages"]}
