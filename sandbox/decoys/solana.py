"""Solana: the command-line tool's key file, in clear."""

from __future__ import annotations

import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys._keys import ed25519_pair
from sandbox.decoys._wallets import base58


def plant(draw: Draw, person: Person) -> Bait:
    """~/.config/solana/id.json, and the same key as wallets import it."""
    seed, public = ed25519_pair(draw)
    numbers = json.dumps(list(seed + public), separators=(",", ":"))
    readable = base58(seed + public)
    config = (
        '---\njson_rpc_url: "https://api.mainnet-beta.solana.com"\nwebsocket_url: ""\n'
        f"keypair_path: {person.home}/.config/solana/id.json\ncommitment: confirmed\n"
    )
    return Bait(
        decoy="solana",
        files=(
            BaitFile("~/.config/solana/id.json", numbers.encode(), age=440),
            BaitFile("~/.config/solana/wallet-import.txt", f"{base58(public)}\n{readable}\n".encode(), age=438),
            BaitFile("~/.config/solana/cli/config.yml", config.encode(), 0o644, 440, "low"),
        ),
        tokens=(
            Token("solana", "secret key", numbers[1:-1].rpartition(",")[0]),
            Token("solana", "secret key in base 58", readable),
        ),
    )


DECOY = Decoy("Solana wallet", "~/.config/solana/id.json", plant, ("nx, August 2025", "litellm, March 2026"))
