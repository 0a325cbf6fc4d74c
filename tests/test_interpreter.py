"""A Python describes its base installation, never a virtual environment, and also when it is run as a script."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import packaging

from sandbox import interpreter, process


def test_it_describes_the_base_and_not_the_environment() -> None:
    found = interpreter.describe()
    base = os.path.realpath(sys.base_prefix)
    assert found["prefix"] == base
    assert str(found["executable"]).startswith(base)
    assert (Path(str(found["stdlib"])) / "os.py").is_file()
    library = str(found["library"])
    assert library == "" or Path(library).is_file()
    packages = found["packages"]
    assert isinstance(packages, list)
    assert all(str(path).startswith(base) for path in packages)


def test_as_a_script_it_says_the_same() -> None:
    folder = str(Path(packaging.__file__).parent.parent)
    base = getattr(sys, "_base_executable", sys.executable)
    done = process.run([base, "-I", interpreter.__file__, folder], timeout=30)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout) == interpreter.describe()
