"""A PyPI project's page in the simple index, as JSON (PEP 691) or HTML (PEP 503), and which of its files pip
itself would take. Pure."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import msgspec

from sandbox.targets import normalised

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

Kind = Literal["wheel", "sdist"]
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
_BEST_FIRST = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")
_HEX = re.compile(r"[0-9a-f]+")
_DIGEST_SIZES = {"sha256": 64, "sha512": 128, "sha384": 96, "sha224": 56, "sha1": 40, "md5": 32}


class ProjectFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a project. `digest` and `metadata_digest` are `algorithm:hex`, empty where none is given;
    `has_metadata` says that the index also has its metadata on their own."""

    filename: str
    url: str
    digest: str = ""
    requires_python: str = ""
    yanked: bool = False
    has_metadata: bool = False
    metadata_digest: str = ""


class NoFileError(LookupError):
    """The version is there, and none of its files fits the guest's Python and machine."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The file that would be installed."""

    file: ProjectFile
    version: str
    kind: Kind


class _JsonFile(msgspec.Struct, frozen=True):
    filename: str
    url: str
    hashes: dict[str, str] = {}
    requires_python: str | None = msgspec.field(default=None, name="requires-python")
    yanked: bool | str = False
    core_metadata: bool | dict[str, str] | None = msgspec.field(default=None, name="core-metadata")
    dist_info_metadata: bool | dict[str, str] | None = msgspec.field(default=None, name="dist-info-metadata")


class _JsonPage(msgspec.Struct, frozen=True):
    files: list[_JsonFile] = []


_decoder = msgspec.json.Decoder(_JsonPage)


def parse(content: bytes, content_type: str, base: str) -> list[ProjectFile]:
    """The files on a project's page at the address `base`. Raises ValueError where it is no such page."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON_TYPE or (kind == "application/json" and content[:1] == b"{"):
        return _parse_json(content, base)
    if kind in (HTML_TYPE, "text/html"):
        return _parse_html(content, base)
    raise ValueError(f"not a simple index page: {kind[:60]!r}")


def _parse_json(content: bytes, base: str) -> list[ProjectFile]:
    try:
        page = _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a simple index page: {error}") from None
    files = []
    for entry in page.files:
        metadata = entry.core_metadata if entry.core_metadata is not None else entry.dist_info_metadata
        files.append(
            ProjectFile(
                filename=entry.filename,
                url=_absolute(base, entry.url),
                digest=_best(entry.hashes),
                requires_python=entry.requires_python or "",
                yanked=entry.yanked is not False,
                has_metadata=bool(metadata),
                metadata_digest=_best(metadata) if isinstance(metadata, dict) else "",
            )
        )
    return files


def _best(hashes: dict[str, str]) -> str:
    for algorithm in _BEST_FIRST:
        value = hashes.get(algorithm, "").lower()
        if len(value) == _DIGEST_SIZES[algorithm] and _HEX.fullmatch(value):
            return f"{algorithm}:{value}"
    return ""


def _absolute(base: str, url: str) -> str:
    if url.startswith(("https://", "http://")):  # as most are, and a page may have thousands
        return url.strip().partition("#")[0]
    try:
        return urldefrag(urljoin(base, url.strip())).url
    except ValueError:
        return ""


class _Links(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.links: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "base" and found.get("href"):
            self.base = urljoin(self.base, found["href"])
        elif tag == "a" and "href" in found:
            self.links.append(found)


def _parse_html(content: bytes, base: str) -> list[ProjectFile]:
    parser = _Links(base)
    try:
        parser.feed(content.decode("utf-8", "replace"))
        parser.close()
    except (AssertionError, ValueError):  # the parser asserts on some malformed declarations
        raise ValueError("not a simple index page: damaged HTML") from None
    files = []
    for link in parser.links:
        href = link["href"]
        metadata = link.get("data-core-metadata", link.get("data-dist-info-metadata", ""))
        url = _absolute(parser.base, href)
        algorithm, _, value = href.partition("#")[2].partition("&")[0].partition("=")
        files.append(
            ProjectFile(
                filename=unquote(urlsplit(url).path.rpartition("/")[2]) if url else "",
                url=url,
                digest=_best({algorithm: value}),
                requires_python=link.get("data-requires-python", ""),
                yanked="data-yanked" in link,
                has_metadata=metadata not in ("", "false"),
                metadata_digest=_best(dict([metadata.partition("=")[::2]])),
            )
        )
    return files


def release_of(filename: str, project: str) -> tuple[str, Kind] | None:
    """(version, kind) that a file's name says, if it is a file of `project` that pip can install."""
    wanted = normalised(project)
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        return (parts[1], "wheel") if len(parts) in (5, 6) and normalised(parts[0]) == wanted else None
    stem = next((filename[: -len(end)] for end in (".tar.gz", ".zip") if filename.endswith(end)), "")
    for match in re.finditer("-", stem):
        if normalised(stem[: match.start()]) == wanted and stem[match.end() :]:
            return stem[match.end() :], "sdist"
    return None


