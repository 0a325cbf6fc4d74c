"""What the store keeps of a run, as values, and as rows that are believed only where everything in them agrees."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal

import msgspec

from sandbox.report import PackageReport, Verdict

DAY = 86_400.0


class RunKey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a run does and what is seen of it. Equal keys: no need to run again.

    `plan`, `guest` and `sensors` are made by `fingerprints`; `personas` are ids, sorted."""

    purl: str
    digest: str
    plan: str
    personas: tuple[str, ...]
    guest: str
    sensors: str

    @property
    def text(self) -> str:
        """The key as one short text, as it stands in the database."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class StoredRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording beside the database: `digest` is the SHA-256 (hex) of its text, `size` the text's bytes, `stored`
    the compressed file's."""

    persona: str
    digest: str
    size: int
    stored: int


class Served(msgspec.Struct, frozen=True, order=True):
    """A package file that a registry gave to the guest, the dependencies among them."""

    url: str
    digest: str


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what it was of, when (seconds since 1970), and what its recordings were last judged to mean, by the
    rules and profiles that `judge` stands for. Not `complete`: a registry failed while it ran, so that something may
    not have been installed."""

    id: int
    key: RunKey
    ran: float
    judge: str
    report: PackageReport
    complete: bool = True
    recordings: tuple[StoredRecording, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The report's verdict."""
        return self.report.verdict

    @property
    def final(self) -> bool:
        """Whether a further run could add nothing: a finding of malice, or nothing left unseen."""
        unseen = self.verdict == "inconclusive" or self.report.coverage.missing or not self.complete
        return self.verdict == "malicious" or not unseen

    def age(self, now: float) -> float:
        """Days since it was run; negative where the clock was put back."""
        return (now - self.ran) / DAY


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table `run` as it is read: of the right types, and nothing more is known."""

    id: int
    key: str
    purl: str
    digest: str
    plan: str
    personas: str
    guest: str
    sensors: str
    ran: float
    verdict: Verdict
    judge: str
    complete: Literal[0, 1]
    report: bytes
    seal: str


RUN_COLUMNS = ", ".join(RunRow.__struct_fields__)
_report_decoder = msgspec.json.Decoder(PackageReport)


def plain_report(report: PackageReport) -> PackageReport:
    """A report without what belongs to one invocation alone."""
    return msgspec.structs.replace(report, stored="", recordings=(), origins=(), previous=None)


def pack_report(report: PackageReport) -> bytes:
    """A report as it is stored."""
    return msgspec.json.encode(plain_report(report))


def unpack_report(content: bytes) -> PackageReport:
    """The other way. Raises ValueError for what is no report."""
    try:
        return _report_decoder.decode(content)
    except RecursionError as error:
        raise ValueError(f"not a report: {error}") from error


def seal(*parts: object) -> str:
    """A digest over what belongs together, against bits that changed on the disk (not against a forger, who could
    make one as well)."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def run_values(run: StoredRun) -> dict[str, Any]:
    """The columns of a run but its id, by name."""
    key, content = run.key, pack_report(run.report)
    values: dict[str, Any] = {
        "key": key.text,
        "purl": key.purl,
        "digest": key.digest,
        "plan": key.plan,
        "personas": ",".join(key.personas),
        "guest": key.guest,
        "sensors": key.sensors,
        "ran": float(run.ran),
        "verdict": run.verdict,
        "judge": run.judge,
        "complete": int(run.complete),
        "report": content,
    }
    return {**values, "seal": _seal(values, run.recordings)}


def run_from(row: dict[str, Any], recordings: list[dict[str, Any]]) -> StoredRun:
    """A run out of its rows. Raises ValueError where they are damaged or do not belong together."""
    found = msgspec.convert(row, RunRow)
    kept = msgspec.convert(recordings, tuple[StoredRecording, ...])
    values = {name: getattr(found, name) for name in RunRow.__struct_fields__ if name not in ("id", "seal")}
    if not hmac.compare_digest(_seal(values, kept).encode(), found.seal.encode()):
        raise ValueError("its seal is broken")
    key = RunKey(
        purl=found.purl,
        digest=found.digest,
        plan=found.plan,
        personas=tuple(name for name in found.personas.split(",") if name),
        guest=found.guest,
        sensors=found.sensors,
    )
    report = unpack_report(found.report)
    if key.text != found.key or (report.verdict, report.purl, report.digest) != (found.verdict, key.purl, key.digest):
        raise ValueError("its parts do not belong together")
    return StoredRun(
        id=found.id,
        key=key,
        ran=found.ran,
        judge=found.judge,
        report=report,
        complete=bool(found.complete),
        recordings=kept,
    )


def _seal(values: dict[str, Any], recordings: tuple[StoredRecording, ...]) -> str:
    sealed = {**values, "report": hashlib.sha256(values["report"]).hexdigest()}
    if sealed["complete"] == 1:
        del sealed["complete"]  # as it was before there was that column (schema 3)
    return seal(sealed, recordings)
