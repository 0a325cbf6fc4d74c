"""The rule that CI rests on: with BAITBOX_REQUIRE, a guest test that did not run is a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sandbox import process

ROOT = Path(__file__).parent.parent
SKIPS = "import pytest\n@pytest.mark.native\ndef test_guest():\n    pytest.skip('no guest')\n"
PASSES = "import pytest\n@pytest.mark.native\ndef test_guest():\n    pass\n"
OTHER = "def test_other():\n    pass\n"


@pytest.mark.parametrize(
    ("content", "require", "ends_well"),
    [
        (SKIPS, "", True),
        (SKIPS, "native", False),
        (SKIPS, "registry", False),
        (PASSES, "native", True),
        (OTHER, "native", False),
        (OTHER, "", True),
    ],
)
def test_required_marks(tmp_path: Path, content: str, require: str, ends_well: bool) -> None:
    # Only what this test is about: whether this machine can make a guest does not matter to it.
    conftest = (ROOT / "tests" / "conftest.py").read_text() + "\nnative_problem = registry_problem = lambda: ''\n"
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_planted.py").write_text(content)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    native: x\n    registry: x\n")
    done = process.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        timeout=60,
        env={**os.environ, "BAITBOX_REQUIRE": require},
        cwd=tmp_path,
    )
    assert (done.code == 0) is ends_well, done.stdout.decode()