_Candidate = tuple[ProjectFile, Kind]


class _Chooser:
    """The candidates of one project and what the guest's Python can do with them."""

    def __init__(self, tags: tuple[str, ...], python: str, prefer: str, pinned: bool) -> None:
        self._rank = {tag: rank for rank, tag in enumerate(tags)}
        self.python = python
        self.prefer = prefer
        self._pinned = pinned
        self._fits: dict[str, bool] = {}
        self.python_wanted = ""

    def best(self, files: list[_Candidate]) -> _Candidate | None:
        """Of one version's files: the wheel with the best tag, then the highest build; else a source archive.
        """
        ranked: list[tuple[int, int, int]] = []
        for place, (file, kind) in enumerate(files):
            if (file.yanked and not self._pinned) or (kind == "wheel" and self.prefer == "sdist"):
                continue
            if not self._fits_python(file.requires_python):
                self.python_wanted = file.requires_python
                continue
            rank, build = (len(self._rank), 0) if kind == "sdist" else self._wheel_rank(file.filename)
            if rank >= 0:
                ranked.append((rank, -build, place))
        if not ranked:
            return None
        return files[min(ranked)[2]]

    def _fits_python(self, requires: str) -> bool:
        if not requires or not self.python:
            return True
        if requires not in self._fits:
            from packaging.specifiers import InvalidSpecifier, SpecifierSet

            try:
                self._fits[requires] = SpecifierSet(requires).contains(self.python, prereleases=True)
            except InvalidSpecifier:
                self._fits[requires] = True  # as pip does
        return self._fits[requires]

    def _wheel_rank(self, filename: str) -> tuple[int, int]:
        parts = filename[:-4].split("-")
        build = re.match(r"\d+", parts[2]) if len(parts) == 6 else None
        pythons, abis, platforms = (part.split(".") for part in parts[-3:])
        if len(pythons) * len(abis) * len(platforms) > 1000:
            return -1, 0
        ranks = [
            self._rank[tag]
            for python in pythons
            for abi in abis
            for platform in platforms
            if (tag := f"{python}-{abi}-{platform}") in self._rank
        ]
        return min(ranks, default=-1), int(build[0][:9]) if build else 0


def choose(
    files: list[ProjectFile],
    project: str,
    requested: str,
    tags: tuple[str, ...],
    python: str = "",
    prefer: Kind = "wheel",
) -> Chosen:
    """The file that pip would install for `requested` (a specifier or nothing), by `tags` (best first) and
    the guest's `python` version. Raises LookupError with a sentence that begins after the project's name."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    releases: dict[Version, list[_Candidate]] = {}
    texts: dict[str, Version | None] = {}
    for file in files:
        found = release_of(file.filename, project) if file.url else None
        if found is None:
            continue
        text, kind = found
        if text not in texts:
            try:
                texts[text] = Version(text.replace("_", "+", 1) if kind == "sdist" and "_" in text else text)
            except InvalidVersion:
                texts[text] = None
        version = texts[text]
        if version is not None:
            releases.setdefault(version, []).append((file, kind))
    specifier = SpecifierSet(requested)
    pinned = any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in specifier)
    chooser = _Chooser(tags, python, prefer, pinned)
    fitting = _newest_first(specifier, list(releases))
    for version in fitting:
        best = chooser.best(releases[version])
        if best is not None:
            return Chosen(file=best[0], version=str(version), kind=best[1])
    why = _reason(requested, list(releases), fitting, chooser)
    raise NoFileError(why) if fitting else LookupError(why)


def _newest_first(specifier: SpecifierSet, versions: list[Version]) -> list[Version]:
    """What the specifier allows; pre-releases come last, unless it names one (PEP 440)."""
    every = sorted(specifier.filter(versions, prereleases=True), reverse=True)
    if specifier.prereleases:
        return every
    return [one for one in every if not one.is_prerelease] + [one for one in every if one.is_prerelease]


def _reason(requested: str, versions: list[Version], fitting: list[Version], chooser: _Chooser) -> str:
    if not versions:
        return "has no file that pip could install"
    finals = [version for version in versions if not version.is_prerelease]
    if not fitting:
        return f"has no version {requested} (the latest is {max(finals or versions)})"
    what = f"{fitting[0]}" if len(fitting) == 1 else f"in {len(fitting)} versions, {fitting[0]} the newest,"
    if chooser.python_wanted:
        return f"{what} wants Python {chooser.python_wanted}, and the guest has {chooser.python}"
    if chooser.prefer == "sdist":
        return f"{what} has no source archive"
    return f"{what} has neither a wheel for this machine nor a source archive"
