"""Plays the plan's registries to a guest with their real content: known metadata, and files whose digest is checked.

What a guest asks for is a way out, so as little of it as possible goes on: never a header, a query or a
spelling of its own. A name is forwarded only if it is a valid package name in which `refuse` sees nothing
of the bait, and both the names asked for and those that do not exist are bounded; a file, only if metadata
from the registry named its address. The host's credentials are added behind the cache and never come back.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from sandbox import packuments, simple_index
from sandbox.cache import STRONG, Answer, Cache
from sandbox.errors import BaitboxError, RegistryError, TooLargeError
from sandbox.fetch import PACKUMENT_TYPE, PACKUMENT_TYPES, SIMPLE_TYPES, packument_url, page_url
from sandbox.gateway.policy import RegistryAnswer
from sandbox.gateway.routes import (
    Ask,
    KnownFile,
    address_key,
    below,
    file_key,
    npm_ask,
    npm_files,
    pypi_ask,
    pypi_files,
)  # fmt: skip
from sandbox.gateway.workers import Workers
from sandbox.registries import Registries, Registry
from sandbox.upstream import Document, NotFoundError, Upstream, place

NAMES = 4_000
"""Names that one guest may have looked up; large applications need about 2,000."""
MISSING = 200
"""Names that do not exist, which is what names made of stolen data are."""
FILES = 20_000
_SMALL = 256 * 1024
_NOTES = 100
_FULL_TYPE = "application/json"
_ADVISORIES = "-/npm/v1/security/advisories/bulk"
_HTML_TYPES = f"{simple_index.HTML_TYPE}, text/html;q=0.5"
_LONGEST_TARGET = 4096
_TARBALL = re.compile(rb'"tarball"\s*:\s*"([^"]{1,4096})"')

Headers = Sequence[tuple[str, str]]


class _Refused(Exception):
    """Not ours to answer, or not the guest's to ask: the fake world goes on from here."""


