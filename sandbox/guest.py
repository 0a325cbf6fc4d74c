"""A running guest, as the pipeline uses it: plant, run a phase, look, end. Synchronous; the link does the I/O."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Literal, TypeVar

import msgspec

from sandbox import events, plan
from sandbox.backends import Running
from sandbox.errors import BackendError
from sandbox.link import Internet, Link
from sandbox.recorder import Recorder
from sandbox.warden import frames
from sandbox.warden.frames import Host, Put, Text, Warden

Value = TypeVar("Value")

START_SECONDS = 20.0
ALIVE_SECONDS = 10.0
CALL_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""How long the warden may take to answer before the guest counts as hung."""
SHORTEST_TIMER, LONGEST_TIMER = 8.1, 20.0
"""Seconds. V8 tidies up 8 s after it was last busy, so that is what most idle servers seem to wait for; a longer wait
is that of one that looks after its connections."""


class Outcome(msgspec.Struct, frozen=True):
    """How a phase ended (see `events.PhaseEnded`)."""

    status: Literal["exited", "killed", "timeout", "failed"]
    code: int = 0
    seconds: float = 0.0
    refused: str = ""
    """Why it was never started, where it was not."""


class Survivor(msgspec.Struct, frozen=True):
    """A process that is still alive. `waits`: seconds after which its event loop goes on by itself, as it asked for
    when it began to wait; 0 where it waits for something else."""

    process: int
    exe: str
    argv: list[str]
    waits: float = 0.0


class GuestGoneError(BackendError):
    """The guest died or hangs in the middle of a run. What was seen before stands in the recording, and counts."""


