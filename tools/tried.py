"""Writes docs/packages-tried.md from JSON reports: which packages were run, what came of each, and why.

`python -m tools.tried --date 2026-01-31 REPORT...` prints the page. A report is what `baitbox check --format json` or
`baitbox judge --format json` wrote; a reason that a reader must know, and that no report holds, stands in NOTES.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import unquote

import msgspec

from sandbox.profiles import profile_folder
from sandbox.report import PackageReport, Report

ORDER = ("malicious", "suspicious", "inconclusive", "clean")
REASONS = Path(__file__).parent / "tried.toml"
HEAD = """\
# Packages tried

The most-installed packages with install scripts, native builds, or something to do at import, each run whole with
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


def page(packages: list[PackageReport], reasons: dict[str, str], date: str) -> str:
    """The whole page: how many of each verdict, then a table for each ecosystem."""
    parts = [HEAD.format(date=date)]
    for ecosystem, title in (("npm", "npm"), ("pypi", "PyPI")):
        rows = sorted(
            {row(one, reasons) for one in packages if one.purl.startswith(f"pkg:{ecosystem}/")},
            key=lambda one: one.name.lstrip("@"),
        )
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


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:240]


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--date", required=True)
    parser.add_argument("reports", nargs="+", type=Path)
    arguments = parser.parse_args()
    decoder = msgspec.json.Decoder(Report)
    packages = [package for path in arguments.reports for package in decoder.decode(path.read_bytes()).packages]
    reasons = msgspec.toml.decode(REASONS.read_bytes(), type=dict[str, str])
    sys.stdout.write(page(packages, reasons, arguments.date))


if __name__ == "__main__":
    main()