class Mirror:
    """One guest's view of its registries. `problems` are upstream failures, which are not the package's fault, and
    `too_large` is what is never fetched; `refused` is what was not passed on; `served` maps the digest of every package
    given out to its address."""

    def __init__(
        self,
        registries: Registries,
        cache: Cache,
        ecosystem: Literal["npm", "pypi"],
        refuse: Callable[[str], bool] | None = None,
        upstream: Upstream | None = None,
    ) -> None:
        self.problems: list[str] = []
        self.too_large: list[str] = []
        self.refused: list[str] = []
        self.served: dict[str, str] = {}
        self._cache = cache
        self._ecosystem = ecosystem
        self._refuse = refuse
        self._upstream = upstream or Upstream(registries, cache)
        self._registries = [one for one in registries.all() if one.ecosystem == ecosystem]
        self._places: set[tuple[str, int]] = set()
        self._files: dict[str, KnownFile] = {}
        self._pinned: dict[str, KnownFile] = {}
        self._learnt: set[str] = set()
        self._names: set[str] = set()
        self._missing: set[str] = set()
        self._asked: set[str] = set()
        self._workers = Workers()
        for registry in self._registries:
            self._add_place(registry.url)
            self._places.update((host, 443) for host in registry.file_hosts)

    @property
    def hosts(self) -> list[str]:
        """The hosts served so far; metadata may add those that hold the files."""
        return sorted({host for host, _ in tuple(self._places)})

    def serves(self, host: str, port: int) -> bool:
        """True for a registry's host and port, and for those that its metadata named for files."""
        return (host.lower(), port) in self._places

    def prime(self, name: str) -> None:
        """Learn from the cache, without fetching, where this package's files are, so that `hosts` is complete."""
        for registry in self._registries:
            with suppress(BaitboxError, ValueError):
                if self._ecosystem == "npm":
                    url, accept = packument_url(registry.url, name), PACKUMENT_TYPES
                else:
                    url, accept = page_url(registry.url, name), SIMPLE_TYPES
                document = self._upstream.remembered(url, accept)
                if document is not None:
                    self._look_at(registry, document)

    def pin(self, url: str, digest: str) -> None:
        """The file at this address is the one with this digest, whatever metadata say: a lockfile's word."""
        self._pinned[address_key(url)] = KnownFile(url, digest)
        self._add_place(url)

    def close(self) -> None:
        """Give up what is under way."""
        self._upstream.close()
        self._workers.close()

    async def answer(self, method: str, host: str, target: str, headers: Headers) -> RegistryAnswer | None:
        """The registry's own answer; None for everything that is not a plain reading of metadata or a file. Nobody is
        told what is installed: npm, which gives up without an answer, is told that there are no advisories."""
        if method == "POST" and self._ecosystem == "npm" and self._asks_for_advisories(host.lower(), target):
            return RegistryAnswer(200, (("content-type", "application/json"),), b"{}")
        if method not in ("GET", "HEAD") or not target.startswith("/") or len(target) > _LONGEST_TARGET:
            return None
        try:
            return await self._read(host.lower(), target, headers)
        except _Refused as refused:
            if str(refused):
                _note(self.refused, str(refused))
            return None
        except NotFoundError:
            return _plain(404, "Not Found")
        except (BaitboxError, ValueError, OSError) as error:
            _note(self.too_large if isinstance(error, TooLargeError) else self.problems, str(error))
            # Not a 5xx, which npm and pip ask for again for a minute and more: we have done that.
            return _plain(403, "Forbidden")

    def _asks_for_advisories(self, host: str, target: str) -> bool:
        return any(below(registry, host, target) == _ADVISORIES for registry in self._registries)

    async def _read(self, host: str, target: str, headers: Headers) -> RegistryAnswer | None:
        whole = unquote(target, errors="backslashreplace")
        if self._refuse is not None and self._refuse(whole):
            raise _Refused(f"a request to {host} with bait in its address")
        key = file_key(host, target)
        known = self._pinned.get(key) or self._files.get(key)
        if known is not None:
            return await self._file(known)
        path = unquote(target.partition("?")[0], errors="backslashreplace")
        for registry in self._registries:
            rest = below(registry, host, path)
            ask = None if rest is None else (npm_ask if self._ecosystem == "npm" else pypi_ask)(rest)
            if ask is not None and self._is_home(registry, ask.name):
                return await self._ask(registry, ask, host, target, headers)
        return None

    def _is_home(self, registry: Registry, name: str) -> bool:
        """npm asks for a scope only its own registry: asking the public one would tell it private names."""
        if self._ecosystem == "pypi":
            return True
        return self._upstream.registries.for_npm(name).url == registry.url

    async def _ask(self, registry: Registry, ask: Ask, host: str, target: str, headers: Headers) -> RegistryAnswer:
        accept = _header(headers, "accept")
        if ask.kind == "page":
            types = SIMPLE_TYPES if simple_index.JSON_TYPE in accept else _HTML_TYPES
            return _answer(await self._metadata(registry, ask.name, types), headers)
        if ask.kind == "packument":
            types = PACKUMENT_TYPES if PACKUMENT_TYPE in accept else _FULL_TYPE
            return _answer(await self._metadata(registry, ask.name, types), headers)
        if ask.kind == "tarball":
            return await self._tarball(registry, ask, host, target.partition("?")[0])
        document = await self._metadata(registry, ask.name, PACKUMENT_TYPES)
        return await self._workers.once(f"{ask} {document.answer.blob}", partial(_part, document, ask))

    async def _metadata(self, registry: Registry, name: str, types: str) -> Document:
        """A package's metadata. Raises _Refused where the guest has asked for too many names."""
        if name not in self._names:
            if len(self._names) >= NAMES:
                raise _Refused(f"more than {NAMES} names of packages")
            if len(self._missing) >= MISSING:
                raise _Refused(f"more than {MISSING} names of packages that do not exist")
            self._names.add(name)
        url = (packument_url if self._ecosystem == "npm" else page_url)(registry.url, name)
        try:
            return await self._workers.once(f"{types} {url}", partial(self._fetch, registry, url, types))
        except NotFoundError:
            self._missing.add(name)
            raise

    def _fetch(self, registry: Registry, url: str, types: str) -> Document:
        document = self._upstream.document(url, types)
        self._look_at(registry, document)
        return document

    def _look_at(self, registry: Registry, document: Document) -> None:
        """Learn where files are: all of a page's; of a packument's only whether they are with the registry, as
        nearly all are, because reading all of it costs more than all else that a request does."""
        if self._ecosystem == "npm":
            first = _first_tarball(document)
            if first is None or urlsplit(first).hostname != registry.host:
                self._learn(registry, document)
        else:
            self._learn(registry, document)

    def _learn(self, registry: Registry, document: Document) -> None:
        blob = document.answer.blob
        if blob in self._learnt:
            return
        try:
            if self._ecosystem == "npm":
                found = dict(npm_files(packuments.parse(document.content()), registry))
            else:
                answer = document.answer
                page = simple_index.parse(document.content(), answer.content_type, answer.url)
                found = dict(pypi_files(page))
        except ValueError as error:
            raise RegistryError(f"{registry.host} answered with what is {error}") from None
        for known in found.values():
            self._add_place(known.url)
        self._files.update(found)
        self._learnt.add(blob)

    async def _tarball(self, registry: Registry, ask: Ask, host: str, path: str) -> RegistryAnswer:
        """A package file asked for by its usual path, by its digest in the package's metadata. What an earlier run
        learnt spares reading them: an address never gets another file, and if it did, npm would refuse it."""
        key = file_key(host, path)
        remembered = self._cache.answer(f"package {key}")
        if remembered is not None and address_key(remembered.url) == key:
            return await self._file(KnownFile(remembered.url, remembered.blob))
        document = await self._metadata(registry, ask.name, PACKUMENT_TYPES)
        learn = partial(self._learn, registry, document)
        await self._workers.once(f"learn {document.answer.blob}", learn)
        known = self._files.get(key)
        if known is None:
            raise NotFoundError(f"{host} has no such file")
        answer = await self._file(known)
        fact = Answer(key=f"package {key}", stored=time.time(), blob=answer.artifact, url=known.url, immutable=True)
        self._cache.remember(fact)
        return answer

    async def _file(self, known: KnownFile) -> RegistryAnswer:
        """A file, its digest checked. Small ones are read here: that is faster than asking a thread to."""
        if known.url not in self._asked:
            if len(self._asked) >= FILES:
                raise _Refused(f"more than {FILES} files")
            self._asked.add(known.url)
        digest, content = known.digest, None
        if known.package and not digest:
            raise RegistryError(f"{place(known.url)} publishes no digest for a file that the package needs")
        if digest.partition(":")[0] in STRONG and (self._cache.size(digest) or _SMALL) < _SMALL:
            content = self._cache.read(digest)
        body: bytes | Path
        if content is not None:
            body = content
        else:
            name = urlsplit(known.url).path.rpartition("/")[2]
            work = partial(self._upstream.file, known.url, digest, unquote(name)[:200])
            body, digest = await self._workers.once(f"file {known.url}", work)
        if known.package:
            self.served[digest] = known.url
        headers = (("content-type", "application/octet-stream"), ("cache-control", "public, max-age=31557600"))
        return RegistryAnswer(200, headers, body, digest if known.package else "")

    def _add_place(self, url: str) -> None:
        parts = urlsplit(url)
        with suppress(ValueError):
            port = parts.port or (80 if parts.scheme == "http" else 443)
            self._places.add((parts.hostname or "", port))


