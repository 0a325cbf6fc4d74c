"""The warden, the C program that supervises a guest, and the host's side of its byte stream."""

from __future__ import annotations

from pathlib import Path

PROGRAM = Path(__file__).parent / "warden"
