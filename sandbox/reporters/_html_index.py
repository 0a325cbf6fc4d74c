"""The index of several packages: a table to sort and filter, and the verdicts of earlier nights where known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sandbox.report import WORST_FIRST, Night, PackageReport
from sandbox.reporters import _html_drawing
from sandbox.reporters._html_markup import Markup, joined, tag
from sandbox.reporters._html_package import SIGNS, badge, name_of

_COLUMNS = ("verdict", "package", "why", "findings", "seconds")


def index(packages: Sequence[PackageReport], nights: Sequence[Night] = ()) -> Markup:
    """The index: counts, trend, filters, and one row for each package that leads to its section."""
    counts = Counter(package.verdict for package in packages)
    boxes = [
        tag(
            "label",
            tag("input", type="checkbox", checked=True, value=verdict, data_filter="verdict"),
            " ",
            tag("span", SIGNS[verdict], aria_hidden="true"),
            f" {verdict} ({counts[verdict]})",
            class_=f"choice {verdict}",
        )
        for verdict in WORST_FIRST
        if counts[verdict]
    ]
    search = tag("label", "Find ", tag("input", type="search", data_filter="text", autocomplete="off"))
    head = [
        tag("th", tag("button", name, type="button", data_sort=place), scope="col", aria_sort="none")
        for place, name in enumerate(_COLUMNS)
    ]
    order = sorted(range(len(packages)), key=lambda number: (WORST_FIRST.index(packages[number].verdict), number))
    table = tag(
        "table",
        tag("caption", "Packages", class_="hidden"),
        tag("thead", tag("tr", head)),
        tag("tbody", [_row(packages[number], number) for number in order]),
        class_="index",
    )
    return tag(
        "section",
        tag("h2", "Packages", id="index-name"),
        trend(nights) if len(nights) > 1 else None,
        tag("div", tag("fieldset", tag("legend", "Show"), boxes), search, class_="filters needs-script"),
        tag("p", f"{len(packages)} packages", class_="count", role="status"),
        tag("div", table, class_="scroll", tabindex=0, role="group", aria_label="Packages"),
        id="index",
        aria_labelledby="index-name",
    )


def _row(package: PackageReport, number: int) -> Markup:
    why = package.findings[0].title if package.findings else next(iter(package.coverage.missing), "")
    seconds = sum(phase.seconds for phase in package.coverage.phases)
    return tag(
        "tr",
        tag("td", badge(package.verdict), data_value=WORST_FIRST.index(package.verdict)),
        tag("th", tag("a", name_of(package), href=f"#package-{number}"), scope="row"),
        tag("td", why),
        tag("td", len(package.findings), class_="number"),
        tag("td", f"{seconds:.1f}", class_="number"),
        data_verdict=package.verdict,
    )


def trend(nights: Sequence[Night]) -> Markup:
    """The verdicts of all packages night by night, drawn, with the table that says the same."""
    rows = [
        tag(
            "tr",
            tag("th", night.ended, scope="row"),
            [tag("td", night.counts.get(one, 0), class_="number") for one in WORST_FIRST],
        )
        for night in nights
    ]
    head = tag("tr", tag("th", "night", scope="col"), [tag("th", one, scope="col") for one in WORST_FIRST])
    table = tag("table", tag("thead", head), tag("tbody", rows))
    table = tag("div", table, class_="scroll", tabindex=0, role="group", aria_label="Nights")
    return joined(
        tag("h3", "Over the nights"),
        tag("figure", _html_drawing.trend(nights), tag("details", tag("summary", "As a table"), table), class_="trend"),
    )
