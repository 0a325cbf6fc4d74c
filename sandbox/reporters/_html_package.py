"""One package's section, as far as it needs no script: the verdict and why, secrets' paths, what was not seen."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.report import Coverage, Finding, PackageReport, Verdict
from sandbox.reporters import _html_drawing
from sandbox.reporters._html_flows import Flow
from sandbox.reporters._html_markup import Markup, joined, tag
from sandbox.reporters._packages import compared, novelty
from sandbox.reporters._texts import clean_words

SIGNS: dict[Verdict, str] = {"malicious": "\u2716", "suspicious": "\u25b2", "inconclusive": "?", "clean": "\u2714"}
MEANING: dict[Verdict, str] = {
    "malicious": "It hunts secrets, or does what no honest package does.",
    "suspicious": "It did something unexpected that proves no harm.",
    "inconclusive": "Not everything could be looked at, so it cannot be called clean.",
}
_NEXT: dict[Verdict, str] = {
    "malicious": "Do not install it. Where it ran outside a guest, rotate the secrets named here, and report it to the "
    "registry.",
    "suspicious": "Look at the evidence below. If the package has an honest reason, a profile entry with a why makes "
    "it expected.",
    "inconclusive": "Put right what is listed under \u201cWhat was not seen\u201d and run it again; baitbox doctor "
    "says what works on a machine.",
    "clean": "",
}
_REASONS = {"locked": "locked", "new": "new", "changed": "changed", "moved": "the same version with another digest"}


def badge(verdict: Verdict) -> Markup:
    """The verdict as a word with a sign: colour is not all that tells it."""
    sign = tag("span", SIGNS[verdict], aria_hidden="true", class_="sign")
    return tag("strong", sign, " ", verdict, class_=f"badge {verdict}")


def name_of(package: PackageReport) -> str:
    """What a reader calls it."""
    return package.target or package.purl or "a package without a name"


def section(
    package: PackageReport,
    number: int,
    flows: Sequence[Flow],
    more_flows: int,
    recorded: Markup,
    *,
    folded: bool,
    opened: bool,
) -> Markup:
    """The whole section; `folded` where there are several, `opened` whether it begins open then."""
    identity = f"package-{number}"
    name = tag("span", name_of(package), class_="name")
    heading = tag("h2", badge(package.verdict), " ", name, id=f"{identity}-name")
    body = joined(
        _head(package),
        _findings(package.findings, identity),
        _compared(package),
        _paths(flows, more_flows, identity),
        _not_seen(package.coverage),
        _beside(package),
        recorded,
    )
    if folded:
        body = tag("details", tag("summary", heading), body, open=opened)
        return tag("section", body, id=identity, class_="package folded", aria_labelledby=f"{identity}-name")
    return tag("section", heading, body, id=identity, class_="package", aria_labelledby=f"{identity}-name")


def _head(package: PackageReport) -> Markup:
    rows = [("package", package.purl), ("digest", package.digest)]
    facts = [tag("div", tag("dt", name), tag("dd", tag("code", value))) for name, value in rows if value]
    for origin in package.origins:
        where = f"{origin.file}:{origin.line}" if origin.line else origin.file
        reason = _REASONS[origin.reason] + (f", from {origin.previous}" if origin.previous else "")
        kind = "a direct dependency" if origin.direct else "a dependency of a dependency"
        facts.append(tag("div", tag("dt", "named in"), tag("dd", tag("code", where), f" ({reason}; {kind})")))
    advice = _NEXT[package.verdict]
    meaning = MEANING.get(package.verdict) or f"{clean_words([package]).capitalize()}."
    return joined(
        tag("p", meaning, class_=f"meaning {package.verdict}"),
        tag("p", tag("strong", "What to do: "), advice, class_="advice") if advice else None,
        tag("dl", *facts, class_="facts") if facts else None,
    )


def _findings(findings: Sequence[Finding], identity: str) -> Markup:
    if not findings:
        return joined(tag("h3", "Why"), tag("p", "No rule found anything."))
    return joined(tag("h3", "Why"), [_finding(one, f"{identity}-finding-{n}") for n, one in enumerate(findings)])


def _finding(finding: Finding, identity: str) -> Markup:
    rows = [
        ("by", finding.package or "an unknown package"),
        ("in", finding.phase or "no phase"),
        ("beside the version before", novelty(finding)),
        ("bait", ", ".join(finding.decoys)),
        ("way out", ", ".join(finding.ways_out)),
        ("rule", f"{finding.rule}, severity {finding.severity}, confidence {finding.confidence}"),
        ("ATT&CK", " ".join(finding.attack)),
    ]
    facts = [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows if value]
    evidence = [
        tag(
            "li",
            tag("span", f"{item.at:.3f} s", class_="at"),
            tag("span", item.text, class_="what"),
            tag("span", item.program, class_="program") if item.program else None,
            tag("button", f"line {item.line}", type="button", class_="jump", data_line=item.line, disabled=True)
            if item.line
            else None,
        )
        for item in finding.evidence
    ]
    return tag(
        "article",
        tag("h4", tag("span", finding.verdict, class_=f"tag {finding.verdict}"), " ", finding.title, id=identity),
        tag("dl", *facts, class_="facts"),
        tag("ol", *evidence, class_="evidence", aria_label="Evidence") if evidence else None,
        class_=f"finding {finding.verdict}",
        aria_labelledby=identity,
    )


def _compared(package: PackageReport) -> Markup | None:
    """What came of the comparison with the version before."""
    first, *rest = [*compared(package), ""]
    if not first:
        return None
    new = tag("ul", [tag("li", text) for text in rest[:-1]]) if rest[:-1] else None
    return joined(tag("h3", "Beside the version before"), tag("p", first), new)


def _paths(flows: Sequence[Flow], more: int, identity: str) -> Markup | None:
    if not flows:
        return None
    figures = []
    for number, one in enumerate(flows):
        note = (
            None
            if one.recognised
            else tag("p", "What left could not be read: that bait was read before is what is known.", class_="note")
        )
        caption = tag("figcaption", one.sentence(), note)
        figures.append(tag("figure", _html_drawing.flow(one, f"{identity}-path-{number}"), caption, class_="path"))
    rest = tag("p", f"And {more} more paths, which are not drawn.", class_="note") if more else None
    return joined(tag("h3", "The path of each secret"), figures, rest)


def _not_seen(coverage: Coverage) -> Markup:
    missing = tag("ul", [tag("li", text) for text in coverage.missing], class_="missing") if coverage.missing else None
    never = tag("ul", [tag("li", text) for text in coverage.not_exercised]) if coverage.not_exercised else None
    bad = any(phase.status != "ran" for phase in coverage.phases)
    rows = [
        tag(
            "tr",
            tag("th", phase.name, scope="row"),
            tag("td", phase.persona),
            tag("td", phase.status, class_=f"status {phase.status}"),
            tag("td", f"{phase.seconds:.2f} s", class_="number"),
            tag("td", phase.detail),
        )
        for phase in coverage.phases
    ]
    head = tag("tr", [tag("th", name, scope="col") for name in ("phase", "persona", "how it went", "took", "detail")])
    table = tag("div", tag("table", tag("thead", head), tag("tbody", rows)), class_="scroll", tabindex=0, role="group",
                aria_label="Phases") if rows else None  # fmt: skip
    ran = sum(phase.status == "ran" for phase in coverage.phases)
    return joined(
        tag("h3", "What was not seen"),
        joined(tag("p", "Because of this the verdict cannot be clean:"), missing)
        if missing
        else tag("p", "Nothing is missing that was to be looked at."),
        joined(tag("p", "Never looked at by this tool:"), never) if never else None,
        tag("details", tag("summary", f"Phases: {ran} of {len(rows)} ran"), table, open=bad) if rows else None,
        tag("p", "Sensors that were up: ", ", ".join(coverage.sensors), ".") if coverage.sensors else None,
    )


def _beside(package: PackageReport) -> Markup:
    """What never changes a verdict."""
    provenance = package.provenance
    detail = f": {provenance.detail}" if provenance.detail else ""
    expected = (
        tag(
            "details",
            tag("summary", f"Seen, and expected by a profile: {len(package.expected)}"),
            tag("ul", [tag("li", text) for text in package.expected]),
        )
        if package.expected
        else None
    )
    kept = [tag("li", tag("code", path)) for path in package.recordings]
    return joined(
        tag("h3", "Beside the behaviour"),
        tag("p", "Provenance: ", tag("strong", provenance.status), detail, ". It never changes a verdict."),
        expected,
        tag("details", tag("summary", "Recordings"), tag("ul", kept)) if kept else None,
    )
