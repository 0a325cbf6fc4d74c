"""Ends TLS: a certificate authority made for this run, a certificate for any name on the spot, and the client's hello.

`cryptography` is imported when an authority is made, not before: most commands never need it.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

LONGEST_HELLO = 64 * 1024

_MOST_CONTEXTS = 512
_LETTERS = re.compile(rb"[0-9A-Za-z+/_=-]{12,}")
_NAME = re.compile(r"(?=.{1,253}$)(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")


class CertificateAuthority:
    """Signs for any host during one run. `ca_pem` is what the guest has to trust; the key never leaves memory.

    `organisation` is whose network it looks like: many companies inspect TLS with an authority of their own.
    """

    def __init__(self, organisation: str = "Northlake Systems", now: datetime.datetime | None = None) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self._now = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._sha256 = hashes.SHA256()
        self._subject = x509.Name([
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Information Technology"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} Root CA G2"),
        ])  # fmt: skip
        self._identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            self._builder(self._subject, self._key.public_key(), datetime.timedelta(days=900), 3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, self._sha256)
        )
        self.ca_pem: bytes = certificate.public_bytes(serialization.Encoding.PEM)
        self._leaf_key_pem = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    def context(self, host: str) -> ssl.SSLContext:
        """A server's side for `host`, a name or an address; kept for the next connection."""
        context = self._contexts.get(host)
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            context.num_tickets = 0  # nobody comes back, and a client that leaves them unread resets its own bytes
            with _as_file(self._leaf(host) + self._leaf_key_pem) as path:
                context.load_cert_chain(path)
            self._contexts[host] = context
            if len(self._contexts) > _MOST_CONTEXTS:
                self._contexts.popitem(last=False)
        else:
            self._contexts.move_to_end(host)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, age: datetime.timedelta, days: int
    ) -> x509.CertificateBuilder:
        from cryptography import x509

        begin = self._now - age
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=days))
        )

    def _leaf(self, host: str) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        names = _alternative_names(host)
        common = [x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))] if len(host) <= 64 else []
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        return (
            self._builder(x509.Name(common), self._leaf_key.public_key(), datetime.timedelta(days=40), 390)
            .add_extension(x509.SubjectAlternativeName(names), critical=not common)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._leaf_key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier), critical=False
            )
            .sign(self._key, self._sha256)
            .public_bytes(serialization.Encoding.PEM)
        )


def _alternative_names(host: str) -> list[x509.GeneralName]:
    """The name of a certificate for `host`, which a hostile client chose: what is no name becomes `invalid`."""
    from cryptography import x509

    try:
        return [x509.IPAddress(ipaddress.ip_address(host))]
    except ValueError:
        name = host.rstrip(".").lower()
        return [x509.DNSName(name if _NAME.fullmatch(name) else "invalid")]


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that reads as `content`, in memory where the system can; `ssl` takes keys only from paths."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name


# The client's hello -----------------------------------------------------------------------------------------


class _Cursor:
    """Reads a TLS structure; raises ValueError past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        end = self._place + size
        if end > len(self._data):
            raise ValueError("not a client hello: a field goes past the end")
        self._place = end
        return self._data[end - size : end]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Cursor:
        return _Cursor(self.take(self.number(size)))

    def __bool__(self) -> bool:
        return self._place < len(self._data)


def client_hello(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The server name (may be empty) and application protocols that a client asks for in its first records; None
    where more bytes are needed. Raises ValueError on what is not the beginning of TLS."""
    handshake = _handshake(data)
    if handshake is None:
        return None
    hello = _Cursor(handshake)
    hello.take(2 + 32)
    hello.vector(1)
    hello.vector(2)
    hello.vector(1)
    name = ""
    protocols: tuple[str, ...] = ()
    extensions = hello.vector(2) if hello else _Cursor(b"")
    while extensions:
        kind = extensions.number(2)
        content = extensions.vector(2)
        if kind == 0:
            name = _server_name(content)
        elif kind == 16:
            protocols = tuple(_protocols(content))
    return name, protocols


_USUAL_PROTOCOLS = frozenset({b"h2", b"h2c", b"http/0.9", b"http/1.0", b"http/1.1", b"h3", b"spdy/3.1", b"acme-tls/1"})


def beside_name(data: bytes) -> bytes:
    """What a client hello says in letters beside the server name: protocols that are not usual, one after another, and
    all of it without those where it holds a long stretch of letters, as what a client makes up never does. Raises
    ValueError like `client_hello`."""
    handshake = _handshake(data) or b""
    hello = _Cursor(handshake)
    kept = [hello.take(2 + 32), hello.vector(1)._data] if hello else []
    suites, compression = (hello.vector(2), hello.vector(1)) if hello else (_Cursor(b""), _Cursor(b""))
    kept += [suites._data, compression._data]
    protocols: list[bytes] = []
    extensions = hello.vector(2) if hello else _Cursor(b"")
    while extensions:
        kind = extensions.number(2)
        content = extensions.vector(2)
        if kind == 16:
            names = content.vector(2) if content else _Cursor(b"")
            while names:
                protocols.append(names.vector(1)._data)
        elif kind != 0:
            kept.append(content._data)
    unusual = [name for name in protocols if name not in _USUAL_PROTOCOLS]
    told = [b"".join(unusual), b"\0".join(unusual)] if len(unusual) > 1 else unusual
    return b"\0".join(told + [piece for piece in kept if _LETTERS.search(piece)])


def _handshake(data: bytes) -> bytes | None:
    """The body of the client hello message, which may be split over several records."""
    message = bytearray()
    place, wanted = 0, 4
    while len(message) < wanted:
        head = data[place : place + 5]
        if not b"\x16\x03".startswith(head[:2]) or (len(head) > 2 and head[2] > 4):
            raise ValueError("not a TLS handshake record")
        if len(head) < 5:
            return None
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= 16384 + 256:
            raise ValueError("a TLS record of impossible size")
        message += data[place + 5 : place + 5 + size]
        place += 5 + size
        if message and message[0] != 1:
            raise ValueError("not a client hello")
        if len(message) >= 4:
            wanted = 4 + int.from_bytes(message[1:4], "big")
            if wanted > LONGEST_HELLO:
                raise ValueError("a client hello of unreasonable size")
        if len(data) < place and len(message) < wanted:
            return None
    return bytes(message[4:wanted])


def _server_name(content: _Cursor) -> str:
    names = content.vector(2) if content else _Cursor(b"")
    while names:
        kind = names.number(1)
        name = names.vector(2)
        if kind == 0:
            return name._data.decode("ascii", "backslashreplace")[:255].rstrip(".").lower()
    return ""


def _protocols(content: _Cursor) -> Iterator[str]:
    names = content.vector(2) if content else _Cursor(b"")
    while names:
        yield names.vector(1)._data.decode("ascii", "backslashreplace")
