"""Members of decoded values, whatever their type is: a hostile file puts a list where a text belongs."""

from __future__ import annotations

from typing import Any


def text(value: dict[str, Any], key: str) -> str:
    """A member that is a string; the empty string for anything else."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def strings(value: dict[str, Any], key: str) -> list[str]:
    """A member that is a list of strings, or one string."""
    found = value.get(key)
    if isinstance(found, str):
        return [found]
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def names_of(value: dict[str, Any], key: str) -> list[str]:
    """The keys of a member that is an object."""
    found = value.get(key)
    return list(found) if isinstance(found, dict) else []
