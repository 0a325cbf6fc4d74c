"""Virtual private networks: a WireGuard configuration, which is all one needs to get in."""

from __future__ import annotations

import base64

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens


def plant(draw: Draw, person: Person) -> Bait:
    """~/vpn with one configuration."""
    private, public, shared = (base64.b64encode(_tokens.noise(draw, 32)).decode() for _ in range(3))
    text = (
        f"[Interface]\nPrivateKey = {private}\nAddress = 10.44.0.19/32\n\n"
        f"[Peer]\nPublicKey = {public}\nPresharedKey = {shared}\n"
        f"Endpoint = vpn.{person.company}.internal:51820\nAllowedIPs = 10.20.0.0/16\n"
    )
    return Bait(
        decoy="vpn",
        files=(BaitFile(f"~/vpn/{person.company}-office.conf", text.encode(), age=530),),
        tokens=(Token("vpn", "private key", private), Token("vpn", "shared key", shared)),
    )


DECOY = Decoy("VPN keys", "a WireGuard configuration with its private key", plant, ("node-ipc, May 2026",))
