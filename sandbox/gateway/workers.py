"""Runs blocking work for an event loop in a few daemon threads.

Not `asyncio.to_thread`: its threads are waited for when Python exits, and one that waits for a registry
would keep Ctrl-C waiting as long.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")
_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Workers:
    """At most `count` threads, started as they are needed. Equal work asked for at the same time is done once."""

    def __init__(self, count: int = 8) -> None:
        self._count = count
        self._threads = 0
        self._closed = False
        self._idle = threading.Semaphore(0)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._under_way: dict[str, asyncio.Future[Any]] = {}

    async def once(self, key: str, work: Callable[[], Result]) -> Result:
        """The result of `work`, or of the equal work (by `key`) that is under way. Raises what it raises."""
        running = self._under_way.get(key)
        if running is None:
            running = self._start(work)
            self._under_way[key] = running
            running.add_done_callback(lambda done: self._finished(key, done))
        result: Result = await asyncio.shield(running)
        return result

    def close(self) -> None:
        """Let the threads end when they are idle. Work asked for afterwards is done at once, in the loop's own
        thread: by then it should be short."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)

    def _start(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._closed:
            _settle(future, *_outcome(work))
            return future
        self._jobs.put((loop, future, work))
        if not self._idle.acquire(blocking=False) and self._threads < self._count:
            self._threads += 1
            threading.Thread(target=self._run, name="registry", daemon=True).start()
        return future

    def _finished(self, key: str, done: asyncio.Future[Any]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()  # asked for, so that nobody waiting for it is no warning

    def _run(self) -> None:
        while job := self._jobs.get():
            loop, future, work = job
            result, error = _outcome(work)
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(_settle, future, result, error)
            self._idle.release()


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # belongs to who asked, in the loop's own thread
        return None, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
