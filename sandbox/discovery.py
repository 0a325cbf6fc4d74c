"""Finds what a folder offers: one file, one object. The file's name is the id that users type."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from contextlib import suppress
from functools import cache
from typing import Any


@cache
def load(folder: str, attribute: str) -> dict[str, Any]:
    """The object called `attribute` of every module in the package `sandbox.<folder>`, by module name, sorted.

    A module without it is a mistake of ours, and raises AttributeError: nothing is skipped in silence.
    """
    found: dict[str, Any] = {}
    for name in _modules(folder):
        module = importlib.import_module(f"sandbox.{folder}.{name}")
        if name.startswith("_"):
            continue
        found[name] = getattr(module, attribute)
    return found


def in_advance(*names: str) -> None:
    """Import these modules of `sandbox`, and all in those that are folders, on a thread of their own: for what is
    needed when a wait is over. What fails there fails again where it is needed, and is told there."""

    def work() -> None:
        with suppress(Exception):
            for name in names:
                module = importlib.import_module(f"sandbox.{name}")
                for part in _modules(name) if hasattr(module, "__path__") else []:
                    importlib.import_module(f"sandbox.{name}.{part}")

    threading.Thread(target=work, name="in advance", daemon=True).start()


def count(folder: str) -> int:
    """How many objects `load` would find, without importing them."""
    return sum(not name.startswith("_") for name in _modules(folder))


def _modules(folder: str) -> list[str]:
    package = importlib.import_module(f"sandbox.{folder}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))
