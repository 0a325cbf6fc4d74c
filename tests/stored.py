"""Runs to put into a store: small, real recordings and the reports that a judge would make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import events
from sandbox.report import Coverage, Evidence, Finding, PackageReport
from sandbox.store import Packed, RunKey, Store, StoredRun, pack

PURL = "pkg:npm/left-pod@1.0.0"
DIGEST = "sha512:" + "1" * 128
URL = "https://packages.test/left-pod/-/left-pod-1.0.0.tgz"

FINDING = Finding(
    rule="decoy_sent", title="sent ssh bait", severity="critical", confidence="high", verdict="malicious",
    package="left-pod", phase="install", decoys=("ssh",),
    evidence=(Evidence(at=1.5, phase="install", process=3, text="opened ~/.ssh/id_ed25519", line=17),),
)  # fmt: skip


def key(**fields: Any) -> RunKey:
    base: dict[str, Any] = {
        "purl": PURL, "digest": DIGEST, "plan": "p1", "personas": ("laptop",), "guest": "native, node 20",
        "sensors": "s1",
    }  # fmt: skip
    return RunKey(**{**base, **fields})


def report(verdict: Any = "clean", **fields: Any) -> PackageReport:
    missing = ("the recording was cut",) if verdict == "inconclusive" else ()
    base: dict[str, Any] = {
        "purl": PURL, "target": "npm:left-pod", "digest": DIGEST,
        "findings": (FINDING,) if verdict == "malicious" else (), "coverage": Coverage(missing=missing),
    }  # fmt: skip
    return PackageReport(verdict=verdict, **{**base, **fields})


def recording(folder: Path, number: int = 0, *, lines: int = 20, persona: str = "laptop") -> Path:
    """A recording's file; each number makes another."""
    header = events.Header(package="left-pod", version="1.0.0", digest=DIGEST, persona=persona)
    served = events.ArtifactServed(at=0.5, url=URL, digest=DIGEST, size=100)
    opened = [
        events.FileOpened(at=float(line), path=f"/home/dev/{number}/{line}", access="read") for line in range(lines)
    ]
    path = folder / f"{number}-{persona}.jsonl"
    with path.open("wb") as file:
        events.write(file, header, [served, *opened, events.GuestEnded(at=99.0)])
    return path


def packed(folder: Path, number: int = 0, **fields: Any) -> Packed:
    return pack(recording(folder, number, **fields), fields.get("persona", "laptop"))


def save(store: Store, folder: Path, number: int = 0, verdict: Any = "clean", **fields: Any) -> StoredRun:
    """Keep a run of a package of its own for each number."""
    purl = f"pkg:npm/left-pod@1.0.{number}"
    made = report(verdict, purl=purl)
    return store.save(key(purl=purl), made, [packed(folder, number)], **{"judge": "j1", **fields})
