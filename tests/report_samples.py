"""Reports and recordings for the tests of report formats: what a gate says, a thief with its recording, and reports in
which every text is hostile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import msgspec
from hypothesis import strategies as st

from sandbox import digest_moved, events
from sandbox.report import (
    Coverage,
    Evidence,
    Finding,
    Note,
    Origin,
    PackageReport,
    PhaseCoverage,
    Previous,
    Provenance,
    Report,
    Tool,
)
from tests.recording import HOME, NPM, PROJECT, Story

TOOL = Tool(version="0.1.0", backend="native", rules=31)
RECORDING = "runs/left-pod.jsonl"
COLLECTOR = "collector.test"

INJECTIONS = (
    "| a | b |\n| --- | --- |",
    "`` ` ``` `", "`", "``` x", "x `y` z", "`" * 200,
    "</code></details><script>alert(1)</script><img src=x onerror=alert(2)>",
    "@someone and @some-org/team #1 GH-2",
    "https://evil.test/x www.evil.test someone@evil.test",
    "[click](https://evil.test) ![image](https://evil.test/x.png)",
    "\n# heading\n\n---\n* item\n> quote",
    "::set-output name=x::y",
    "\r\n::add-mask::secret\r\n##[add-mask]secret",
    "x,line=1::y%0A::error::z",
    "=cmd|' /C calc'!A0",
    "+1+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1",
    "]]>&lt;<!-- --><![CDATA[",
    "\x00\x01\x1b[31m\x7f\x85\u2028\u2029\ufffe\uffff",
    "\u202eabc\u2066\u200b\ufeff\U000e0041",
    "\ud800 \udcff",
    "' OR '1' = '1] \\",
    "{0} {{1}} {1}",
    "ünïcødé 😀 漢字",
    "../../etc/passwd", "C:\\x\\y", "/absolute/lock file.json",
    "pkg:npm/%40scope/name@1.0.0?x=y#z",
    "",
)  # fmt: skip
"""What each format's reader would like to take for something else."""


def finding(**fields: Any) -> Finding:
    """A theft, in the words of a rule that there is."""
    base: dict[str, Any] = {
        "rule": "decoy_sent", "title": f"sent ssh bait by https POST to {COLLECTOR}", "severity": "critical",
        "confidence": "high", "verdict": "malicious", "package": "left-pod", "phase": "install",
        "attack": ("T1041", "T1552.001"), "decoys": ("ssh",), "ways_out": (f"https POST to {COLLECTOR}",),
        "evidence": (
            Evidence(at=1.5, phase="install", process=3, text="opened ~/.ssh/id_ed25519", line=17, program="node x.js"),
        ),
    }  # fmt: skip
    return Finding(**{**base, **fields})


def coverage(*missing: str) -> Coverage:
    """Two phases, and what was missed."""
    return Coverage(
        personas=("laptop",),
        phases=(
            PhaseCoverage(name="install", persona="laptop", status="ran", seconds=1.25),
            PhaseCoverage(name="import:x", persona="laptop", status="failed", seconds=0.5, detail="exited with 97"),
        ),
        sensors=("network", "syscalls"),
        not_exercised=("What the package does only when called is not exercised.",),
        missing=missing,
    )


def package(name: str, version: str, verdict: Any, *origins: Origin, **fields: Any) -> PackageReport:
    """An npm package's report."""
    base: dict[str, Any] = {
        "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}", "target": f"npm:{name}@{version}",
        "digest": "sha512:" + "0a" * 64, "coverage": coverage(),
    }  # fmt: skip
    return PackageReport(verdict=verdict, origins=origins, **{**base, **fields})


def report(verdict: Any, *packages: PackageReport, notes: tuple[Note, ...] = ()) -> Report:
    """A report of these packages."""
    return Report(tool=TOOL, verdict=verdict, packages=packages, notes=notes, seconds=12.5)


LOCK = "web/package-lock.json"

