"""Exodus: the desktop wallet's sealed seed and the passphrase file beside it."""

from __future__ import annotations

import base64
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._stores import mark, opaque

MAGIC = b"SECO\0\0\0\0seco-v0-scrypt-aes\0seco-file\0"


def plant(draw: Draw, person: Person) -> Bait:
    """~/.config/Exodus/exodus.wallet with seed, information and passphrase."""
    del person  # nothing in it names its owner
    seed, information = mark(draw), mark(draw)
    passphrase = base64.b64encode(_tokens.noise(draw, 32)).decode()
    root = "~/.config/Exodus/exodus.wallet"
    return Bait(
        decoy="exodus",
        files=(
            BaitFile(f"{root}/seed.seco", opaque(draw, MAGIC, 1100, seed), age=350),
            BaitFile(f"{root}/info.seco", opaque(draw, MAGIC, 600, information), age=35),
            BaitFile(f"{root}/passphrase.json", json.dumps({"passphrase": passphrase}).encode(), age=350),
        ),
        tokens=(
            Token("exodus", "sealed seed", seed),
            Token("exodus", "sealed information", information),
            Token("exodus", "passphrase", passphrase),
        ),
    )


DECOY = Decoy("Exodus wallet", "sealed seed and passphrase below ~/.config/Exodus", plant, ("nx, August 2025",))
