"""Publish tokens of other languages: crates.io and RubyGems."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """~/.cargo/credentials.toml and ~/.gem/credentials."""
    crates, own = "cio" + draw.text(_tokens.BASE62, 32), draw.text(_tokens.BASE62, 40)
    gems = "rubygems_" + draw.text(_tokens.HEX, 48)
    cargo = f'[registry]\ntoken = "{crates}"\n\n[registries.{person.company}]\ntoken = "Bearer {own}"\n'
    return Bait(
        decoy="cargo_gem",
        files=(
            BaitFile("~/.cargo/credentials.toml", cargo.encode(), age=248),
            BaitFile("~/.gem/credentials", f"---\n:rubygems_api_key: {gems}\n".encode(), age=1060),
        ),
        tokens=(
            Token("cargo_gem", "crates.io token", crates),
            Token("cargo_gem", "company crates token", own),
            Token("cargo_gem", "RubyGems key", gems),
        ),
    )


DECOY = Decoy(
    "Cargo and RubyGems tokens",
    "publish tokens for crates.io and RubyGems",
    plant,
    ("xinference, April 2026",),
)
