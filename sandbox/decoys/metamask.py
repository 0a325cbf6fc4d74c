"""MetaMask: the browser extension's vault, in the browser's own storage."""

from __future__ import annotations

import base64
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys import _tokens

EXTENSION = "nkbihfbeogaeaoehlefnkodbefgpgknn"


def plant(draw: Draw, person: Person) -> Bait:
    """The extension's log in a Chrome profile, with the vault that a password opens."""
    del person  # nothing in it names its owner
    data, vector, salt = (base64.b64encode(_tokens.noise(draw, length)).decode() for length in (460, 16, 32))
    vault = json.dumps({"data": data, "iv": vector, "keyMetadata": {"algorithm": "PBKDF2"}, "salt": salt})
    record = json.dumps({"KeyringController": {"vault": vault}, "PreferencesController": {"currentLocale": "en"}})
    # A log block: checksum, length and type, then the batch's sequence number and count.
    header = (
        _tokens.noise(draw, 4) + len(record).to_bytes(2, "little") + b"\x01" + bytes([91, *bytes(7), 1, 0, 0, 0, 1])
    )
    root = f"~/.config/google-chrome/Default/Local Extension Settings/{EXTENSION}"
    return Bait(
        decoy="metamask",
        files=(
            BaitFile(f"{root}/000003.log", header + b"\x04data" + record.encode(), age=2),
            BaitFile(f"{root}/CURRENT", b"MANIFEST-000001\n", age=420, weight="low"),
        ),
        tokens=(*_tokens.pieces("metamask", "vault", data), Token("metamask", "vault salt", salt)),
    )


DECOY = Decoy("MetaMask wallet", "the extension's vault in a Chrome profile", plant, ("GlassWorm, October 2025",))
