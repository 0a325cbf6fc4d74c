"""Finds what a folder offers: one file, one object. The file's name is the id that users type."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any


@cache
def load(folder: str, attribute: str) -> dict[str, Any]:
    """The object called `attribute` of every module in the package `sandbox.<folder>`, by module name, sorted.

    A module without it is a mistake of ours, and raises AttributeError: nothing is skipped in silence.
    """
    found: dict[str, Any] = {}
    for name in modules(folder):
        module = importlib.import_module(f"sandbox.{folder}.{name}")
        if name.startswith("_"):
            continue
        found[name] = getattr(module, attribute)
    return found


def count(folder: str) -> int:
    """How many objects `load` would find, without importing them."""
    return sum(not name.startswith("_") for name in modules(folder))


def modules(folder: str) -> list[str]:
    """The names of the modules in the package `sandbox.<folder>`, sorted."""
    package = importlib.import_module(f"sandbox.{folder}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))
