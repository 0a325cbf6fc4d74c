"""The fake world: what hosts answer that exist only for the guest.

Built from the endpoints of the decoys; everything else gets a plausible nothing. Pure: no clock, the server adds Date.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import msgspec

from sandbox.bait import Bait, Endpoint

_LONGEST_PATH = 8192
_PAGE = b'<!doctype html>\n<html><head><meta charset="utf-8"><title>Welcome</title></head><body></body></html>\n'
_EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
_EMPTY_TAR_GZ = bytes.fromhex("1f8b080000000000020363601805a360148c5400002eafb5ef00040000")
_BY_ENDING: tuple[tuple[tuple[str, ...], str, bytes], ...] = (
    ((".sh", ".bash"), "text/x-shellscript", b"#!/bin/sh\nexit 0\n"),
    ((".py",), "text/x-python", b"# -*- coding: utf-8 -*-\n"),
    ((".js", ".mjs", ".cjs"), "application/javascript", b'"use strict";\n'),
    ((".json",), "application/json", b"{}"),
    ((".html", ".htm"), "text/html; charset=utf-8", _PAGE),
    ((".txt", ".md"), "text/plain; charset=utf-8", b""),
    ((".zip", ".whl", ".jar"), "application/zip", _EMPTY_ZIP),
    ((".tar.gz", ".tgz"), "application/gzip", _EMPTY_TAR_GZ),
    ((".exe", ".bin", ".so", ".node", ".elf"), "application/octet-stream", b""),
)


class Answer(msgspec.Struct, frozen=True):
    """What a host of the fake world says. `decoy` is the one whose endpoint was asked, where that is telling."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    decoy: str = ""


class World:
    """Answers for every host there is."""

    def __init__(self, bait: Sequence[Bait]) -> None:
        self._endpoints: dict[str, list[tuple[re.Pattern[str], Endpoint, str]]] = {}
        for item in bait:
            for endpoint in item.endpoints:
                pattern = re.compile(endpoint.path)
                for host in endpoint.hosts:
                    self._endpoints.setdefault(_normal(host), []).append((pattern, endpoint, item.decoy))

    def endpoint(self, host: str, port: int, method: str, target: str) -> Answer | None:
        """What a decoy's endpoint answers; None where no decoy plays this host, port, method and path."""
        path = target.partition("?")[0][:_LONGEST_PATH]
        for pattern, endpoint, decoy in self._endpoints.get(_normal(host), ()):
            if endpoint.ports and port not in endpoint.ports:
                continue
            if endpoint.method not in ("", method) and not (endpoint.method == "GET" and method == "HEAD"):
                continue
            if pattern.fullmatch(path):
                headers = (("Content-Type", endpoint.content_type), *endpoint.headers)
                return Answer(endpoint.status, headers, endpoint.body, decoy if endpoint.telling else "")
        return None

    def answer(
        self, host: str, port: int, method: str, target: str, headers: Sequence[tuple[str, str]]
    ) -> Answer:
        """What `host` says to a request for `target` (path and query): its decoy's answer, or a plausible nothing."""
        return self.endpoint(host, port, method, target) or nothing(method, target, headers)


def nothing(method: str, target: str, headers: Sequence[tuple[str, str]]) -> Answer:
    """A success that says nothing, in the form that the client asks for, so that its next step shows."""
    server = ("Server", "nginx")
    if method == "OPTIONS":
        return Answer(204, (server, ("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS")), b"")
    wanted = next((value.lower() for name, value in headers if name.lower() == "accept"), "*/*")
    kind, body = "application/json", b"{}"
    if method in ("GET", "HEAD"):
        path = target.partition("?")[0].lower()
        for endings, ending_kind, ending_body in _BY_ENDING:
            if path.endswith(endings):
                return Answer(200, (server, ("Content-Type", ending_kind)), ending_body)
    elif method == "POST":
        body = b'{"ok":true}'
    first = wanted.partition(",")[0].partition(";")[0].strip()
    if first in ("text/html", "application/xhtml+xml"):
        kind, body = "text/html; charset=utf-8", _PAGE
    elif first.startswith("text/"):
        kind, body = "text/plain; charset=utf-8", b""
    return Answer(200, (server, ("Content-Type", kind)), body)


def absent() -> Answer:
    """What a server says that does not have the file."""
    return Answer(404, (("Server", "nginx"), ("Content-Type", "text/plain; charset=utf-8")), b"Not Found")


def _normal(host: str) -> str:
    """A host as hosts are compared: lower case, no brackets, no final dot, addresses in their shortest form."""
    host = host.strip("[]").rstrip(".").lower()
    if ":" in host or host.replace(".", "").isdigit():
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host
        return str(getattr(address, "ipv4_mapped", None) or address)
    return host