class LoopThread:
    """An asyncio loop on a thread of its own; `call` runs a function there and gives its result here."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="gateway", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], Value]) -> Value:
        """Run `work()` on the loop's thread and wait for its result. Raises GuestGoneError where that takes too long:
        what a guest sent may keep the thread busy, but not for ever."""

        async def run() -> Value:
            return work()

        try:
            return asyncio.run_coroutine_threadsafe(run(), self.loop).result(CALL_SECONDS)
        except Late:
            raise GuestGoneError(f"the gateway was busy for more than {CALL_SECONDS:.0f} s") from None

    def close(self) -> None:
        """Stop the loop; what is still under way there is dropped."""

        def stop() -> None:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(stop)
        self._thread.join(GRACE_SECONDS)
        if not self._thread.is_alive():
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()


class Guest:
    """One guest, from the moment its stream is open. The backend's `stop` ends it however it is. `traced` is
    false only in benchmarks, which need the same guest without its syscall sensor."""

    def __init__(
        self,
        loop: LoopThread,
        running: Running,
        recorder: Recorder,
        internet: Internet,
        watched: list[tuple[str, str]],
        limits: plan.Limits,
        *,
        traced: bool = True,
    ) -> None:
        self._traced = traced
        self._loop = loop
        self._recorder = recorder
        self._limits = limits
        self._stop = running.stop
        self._numbers = itertools.count(1)
        self._watched = watched
        running.stream.setblocking(False)
        self._link = Link(recorder, internet, watched, running.unwrap)

        async def connect() -> Future[bytes]:
            ready = self._link.expect(Warden.READY, 0)
            loop.loop.call_later(ALIVE_SECONDS, self._say_alive)
            await loop.loop.create_connection(lambda: self._link, sock=running.stream)
            return ready

        ready = asyncio.run_coroutine_threadsafe(connect(), loop.loop).result(START_SECONDS)
        try:
            self._wait(ready, START_SECONDS, "start")
        except BackendError as error:
            self._settle()
            refused = "this kernel or system forbids namespaces or has too few" if "refused" in str(error) else ""
            said = [part for part in (error.hint, refused, "`baitbox doctor` says what to do") if part]
            raise BackendError(str(error), "; ".join(said)) from None

    def _say_alive(self) -> None:
        """A warden far away cannot tell a silent host from one that is gone."""
        if not self._link.gone:
            self._link.send(Host.ALIVE)
            self._loop.loop.call_later(ALIVE_SECONDS, self._say_alive)

    def _wait(self, future: Future[bytes], seconds: float, what: str) -> bytes:
        try:
            return future.result(seconds)
        except Late:
            raise GuestGoneError(f"the guest did not {what} within {seconds:.0f} s", self._stop()) from None
        except ConnectionError as error:
            raise GuestGoneError(f"the guest could not {what}: {error}", self._stop()) from None

    def _ask(
        self, kind: Host, answer: Warden, payload: bytes, what: str, seconds: float = GRACE_SECONDS
    ) -> bytes:
        identity = next(self._numbers)

        def send() -> Future[bytes]:
            future = self._link.expect(answer, identity)
            self._link.send(kind, identity, payload)
            return future

        return self._wait(self._loop.call(send), seconds, what)

    def prepare(self, puts: list[Put], cpus: int, loopback: list[int]) -> None:
        """Plant everything, watch the decoys and seal the system's configuration.

        Raises BackendError where the guest is gone; a file that could not be planted is a lost sensor in the
        recording, so that the run cannot be clean.
        """
        limits = self._limits
        parts = [
            frames.pack_plan(
                limits.sleep, limits.processes, limits.open_files, cpus, limits.memory, limits.disk
            )
        ]
        parts += [frames.pack(Host.LOOPBACK, port) for port in loopback]
        if not self._traced:
            parts += [frames.pack(Host.LISTEN, port) for port in (53, 80, 443)]
        for put in puts:
            parts += frames.pack_put(put)
        parts += [
            frames.pack(Host.WATCH, number, path.encode()) for number, (_, path) in enumerate(self._watched)
        ]
        self._loop.call(lambda: self._link.send_raw(b"".join(parts)))
        self._ask(Host.SEAL, Warden.READY, b"", "be prepared", START_SECONDS)
        for sensor in ("syscalls", "network", "witness", "gateway")[not self._traced :]:
            self._recorder.add(events.SensorStarted, sensor=sensor)

    def run(self, phase: plan.Phase, environment: dict[str, str], cwd: str) -> Outcome:
        """Run a phase to its end or its limit. A guest that dies meanwhile makes the phase `failed`. Several threads
        may run one each where the recorder tells phases apart."""
        identity = next(self._numbers)
        limits = self._limits
        started = time.monotonic()
        self._recorder.phase = phase.name
        try:
            frame = frames.pack_spawn(
                identity,
                phase.argv,
                {**environment, **phase.environment},
                phase.cwd or cwd,
                file_size=limits.disk,
                memory=limits.memory,
                processes=limits.processes,
                open_files=limits.open_files,
                traced=self._traced,
            )
        except ValueError as error:
            return self._ended(phase.name, 0, "failed", 0, 0.0, str(error))

        def send() -> tuple[Future[bytes], Future[bytes]]:
            self._link.pending[identity] = phase
            ended = self._link.expect(Warden.EXITED, identity)
            failed = self._link.expect(Warden.SPAWN_FAILED, identity)
            self._link.send_raw(frame)
            return ended, failed

        try:
            ended, failed = self._loop.call(send)
            status, late = self._await_end(identity, ended, phase)
        except (ConnectionError, Late, GuestGoneError) as error:
            seconds = time.monotonic() - started
            return self._ended(phase.name, identity, "failed", 0, seconds, str(error) or "the guest hangs")
        seconds = time.monotonic() - started
        if late:
            return self._ended(phase.name, identity, "timeout", 0, seconds)
        if failed.done() and not failed.exception():
            number = int.from_bytes(failed.result()[:4], "little")
            outcome = self._ended(phase.name, identity, "failed", 0, seconds, os.strerror(number))
            return msgspec.structs.replace(outcome, refused=os.strerror(number))
        if status & 0x7F:
            return self._ended(phase.name, identity, "killed", status & 0x7F, seconds)
        return self._ended(phase.name, identity, "exited", status >> 8 & 0xFF, seconds)

    def _await_end(self, identity: int, ended: Future[bytes], phase: plan.Phase) -> tuple[int, bool]:
        late = False
        try:
            raw = self._awaited(identity, ended, phase)
        except Late:
            late = True
            self._loop.call(lambda: self._link.send(Host.STOP, identity))
            raw = ended.result(GRACE_SECONDS)
        return int.from_bytes(raw[:4], "little", signed=True), late

    def _awaited(self, identity: int, ended: Future[bytes], phase: plan.Phase) -> bytes:
        """The phase's end. A program that may go on (a server) gets more time, once, where it has set itself one: what
        it does then would not be seen."""
        try:
            return ended.result(phase.seconds)
        except Late:
            root = self._link.roots.get(identity, 0)
            due = [one.waits for one in self.survivors() if one.process == root] if phase.open_ended else []
            if not due or not SHORTEST_TIMER <= due[0] <= LONGEST_TIMER:
                raise
        return ended.result(due[0] + 1)

    def _ended(
        self,
        name: str,
        identity: int,
        status: Literal["exited", "killed", "timeout", "failed"],
        code: int,
        seconds: float,
        reason: str = "",
    ) -> Outcome:
        self._recorder.add(
            events.PhaseEnded,
            phase=name,
            process=self._link.roots.get(identity, 0),
            status=status,
            code=code if status == "exited" else 0,
            signal=code if status == "killed" else 0,
            seconds=round(seconds, 3),
            reason=reason,
        )
        self._recorder.phase = ""
        return Outcome(status, code, seconds)

    @property
    def alive(self) -> bool:
        """Whether the guest still answers."""
        return not self._link.gone

    def listing(self, path: str) -> tuple[tuple[str, bool], ...]:
        """A directory of the guest as (name, is a directory), empty where there is none. About 10,000 fit; more is a
        loss, since what is not read is not run."""
        raw = self._ask(Host.LIST, Warden.LISTING, path.encode(), "be read")
        found = frames.strings(raw, 0)
        if any(kind == Text.CUT for kind, _ in found):
            reason = f"{path} has more entries than are read"
            self._recorder.add(events.SensorLost, sensor="guest", reason=reason)
        return tuple((text.decode("utf-8", "replace"), kind == 2) for kind, text in found if kind != Text.CUT)

    def read(self, path: str) -> bytes:
        """At most the first 256 KiB of a regular file of the guest; empty where there is none."""
        return self._ask(Host.READ, Warden.CONTENT, path.encode(), "be read")

    def survivors(self) -> list[Survivor]:
        """Processes that are still alive, at most 64."""
        raw = self._ask(Host.SURVEY, Warden.SURVEYED, b"", "be surveyed")
        found, at = [], 0
        while at + 4 < len(raw):
            pid = int.from_bytes(raw[at : at + 4], "little")
            at += 4
            fields = []
            for _ in range(2):
                end = at + 3 + int.from_bytes(raw[at + 1 : at + 3], "little")
                fields.append(raw[at + 3 : end].decode("utf-8", "backslashreplace"))
                at = end
            waits = int.from_bytes(raw[at : at + 4], "little") / 1000
            at += 4
            found.append(Survivor(self._link.tracker.serial(pid), fields[0], fields[1].split("\0")[:-1], waits))
        return found

    def end(self) -> None:
        """End the guest and wait until it is gone. Never raises: the recording says what went wrong."""
        try:
            self._ask(Host.END, Warden.ENDED, b"", "end", GRACE_SECONDS)
        except (BackendError, Late) as error:
            if not self._link.gone:
                reason = str(error) or "it does not answer"
                self._recorder.add(events.SensorLost, sensor="guest", reason=reason)
        self._settle()
        self._stop()

    def _settle(self) -> None:
        settled = asyncio.run_coroutine_threadsafe(self._link.settle(1.0), self._loop.loop)
        try:
            settled.result(GRACE_SECONDS)
        except Late:
            self._recorder.add(events.SensorLost, sensor="gateway", reason="answers that did not end")
