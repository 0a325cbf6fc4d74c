"""The one way out, against a registry on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_registry import LoopbackRegistry, Page, running

from sandbox import upstream as module
from sandbox.cache import Cache
from sandbox.errors import RegistryError, TargetError, TooLargeError
from sandbox.registries import Credential, Registries, Registry
from sandbox.upstream import NotFoundError, Upstream


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackRegistry]:
    monkeypatch.setenv("NO_PROXY", "*")
    with running() as server:
        server.pages["/doc"] = Page(b'{"a":1}', "application/json")
        server.pages["/file"] = Page(b"content" * 1000)
        yield server


@pytest.fixture
def upstream(registry: LoopbackRegistry, tmp_path: Path) -> Iterator[Upstream]:
    with Upstream(registry.registries(), Cache(tmp_path / "cache"), pause=0.01) as found:
        yield found


def sha(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


FILE = sha(b"content" * 1000)


def age_answers(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.cache.TTL", -1.0)


def test_a_document_is_asked_for_once(registry: LoopbackRegistry, upstream: Upstream) -> None:
    for _ in range(3):
        document = upstream.document(registry.url + "doc", "application/json")
        assert document.content() == b'{"a":1}'
        assert document.answer.content_type == "application/json"
    assert registry.asked == ["/doc"]
    assert upstream.document(registry.url + "doc", "text/html").content() == b'{"a":1}'
    assert registry.asked == ["/doc", "/doc"]


def test_a_stale_document_is_asked_for_cheaply(
    registry: LoopbackRegistry, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.document(registry.url + "doc", "x/y")
    age_answers(upstream, monkeypatch)
    assert upstream.document(registry.url + "doc", "x/y").content() == b'{"a":1}'
    assert "if-none-match" in registry.headers[1]
    registry.pages["/doc"].body = b'{"a":2}'
    assert upstream.document(registry.url + "doc", "x/y").content() == b'{"a":2}'


def test_a_stale_document_is_never_used_instead(
    registry: LoopbackRegistry, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.document(registry.url + "doc", "x/y")
    age_answers(upstream, monkeypatch)
    registry.pages["/doc"].faults = [500, 500, 500]
    with pytest.raises(RegistryError, match="error 500"):
        upstream.document(registry.url + "doc", "x/y")


def test_a_compressed_document_is_kept_as_sent(registry: LoopbackRegistry, upstream: Upstream) -> None:
    registry.pages["/doc"].compressed = True
    document = upstream.document(registry.url + "doc", "x/y")
    assert document.answer.encoding == "gzip"
    assert document.sent[:2] == b"\x1f\x8b"
    assert document.content() == b'{"a":1}'
    cut = module.Document(document.answer, document.sent[:-9])
    with pytest.raises(RegistryError, match="damaged"):
        cut.content()


def test_a_file_is_checked_and_kept(registry: LoopbackRegistry, upstream: Upstream) -> None:
    path, digest = upstream.file(registry.url + "file", FILE, "file 1")
    assert digest == FILE
    assert path.read_bytes() == b"content" * 1000
    assert upstream.file(registry.url + "file", FILE, "file 1") == (path, digest)
    assert registry.asked == ["/file"]


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_a_weak_digest_is_checked_and_a_strong_one_told(
    registry: LoopbackRegistry, upstream: Upstream, algorithm: str
) -> None:
    weak = sha(b"content" * 1000, algorithm)
    for _ in range(2):
        _, digest = upstream.file(registry.url + "file", weak, "file 1")
        assert digest == sha(b"content" * 1000, "sha512")
    assert registry.asked == ["/file"]


def test_another_file_is_refused_and_not_kept(registry: LoopbackRegistry, upstream: Upstream) -> None:
    with pytest.raises(TargetError, match=r"file 1 .* is not the file whose digest"):
        upstream.file(registry.url + "file", sha(b"other"), "file 1")
    assert upstream.cache.find(FILE) is None
    assert list((upstream.cache.root / "partial").iterdir()) == []


@pytest.mark.parametrize("faults", [[503], [500, 429], ["cut"], ["cut", 502]])
def test_what_passes_is_tried_again(
    registry: LoopbackRegistry, upstream: Upstream, faults: list[int | str]
) -> None:
    registry.pages["/file"].faults = list(faults)
    assert upstream.file(registry.url + "file", FILE, "f")[1] == FILE
    assert len(registry.asked) == len(faults) + 1


@pytest.mark.parametrize(
    ("faults", "message", "asked"),
    [
        ([503] * 3, "error 503", 3),
        (["cut"] * 3, "broke off", 3),
        ([404], "no such package", 1),
        ([401], "refused with 401", 1),
        ([403], "refused with 403", 1),
        ([418], "error 418", 1),
    ],
)
def test_what_stays_wrong_is_one_clear_sentence(
    registry: LoopbackRegistry, upstream: Upstream, faults: list[int | str], message: str, asked: int
) -> None:
    registry.pages["/file"].faults = list(faults)
    with pytest.raises(TargetError, match=message) as error:
        upstream.file(registry.url + "file", FILE, "f")
    assert error.value.exit_code == 3
    assert isinstance(error.value, NotFoundError) == (404 in faults)
    assert len(registry.asked) == asked


def test_a_registry_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with Upstream(Registries(), Cache(tmp_path), pause=0) as upstream, pytest.raises(RegistryError) as error:
            upstream.document(url, "x/y")
    assert "cannot be reached" in str(error.value)
    assert "network" in error.value.hint


def test_something_that_speaks_no_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            for _ in range(3):
                connection, _ = server.accept()
                connection.sendall(b"220 mail.test ESMTP\r\n")
                connection.close()

        thread = threading.Thread(target=speak)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with Upstream(Registries(), Cache(tmp_path), pause=0) as upstream, pytest.raises(RegistryError, match="broke"):
            upstream.document(url, "x/y")
        thread.join()


def test_credentials_go_to_their_registry_and_into_no_message(registry: LoopbackRegistry, tmp_path: Path) -> None:
    settings = registry.registries(token="Bearer s3cret")
    registry.pages["/doc"].faults = [200, 401]
    with Upstream(settings, Cache(tmp_path)) as upstream:
        upstream.document(registry.url + "doc", "x/y")
        assert registry.headers[0]["authorization"] == "Bearer s3cret"
        assert registry.headers[0]["user-agent"] == "baitbox"
        with pytest.raises(RegistryError) as error:
            upstream.document(registry.url + "doc", "other/type")
    assert "s3cret" not in str(error.value) + error.value.hint
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()


def test_credentials_do_not_follow_to_another_host(registry: LoopbackRegistry, tmp_path: Path) -> None:
    settings = registry.registries(token="Bearer s3cret")
    registry.pages["/doc"].faults = [302]
    registry.pages["/doc"].location = f"http://localhost:{registry.port}/file"
    with Upstream(settings, Cache(tmp_path)) as upstream:
        document = upstream.document(registry.url + "doc", "x/y")
    assert document.answer.url == f"http://localhost:{registry.port}/file"
    assert "authorization" in registry.headers[0]
    assert "authorization" not in registry.headers[1]


def test_an_endless_redirect_ends(registry: LoopbackRegistry, upstream: Upstream) -> None:
    registry.pages["/doc"].faults = [302] * 99
    registry.pages["/doc"].location = "/doc"
    with pytest.raises(RegistryError, match="could not be asked"):
        upstream.document(registry.url + "doc", "x/y")


def test_too_much_is_refused(
    registry: LoopbackRegistry, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 1000)
    with pytest.raises(TooLargeError, match="more than 0 MiB for file 1"):
        upstream.file(registry.url + "file", FILE, "file 1")


def test_progress_is_told(registry: LoopbackRegistry, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with Upstream(registry.registries(), Cache(tmp_path), lambda *step: seen.append(step)) as upstream:
        upstream.file(registry.url + "file", FILE, "file 1")
    assert seen[-1] == ("file 1", 7000, 7000)


def test_a_closed_one_gives_up(registry: LoopbackRegistry, upstream: Upstream) -> None:
    upstream.document(registry.url + "doc", "x/y")
    upstream.close()
    assert upstream.document(registry.url + "doc", "x/y").content()  # the cache still answers
    with pytest.raises(RegistryError, match="given up"):
        upstream.document(registry.url + "other", "x/y")


def test_closing_ends_a_fetch_under_way(registry: LoopbackRegistry, tmp_path: Path) -> None:
    registry.pages["/doc"].faults = [503] * 9
    problems: list[BaseException] = []
    upstream = Upstream(registry.registries(), Cache(tmp_path), pause=60)

    def ask() -> None:
        try:
            upstream.document(registry.url + "doc", "x/y")
        except RegistryError as error:
            problems.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not registry.asked:
        time.sleep(0.01)
    upstream.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert len(problems) == 1


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    made = subprocess.run(
        [*make.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is needed to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with running() as server:
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        server.pages["/doc"] = Page(b"{}")
        url = f"https://localhost:{server.port}/doc"
        with Upstream(Registries(), Cache(tmp_path / "a"), pause=0) as upstream, pytest.raises(RegistryError) as error:
            upstream.document(url, "x/y")
        assert "certificate of localhost" in str(error.value)
        assert "cafile" in error.value.hint
        trusting = Registries(
            npm=Registry(ecosystem="npm", url=f"https://localhost:{server.port}/"),
            credentials=(Credential(f"//localhost:{server.port}/", "Bearer t"),),
            ca_files=(str(certificate),),
        )
        with Upstream(trusting, Cache(tmp_path / "a"), pause=0) as upstream:
            assert upstream.document(url, "x/y").content() == b"{}"
            server.pages["/doc"].faults = [302]
            server.pages["/doc"].location = "http://localhost:1/"
            with pytest.raises(RegistryError, match="without TLS"):
                upstream.document(url, "other/type")
        assert server.headers[0]["authorization"] == "Bearer t"
        text = Registries(ca_text=certificate.read_text())
        with Upstream(text, Cache(tmp_path / "b"), pause=0) as upstream:
            assert upstream.document(url, "x/y").content() == b"{}"


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    for settings in (Registries(ca_files=(str(tmp_path / "none.pem"),)), Registries(ca_text="rubbish")):
        with Upstream(settings, Cache(tmp_path)) as upstream, pytest.raises(RegistryError, match="cannot be read"):
            upstream.document("https://registry.test/x", "x/y")


def test_httpx_is_imported_only_to_fetch() -> None:
    code = "import sys, sandbox.fetch, sandbox.gateway.registry; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
