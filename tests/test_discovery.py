"""One file, one object: found by its name, and never skipped in silence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox
from sandbox import discovery
from sandbox.preload import preload


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that can be loaded as `sandbox.planted`."""
    made = tmp_path / "planted"
    made.mkdir()
    (made / "__init__.py").write_text("")
    monkeypatch.setattr(sandbox, "__path__", [*sandbox.__path__, str(tmp_path)])
    discovery.load.cache_clear()
    yield made
    discovery.load.cache_clear()
    for name in [name for name in sys.modules if name.startswith("sandbox.planted")]:
        del sys.modules[name]


def test_each_file_offers_one_object_under_its_name(folder: Path) -> None:
    (folder / "zebra.py").write_text("THING = 2")
    (folder / "ant.py").write_text("THING = 1")
    assert list(discovery.load("planted", "THING").items()) == [("ant", 1), ("zebra", 2)]


def test_files_with_an_underscore_are_what_the_others_share(folder: Path) -> None:
    (folder / "_shared.py").write_text("")
    (folder / "ant.py").write_text("from sandbox.planted import _shared\nTHING = 1")
    assert list(discovery.load("planted", "THING")) == ["ant"]


def test_a_file_without_the_object_is_an_error(folder: Path) -> None:
    (folder / "ant.py").write_text("")
    with pytest.raises(AttributeError, match="THING"):
        discovery.load("planted", "THING")


def test_a_file_that_cannot_be_imported_is_an_error(folder: Path) -> None:
    (folder / "ant.py").write_text("import there_is_no_such_module")
    with pytest.raises(ModuleNotFoundError):
        discovery.load("planted", "THING")


def test_files_are_counted_without_being_imported(folder: Path) -> None:
    (folder / "_shared.py").write_text("")
    (folder / "ant.py").write_text("import there_is_no_such_module")
    (folder / "zebra.py").write_text("THING = 2")
    assert discovery.count("planted") == 2
    assert discovery.count("rules") == len(discovery.load("rules", "RULE"))


def test_what_is_preloaded_is_there_when_it_is_asked_for_and_fails_only_then(folder: Path) -> None:
    (folder / "ant.py").write_text("THING = 1")
    (folder / "bee.py").write_text("raise ImportError('broken')")
    preload("planted").join(10)
    assert "sandbox.planted.ant" in sys.modules
    with pytest.raises(ImportError, match="broken"):
        discovery.load("planted", "THING")
