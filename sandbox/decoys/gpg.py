"""GnuPG: secret keys in the agent's format and in the old key ring."""

from __future__ import annotations

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Person, Token
from sandbox.decoys._stores import mark, opaque


def plant(draw: Draw, person: Person) -> Bait:
    """Two protected keys below ~/.gnupg/private-keys-v1.d, the public ring and an old secret ring."""
    name = f"{person.name} <{person.email}>".encode()
    signing, signing_secret = _agent_key(draw, "Ed25519", "eddsa", "20240314T101122")
    encrypting, encrypting_secret = _agent_key(draw, "Curve25519", "djb-tweak", "20240314T101125")
    ring = mark(draw)
    # A version 4 secret-key packet with an old-format, two-byte length, then the user id it belongs to.
    old = opaque(draw, b"\x95\x05\x86\x04\x5a\x8b\x1c\x40\x01", 1400, ring) + b"\xb4" + bytes([len(name)]) + name
    public = b"\x00\x00\x00\x20\x01\x01\x00\x02KBXf\x00\x00\x00\x00" + b"\x65\xf2\xcd\xda" * 2 + bytes(8)
    public += opaque(draw, b"\x00\x00\x02\x70\x02\x01\x00\x01", 560, "") + name

    def key(content: str) -> BaitFile:
        return BaitFile(
            f"~/.gnupg/private-keys-v1.d/{draw.text('0123456789ABCDEF', 40)}.key", content.encode(), age=618
        )

    return Bait(
        decoy="gpg",
        files=(
            key(signing),
            key(encrypting),
            BaitFile("~/.gnupg/secring.gpg", old, age=1090),
            BaitFile("~/.gnupg/pubring.kbx", public, age=75, weight="low"),
            BaitFile("~/.gnupg/gpg-agent.conf", b"default-cache-ttl 28800\n", age=618, weight="low"),
        ),
        tokens=(
            Token("gpg", "signing key", signing_secret),
            Token("gpg", "encryption key", encrypting_secret),
            Token("gpg", "old secret key ring", ring),
        ),
    )


def _agent_key(draw: Draw, curve: str, flag: str, created: str) -> tuple[str, str]:
    """A passphrase-protected key as gpg-agent keeps it, and the hexadecimal body that tells it."""
    public, salt = "40" + draw.text("0123456789ABCDEF", 64), draw.text("0123456789ABCDEF", 16)
    body = draw.text("0123456789ABCDEF", 76)
    text = (
        f"Created: {created}\nKey: (protected-private-key (ecc (curve {curve})(flags {flag})(q\n  #{public}#)"
        f'(protected openpgp-s2k3-ocb-aes ((sha1 #{salt}#\n  "{draw.number(20_000_000, 40_000_000)}")'
        f'#{draw.text("0123456789ABCDEF", 24)}#)\n  #{body}#)(protected-at "{created}")))\n'
    )
    return text, body


DECOY = Decoy("GnuPG keys", "secret keys below ~/.gnupg, in the agent's format and as an old ring", plant)
