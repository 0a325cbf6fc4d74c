"""The lines of a file that may be gzipped, as the store keeps its recordings. Somebody else's could be a bomb."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader

MOST = 1024**3
"""Bytes of a gzipped file's content."""
LONGEST_FIRST = 16 * 1024 * 1024
"""Bytes of the first line that are read before anything is known of the file; the rest counts as another line."""


def lines(file: BufferedReader) -> Iterator[bytes]:
    """Its lines. Raises ValueError for damaged gzip data, and for too much of them."""
    if file.peek(2)[:2] != b"\x1f\x8b":
        yield file.readline(LONGEST_FIRST)
        yield from file
        return
    left, longest = MOST, LONGEST_FIRST
    try:
        with gzip.GzipFile(fileobj=file) as unpacking:
            while line := unpacking.readline(min(longest, left + 1)):
                left, longest = left - len(line), MOST
                if left < 0:
                    raise ValueError(f"it holds more than {MOST // 1024**2} MiB")
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"its gzip data are damaged: {error}") from None
