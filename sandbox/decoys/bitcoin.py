"""Bitcoin Core: a descriptor wallet, which is a SQLite database."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens
from sandbox.decoys._stores import database
from sandbox.decoys._wallets import extended_keys


def plant(draw: Draw, person: Person) -> Bait:
    """~/.bitcoin/wallets with one wallet, and the node's configuration with its password."""
    private, public = extended_keys(draw)
    password = draw.text(_tokens.URL64, 43)
    fingerprint, check = draw.text(_tokens.HEX, 8), draw.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 8)
    descriptor = f"wpkh([{fingerprint}/84h/0h/0h]{public}/0/*)#{check}".encode()
    number = _tokens.noise(draw, 32)
    rows = [
        ("main", (b"\x10walletdescriptor" + number, bytes([len(descriptor)]) + descriptor + bytes(16))),
        ("main", (b"\x13walletdescriptorkey" + number, _tokens.noise(draw, 214) + private.encode())),
        ("main", (b"\x05flags", bytes.fromhex("0400000004000000"))),
        ("main", (b"\x07version", bytes.fromhex("30d00300"))),
    ]
    schema = (
        "PRAGMA application_id = -104999975; PRAGMA user_version = 0;"
        "CREATE TABLE main (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL);"
    )
    config = f"server=1\nrpcuser={person.user}\nrpcpassword={password}\nprune=20000\n"
    return Bait(
        decoy="bitcoin",
        files=(
            BaitFile("~/.bitcoin/wallets/savings/wallet.dat", database(schema, rows), age=690),
            BaitFile("~/.bitcoin/bitcoin.conf", config.encode(), age=705),
        ),
        tokens=(
            Token("bitcoin", "wallet private key", private),
            Token("bitcoin", "wallet public key", public),
            Token("bitcoin", "node password", password),
        ),
    )


DECOY = Decoy("Bitcoin wallet", "a Bitcoin Core wallet and its node's password", plant, ("litellm, March 2026",))
