"""What was found as a STIX 2.1 bundle: indicators, the malware that they indicate, and what was observed.

The same report is always the same bundle. Observables have the identifiers that the standard derives from their
content; other objects have version 5 UUIDs in a namespace of our own. They are dated by the run that shows them, or
1970 where a recording does not say when that was. A clean package is not in it.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

from sandbox.report import PackageReport, Report
from sandbox.reporters import Recordings, Reporter
from sandbox.reporters._packages import identity, shown
from sandbox.reporters._signs import Sign, signs
from sandbox.reporters._texts import as_json, moment, plain, well_formed

OBSERVABLES = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""The namespace that the standard gives for observables; no other object may use it."""

OBJECTS = UUID("b0f3e1a2-6c1d-5e8f-9a3b-2d7c4e5f6a71")
"""Ours, for everything else."""

_IDENTITY = f"identity--{uuid5(OBJECTS, 'identity baitbox')}"
_HASHES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
_HASH_LENGTHS = {"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-512": 128}
_CONFIDENCE = {"high": 85, "medium": 50, "low": 15}
_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")

_DATES = ("created", "modified", "valid_from", "published")
_UNDATED = moment(0)

Object = dict[str, Any]


def render(
    report: Report,
    *,
    width: int = 80,  # noqa: ARG001  # for terminals only
    colour: bool = False,  # noqa: ARG001
    recordings: Recordings | None = None,
) -> str:
    """One bundle. Each object stands once, whoever refers to it."""
    tool = _object("identity", "baitbox", name="baitbox", identity_class="system")
    del tool["created_by_ref"]
    found: dict[str, list[Sign]] = defaultdict(list)
    for sign in signs(report, recordings):
        found[sign.package].append(sign)
    objects: dict[str, Object] = {tool["id"]: tool}
    for package in report.packages:
        if package.verdict in ("malicious", "suspicious"):
            began = _began([package], recordings)
            own = _of_package(package, found[package.purl or package.target], began)
            objects.update((one["id"], _dated(one, began)) for one in own)
    latest = _began(report.packages, recordings)
    if len(objects) > 1:
        published = _report(report, list(objects))
        objects[published["id"]] = _dated(published, latest)
    listed = list(objects.values())
    key = json.dumps(well_formed(listed), sort_keys=True)
    return as_json({"type": "bundle", "id": f"bundle--{uuid5(OBJECTS, key)}", "objects": listed})


def _began(packages: Iterable[PackageReport], recordings: Recordings | None) -> float:
    """When the latest of these packages' runs began, in seconds since 1970; 0 where no recording says."""
    names = [name for package in packages for name in package.recordings]
    found = (recording for name in names if (recording := (recordings or {}).get(name)) is not None)
    return max((recording.header.began for recording in found), default=0.0)


def _dated(one: Object, began: float) -> Object:
    """An object as of a run. Its identifier is of what it says, so that the next night's is the same one anew."""
    return {**one, **{key: moment(began) for key in _DATES if key in one}}


def _of_package(package: PackageReport, found: list[Sign], began: float) -> Iterator[Object]:
    """The package, what indicates it, what it does, and how these belong together."""
    observed = list(_observables(package, found))
    yield from observed
    data = _observed_data(package, found, [one["id"] for one in observed], began)
    yield data
    malware = _malware(package, observed) if package.verdict == "malicious" else None
    if malware is not None:
        yield malware
    for indicator in _indicators(package, found):
        yield indicator
        yield _relationship(indicator["id"], "based-on", data["id"])
        if malware is not None:
            yield _relationship(indicator["id"], "indicates", malware["id"])
    for technique in dict.fromkeys(sign.value for sign in found if sign.kind == "technique"):
        if _TECHNIQUE.fullmatch(technique):
            reference = {"source_name": "mitre-attack", "external_id": technique}
            pattern = _object("attack-pattern", technique, name=technique, external_references=[reference])
            yield pattern
            if malware is not None:
                yield _relationship(malware["id"], "uses", pattern["id"])


def _observables(package: PackageReport, found: Iterable[Sign]) -> Iterator[Object]:
    who = identity(package)
    software = {"name": plain(who.name or package.target or "unknown", 214)}
    if who.version:
        software["version"] = plain(who.version, 100)
    yield _observable("software", software, software)
    hashes = _hashes(package)
    if hashes:
        yield _observable("file", {"hashes": hashes}, {"hashes": hashes})
    for sign in found:
        if sign.kind == "host":
            yield _observable("domain-name", {"value": sign.value}, {"value": sign.value})
        elif sign.kind == "address":
            kind = "ipv6-addr" if ":" in sign.value else "ipv4-addr"
            yield _observable(kind, {"value": sign.value}, {"value": sign.value})
        elif sign.kind == "url":
            yield _observable("url", {"value": _uri(sign.value)}, {"value": _uri(sign.value)})