def _note(notes: list[str], text: str) -> None:
    if text not in notes and len(notes) < _NOTES:
        notes.append(text)


def _header(headers: Headers, name: str) -> str:
    return ", ".join(value for key, value in headers if key.lower() == name).lower()


def _plain(status: int, text: str) -> RegistryAnswer:
    body = msgspec.json.encode({"error": text})
    return RegistryAnswer(status, (("content-type", "application/json"),), body)


def _answer(document: Document, headers: Headers) -> RegistryAnswer:
    """Metadata as the registry sent them, still compressed where the guest takes that."""
    answer = document.answer
    given = [("content-type", answer.content_type or "application/json"), ("vary", "Accept, Accept-Encoding")]
    given += [("cache-control", "public, max-age=300")]
    if answer.etag:
        given.append(("etag", answer.etag))
    if answer.encoding and answer.encoding in _header(headers, "accept-encoding"):
        given.append(("content-encoding", answer.encoding))
        return RegistryAnswer(200, tuple(given), document.sent)
    return RegistryAnswer(200, tuple(given), document.content())


class _RawPackument(msgspec.Struct):
    dist_tags: dict[str, str] = msgspec.field(default_factory=dict, name="dist-tags")
    versions: dict[str, msgspec.Raw] = {}


def _part(document: Document, ask: Ask) -> RegistryAnswer:
    """One version or the tags, taken from the whole: a version's own address would be one more way out."""
    try:
        packument = msgspec.json.decode(document.content(), type=_RawPackument)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RegistryError(f"the registry answered with what is not package metadata: {error}") from None
    if ask.kind == "tags":
        body = msgspec.json.encode(packument.dist_tags)
    else:
        found = packument.versions.get(packument.dist_tags.get(ask.version, ask.version))
        if found is None:
            raise NotFoundError(f"{ask.name} has no such version")
        body = bytes(found)
    return RegistryAnswer(200, (("content-type", "application/json"),), body)


def _first_tarball(document: Document) -> str | None:
    """The first file's address in a packument, from its first 64 KiB; None where it is not there."""
    start = document.sent
    if document.answer.encoding:
        try:
            start = zlib.decompressobj(wbits=47).decompress(start, 64 * 1024)
        except zlib.error:
            return None
    found = _TARBALL.search(start, 0, 64 * 1024)
    return found[1].decode("ascii", "replace") if found else None