GATE = report(
    "malicious",
    package(
        "is-odd", "3.0.1", "clean", Origin(file=LOCK, line=40, reason="changed", previous="3.0.0", direct=True),
        stored="2026-11-24T03:00:00Z",
    ),
    package(
        "left-pod", "1.0.0", "malicious",
        Origin(file=LOCK, line=12, reason="new"), Origin(file="docs/package-lock.json", line=7, reason="new"),
        findings=(
            finding(), finding(phase="import:left-pod (require)"),
            finding(
                rule="unexpected_host", title=f"reached hosts that no profile expects: {COLLECTOR}", severity="medium",
                confidence="medium", verdict="suspicious", attack=("T1071.001",), decoys=(), evidence=(),
            ),
        ),
        provenance=Provenance(status="valid", detail="built by a workflow"),
    ),
    package(
        "@acme/widget", "2.0.0", "suspicious", Origin(file=LOCK, line=99, reason="moved", direct=True),
        findings=(
            digest_moved.finding(
                "@acme/widget", "2.0.0", "", ["sha512:" + "0b" * 64], ["sha512:" + "0a" * 64], f"{LOCK}, line 99"
            ),
            finding(
                rule="long_sleep", title="slept for 3600 s", severity="low", confidence="low", verdict="suspicious",
                package="@acme/widget", attack=(), decoys=(), ways_out=(),
            ),
        ),
        coverage=coverage("the phase import:x exited with 97"),
    ),
    package("sharp", "0.34.5", "inconclusive", Origin(file=LOCK, line=0), coverage=coverage("the recording was cut")),
    PackageReport(
        purl="", target="npm:gone@9.9.9", digest="", verdict="inconclusive",
        coverage=Coverage(missing=("not checked: npm has no package gone",)),
        origins=(Origin(file=LOCK, line=3, reason="new", direct=True),),
    ),
    notes=(
        Note(text="tool is a git checkout of a branch, which is not run", file=LOCK, line=50),
        Note(text="a note about nothing in particular"),
    ),
)  # fmt: skip


COMPARED = report(
    "malicious",
    package(
        "left-pod", "1.1.0", "malicious", Origin(file=LOCK, line=12, reason="changed", previous="1.0.0", direct=True),
        findings=(
            finding(novelty="known"), finding(phase="import:left-pod (require)", novelty="new"),
            finding(
                rule="unexpected_host", title=f"reached hosts that no profile expects: {COLLECTOR}", severity="medium",
                confidence="medium", verdict="suspicious", attack=("T1071.001",), decoys=(), novelty="known",
            ),
        ),
        previous=Previous(
            version="1.0.0", purl="pkg:npm/left-pod@1.0.0", digest="sha512:" + "0c" * 64, verdict="malicious",
            stored="2026-11-24T03:00:00Z", missing=("the phase import:x did not run",),
            new=("send ssh body collector.test, by left-pod, in import", "lookup x.test, by left-pod, in import"),
            more=3,
        ),
    ),
    package(
        "lost-pod", "2.0.0", "suspicious", Origin(file=LOCK, line=40, reason="changed", previous="1.9.0"),
        findings=(finding(verdict="suspicious", rule="unexpected_host", title="reached hosts", decoys=()),),
        previous=Previous(version="1.9.0", problem="registry.test has no version 1.9.0"),
    ),
    package(
        "half-pod", "2.0.0", "inconclusive", Origin(file=LOCK, line=50, reason="changed", previous="1.0.0"),
        coverage=coverage("the recording was cut"),
        previous=Previous(
            version="1.0.0", purl="pkg:npm/half-pod@1.0.0", digest="sha512:" + "0d" * 64, verdict="clean",
            new=("run ./helper --quiet, by half-pod, in install",),
        ),
    ),
)  # fmt: skip
"""A gate that compared packages with the versions before the change."""


