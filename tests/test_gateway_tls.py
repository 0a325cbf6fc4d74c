"""Certificates that strict clients accept, made fast; and a hello parser that no bytes upset."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import time

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway import tls
from sandbox.gateway.tls import CertificateAuthority, beside_name, client_hello

AUTHORITY = CertificateAuthority()


def hello(name: str | None, protocols: tuple[str, ...] = ()) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def shake(client: ssl.SSLObject, server: ssl.SSLObject, bios: tuple[ssl.MemoryBIO, ...]) -> None:
    to_client, from_client, to_server, from_server = bios
    for _ in range(6):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            to_server.write(from_client.read())
            to_client.write(from_server.read())


@pytest.mark.parametrize("host", ["api.one.test", "under_score.test", "192.0.2.7", "2001:db8::7", "a." * 120 + "test"])
def test_strict_clients_trust_it(host: str) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY.ca_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2", "http/1.1"])
    bios = tuple(ssl.MemoryBIO() for _ in range(4))
    client = context.wrap_bio(bios[0], bios[1], server_hostname=host)
    server = AUTHORITY.context(host).wrap_bio(bios[2], bios[3], server_side=True)
    shake(client, server, bios)
    assert client.selected_alpn_protocol() == "http/1.1"
    assert client.version() == "TLSv1.3"


def test_only_the_run_is_trusted() -> None:
    context = ssl.create_default_context(cadata=CertificateAuthority().ca_pem.decode())
    bios = tuple(ssl.MemoryBIO() for _ in range(4))
    client = context.wrap_bio(bios[0], bios[1], server_hostname="one.test")
    server = AUTHORITY.context("one.test").wrap_bio(bios[2], bios[3], server_side=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client, server, bios)


def test_nothing_telling_in_the_subject() -> None:
    certificate = x509.load_pem_x509_certificate(AUTHORITY.ca_pem)
    words = certificate.subject.rfc4514_string().lower()
    assert not any(word in words for word in ("bait", "sandbox", "fake", "mitm", "test", "mock", "proxy"))
    assert certificate.not_valid_before_utc < certificate.not_valid_after_utc


@pytest.mark.parametrize("host", ["", "ü.test", "a b", "-", "a..b", "x" * 300, "*", "\x00"])
def test_what_is_no_name_still_gets_a_certificate(host: str) -> None:
    assert isinstance(AUTHORITY.context(host), ssl.SSLContext)


def test_names_of_a_certificate() -> None:
    assert tls._alternative_names("A.Test.") == [x509.DNSName("a.test")]
    assert tls._alternative_names("192.0.2.1") == [x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
    assert tls._alternative_names("a b") == [x509.DNSName("invalid")]


def test_contexts_are_kept_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_MOST_CONTEXTS", 3)
    authority = CertificateAuthority()
    first = authority.context("a.test")
    assert authority.context("a.test") is first
    for name in ("b.test", "c.test", "d.test"):
        authority.context(name)
    assert authority.context("a.test") is not first
    assert len(authority._contexts) == 3


def test_without_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create")
    assert isinstance(CertificateAuthority().context("a.test"), ssl.SSLContext)


def test_fast_enough() -> None:
    began = time.perf_counter()
    authority = CertificateAuthority()
    made = time.perf_counter()
    for number in range(20):
        authority.context(f"{number}.test")
    done = time.perf_counter()
    assert made - began < 0.1
    assert (done - made) / 20 < 0.02


def test_hello_of_a_real_client() -> None:
    data = hello("One.Test", ("h2", "http/1.1"))
    assert client_hello(data) == ("one.test", ("h2", "http/1.1"))
    assert client_hello(hello(None)) == ("", ())
    for size in range(len(data)):
        assert client_hello(data[:size]) is None


def test_what_a_hello_says_beside_the_name() -> None:
    assert beside_name(hello("a-long-name-of-a-host.test", ("h2", "http/1.1"))) == b""
    assert beside_name(hello(None)) == b""
    assert beside_name(hello("one.test", ("h2", "npm_secret"))) == b"npm_secret"
    assert beside_name(hello("one.test", ("npm_", "secret"))) == b"npm_secret\0npm_\0secret"
    data = hello("one.test")
    random = data[11:43]  # after the heads of record and message, and the version
    assert b"x" * 32 in beside_name(data.replace(random, b"x" * 32))


def test_hello_over_several_records() -> None:
    data = hello("one.test")
    body = data[5:]
    pieces = [body[place : place + 40] for place in range(0, len(body), 40)]
    assert client_hello(b"".join(b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p for p in pieces)) == ("one.test", ())


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\n", b"\x17\x03\x03\x00\x05hello", b"\x16\x02\x01\x00\x05", b"\x16\x03\x01\x00\x00",
    b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    b"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00", b"\x16\x03\x01\x00\x09\x02",
])  # fmt: skip
def test_what_is_no_hello(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"hello|TLS"):
        client_hello(data)


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    for start in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc"):
        with contextlib.suppress(ValueError):
            client_hello(start + data)
        with contextlib.suppress(ValueError):
            beside_name(start + data)


@given(st.integers(0, 500), st.binary(max_size=6))
def test_damaged_hellos(place: int, change: bytes) -> None:
    data = hello("one.test", ("h2",))
    damaged = data[:place] + change + data[place + len(change) :]
    with contextlib.suppress(ValueError):
        if client_hello(damaged):
            beside_name(damaged)  # raises where the other does, and only there
