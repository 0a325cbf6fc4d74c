"""The one place that reaches the outside: registry metadata and package files, by GET, into the cache.

`Upstream` is what everything else asks. It adds the host's credentials, checks every file against the
digest that the registry published, and says in one sentence what went wrong. It is safe from several
threads, and imports httpx (55 ms, and 35 more for certificates) only when the cache has no answer.
"""

from __future__ import annotations

import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from sandbox.cache import STRONG, Answer, Cache
from sandbox.errors import RegistryError, TargetError, TooLargeError
from sandbox.registries import Registries

if TYPE_CHECKING:
    import ssl

    import httpx

LARGEST_FILE = 512 * 1024**2
LARGEST_DOCUMENT = 96 * 1024**2
_ATTEMPTS = 3
_DEADLINE = 900.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""What is being fetched, bytes so far, bytes in all (0: unknown)."""


class NotFoundError(TargetError):
    """The registry answered that it has no such thing."""


class Document(msgspec.Struct, frozen=True):
    """A registry's answer: where it came from, and its body as it was sent."""

    answer: Answer
    sent: bytes

    def content(self) -> bytes:
        """The body without its Content-Encoding. Raises RegistryError where it is damaged or far too large."""
        if not self.answer.encoding:
            return self.sent
        gunzip = zlib.decompressobj(wbits=47)  # gzip or zlib, as it says
        try:
            content = gunzip.decompress(self.sent, LARGEST_DOCUMENT)
        except zlib.error:
            content = b""
        if not gunzip.eof:
            raise RegistryError(f"{place(self.answer.url)} sent damaged or too large metadata")
        return content


def place(url: str) -> str:
    """A URL as it may stand in a message: its host, never credentials or a query."""
    return urlsplit(url).hostname or "the registry"


