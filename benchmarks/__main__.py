"""Measure everything, or the measurements named: `python -m benchmarks [--runs N] [NAME ...]`."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import guests, scans
from benchmarks.guests import guest, timed
from sandbox import process
from sandbox.gateway.policy import RegistryAnswer
from sandbox.targets import EcosystemName

NPM_PROJECT = b'{"name": "measured", "version": "1.0.0", "dependencies": {"eslint": "8.57.1", "express": "4.21.2"}}'
"""A lock file of about 170 packages, without install scripts."""
PANDAS = "pandas==2.2.3"
BIG = 400 * 1024 * 1024
NPM_FLAGS = ("--no-audit", "--no-fund", "--no-progress", "--no-update-notifier")

Row = tuple[str, str]


def ratios(pairs: list[tuple[float, float]]) -> str:
    """The median of the paired ratios, and their range."""
    found = sorted(first / second for first, second in pairs)
    return f"{statistics.median(found):.2f} ({found[0]:.2f} - {found[-1]:.2f})"


def middle(seconds: list[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} - {max(seconds):.2f})"


def guest_start(runs: int) -> list[Row]:
    """From nothing to a guest with all bait planted and watched."""
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        with guest("npm", {}, traced=True):
            seconds.append(time.perf_counter() - began)
    return [("guest start, bait planted and watched", middle(seconds[1:]))]


def npm_ci(runs: int) -> list[Row]:
    """`npm ci` of a locked project: traced, untraced in the same kind of guest, and bare on the host."""
    tools = guests.tools()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "package.json").write_bytes(NPM_PROJECT)
        quietly(["npm", "install", "--package-lock-only", *NPM_FLAGS], folder)
        lock = (folder / "package-lock.json").read_bytes()
        files = {"package.json": NPM_PROJECT, "package-lock.json": lock}
        command = [tools.node, tools.npm_cli, "ci", *NPM_FLAGS]
        pairs, bare = in_guests("npm", files, command, runs), []
        quietly(["npm", "ci", *NPM_FLAGS], folder)  # warms npm's own cache, which the bare run then uses
        for _ in range(runs):
            shutil.rmtree(folder / "node_modules", ignore_errors=True)
            began = time.perf_counter()
            quietly(["npm", "ci", "--prefer-offline", *NPM_FLAGS], folder)
            bare.append(time.perf_counter() - began)
    count = lock.count(b'"node_modules/')
    return compared(f"npm ci, {count} packages", pairs, bare)


def pip_install(runs: int) -> list[Row]:
    """`pip install pandas`: traced, untraced in the same kind of guest, and bare on the host."""
    tools = guests.tools()
    flags = ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--only-binary=:all:"]
    command = ["/home/dev/project/.venv/bin/python", tools.pip, "install", *flags, "--no-cache-dir", PANDAS]
    pairs, bare = in_guests("pypi", {}, command, runs), []
    with tempfile.TemporaryDirectory() as text:
        for number in range(runs + 1):  # the first warms pip's own cache
            where = str(Path(text, str(number)))
            began = time.perf_counter()
            quietly([sys.executable, "-m", "pip", "install", "-q", *flags, "--target", where, PANDAS], Path(text))
            bare.append(time.perf_counter() - began)
    return compared(f"pip install {PANDAS}", pairs, bare[1:])


def in_guests(
    ecosystem: EcosystemName, files: dict[str, bytes], command: list[str], runs: int
) -> list[tuple[float, float]]:
    """Seconds of the same command (traced, untraced), in turn, each in a guest of its own."""
    pairs = []
    for _ in range(runs + 1):
        found = []
        for traced in (True, False):
            with guest(ecosystem, files, traced=traced) as prepared:
                found.append(timed(prepared, command))
        pairs.append((found[0], found[1]))
    return pairs[1:]  # the first filled the mirror's cache


def compared(what: str, pairs: list[tuple[float, float]], bare: list[float]) -> list[Row]:
    """Rows of a three-way comparison."""
    traced, untraced = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return [
        (f"{what}: traced", middle(traced)),
        (f"{what}: same guest, untraced", middle(untraced)),
        (f"{what}: bare, the tool's own cache warm", middle(bare)),
        (f"{what}: traced to untraced, pair by pair", ratios(pairs)),
    ]


def check(runs: int) -> list[Row]:
    """The whole command, registry cache warm."""
    rows = []
    for target in ("npm:left-pad@1.3.0", "pypi:six==1.17.0"):
        seconds = []
        for _ in range(runs + 1):
            began = time.perf_counter()
            quietly([sys.executable, "-m", "sandbox.cli", "check", "--quiet", "--no-cache", target], Path.cwd())
            seconds.append(time.perf_counter() - began)
        rows.append((f"baitbox check {target}, whole", middle(seconds[1:])))
    return rows


class _BigFile:
    """A registry that has one large file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def serves(self, host: str, port: int) -> bool:
        return host == "files.test" and port == 443

    async def answer(self, method: str, host: str, target: str, headers: object) -> RegistryAnswer:
        del method, host, target, headers
        length = ("Content-Length", str(BIG))
        return RegistryAnswer(status=200, headers=(length, ("Content-Type", "application/gzip")), body=self._path)

    def close(self) -> None:
        """Nothing to give up."""


def throughput(runs: int) -> list[Row]:
    """A large file over TLS through the gateway into a guest, which throws it away."""
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "big")
        path.write_bytes(os.urandom(1024 * 1024) * (BIG // 1024 // 1024))
        for _ in range(runs):
            with guest("npm", {}, traced=True, registry=_BigFile(path)) as prepared:
                seconds = timed(prepared, ["/usr/bin/curl", "-sf", "-o", "/dev/null", "https://files.test/big"])
            rates.append(BIG / seconds / 1e6)
    text = f"{statistics.median(rates):.0f} MB/s ({min(rates):.0f} - {max(rates):.0f})"
    return [(f"a file of {BIG // 1024 // 1024} MiB into a guest, over TLS", text)]


def quietly(argv: list[str], folder: Path) -> None:
    """Run a command on the host; RuntimeError with what it said where it fails."""
    done = process.run(argv, 600, cwd=folder)
    if done.code:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.decode(errors='replace')[-400:]}")


MEASUREMENTS: dict[str, Callable[[int], list[Row]]] = {
    "start": guest_start, "check": check, "npm": npm_ci, "pip": pip_install, "throughput": throughput,
    "scan-npm": scans.npm,
    "scan-pypi": scans.pypi,
    "scan-known": scans.known,
}  # fmt: skip


def main() -> None:
    """Print a Markdown table, row by row as they come."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], metavar="NAME")
    options = parser.parse_args()
    print("| what | median (range) |\n| --- | --- |", flush=True)
    for name in options.names or MEASUREMENTS:
        for what, figure in MEASUREMENTS[name](options.runs):
            print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    if not sys.platform.startswith("linux"):
        sys.exit("guests need Linux")
    main()