def _observed_data(package: PackageReport, found: list[Sign], references: list[str], began: float) -> Object:
    moments = [sign.at for sign in found] or [0.0]
    return _object(
        "observed-data", package.purl or package.target,
        first_observed=moment(began + min(moments)), last_observed=moment(began + max(moments)), number_observed=1,
        object_refs=list(dict.fromkeys(references)),
    )  # fmt: skip


def _malware(package: PackageReport, observed: list[Object]) -> Object:
    samples = [one["id"] for one in observed if one["type"] == "file"]
    titles = "; ".join(dict.fromkeys(finding.title for finding in package.findings))
    return _object(
        "malware", package.purl or package.target, name=plain(shown(package), 214), is_family=False,
        description=plain(titles or "no finding says why", 2000), external_references=_purl(package),
        **({"sample_refs": samples} if samples else {}),
    )  # fmt: skip


def _indicators(package: PackageReport, found: list[Sign]) -> Iterator[Object]:
    kinds = ["malicious-activity" if package.verdict == "malicious" else "anomalous-activity"]
    for algorithm, value in _hashes(package).items():
        pattern = f"[file:hashes.'{algorithm}' = '{value}']"
        name = f"the archive of {plain(shown(package), 214)}"
        yield _object(
            "indicator", f"{package.purl} {pattern}", name=name,
            description=f"judged {package.verdict} by its behaviour", indicator_types=kinds, pattern=pattern,
            pattern_type="stix", valid_from=_UNDATED, external_references=_purl(package),
        )  # fmt: skip
    for sign in found:
        if sign.kind != "technique":
            kinds = ["malicious-activity" if sign.verdict == "malicious" else "anomalous-activity"]
            yield _object(
                "indicator", f"{package.purl} {_pattern(sign)}", name=plain(f"{sign.kind} {sign.value}", 214),
                description=plain(f"{sign.rule}: {sign.what}", 1000), indicator_types=kinds, pattern=_pattern(sign),
                pattern_type="stix", valid_from=_UNDATED, confidence=_CONFIDENCE[sign.confidence],
            )  # fmt: skip


def _pattern(sign: Sign) -> str:
    """What to look for, in the standard's pattern language."""
    if sign.kind == "host":
        return f"[domain-name:value = {_quoted(sign.value)}]"
    if sign.kind == "address":
        return f"[{'ipv6-addr' if ':' in sign.value else 'ipv4-addr'}:value = {_quoted(sign.value)}]"
    if sign.kind == "url":
        return f"[url:value = {_quoted(_uri(sign.value))}]"
    if sign.kind == "program":
        return f"[process:command_line = {_quoted(sign.value)}]"
    folder, name = posixpath.split(sign.value)
    within = f" AND file:parent_directory_ref.path = {_quoted(folder)}" if folder else ""
    return f"[file:name = {_quoted(name)}{within}]"


def _quoted(text: str) -> str:
    """A string of the pattern language: only these two characters are escaped in it."""
    escaped = plain(text, 2000).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _hashes(package: PackageReport) -> dict[str, str]:
    name, _, value = package.digest.partition(":")
    algorithm = _HASHES.get(name.lower(), "")
    usable = re.fullmatch("[0-9a-f]+", value) and len(value) == _HASH_LENGTHS.get(algorithm)
    return {algorithm: value} if usable else {}


def _uri(url: str) -> str:
    return quote(well_formed(url), safe=":/?#[]@!$&'()*+,;=%-._~")


def _purl(package: PackageReport) -> list[dict[str, str]]:
    return [{"source_name": "purl", "external_id": plain(package.purl or package.target or "unknown", 400)}]


def _report(report: Report, references: list[str]) -> Object:
    return _object(
        "report", " ".join(references), name=f"baitbox: {report.verdict}", report_types=["malware", "observed-data"],
        published=_UNDATED, object_refs=references,
    )  # fmt: skip


def _relationship(source: str, kind: str, target: str) -> Object:
    return _object(
        "relationship", f"{source} {kind} {target}", relationship_type=kind, source_ref=source, target_ref=target
    )


def _object(kind: str, key: str, **properties: Any) -> Object:
    """A domain or relationship object; the same key is always the same identifier."""
    unique = uuid5(OBJECTS, well_formed(f"{kind} {key}"))
    return {
        "type": kind, "spec_version": "2.1", "id": f"{kind}--{unique}", "created_by_ref": _IDENTITY,
        "created": _UNDATED, "modified": _UNDATED, **properties,
    }  # fmt: skip


def _observable(kind: str, properties: Object, contributing: Object) -> Object:
    """A cyber-observable, named by what it is: the canonical JSON of the properties that the standard lists."""
    canonical = json.dumps(well_formed(contributing), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{uuid5(OBSERVABLES, canonical)}", **properties}


REPORTER = Reporter("a STIX 2.1 bundle of what was found", render, "application/stix+json", recorded=True)
