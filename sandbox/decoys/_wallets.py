"""What wallets write down: base-58 keys and seed phrases."""

from __future__ import annotations

import hashlib

from sandbox.bait import Draw
from sandbox.decoys._tokens import noise

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
WORDS = (  # noqa: SIM905 - as a list it would fill pages
    "abandon ability about above absent absorb abstract absurd abuse access accident account accuse "
    "achieve acid acoustic acquire across action actor adapt address adjust admit adult advance advice "
    "aerobic affair afford afraid again agent agree ahead aim airport aisle alarm album alcohol alert "
    "alien almost alone alpha already always amateur amazing among amount amused analyst anchor ancient "
    "anger angle animal ankle announce annual another answer antenna antique anxiety apart apology appear "
    "apple approve april arch arctic arena argue armed armor army around arrange arrest arrive arrow "
    "artist artwork aspect asset assist assume asthma athlete atom attack attend attract auction august "
    "aunt author autumn average avocado avoid awake aware awesome awful axis bachelor bacon badge balance "
    "balcony bamboo banana banner barely bargain barrel basket battle beach beauty become behave behind "
    "believe benefit bicycle biology birth bitter blanket blossom bounce bracket breeze bridge "
).split()


def phrase(draw: Draw) -> str:
    """Twelve words of the usual list."""
    return " ".join(WORDS[draw.number(0, len(WORDS) - 1)] for _ in range(12))


def base58(data: bytes) -> str:
    """`data` in base 58, a leading 1 for each leading zero byte."""
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def base58_checked(data: bytes) -> str:
    """Base 58 with the four-byte double SHA-256 checksum of Bitcoin."""
    return base58(data + hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4])


def extended_keys(draw: Draw) -> tuple[str, str]:
    """A master private and public key as wallets export them (`xprv...`, `xpub...`)."""
    middle, secret = bytes(9) + noise(draw, 32), noise(draw, 32)
    private = base58_checked(bytes.fromhex("0488ade4") + middle + b"\0" + secret)
    return private, base58_checked(bytes.fromhex("0488b21e") + middle + b"\x02" + noise(draw, 32))
