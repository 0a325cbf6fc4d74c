"""Whether an HTTP request can carry anything: a judgement of its address and headers, of which the thief chose every
byte. What is not plainly empty carries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urlsplit

from sandbox.events import RequestSent
from sandbox.facts import Deed
from sandbox.rules import _names

_LONGEST_TARGET = 96
_LONGEST_VALUE = 160
_LONGEST_WORD = 24
_MOST_SEGMENTS = 10
_MOST_HEADERS = 14
_MOST_DIGITS = 32
_MOST_MIXED = 4
_MOST_CHANGES = 5
_WORD = re.compile(r"[A-Za-z0-9]+")
_MIXED = re.compile(r"[a-zA-Z]+[0-9]|[0-9]+[a-zA-Z]")
_TURN = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[a-z])")
_ODD = re.compile(r"[a-z][A-Z]{2,}[a-z]|(?=.*[a-z][A-Z]).*[0-9]|(?=.*[0-9]).*[a-z][A-Z]")
"""Capitals within a word as no writer of names puts them."""
_CHANGE = re.compile(r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
_PLAIN = re.compile(r"[\x20-\x7e]*")

_ORDINARY = frozenset({
    "host", "user-agent", "accept", "accept-encoding", "accept-language", "accept-charset", "connection",
    "cache-control", "pragma", "content-type", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest", "priority",
    "upgrade-insecure-requests", "dnt", "te", "keep-alive", "proxy-connection", "content-length",
})  # fmt: skip
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})


def is_empty(deed: Deed) -> bool:
    """Whether a request is a GET or HEAD of a host by its name, with nothing in it but the words that everybody's
    requests have: it asks, and tells nothing."""
    request, connection = deed.event, deed.connection
    if not isinstance(request, RequestSent) or connection is None or connection.event is None:
        return False
    if not _is_bare(request) or connection.sent_decoys or not request.status:
        return False
    try:
        parts = urlsplit(request.url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    said = {host, *(ended.host.lower().rstrip(".") for _, ended in connection.tls if ended.host)}
    if not host or said != {connection.host} or port not in (None, 80, 443) or parts.username is not None:
        return False  # a bare address, or names that differ: nobody honest asks so
    if _names.carries_data(host) or _is_coded(host):
        return False
    return not (_target_carries(parts.path, parts) or _headers_carry(request.headers, host, _ORDINARY))


def carries_to_registry(deed: Deed) -> bool:
    """Whether a request to a registry bears more than it asks for. The path of what the registry really has is its own;
    of headers there, only the values are looked at."""
    request = deed.event
    if not isinstance(request, RequestSent):
        return False
    if not _is_bare(request):
        return True
    try:
        parts = urlsplit(request.url)
    except ValueError:
        return True
    known = request.answered_by == "registry" and request.status in (200, 304)
    # Credentials that were recognised in it are what `decoy_sent` and profiles (`send`) judge.
    judged = deed.connection is not None and any(sent.where == "header" for _, sent in deed.connection.sent_decoys)
    headers = [(name, value) for name, value in request.headers if not (judged and name.lower() == "authorization")]
    names = {name.lower() for name, _ in headers} - _CREDENTIALS
    return _target_carries("" if known else parts.path, parts) or _headers_carry(
        headers, (parts.hostname or "").lower(), names
    )


def _is_bare(request: RequestSent) -> bool:
    return request.method in ("GET", "HEAD") and not request.body_size and not request.body


def _target_carries(path: str, parts: SplitResult) -> bool:
    text = unquote(f"{path}?{parts.query}#{parts.fragment}", "latin-1")
    return len(text) > _LONGEST_TARGET or text.count("/") + text.count("&") > _MOST_SEGMENTS or _is_coded(text)


def _headers_carry(headers: Iterable[tuple[str, str]], host: str, ordinary: Iterable[str]) -> bool:
    seen: set[str] = set()
    for name, value in headers:
        plain = name.lower()
        if plain in seen or plain not in ordinary or name not in (plain, plain.title(), plain.upper()):
            return True
        seen.add(plain)
        if plain == "host":
            if value.lower().rpartition(":")[0] != host and value.lower() != host:
                return True
        elif plain == "content-length":
            if value != "0":
                return True
        elif len(value) > _LONGEST_VALUE or _is_coded(value):
            return True
    return len(seen) > _MOST_HEADERS


def _is_coded(text: str) -> bool:
    """Whether a text holds more than words, versions and numbers: bytes in some alphabet, also in small pieces."""
    if not _PLAIN.fullmatch(text):
        return True
    words = _WORD.findall(text)
    if any(_is_coded_word(word) for word in words):
        return True
    if sum(map(str.isdigit, text)) > _MOST_DIGITS or sum(bool(_MIXED.match(word)) for word in words) > _MOST_MIXED:
        return True
    if sum(len(_CHANGE.findall(word)) for word in words) > _MOST_CHANGES:
        return True
    if sum(len(_TURN.findall(word[1:])) > 1 for word in words) > _MOST_MIXED:
        return True
    return _names.entropy("".join(words)) >= 5.0


def _is_coded_word(word: str) -> bool:
    if len(word) > _LONGEST_WORD:
        return True
    if word.isdigit():
        return len(word) > 8
    if _ODD.search(word):
        return True
    if len(word) >= 8 and len(_CHANGE.findall(word)) >= 3:
        return True
    if len(word) >= 8 and len(_TURN.findall(word[1:])) >= 5:
        return True
    vowels = sum(letter in "aeiouyAEIOUY" for letter in word)
    return len(word) >= 12 and vowels < len(word) / 6
