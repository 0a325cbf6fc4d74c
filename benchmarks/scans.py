"""What a scan of a lockfile costs: cold, unchanged, and after a change of profiles."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

NPM_FLAGS = ("--no-audit", "--no-fund", "--no-progress", "--no-update-notifier")
NPM = {"eslint": "8.57.1", "express": "4.21.2", "webpack": "5.97.1", "chalk": "4.1.2", "typescript": "5.6.3",
       "axios": "1.7.9"}  # fmt: skip
"""About 250 packages."""
PYPI = ("flask==3.0.3", "requests==2.32.3", "boto3==1.35.0", "pandas==2.2.3", "fastapi==0.115.0", "pydantic==2.9.2",
        "black==24.8.0", "pytest==8.3.3", "sqlalchemy==2.0.35", "celery==5.4.0", "httpx==0.27.2", "rich==13.8.1",
        "aiohttp==3.10.5")  # fmt: skip
"""About 65 packages."""
KNOWN = 1000
SHEET = "about: a change that concerns nobody\nextends: {}\nexpect:\n- write: [./nobody-writes-this]\n  why: a change\n"

Row = tuple[str, str]


def npm(runs: int) -> list[Row]:
    """A package-lock.json beside `npm ci` of it, npm's own cache warm."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text, "project")
        folder.mkdir()
        manifest = {"name": "measured", "version": "1.0.0", "dependencies": NPM}
        (folder / "package.json").write_text(json.dumps(manifest))
        _run(["npm", "install", "--package-lock-only", *NPM_FLAGS], folder)
        count = (folder / "package-lock.json").read_text().count('"node_modules/')

        def bare() -> None:
            shutil.rmtree(folder / "node_modules", ignore_errors=True)
            _run(["npm", "ci", "--prefer-offline", *NPM_FLAGS], folder)
            shutil.rmtree(folder / "node_modules")

        return _compared("npm", folder, count, bare, runs)


def pypi(runs: int) -> list[Row]:
    """A requirements.txt with hashes beside `pip install` of it into a new environment, pip's own cache warm."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text, "project")
        folder.mkdir()
        report = Path(text, "report.json")
        _run([*pip, "--dry-run", "--ignore-installed", "--report", str(report), *PYPI], folder)
        lines = []
        for one in json.loads(report.read_text())["install"]:
            hashed = one["download_info"]["archive_info"]["hashes"]["sha256"]
            lines.append(f"{one['metadata']['name']}=={one['metadata']['version']} --hash=sha256:{hashed}\n")
        (folder / "requirements.txt").write_text("".join(lines))

        def bare() -> None:
            place = Path(text, "target")
            shutil.rmtree(place, ignore_errors=True)
            _run([*pip, "--no-deps", "--require-hashes", "--target", str(place), "-r", "requirements.txt"], folder)

        return _compared("pypi", folder, len(lines), bare, runs)


def known(runs: int) -> list[Row]:
    """A lockfile of which everything is in the store. The packages are made up; their results are stored as a scan
    stores them."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text, "project")
        folder.mkdir()
        packages: dict[str, object] = {"": {"name": "measured", "version": "1.0.0"}}
        for number in range(KNOWN):
            digest = hashlib.sha512(str(number).encode()).digest()
            integrity = f"sha512-{msgspec.json.encode(digest).decode()[1:-1]}"
            packages[f"node_modules/made-up-{number}"] = {"version": "1.0.0", "integrity": integrity}
        lock = {"name": "measured", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}
        (folder / "package-lock.json").write_text(json.dumps(lock))
        store = Path(text, "store")
        _fill(store, folder)
        command = [sys.executable, "-m", "sandbox", "scan", "--quiet", "--store", str(store), str(folder)]
        seconds = [_timed(partial(_run, command, Path.cwd())) for _ in range(runs + 1)][1:]
    return [(f"a lockfile of {KNOWN} packages, scanned again", _middle(seconds))]


def _fill(folder: Path, project: Path) -> None:
    from sandbox import locked, scan, scan_items
    from sandbox.lock_search import find
    from sandbox.report import Coverage, PackageReport
    from sandbox.scan_memory import Memory
    from sandbox.settings import Settings
    from sandbox.store import Packed, Served, Store

    bench = scan._bench(Settings(store=folder), lambda _: None)
    memory = Memory(bench, lambda _: None)
    results = []
    for item in scan_items.collect(find([str(project)])[0], bench.registries).items.values():
        known = (bench.cache, bench.registries, bench.tools.toolchain)
        artifact = locked.light(item.target, *known) if item.target else None
        assert artifact is not None
        report = PackageReport(
            purl=artifact.purl, target=item.text, digest=artifact.digest, verdict="clean", coverage=Coverage()
        )
        results.append((memory.keys(artifact)[1], report, [Served("https://made-up.test/", artifact.digest)]))
    recording = Packed(persona="laptop", digest="0" * 64, size=0, content=b"")
    with Store.open(folder) as store:
        store.save_all(results, [recording], judge=memory.judge_key("npm"))


def _compared(ecosystem: str, project: Path, count: int, bare: Callable[[], None], runs: int) -> list[Row]:
    """Bare and scanned in turn, so that the machine's load is the same for both; then unchanged, and judged again."""
    store, sheets = project.parent / "store", project.parent / "sheets"
    base = [sys.executable, "-m", "sandbox", "scan", "--quiet", "--store", str(store)]
    found: dict[str, list[float]] = {"bare": [], "anew": [], "again": [], "judged": []}
    shares = []
    for run in range(runs + 1):
        sheet = sheets / f"{run}" / "packages" / ecosystem / "nobody.yaml"
        sheet.parent.mkdir(parents=True)
        sheet.write_text(SHEET.format(ecosystem))
        shutil.rmtree(store, ignore_errors=True)
        scan = partial(_run, [*base, str(project)], Path.cwd())
        other = partial(_run, [*base, "--profile", str(sheets / f"{run}"), str(project)], Path.cwd())
        works: dict[str, Callable[[], object]] = {"bare": bare, "anew": scan, "again": scan, "judged": other}
        seconds = {what: _timed(work) for what, work in works.items()}
        if run:  # the first warmed the caches
            shares.append(seconds["anew"] / (3 * seconds["bare"] + 0.1 * count))
            for what, one in seconds.items():
                found[what].append(one)
    named = f"{ecosystem}, {count} packages"
    rates = [count / one for one in found["judged"]]
    return [
        (f"{named}: installed bare, the tool's own cache warm", _middle(found["bare"])),
        (f"{named}: scanned, all anew", _middle(found["anew"])),
        (f"{named}: share of the limit (3 times bare + 0.1 s each)", _spread(shares, "")),
        (f"{named}: scanned again", _middle(found["again"])),
        (f"{named}: scanned again, profiles changed", f"{_middle(found['judged'])}, {_spread(rates, ' a second')}"),
    ]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _run(command: list[str], folder: Path) -> None:
    """Run to the end; a scan may also be inconclusive (5), which costs the same."""
    ended = subprocess.run(command, cwd=folder, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if ended.returncode not in (0, 5):
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr.decode()[-2000:]}")


def _middle(seconds: list[float]) -> str:
    return _spread(seconds, " s")


def _spread(figures: list[float], unit: str) -> str:
    return f"{statistics.median(figures):.2f}{unit} ({min(figures):.2f} - {max(figures):.2f})"
