"""Databases and binary containers: real SQLite files, and opaque ones with a mark inside that can be
recognised."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from sandbox.bait import Draw
from sandbox.decoys._tokens import BASE62, noise

Row = tuple[str, tuple[object, ...]]
"""A table's name and one row of values for it."""


def mark(draw: Draw) -> str:
    """28 characters to stand in binary content: the content leaves whole or not at all, and this tells it."""
    return draw.text(BASE62, 28)


def opaque(draw: Draw, magic: bytes, length: int, inside: str) -> bytes:
    """What nobody can open: `magic`, then about `length` random bytes with `inside` among them."""
    body = noise(draw, max(length, 64))
    middle = len(body) // 2
    return magic + body[:middle] + inside.encode() + body[middle:]


def database(schema: str, rows: Iterable[Row]) -> bytes:
    """A SQLite database file with this schema and these rows."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA page_size = 2048")
        connection.executescript(schema)
        for table, values in rows:
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
        connection.commit()
        return connection.serialize()
