"""Writes docs/packages-tried.md from JSON reports: which packages were run, what came of each, and why.

`python -m tools.tried --date 2026-01-31 REPORT...` prints the page. A report is what `baitbox check --format json` or
`baitbox judge --format json` wrote; a reason that a reader must know, and that no report holds, stands in REASONS.
`--earlier PAGE` keeps the lines of a page that was written before, of packages that no report is about.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import msgspec

from sandbox.profiles import profile_folder
from sandbox.report import PackageReport, Report

TITLES = {"npm": "npm", "pypi": "PyPI"}
ORDER = ("malicious", "suspicious", "inconclusive", "clean")
REASONS = Path(__file__).parent / "tried.toml"
HEAD = """\
# Packages tried

Popular packages, those with install scripts, native builds or something to do at import first, each run whole with
`baitbox check` on {date}: installed, imported, its commands run. The page is written by `python -m tools.tried`; the
reports are not kept here, so run a package yourself to check its line. *Profile* says whether it needs a sheet of its
own ([profiles](profiles.md)); most need none.

Guests have no internet but the registries. A package that fetches its program from somewhere else during its
installation cannot finish it here, which makes it **inconclusive**, and is said; never suspicious, where its profile
expects the download.
"""


class Row(msgspec.Struct, frozen=True, order=True):
    """One package's line."""

    name: str
    version: str
    verdict: str
    profile: bool
    reason: str


def row(package: PackageReport, reasons: dict[str, str]) -> Row:
    """A report as a line of the table."""
    _, _, rest = package.purl.partition(":")
    ecosystem, _, named = rest.partition("/")
    name, _, version = named.rpartition("@")
    name = unquote(name)
    own = profile_folder() / "packages" / ecosystem / f"{name}.yaml"
    seen = [f"{finding.rule}: {finding.title}" for finding in package.findings]
    found = "; ".join(dict.fromkeys([*seen, *package.coverage.missing]))
    reason = "" if package.verdict == "clean" else reasons.get(f"{ecosystem}:{name}", found)
    return Row(name, version, package.verdict, own.exists(), reason)


def page(packages: list[PackageReport], reasons: dict[str, str], date: str, earlier: str = "") -> str:
    """The whole page: how many of each verdict, then a table for each ecosystem. Of an earlier page, the lines of
    packages that none of `packages` is."""
    parts = [HEAD.format(date=date)]
    for ecosystem, title in TITLES.items():
        found = [row(one, reasons) for one in packages if one.purl.startswith(f"pkg:{ecosystem}/")]
        by_name = {one.name: one for one in (*_earlier(earlier, title), *found)}
        rows = sorted(by_name.values(), key=lambda one: one.name.lstrip("@"))
        counts = ", ".join(
            f"{sum(one.verdict == verdict for one in rows)} {verdict}"
            for verdict in reversed(ORDER)
            if any(one.verdict == verdict for one in rows)
        )
        parts += [f"\n## {title}: {len(rows)} packages\n\n{counts or 'none'}.\n"]
        parts += ["\n| package | version | verdict | profile | why |\n| --- | --- | --- | --- | --- |\n"]
        parts += [
            f"| {one.name} | {one.version} | {one.verdict} | {'yes' if one.profile else ''} | {_cell(one.reason)} |\n"
            for one in rows
        ]
    return "".join(parts)


def _earlier(text: str, title: str) -> list[Row]:
    """The lines of one ecosystem's table on a page that was written before."""
    table = text.partition(f"\n## {title}: ")[2].partition("\n## ")[0]
    cells = [re.split(r"(?<!\\) \| ", f"{line[1:-1]} ") for line in table.splitlines() if line.startswith("| ")]
    return [
        Row(name.strip(), version, verdict, profile == "yes", reason.strip().replace("\\|", "|"))
        for name, version, verdict, profile, reason in cells
        if verdict in ORDER
    ]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:240]


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--date", required=True)
    parser.add_argument("--earlier", type=Path)
    parser.add_argument("reports", nargs="+", type=Path)
    arguments = parser.parse_args()
    decoder = msgspec.json.Decoder(Report)
    packages = [package for path in arguments.reports for package in decoder.decode(path.read_bytes()).packages]
    reasons = msgspec.toml.decode(REASONS.read_bytes(), type=dict[str, str])
    earlier = arguments.earlier.read_text(encoding="utf-8") if arguments.earlier else ""
    sys.stdout.write(page(packages, reasons, arguments.date, earlier))


if __name__ == "__main__":
    main()
