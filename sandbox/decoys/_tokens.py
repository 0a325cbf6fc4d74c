"""Credentials that are right in format: prefix, length, alphabet and checksum, drawn fresh from the run's
source."""

from __future__ import annotations

import base64
import hashlib
import json
import string
import uuid
import zlib
from urllib.parse import urlsplit

from sandbox.bait import Draw, Person, Token

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
BASE64 = string.ascii_letters + string.digits + "+/"
URL64 = string.ascii_letters + string.digits + "-_"
HEX = string.digits + "abcdef"
BASE32 = string.ascii_uppercase + "234567"
LOWER = string.ascii_lowercase + string.digits

EXPIRES = 1_868_025_600
"""When drawn credentials say that they expire (March 2029): far ahead, since a thief drops what has expired,
and fixed, since planting knows no clock."""
EXPIRES_TEXT = "2029-03-12T16:00:00Z"
ISSUED = 1_786_000_000
"""When they say that they were issued (August 2026)."""

PIECE = 64


def noise(draw: Draw, length: int) -> bytes:
    """`length` random bytes from one drawn number: much cheaper than a draw for each byte."""
    return hashlib.shake_256(draw.number(0, 2**256 - 1).to_bytes(32)).digest(length)


def digits(draw: Draw, length: int) -> str:
    """A decimal number of exactly `length` digits."""
    return str(draw.number(10 ** (length - 1), 10**length - 1))


def identifier(draw: Draw) -> str:
    """A random (version 4) UUID."""
    return str(uuid.UUID(bytes=noise(draw, 16), version=4))


def long_text(draw: Draw, length: int) -> str:
    """`length` characters of the URL-safe base64 alphabet, for what is too long to draw one by one."""
    return base64.urlsafe_b64encode(noise(draw, length)).decode()[:length]


def password(draw: Draw, length: int = 20) -> str:
    """A password as a generator makes them; its characters need no quoting in a shell, a URL or a
    configuration."""
    return draw.text(string.ascii_letters + string.digits + "-_.", length - 2) + draw.text(BASE62, 2)


def account(person: Person) -> str:
    """The person's name on public services."""
    return person.email.partition("@")[0].replace(".", "-")


def checksummed(prefix: str, body: str) -> str:
    """`prefix`, `body`, and its CRC-32 as six base-62 digits, as GitHub and npm make their tokens."""
    value = zlib.crc32(body.encode())
    tail = ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        tail = BASE62[digit] + tail
    return prefix + body + tail


def github(draw: Draw, prefix: str) -> str:
    """A GitHub token of 36 characters after `ghp_`, `gho_` and their like."""
    return checksummed(prefix, draw.text(BASE62, 30))


def github_fine_grained(draw: Draw) -> str:
    """A fine-grained GitHub token: 22 characters, an underscore, 59 characters of which six are the
    checksum."""
    return checksummed("github_pat_", draw.text(BASE62, 22) + "_" + draw.text(BASE62, 53))


def npm(draw: Draw) -> str:
    """An npm access token: 30 characters and the checksum."""
    return checksummed("npm_", draw.text(BASE62, 30))


def pypi(draw: Draw, index: str) -> str:
    """A PyPI token: a version 2 macaroon with the index's host as location, an identifier, one caveat and a
    signature."""
    host = (urlsplit(index).hostname or "index").encode()[:60]
    location = b"\x02\x01" + bytes([len(host)]) + host
    caveat = json.dumps([3, identifier(draw)], separators=(",", ":")).encode()
    body = b"\x02\x24" + identifier(draw).encode() + b"\x00"
    body += b"\x02" + bytes([len(caveat)]) + caveat + b"\x00\x00\x06\x20" + noise(draw, 32)
    return "pypi-" + base64.urlsafe_b64encode(location + body).decode().rstrip("=")


def aws_key_id(draw: Draw, account_number: str, prefix: str = "AKIA") -> str:
    """An AWS access key id. The account's number is in it, as in real ones, so that the two agree."""
    first = (1 << 47) | (int(account_number) << 7) | draw.number(0, 127)
    return prefix + base64.b32encode(first.to_bytes(6) + noise(draw, 4)).decode()


def aws_secret(draw: Draw) -> str:
    """An AWS secret access key: 40 base64 characters, of which the last is no slash."""
    return draw.text(BASE64, 39) + draw.text(BASE62, 1)


def aws_session(draw: Draw) -> str:
    """An AWS session token: base64 that opens with the field naming its origin."""
    return base64.b64encode(b"!\n\torigin_ec\x10" + noise(draw, 332)).decode()


def jwt(draw: Draw, payload: dict[str, object], kind: str = "RS256") -> str:
    """A signed JSON web token: header and payload decode, the signature has its algorithm's length."""
    header = {"alg": kind, "typ": "JWT", "kid": draw.text(URL64, 27)}
    signature = noise(draw, {"RS256": 256, "ES256": 64, "HS256": 32}[kind])
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, signature))


def google_refresh(draw: Draw) -> str:
    """A Google refresh token."""
    return "1//0" + draw.text(URL64, 99)


def google_access(draw: Draw) -> str:
    """A Google access token."""
    return "ya29.a0" + long_text(draw, 209)


def google_client(draw: Draw) -> tuple[str, str]:
    """The id and secret of a Google OAuth client for desktop programs."""
    return f"{digits(draw, 12)}-{draw.text(LOWER, 32)}.apps.googleusercontent.com", "GOCSPX-" + draw.text(URL64, 28)


def anthropic(draw: Draw, kind: str) -> str:
    """An Anthropic credential: `api03` (key), `oat01` (access), `ort01` (refresh)."""
    return f"sk-ant-{kind}-" + draw.text(URL64, 93) + "AA"


def openai(draw: Draw) -> str:
    """An OpenAI project key: two halves about the mark that all of them carry."""
    return "sk-proj-" + draw.text(URL64, 74) + "T3BlbkFJ" + draw.text(URL64, 74)


def pieces(decoy: str, name: str, value: str) -> list[Token]:
    """Tokens for a long secret: its last characters and some from its middle, so that a part is known too.

    The beginning is left out, where formats repeat themselves; of a web token all but the signature, which anybody
    could write who knows the claims.
    """
    secret = value.rpartition(".")[2] if value.startswith("eyJ") else value
    if len(secret) <= 2 * PIECE:
        return [Token(decoy, name, secret)]
    middle = len(secret) // 2 - PIECE // 2
    return [
        Token(decoy, f"{name} (end)", secret[-PIECE:]),
        Token(decoy, f"{name} (middle)", secret[middle : middle + PIECE]),
    ]


def document(value: object) -> bytes:
    """A JSON document as tools write them."""
    return (json.dumps(value, indent=2) + "\n").encode()
