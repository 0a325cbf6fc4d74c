"""Yarn: the token for a private registry in its own configuration, which npm never reads."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """~/.yarnrc.yml with a scope of the company."""
    token = _tokens.npm(draw)
    text = (
        "enableTelemetry: false\n\nnpmScopes:\n"
        f"  {person.company}:\n    npmAlwaysAuth: true\n    npmAuthToken: {token}\n"
        f'    npmRegistryServer: "https://npm.{person.company}.internal"\n'
    )
    return Bait(
        decoy="yarn",
        files=(BaitFile("~/.yarnrc.yml", text.encode(), age=322),),
        tokens=(Token("yarn", "registry token", token),),
    )


DECOY = Decoy("Yarn token", "~/.yarnrc.yml with a private registry's token", plant, ("node-ipc, May 2026",))