def thief() -> tuple[Report, dict[str, events.Recording]]:
    """A package whose script reads bait, sends it, drops a program and runs it; and what was recorded of that."""
    story = Story(package="left-pod", version="1.0.0", target="npm:left-pod")
    root = story.begin("install", "install", NPM)
    registry = {"address": "10.0.0.2", "port": 443, "host": "registry.test", "connection": 1}
    story.add(events.ConnectionOpened, process=root, protocol="tcp", **registry)
    asked = {"method": "GET", "url": "https://registry.test/left-pod", "headers": [("host", "registry.test")]}
    story.add(events.RequestSent, process=root, connection=1, answered_by="registry", **asked)
    script = story.script(root, "left-pod")
    lines: dict[str, int] = {}

    def add(called: str, kind: type[events.Event], /, **fields: Any) -> None:
        story.add(kind, process=script, **fields)
        lines[called] = len(story.events) + 1

    add("read", events.FileOpened, path=f"{HOME}/.aws/credentials", access="read")
    add("name", events.NameLookedUp, name=COLLECTOR, kind="A", answer="10.0.0.9", server="10.0.0.1")
    place = {"address": "10.0.0.9", "port": 443, "host": COLLECTOR, "connection": 2}
    add("connection", events.ConnectionOpened, protocol="tcp", **place)
    add(
        "request", events.RequestSent, connection=2, method="POST", url=f"https://{COLLECTOR}/in?run=1&x=%20",
        headers=[("host", COLLECTOR), ("content-type", "application/octet-stream")], body=b"\x00\xffstolen",
        body_size=70_000, status=200, answered_by="empty",
    )  # fmt: skip
    add(
        "sent", events.DecoySent, connection=2, decoy="aws", token="secret access key", host=COLLECTOR, where="body",
        encodings=["base64"],
    )  # fmt: skip
    add("raw", events.ConnectionOpened, protocol="tcp", address="203.0.113.9", port=4444, connection=3)
    add("data", events.DataSent, connection=3, data=b"hello\n", size=6)
    add("dropped", events.FileOpened, path=f"{HOME}/.cache/helper", access="write", created=True)
    add("ran", events.ProgramStarted, exe=f"{HOME}/.cache/helper", argv=["helper", "--quiet"], cwd=PROJECT)
    story.end(root)

    def seen(*names: str) -> tuple[Evidence, ...]:
        found = [story.events[lines[name] - 2] for name in names]
        return tuple(
            Evidence(at=one.at, phase=one.phase, process=one.process, text=f"what is called {name}", line=lines[name])
            for name, one in zip(names, found, strict=True)
        )

    judged = package(
        "left-pod", "1.0.0", "malicious", recordings=(RECORDING,),
        findings=(
            finding(evidence=seen("read", "sent", "request"), decoys=("aws",)),
            finding(
                rule="raw_address", title="connected to bare addresses: 203.0.113.9", severity="medium",
                confidence="medium", verdict="suspicious", attack=("T1095",), decoys=(),
                ways_out=("tcp 203.0.113.9:4444",), evidence=seen("raw", "data"),
            ),
            finding(
                rule="dropped_program_run", title="ran a program that it had written", severity="high",
                attack=("T1105",), decoys=(), ways_out=(), evidence=seen("dropped", "ran"),
            ),
        ),
    )  # fmt: skip
    return report("malicious", judged), {RECORDING: story.recording()}


def honest(name: str = "left-pod", version: str = "1.0.0", *, script: bool = True) -> events.Recording:
    """An installation, with a lifecycle script of its own or without one."""
    story = Story(package=name, version=version, target=f"npm:{name}@{version}")
    root = story.begin("install", "install", NPM)
    if script:
        story.script(root, name)
    return story.end(root).recording()


