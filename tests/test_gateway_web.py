"""HTTP in the gateway: whose request it is, by every name that it claims. The rest is in test_gateway_server.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox import events
from sandbox.gateway import policy
from sandbox.gateway.capture import Pool
from sandbox.gateway.channel import Channel
from sandbox.gateway.dns import Names
from sandbox.gateway.recognise import Recogniser
from sandbox.gateway.web import Line, Web
from sandbox.gateway.witness import Witness
from sandbox.gateway.world import World
from sandbox.recorder import Recorder
from sandbox.streams import Peer


class Carrier:
    """Plays `data` to the gateway and keeps what it says."""

    def __init__(self, data: bytes) -> None:
        self._data = [data]
        self.heard = b""

    async def read(self) -> bytes:
        return self._data.pop() if self._data else b""

    async def write(self, data: bytes) -> None:
        self.heard += data

    async def finish(self) -> None:
        """Nothing more is said."""


async def refuse(line: Line, channel: Channel) -> None:
    """No request of these tests becomes anything else than HTTP."""
    raise AssertionError((line, channel))


def serve(data: bytes, looked_up: str, tmp_path: Path) -> tuple[bytes, list[events.AnyEvent]]:
    """What a connection that sends `data` hears, and what is recorded of it."""
    recorder = Recorder(tmp_path / "recording.jsonl", events.Header(), 1000)
    witness = Witness(recorder, Recogniser([]), Pool(1024 * 1024))
    web = Web(policy.Policy(World([]), None), Names("laptop"), witness)
    carrier = Carrier(data)
    line = Line(peer=Peer(connection=1, address="203.0.113.9", port=80, process=4), looked_up=looked_up)

    async def whole() -> None:
        channel = Channel(carrier)
        await web.serve(line, channel, refuse, refuse)
        channel.close()

    asyncio.run(whole())
    recorder.close()
    return carrier.heard, events.read(recorder.path).events[:-1]


def test_a_request_is_recorded_whole_and_answered(tmp_path: Path) -> None:
    body = b"POST /in HTTP/1.1\r\nHost: drop.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    heard, seen = serve(body, "drop.test", tmp_path)
    assert heard.startswith(b"HTTP/1.1 200 ")
    (request,) = [event for event in seen if isinstance(event, events.RequestSent)]
    assert (request.method, request.url, request.body, request.process) == ("POST", "http://drop.test/in", b"hello", 4)


@pytest.mark.parametrize("host", ["registry.test", "Registry.TEST"])
def test_a_host_header_does_not_hide_the_address_that_was_looked_up(host: str, tmp_path: Path) -> None:
    data = f"GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    _, seen = serve(data, "drop.test", tmp_path)
    (request,) = [event for event in seen if isinstance(event, events.RequestSent)]
    assert "drop.test" in request.url or any("drop.test" in value for _, value in request.headers)
    assert request.answered_by != "registry"
