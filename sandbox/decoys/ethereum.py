"""Ethereum: an encrypted keystore file, as geth and others write it, and a deployment key."""

from __future__ import annotations

import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """~/.ethereum/keystore with one account and Foundry's with another."""
    files, tokens = [], []
    for name, where, age in (("account", ".ethereum/keystore", 870), ("deployer", ".foundry/keystores", 260)):
        address, text = draw.text(_tokens.HEX, 40), draw.text(_tokens.HEX, 64)
        content = json.dumps(
            {"address": address, "crypto": _sealed(draw, text), "id": _tokens.identifier(draw), "version": 3}
        )
        stamp = f"2024-0{draw.number(1, 9)}-1{draw.number(0, 9)}T11-42-07.{_tokens.digits(draw, 9)}Z"
        path = f"~/{where}/UTC--{stamp}--{address}" if name == "account" else f"~/{where}/{person.company}-{name}"
        files.append(BaitFile(path, content.encode(), age=age))
        tokens.append(Token("ethereum", f"{name} keystore", text))
    return Bait(decoy="ethereum", files=tuple(files), tokens=tuple(tokens))


def _sealed(draw: Draw, text: str) -> dict[str, object]:
    return {
        "cipher": "aes-128-ctr",
        "ciphertext": text,
        "cipherparams": {"iv": draw.text(_tokens.HEX, 32)},
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": 262144, "p": 1, "r": 8, "salt": draw.text(_tokens.HEX, 64)},
        "mac": draw.text(_tokens.HEX, 64),
    }


DECOY = Decoy("Ethereum wallet", "keystore files of geth and Foundry", plant, ("nx, August 2025",))