def hostile(texts: Sequence[str]) -> Report:
    """A report that says each of `texts` wherever a text can stand, in turn."""
    turn = cycle(texts or [""])

    def text() -> str:
        return next(turn)

    def evidence() -> Evidence:
        return Evidence(at=1.0, phase=text(), process=3, text=text(), line=5, program=text())

    def found(verdict: Any) -> Finding:
        return Finding(
            rule=text(), title=text(), severity="high", confidence="low", verdict=verdict, package=text(),
            phase=text(), attack=(text(),), decoys=(text(),), ways_out=(text(), f"dns {text()}"),
            evidence=(evidence(), evidence()), novelty="known" if verdict == "malicious" else "new",
        )  # fmt: skip

    def one(verdict: Any) -> PackageReport:
        findings = () if verdict in ("clean", "inconclusive") else (found(verdict), found("suspicious"))
        phase = PhaseCoverage(name=text(), persona=text(), status="failed", seconds=1.0, detail=text())
        covered = Coverage(
            personas=(text(),), phases=(phase,), sensors=(text(),), not_exercised=(text(),),
            missing=() if verdict == "clean" else (text(), text()),
        )  # fmt: skip
        reasons: list[Any] = ["locked", "new", "changed", "moved"]
        return PackageReport(
            purl=text(), target=text(), digest=text(), verdict=verdict, findings=findings, expected=(text(),),
            coverage=covered, provenance=Provenance(status="invalid", detail=text()), recordings=(text(),),
            origins=tuple(Origin(file=text(), line=3, reason=reason, previous=text()) for reason in reasons),
            previous=before(verdict),
        )  # fmt: skip

    def before(verdict: Any) -> Previous | None:
        if verdict == "clean":
            return None
        if verdict == "inconclusive":
            return Previous(version=text(), problem=text())
        return Previous(
            version=text(), purl=text(), digest=text(), verdict="clean", stored=text(), missing=(text(),),
            new=(text(), text()), more=1,
        )  # fmt: skip

    verdicts: list[Any] = ["malicious", "suspicious", "inconclusive", "clean"]
    return Report(
        tool=Tool(name="baitbox", version=text(), backend=text(), rules=1), verdict="malicious",
        packages=tuple(one(verdict) for verdict in verdicts),
        notes=tuple(Note(text=text(), file=text(), line=2) for _ in range(3)), seconds=1.0,
    )  # fmt: skip


def hostile_recording(texts: Sequence[str]) -> events.Recording:
    """A recording that says each of `texts` wherever a text can stand, in turn."""
    turn = cycle(texts or [""])

    def text() -> str:
        return next(turn)

    story = Story(package=text(), version=text(), target=text(), digest=text(), persona=text())
    story.phase = text()
    root = story.fork(0)
    story.add(events.PhaseStarted, process=root, kind="install", argv=[text(), text()], cwd=text())
    story.add(events.ProgramStarted, process=root, exe=text(), argv=[text(), text()], cwd=text())
    story.add(
        events.ConnectionOpened, process=root, protocol="tcp", address=text(), port=1, host=text(), connection=1
    )
    story.add(
        events.RequestSent, process=root, connection=1, method=text(), url=text(), headers=[(text(), text())],
        body=text().encode("utf-8", "surrogatepass"), body_size=5, answered_by=text(), status=999,
    )  # fmt: skip
    sent = {"decoy": text(), "token": text(), "host": text(), "encodings": [text()]}
    story.add(events.DecoySent, process=root, connection=1, where="body", **sent)
    story.add(events.TlsEnded, process=root, connection=1, host=text(), error=text())
    story.add(events.DataSent, process=root, connection=1, data=text().encode("utf-8", "surrogatepass"), size=9)
    story.add(events.NameLookedUp, process=root, name=text(), kind=text())
    story.add(events.FileOpened, process=root, path=text(), access="write")
    story.add(events.FileChanged, process=root, path=text(), change="renamed", target=text())
    return story.recording()


def with_evidence_of(whole: Report, recording: events.Recording) -> Report:
    """The report, with every event of the recording as evidence of its findings."""
    seen = tuple(
        Evidence(at=event.at, phase=event.phase, process=event.process, text="x", line=line)
        for line, event in enumerate(recording.events, start=2)
    )
    packages = tuple(
        msgspec.structs.replace(
            one, findings=tuple(msgspec.structs.replace(found, evidence=seen) for found in one.findings)
        )
        for one in whole.packages
    )
    return msgspec.structs.replace(whole, packages=packages)


def hostile_texts() -> st.SearchStrategy[list[str]]:
    """Any characters, lone surrogates too."""
    one = st.sampled_from(INJECTIONS) | st.text(st.characters(), max_size=40)
    return st.lists(one, min_size=1, max_size=7)
