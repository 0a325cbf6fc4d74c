"""npm packages as the planner sees them, for tests of what is planned."""

from __future__ import annotations

from typing import Any

from sandbox.ecosystems.npm import ECOSYSTEM
from sandbox.plan import Artifact, Installed, Phase, Toolchain

PROJECT = "/home/dev/project"

TOOLS = Toolchain(
    node="/usr/bin/node",
    node_version="20.18.0",
    npm_cli="/usr/lib/node_modules/npm/bin/npm-cli.js",
    npm_version="11.19.1",
    python="/usr/bin/python3.11",
    environment={"npm_config_nodedir": "/usr"},
)


def artifact(
    manifest: dict[str, Any], files: tuple[str, ...] = (), name: str = "pkg", **fields: Any
) -> Artifact:
    fields = {"spec": f"{name}@1.0.0", **fields}
    return Artifact(
        ecosystem="npm",
        name=name,
        version="1.0.0",
        target=f"npm:{name}",
        purl=f"pkg:npm/{name}@1.0.0",
        digest="sha512:00",
        manifest=manifest,
        files=files,
        **fields,
    )


def exercise(
    item: Artifact, tools: Toolchain = TOOLS, installed: Installed | None = None
) -> tuple[list[Phase], list[str]]:
    """The phases and notes; without those in a page, which are tried only where others raise."""
    phases, notes = ECOSYSTEM.exercise(item, installed or Installed(), tools, PROJECT, 60.0)
    return [phase for phase in phases if not phase.fallback], notes


def names(phases: list[Phase]) -> list[str]:
    return [phase.name for phase in phases]


LEFT_PAD = ({"name": "left-pad", "main": "index.js"}, ("package/package.json", "package/index.js"))

CHALK = (
    {
        "name": "chalk",
        "type": "module",
        "main": "./source/index.js",
        "exports": "./source/index.js",
        "types": "./source/index.d.ts",
    },
    ("package.json", "source/index.js", "source/index.d.ts"),
)
