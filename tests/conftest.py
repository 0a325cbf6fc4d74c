"""What every test may rely on: marks that skip where a machine cannot run them, and that fail where it must.

`BAITBOX_REQUIRE=native,registry` (CI sets it) turns a skip of a test with such a mark into a failure, and so is a run
in which no test with that mark passed: a green run then means that real guests ran.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # the machine may be busy; that is nobody's mistake
settings.load_profile("unhurried")

NEEDS = ("native", "docker", "registry", "browser")
passed: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are written anew where that is asked for; look at the difference before you commit it."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a whole text with a golden file."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        # Without the translation of line ends, which are part of what is compared.
        assert path.read_bytes().decode("utf-8") == text, f"{path} differs: look, then run pytest --update-golden"

    return compare


def required() -> set[str]:
    """The marks whose tests may not be skipped in this run."""
    return {mark for mark in os.environ.get("BAITBOX_REQUIRE", "").split(",") if mark}


@pytest.fixture(autouse=True, scope="session")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """No test takes a result from the user's own store, or leaves one there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@cache
def native_problem() -> str:
    """Why no guest can be made here; empty where one can."""
    from sandbox import doctor

    with tempfile.TemporaryDirectory() as cache_folder:
        checks = doctor.examine(Path(cache_folder))
    failed = [f"{check.name}: {check.detail}" for check in checks if check.needed and not check.ok]
    return "; ".join(failed)


@cache
def docker_problem() -> str:
    """Why no container can be made here; empty where one can. The runner image is not built for the tests alone."""
    from sandbox import containers, images
    from sandbox.backends.docker import BACKEND
    from sandbox.settings import load

    problem = BACKEND.missing()
    if problem is not None:
        return problem[0]
    wanted = load({}, os.environ, Path("/")).image or images.tag()
    with containers.client() as api:
        try:
            api.inspect_image(wanted)
        except containers.failures():
            return f"there is no image {wanted}: run `baitbox image build`"
    return ""


@cache
def registry_problem() -> str:
    """Why the configured registries cannot be reached; empty where they can."""
    from sandbox.registries import registry_settings

    registries = registry_settings().all()
    if not registries:
        return "no registry is set up"
    for registry in registries:
        parts = urlsplit(registry.url)
        through = urlsplit(urllib.request.getproxies().get(parts.scheme, registry.url))
        try:
            port = through.port or (80 if through.scheme == "http" else 443)
            socket.create_connection((through.hostname or "", port), timeout=5).close()
        except OSError as error:
            return f"a registry cannot be reached: {error}"
    return ""


@cache
def browser_problem() -> str:
    """Why no headless Chromium can be driven here; empty where one can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (apt-get install chromium chromium-driver)" if missing else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run."""
    problems = {
        "native": native_problem, "docker": docker_problem, "registry": registry_problem, "browser": browser_problem,
    }  # fmt: skip
    for mark in NEEDS:
        if item.get_closest_marker(mark) is not None and (problem := problems[mark]()):
            pytest.skip(f"{mark}: {problem}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Make a failure of a skip that is not allowed."""
    report = yield
    marks = {mark for mark in NEEDS if item.get_closest_marker(mark) is not None}
    if report.skipped and not hasattr(report, "wasxfail") and marks & required():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must not be skipped here (BAITBOX_REQUIRE): {report.longrepr}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what passed: here and not where the report is made, which may be another process (pytest-xdist)."""
    if report.when == "call" and report.passed:
        passed.update(mark for mark in NEEDS if mark in report.keywords)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in which nothing with a required mark passed: it may have been deselected or not collected."""
    worker = hasattr(session.config, "workerinput")
    if exitstatus == 0 and missing_marks() and not worker and not session.config.option.collectonly:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which required mark no test passed for."""
    for mark in missing_marks():
        terminalreporter.write_line(f"ERROR: BAITBOX_REQUIRE names {mark}, and no test with that mark passed")


def missing_marks() -> list[str]:
    """Required marks for which nothing passed."""
    return [mark for mark in sorted(required()) if not passed[mark]]
