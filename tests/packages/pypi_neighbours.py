"""Honest PyPI distributions that do what a thief does for good reasons: every one must come out clean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Literal

from tests.packages import build
from tests.packages.fixture import Built, Fixture
from tests.packages.npm_neighbours import CLEAN, DOTENV_PROFILE
from tests.packages.pypi_thieves import in_tree_sdist


def _neighbour(
    name: str,
    package: str,
    why: str,
    make: Callable[[Path], Built],
    *,
    profile: str = "",
    needs: tuple[Literal["index", "compiler"], ...] = (),
) -> Fixture:
    """A distribution that must come out clean."""
    return Fixture(
        name=name, ecosystem="pypi", kind="neighbour", package=package, build=make, why=why, expect=CLEAN,
        profile=dedent(profile).lstrip("\n"), needs=needs,
    )  # fmt: skip


def _wheel(
    package: str, files: Mapping[str, str], scripts: Mapping[str, str] | None = None
) -> Callable[[Path], Built]:
    """A wheel of these files."""
    whole = {path: dedent(content).lstrip("\n") for path, content in files.items()}
    return lambda folder: Built(target=build.wheel(folder, package, whole, scripts=scripts))


def _c_extension(folder: Path) -> Built:
    setup = (
        "from setuptools import Extension, setup\n\n"
        'setup(name="quick-mean", version="1.0.0", packages=["quick_mean"],\n'
        '      ext_modules=[Extension("quick_mean._mean", ["quick_mean/_mean.c"])])\n'
    )
    system = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    files: build.Files = {
        "setup.py": setup,
        "pyproject.toml": system,
        "quick_mean/__init__.py": "from quick_mean._mean import mean\n",
        "quick_mean/_mean.c": (build.C_SOURCES / "mean.c").read_bytes(),
    }
    return Built(target=build.sdist(folder, "quick-mean", files))


def _setuptools_sdist(folder: Path) -> Built:
    call = 'setup(name="plain-rows", version="1.0.0", packages=["plain_rows"])\n'
    files = {"setup.py": f"from setuptools import setup\n\n{call}", "plain_rows/__init__.py": ""}
    return Built(target=build.sdist(folder, "plain-rows", files))


def _pure_sdist(folder: Path) -> Built:
    return Built(target=in_tree_sdist(folder, "tidy_table", {"tidy_table/__init__.py": "WIDTH = 80\n"}))


_HOOK = """
    import sys
    from importlib.abc import MetaPathFinder


    class Finder(MetaPathFinder):
        def find_spec(self, fullname, path=None, target=None):
            return None


    sys.meta_path.append(Finder())
"""

_LOCALE = """
    import locale
    import time
    import uuid

    locale.setlocale(locale.LC_ALL, "")
    TODAY = time.strftime("%x")
    RUN = uuid.uuid1()
"""

_OWN_CONFIG = """
    import json
    import os
    import sys


    def settings():
        base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        try:
            with open(os.path.join(base, "page-lint", "config.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {"width": 100}


    def main():
        print("usage: page-lint [--help]" if len(sys.argv) > 1 else settings()["width"])
"""

_WORKERS = """
    import subprocess
    import sys
    import threading

    total = []
    threads = [threading.Thread(target=total.append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    VERSION = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.version)"], capture_output=True, check=True, text=True
    ).stdout
"""

_SERVER = """
    import threading
    import urllib.request
    from http.server import BaseHTTPRequestHandler, HTTPServer


    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ready")

        def log_message(self, *words):
            pass


    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=5) as answer:
            READY = answer.read() == b"ready"
"""

_SYSTEM = """
    import os
    import platform
    import subprocess

    with open("/proc/cpuinfo", encoding="utf-8") as file:
        PROCESSORS = sum(line.startswith("processor") for line in file)
    KERNEL = subprocess.run(["uname", "-a"], capture_output=True, text=True, check=True).stdout.strip()
    NODE, SYSTEM, COUNT = platform.node(), platform.platform(), os.cpu_count()
"""

_TELEMETRY = """
    import json
    import os
    import urllib.request


    def agreed():
        if os.environ.get("DO_NOT_TRACK") or os.environ.get("CI"):
            return False
        try:
            with open(os.path.expanduser("~/.config/frame-kit/telemetry.json"), encoding="utf-8") as file:
                return json.load(file).get("agreed") is True
        except (OSError, ValueError):
            return False


    if agreed():
        urllib.request.urlopen("https://telemetry.frame-kit.test/v1", data=b"loaded", timeout=2)
"""

_DOTENV = """
    import os


    def load(path=".env"):
        try:
            with open(os.path.join(os.getcwd(), path), encoding="utf-8") as file:
                return dict(line.strip().split("=", 1) for line in file if "=" in line)
        except OSError:
            return {}


    LOADED = len(load())
"""

NEIGHBOURS = [
    _neighbour(
        "pypi-locale", "house-dates", "it speaks the user's language, and numbers its runs (uuid1)",
        _wheel("house-dates", {"house_dates/__init__.py": _LOCALE}),
    ),
    _neighbour(
        "pypi-c-extension", "quick-mean", "an sdist whose C extension setuptools compiles",
        _c_extension, needs=("index", "compiler"),
    ),
    _neighbour(
        "pypi-setuptools-sdist", "plain-rows", "an sdist with a plain setup.py",
        _setuptools_sdist, needs=("index",),
    ),
    _neighbour("pypi-pure-sdist", "tidy-table", "an sdist that brings its own build backend", _pure_sdist),
    _neighbour(
        "pypi-pth-path", "plug-folder", "a .pth that adds a folder to the path, as namespace packages do",
        _wheel("plug-folder", {"plug_folder.pth": "plug_folder/plugs\n", "plug_folder/__init__.py": "",
                               "plug_folder/plugs/plug_first.py": "NAME = 'first'\n"}),
    ),
    _neighbour(
        "pypi-pth-hook", "import-watch", "a .pth that installs an import hook, as editable installs do",
        _wheel("import-watch", {"import_watch.pth": "import _import_watch\n", "_import_watch.py": _HOOK,
                                "import_watch/__init__.py": ""}),
    ),
    _neighbour(
        "pypi-own-config", "page-lint", "its command looks for its own settings in ~/.config",
        _wheel("page-lint", {"page_lint/__init__.py": "", "page_lint/command.py": _OWN_CONFIG},
               {"page-lint": "page_lint.command:main"}),
    ),
    _neighbour(
        "pypi-workers", "four-threads", "threads, and a `python -c` of its own",
        _wheel("four-threads", {"four_threads/__init__.py": _WORKERS}),
    ),
    _neighbour(
        "pypi-local-server", "ready-check", "starts an HTTP server on the loopback address and calls it",
        _wheel("ready-check", {"ready_check/__init__.py": _SERVER}),
    ),
    _neighbour(
        "pypi-system", "host-facts", "reads /proc/cpuinfo and asks uname, as numerical packages do",
        _wheel("host-facts", {"host_facts/__init__.py": _SYSTEM}),
    ),
    _neighbour(
        "pypi-telemetry", "frame-kit", "asks whether telemetry was agreed to; it was not",
        _wheel("frame-kit", {"frame_kit/__init__.py": _TELEMETRY}),
    ),
    _neighbour(
        "pypi-dotenv", "env-rows", "reads the project's own .env, as python-dotenv does",
        _wheel("env-rows", {"env_rows/__init__.py": _DOTENV}), profile=DOTENV_PROFILE,
    ),
]  # fmt: skip
