"""Private keys in the formats that programs write: OpenSSH, PKCS#1, PKCS#8, and certificates beside them.

Ed25519 keys are real. RSA keys are only assembled: making one takes longer than planting everything else, and
no thief computes with a key before it is sent.
"""

from __future__ import annotations

import base64
import struct
import textwrap

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.bait import Draw, Token
from sandbox.decoys._tokens import noise


class KeyPair(msgspec.Struct, frozen=True):
    """A private key as its file's text, and its public half as one line."""

    private: str
    public: str

    def tokens(self, decoy: str, name: str) -> list[Token]:
        """Three distinctive lines of the body, so that a part of the key is recognised too."""
        return line_tokens(decoy, name, self.private)


def line_tokens(decoy: str, name: str, text: str) -> list[Token]:
    """Tokens for up to three full lines of an armoured text, spread over it; never the first, which formats
    share."""
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    full = [line for line in lines[1:] if len(line) == len(lines[0])]
    chosen = full if len(full) <= 3 else [full[0], full[len(full) // 2], full[-1]]
    return [Token(decoy, f"{name} (part {number})", line) for number, line in enumerate(chosen, start=1)]


def armour(label: str, data: bytes, width: int = 64) -> str:
    """`data` as base64 lines between the BEGIN and END of `label`."""
    body = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), width))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def ed25519_pair(draw: Draw) -> tuple[bytes, bytes]:
    """A real Ed25519 key: seed and public half, 32 bytes each."""
    seed = noise(draw, 32)
    return seed, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def ed25519(draw: Draw, comment: str) -> KeyPair:
    """An unencrypted Ed25519 key as ssh-keygen writes it."""
    seed, public = ed25519_pair(draw)
    return _openssh(draw, "ssh-ed25519", [public], [public, seed + public], comment)


def rsa(draw: Draw, comment: str) -> KeyPair:
    """An unencrypted RSA key of 3072 bits as ssh-keygen writes it."""
    modulus, exponent, private, first, second, _, _, inverse = (_mpint(part) for part in _rsa_numbers(draw, 3072))
    fields = [modulus, exponent, private, inverse, first, second]
    return _openssh(draw, "ssh-rsa", [exponent, modulus], fields, comment)


def pkcs8(draw: Draw) -> str:
    """An RSA key of 2048 bits as cloud providers hand them out ("PRIVATE KEY")."""
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    return armour("PRIVATE KEY", _der(0x30, b"\x02\x01\x00" + algorithm + _der(0x04, _pkcs1_body(draw))))


def pkcs1(draw: Draw) -> str:
    """An RSA key of 2048 bits as openssl writes it ("RSA PRIVATE KEY")."""
    return armour("RSA PRIVATE KEY", _pkcs1_body(draw))


def certificate(draw: Draw) -> str:
    """Something with the outer form of an X.509 certificate."""
    inside = bytes.fromhex("a003020102") + _der(0x02, b"\x31" + noise(draw, 15))
    inside += bytes.fromhex("300d06092a864886f70d01010b0500") + noise(draw, 520)
    signature = _der(0x03, b"\x00" + noise(draw, 256))
    outer = _der(0x30, inside) + bytes.fromhex("300d06092a864886f70d01010b0500") + signature
    return armour("CERTIFICATE", _der(0x30, outer))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1)


def _openssh(draw: Draw, kind: str, public: list[bytes], private: list[bytes], comment: str) -> KeyPair:
    shown = b"".join(_string(part) for part in (kind.encode(), *public))
    check = noise(draw, 4)
    hidden = check + check + b"".join(_string(part) for part in (kind.encode(), *private, comment.encode()))
    hidden += bytes(range(1, (-len(hidden)) % 8 + 1))
    body = b"openssh-key-v1\0" + _string(b"none") * 2 + _string(b"") + struct.pack(">I", 1)
    text = armour("OPENSSH PRIVATE KEY", body + _string(shown) + _string(hidden), 70)
    return KeyPair(text, f"{kind} {base64.b64encode(shown).decode()} {comment}")


def _rsa_numbers(draw: Draw, bits: int) -> list[int]:
    """Numbers of the right sizes: modulus, exponents, two factors, and what is derived of them."""
    half = bits // 16

    def odd(length: int) -> int:
        return int.from_bytes(noise(draw, length)) | 3 << (8 * length - 2) | 1

    first, second = odd(half), odd(half)
    rest = [int.from_bytes(noise(draw, half)) >> 1 for _ in range(3)]
    return [first * second, 65537, odd(2 * half) >> 1, first, second, *rest]


def _der(tag: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = len(content)
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _pkcs1_body(draw: Draw) -> bytes:
    numbers = b"".join(_der(0x02, _mpint(number)) for number in (0, *_rsa_numbers(draw, 2048)))
    return _der(0x30, numbers)
