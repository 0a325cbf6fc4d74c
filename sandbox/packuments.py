"""npm's package metadata (a "packument"): what is read of it, and which version npm itself would take. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

_SRI = {"sha512": 64, "sha384": 48, "sha256": 32, "sha1": 20}


class Dist(msgspec.Struct, frozen=True):
    """Where a version's file is, and its digests as the registry writes them."""

    tarball: str = ""
    integrity: str | None = None
    shasum: str | None = None

    @property
    def digest(self) -> str:
        """The strongest digest given, as `algorithm:hex`; empty where none can be read."""
        given: dict[str, str] = {}
        for word in (self.integrity or "").split():
            algorithm, _, value = word.partition("?")[0].partition("-")
            try:
                raw = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                continue
            if len(raw) == _SRI.get(algorithm):
                given.setdefault(algorithm, raw.hex())
        if self.shasum and re.fullmatch(r"[0-9a-fA-F]{40}", self.shasum):
            given.setdefault("sha1", self.shasum.lower())
        return next((f"{algorithm}:{given[algorithm]}" for algorithm in _SRI if algorithm in given), "")


class Release(msgspec.Struct, frozen=True):
    """One version."""

    dist: Dist = Dist()
    deprecated: object = None


class Packument(msgspec.Struct, frozen=True):
    """One package: its tags and versions. Works for the abbreviated and for the full form."""

    dist_tags: dict[str, str] = msgspec.field(default_factory=dict, name="dist-tags")
    versions: dict[str, Release] = {}

    def choose(self, requested: str) -> str:
        """The version that npm would install for `requested` (a version, dist-tag, range or nothing). Raises
        LookupError with a sentence that begins after the package's name."""
        bare = re.sub(r"^[=v\s]+", "", requested)
        if bare in self.versions:
            return bare
        tag = requested or "latest"
        if tag in self.dist_tags:
            if self.dist_tags[tag] not in self.versions:
                raise LookupError(f"has a tag {tag} for a version that it does not have")
            return self.dist_tags[tag]
        return self._best("" if tag == "latest" else requested)

    def _best(self, requested: str) -> str:
        from semantic_version import NpmSpec, Version  # 50 ms that exact versions and tags do without

        latest = self.dist_tags.get("latest", "")
        known = f"the latest is {latest}" if latest else f"it has {len(self.versions)} versions"
        try:
            # npm allows a space after an operator and a v before a number; this parser does not.
            spec = NpmSpec(re.sub(r"([<>=~^])\s+", r"\1", re.sub(r"(^|[\s<>=~^|])v(?=\d)", r"\1", requested)))
        except ValueError:
            raise LookupError(f"has no version or tag {requested} ({known})") from None
        fitting = []
        for text, release in self.versions.items():
            try:
                version = Version(text)
            except ValueError:
                continue  # not a version that a range can mean
            if version in spec:
                if text == latest:
                    return text
                fitting.append((not release.deprecated, version, text))
        if not fitting:
            raise LookupError(f"has no version {requested or 'at all'} ({known})")
        return max(fitting)[2]


_decoder = msgspec.json.Decoder(Packument)


def parse(content: bytes) -> Packument:
    """Read a packument. Raises ValueError where it is none."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not npm package metadata: {error}") from None
