"""Blocking work for an event loop: done once, its errors passed on, nothing waited for in the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from sandbox.gateway.workers import Workers


def test_results_and_errors_come_back() -> None:
    async def run() -> None:
        workers = Workers()
        assert await workers.once("a", lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await workers.once("b", lambda: 1 // 0)
        assert await workers.once("b", lambda: 8) == 8
        workers.close()

    asyncio.run(run())


def test_equal_work_is_done_once_and_threads_are_bounded() -> None:
    names: set[str] = set()
    done: list[int] = []

    def work(number: int) -> int:
        names.add(str(threading.get_ident()))
        time.sleep(0.01)
        done.append(number)
        return number

    async def run() -> None:
        workers = Workers(count=3)
        asks = [workers.once(str(number % 10), lambda number=number: work(number % 10)) for number in range(40)]
        assert await asyncio.gather(*asks) == [number % 10 for number in range(40)]
        workers.close()

    asyncio.run(run())
    assert sorted(done) == list(range(10))
    assert len(names) <= 3


def test_one_thread_serves_one_after_the_other() -> None:
    async def run() -> None:
        workers = Workers()
        for number in range(20):
            await workers.once(str(number), lambda: None)
            await asyncio.sleep(0.001)
        assert workers._threads <= 2

    asyncio.run(run())


def test_python_does_not_wait_for_work_under_way() -> None:
    code = (
        "import asyncio, time; from sandbox.gateway.workers import Workers\n"
        "async def run():\n"
        "    task = asyncio.ensure_future(Workers().once('x', lambda: time.sleep(60)))\n"
        "    await asyncio.sleep(0.1)\n"
        "    task.cancel()\n"
        "asyncio.run(run())\n"
    )
    started = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
    assert time.monotonic() - started < 20
