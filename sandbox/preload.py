"""Imports what is needed later while there is something to wait for."""

from __future__ import annotations

import importlib
import threading
from contextlib import suppress

from sandbox import discovery


def preload(*names: str) -> threading.Thread:
    """Import these modules of `sandbox`, and all in those that are folders, on a thread of their own. What fails there
    fails again where it is needed, and is told there."""

    def work() -> None:
        with suppress(Exception):
            for name in names:
                module = importlib.import_module(f"sandbox.{name}")
                for part in discovery.modules(name) if hasattr(module, "__path__") else []:
                    importlib.import_module(f"sandbox.{name}.{part}")

    thread = threading.Thread(target=work, name="preload", daemon=True)
    thread.start()
    return thread