class Upstream:
    """Fetches through the cache. Close it: what is under way in other threads then ends soon."""

    def __init__(
        self, registries: Registries, cache: Cache, progress: Progress | None = None, pause: float = 0.5
    ) -> None:
        self.registries = registries
        self.cache = cache
        self._progress = progress
        self._pause = pause
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is under way."""
        self._closed.set()
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()
            self.cache.tend()

    def document(self, url: str, accept: str) -> Document:
        """Metadata: from the cache while fresh, else asked for again (cheaply, where the registry gave an ETag).

        Raises NotFoundError, and RegistryError for everything else; a stale copy is never used instead.
        """
        known = self.remembered(url, accept)
        if known and known.answer.fresh():
            return known
        headers = {"accept": accept, "accept-encoding": "gzip"}
        if known and known.answer.etag:
            headers["if-none-match"] = known.answer.etag
        return self._attempt(url, headers, partial(self._take_document, f"{accept} {url}", known))

    def remembered(self, url: str, accept: str) -> Document | None:
        """Metadata that the cache holds, fresh or not; nothing is fetched."""
        known = self.cache.answer(f"{accept} {url}")
        sent = self.cache.read(known.blob) if known else None
        return Document(known, sent) if known and sent is not None else None

    def file(self, url: str, digest: str, what: str) -> tuple[Path, str]:
        """A package file: its path in the cache, and the strong digest that it is known by. An empty `digest`
        (a registry that publishes none) cannot be checked. Raises TargetError where the file is another."""
        strong = digest.partition(":")[0] in STRONG
        known = None
        if strong:
            found = self.cache.find(digest)
            if found is not None:
                return found, digest
        elif digest and (known := self.cache.answer(f"{digest} {url}")):
            found = self.cache.find(known.blob)
            if found is not None:
                return found, known.blob
        headers = {"accept": "*/*", "accept-encoding": "identity"}
        blob = self._attempt(url, headers, partial(self._take_file, digest, what))
        if digest and not strong:
            answer = Answer(key=f"{digest} {url}", stored=time.time(), blob=blob, url=url, immutable=True)
            self.cache.remember(answer)
        return self.cache.blob_path(blob), blob

    def _take_document(self, key: str, known: Document | None, response: httpx.Response) -> Document:
        if response.status_code == 304 and known is not None:
            again = msgspec.structs.replace(known.answer, stored=time.time())
            self.cache.remember(again)
            return Document(again, known.sent)
        self._check_status(response)
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise RegistryError(f"{place(str(response.url))} answered in an encoding that was not asked for")
        with self.cache.writer() as writer:
            parts = []
            for part in self._body(response, LARGEST_DOCUMENT, ""):
                writer.write(part)
                parts.append(part)
            blob = writer.finish()
        answer = Answer(
            key=key, stored=time.time(), blob=blob, url=str(response.url.copy_with(userinfo=b"")),
            etag=response.headers.get("etag", "")[:512],
            content_type=response.headers.get("content-type", "")[:256],
            encoding="" if encoding == "identity" else encoding.removeprefix("x-"),
        )  # fmt: skip
        self.cache.remember(answer)
        return Document(answer, b"".join(parts))

    def _take_file(self, digest: str, what: str, response: httpx.Response) -> str:
        self._check_status(response)
        with self.cache.writer(digest.partition(":")[0] or "sha512") as writer:
            for part in self._body(response, LARGEST_FILE, what):
                writer.write(part)
            try:
                return writer.finish(digest)
            except ValueError:
                raise TargetError(
                    f"{what} from {place(str(response.url))} is not the file whose digest the registry "
                    f"published ({digest[:23]}...)",
                    "try again; if it stays so, the registry or a proxy in between gives out another file",
                ) from None

    def _body(self, response: httpx.Response, limit: int, what: str) -> Iterator[bytes]:
        """The body's bytes as sent, bounded in size and time."""
        said = response.headers.get("content-length", "")
        total = int(said) if said.isdecimal() and len(said) < 16 else 0
        size, deadline = 0, time.monotonic() + _DEADLINE
        for part in response.iter_raw(256 * 1024):
            size += len(part)
            if max(size, total) > limit:
                raise TooLargeError(
                    f"{place(str(response.url))} sent more than {limit // 1024**2} MiB"
                    + (f" for {what}" if what else ""),
                    "baitbox fetches no larger files: they do not fit into a guest",
                )
            if self._closed.is_set() or time.monotonic() > deadline:
                raise RegistryError(f"fetching from {place(str(response.url))} was given up")
            if what and self._progress:
                self._progress(what, size, total)
            yield part

    def _check_status(self, response: httpx.Response) -> None:
        status, where = response.status_code, place(str(response.url))
        if status == 200:
            return
        if status in (404, 410):
            raise NotFoundError(f"{where} has no such package")
        if status in (401, 403):
            raise RegistryError(
                f"{where} refused with {status}: the package is private, or the credentials are not right",
                "check the token in .npmrc, or the user in the index URL or .netrc",
            )
        hint = "try again in a while" if status in _RETRIED else ""
        raise RegistryError(f"{where} answered with the error {status}", hint)

    def _attempt(self, url: str, headers: dict[str, str], take: Callable[[httpx.Response], Result]) -> Result:
        """One GET, tried again where that may help, its answer handed to `take`."""
        import httpx

        authorization = self.registries.authorization(url)
        if authorization:
            headers = {**headers, "authorization": authorization}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._client().stream("GET", url, headers=headers) as response:
                    if response.status_code not in _RETRIED or attempt == _ATTEMPTS:
                        return take(response)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                if attempt == _ATTEMPTS or _certificate(error) or self._closed.is_set():
                    raise _unreachable(url, error) from None
            except RuntimeError as error:  # httpx says so where the client was closed meanwhile
                raise RegistryError(f"fetching from {place(url)} was given up") from error
            self._closed.wait(self._pause * attempt**2)
        raise AssertionError("the last attempt returns or raises")

    def _client(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._closed.is_set():
                raise RegistryError("fetching was given up")
            if self._http is None:
                self._http = httpx.Client(
                    verify=_tls(self.registries),
                    timeout=httpx.Timeout(30.0, connect=10.0),
                    limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
                    follow_redirects=True,
                    max_redirects=5,
                    headers={"user-agent": "baitbox"},
                    event_hooks={"response": [_check_redirect]},
                )
            return self._http


def _check_redirect(response: httpx.Response) -> None:
    """A redirect from https to http would let anyone on the way answer; it is not followed."""
    if response.has_redirect_location and response.request.url.scheme == "https":
        following = response.request.url.join(response.headers["location"])
        if following.scheme != "https":
            raise RegistryError(f"{response.request.url.host} redirected to an address without TLS")


def _tls(registries: Registries) -> ssl.SSLContext:
    """The system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` count), and those that npm and pip are set to
    trust besides."""
    import ssl

    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    for file in registries.ca_files:
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError):
            raise RegistryError(
                f"the certificates in {file}, which npm or pip are set to use, cannot be read"
            ) from None
    if registries.ca_text:
        try:
            context.load_verify_locations(cadata=registries.ca_text)
        except (ValueError, ssl.SSLError):
            raise RegistryError("the certificate in npm's setting `ca` cannot be read") from None
    return context


def _certificate(error: BaseException) -> bool:
    import ssl

    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return False
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _unreachable(url: str, error: Any) -> RegistryError:
    import httpx

    where = place(url)
    if _certificate(error):
        return RegistryError(
            f"the certificate of {where} is not one that this machine trusts",
            "set cafile in .npmrc, cert in pip's settings, or SSL_CERT_FILE",
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return RegistryError(
            f"{where} cannot be reached: {_first_line(error)}", "check the network, and HTTPS_PROXY if there is one"
        )
    if isinstance(error, httpx.TimeoutException):
        return RegistryError(f"{where} did not answer in time", "try again in a while")
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return RegistryError(f"{where} broke off its answer too early", "try again in a while")
    return RegistryError(f"{where} could not be asked: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    said = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return re.sub(r"^\[Errno -?\d+\] ", "", said)
