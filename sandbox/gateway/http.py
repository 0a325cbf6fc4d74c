"""HTTP/1 as a server sees it: bytes in, requests out, answers as bytes. Pure, around `h11`.

What `h11` does not take for HTTP comes back as the raw bytes that it was.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import h11
import msgspec

from sandbox.gateway.capture import Capture, Pool
from sandbox.gateway.chunks import Framing

LONGEST_HEAD = 256 * 1024
_MOST_BODY = 4 * 1024 * 1024
_ENDING = 1024 * 1024
CHUNK_EXTENSION = "(chunk extension)"
"""No name that a header can have."""


class Request(msgspec.Struct, frozen=True):
    """One request. `body` is what goes into the recording, `parts` what is looked at, `skipped` how many bytes lie
    between the parts. `upgrade` is the protocol that the client wants to change to. `whole`: it came to its end.
    `headers` end with the trailers, and with what its chunks said beside their data, as `CHUNK_EXTENSION`."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    body_size: int = 0
    parts: tuple[bytes, ...] = ()
    skipped: int = 0
    upgrade: str = ""
    whole: bool = True

    def header(self, name: str) -> str:
        """The first header of this lower-case name, or empty."""
        return next((value for key, value in self.headers if key.lower() == name), "")


class Unparsed(msgspec.Struct, frozen=True):
    """Bytes that are not HTTP, from where they began (at most the first MiB of them)."""

    data: bytes
    size: int


class Wanted(enum.Enum):
    """What a conversation needs before it can go on."""

    MORE = "more bytes"
    CONTINUE = "an interim answer: the client waits with its body"
    NOTHING = "it is over"


class Conversation:
    """The requests of one connection, one after another. Every `Request` must be answered before the next `step`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
        self._head: h11.Request | None = None
        self._body = self._new_body()
        self._raw = Capture(pool, 1024 * 1024, 0)
        self._continued = False
        self._framing: Framing | None = None

    def _new_body(self) -> Capture:
        return Capture(self._pool, _MOST_BODY, _ENDING)

    def receive(self, data: bytes) -> None:
        """Bytes from the client. Its end needs no telling: see `unfinished`."""
        self._raw.add(data)
        self._connection.receive_data(data)
        if self._framing is not None:
            self._framing.add(data)

    def step(self) -> Request | Unparsed | Wanted:
        """The next thing that can be told from the bytes so far."""
        while True:
            try:
                event = self._connection.next_event()
            except (h11.RemoteProtocolError, RuntimeError):
                unparsed = Unparsed(b"".join(self._raw.parts()), self._raw.size)
                self._forget()
                return unparsed
            if event is h11.NEED_DATA:
                if self._connection.they_are_waiting_for_100_continue and not self._continued:
                    self._continued = True
                    return Wanted.CONTINUE
                return Wanted.MORE
            if isinstance(event, h11.Request):
                self._head = event
                if any(name == b"transfer-encoding" for name, _ in event.headers):
                    self._framing = Framing()
                    self._framing.add(bytes(self._connection.trailing_data[0]))
            elif isinstance(event, h11.Data):
                self._body.add(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                request = self._request(True, event.headers.raw_items())
                self._forget()
                rest = self._connection.trailing_data[0]
                self._raw.add(rest)
                return request
            else:
                return Wanted.NOTHING

    def unfinished(self) -> Request | Unparsed | None:
        """What was on its way when the connection ended."""
        if self._head is not None:
            request = self._request(False)
            self._forget()
            return request
        if self._raw.size and self._connection.their_state is h11.IDLE:
            unparsed = Unparsed(b"".join(self._raw.parts()), self._raw.size)
            self._forget()
            return unparsed
        return None

    def trailing(self) -> bytes:
        """Bytes that came after a change of protocol."""
        data, _ = self._connection.trailing_data
        return bytes(data)

    def _forget(self) -> None:
        self._body.release()
        self._raw.release()
        self._head = None
        self._body = self._new_body()
        self._raw = Capture(self._pool, 1024 * 1024, 0)
        self._continued = False
        self._framing = None

    def _request(self, whole: bool, trailers: Sequence[tuple[bytes, bytes]] = ()) -> Request:
        head = self._head
        assert head is not None
        headers = tuple((_text(name), _text(value)) for name, value in head.headers.raw_items())
        upgrade = next((value.strip().lower() for name, value in headers if name.lower() == "upgrade"), "")
        headers += tuple((_text(name), _text(value)) for name, value in trailers)
        beside = self._framing.extensions() if self._framing is not None else ()
        if beside:
            # Once more without names, as one that was cut over several chunks reads.
            told = (b"; ".join(beside), b"".join(extension.rpartition(b"=")[2] for extension in beside))
            headers += tuple((CHUNK_EXTENSION, _text(text)) for text in dict.fromkeys(told))
        return Request(
            method=_text(head.method),
            target=_text(head.target),
            headers=headers,
            body=self._body.recorded,
            body_size=self._body.size,
            parts=tuple(self._body.parts()),
            skipped=self._body.skipped + (self._framing.skipped if self._framing is not None else 0),
            upgrade=upgrade,
            whole=whole,
        )

    # Answers ------------------------------------------------------------------------------------------------

    def carry_on(self) -> bytes:
        """The interim answer that asks for the body."""
        return self._sent(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def begin(self, status: int, headers: Sequence[tuple[str, str]], size: int) -> bytes:
        """The head of an answer whose body has `size` bytes (which are not sent to HEAD)."""
        fields = [(name, value) for name, value in headers if name.lower() not in _FRAMING]
        if status != 204:
            fields.append(("Content-Length", str(size)))
        return self._sent(h11.Response(status_code=status, headers=_encoded(fields), reason=_reason(status)))

    def body(self, data: bytes) -> bytes:
        """A piece of the body."""
        return self._sent(h11.Data(data=data))

    def end(self) -> bytes:
        """The end of an answer; the connection is then ready for the next request, where it is kept."""
        data = self._sent(h11.EndOfMessage())
        if self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE:
            self._connection.start_next_cycle()
        return data

    def switch(self, status: int, headers: Sequence[tuple[str, str]]) -> bytes:
        """The answer after which this is no longer HTTP: 101 to an upgrade, 200 to CONNECT."""
        fields = _encoded(headers)
        if status == 101:
            return self._sent(h11.InformationalResponse(status_code=101, headers=fields, reason=_reason(101)))
        return self._sent(h11.Response(status_code=status, headers=fields, reason=b"Connection established"))

    @property
    def over(self) -> bool:
        """Whether no further request can come."""
        return self._connection.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    def _sent(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""


_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
_REASONS = {
    100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
    301: "Moved Permanently", 302: "Found", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 422: "Unprocessable Entity",
    429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip

BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _reason(status: int) -> bytes:
    return _REASONS.get(status, "").encode()


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as bytes; what an answer says comes from us or from a registry, whose odd bytes are not passed on."""
    return [
        (name.encode("latin-1"), value.encode("latin-1", "replace").translate(None, b"\r\n\x00").strip())
        for name, value in headers
    ]


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def host_of(header: str) -> tuple[str, int]:
    """The name and port in a Host header or an authority; port 0 where it names none. Never raises."""
    header = header.strip().rpartition("@")[2]
    if header.startswith("["):
        name, _, rest = header[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else ""
    else:
        name, _, port = header.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    return name.rstrip(".").lower()[:255], number if number < 65536 else 0
