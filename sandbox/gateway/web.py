"""Serves HTTP on one channel: asks the policy, records, answers, and follows a change of protocol."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from sandbox import events
from sandbox.gateway import http, policy, websocket
from sandbox.gateway.capture import Capture
from sandbox.gateway.channel import Channel
from sandbox.gateway.dns import Names
from sandbox.gateway.witness import Moment, Witness
from sandbox.streams import Peer

_PIECE = 256 * 1024
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://(?P<authority>[^/?#]*)(?P<path>.*)", re.DOTALL)


class Line(msgspec.Struct, frozen=True):
    """A connection as far as it is known: where it goes, under which names, and how it is protected."""

    peer: Peer
    looked_up: str = ""
    sni: str = ""
    secure: bool = False
    depth: int = 0

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which the host is meant, without a request."""
        return policy.hosts(self.looked_up, self.sni, "", self.peer.address)


class Web:
    """What all HTTP connections share."""

    def __init__(self, rules: policy.Policy, names: Names, witness: Witness) -> None:
        self._policy = rules
        self._names = names
        self._witness = witness

    async def serve(
        self,
        line: Line,
        channel: Channel,
        raw: Callable[[Line, Channel], Awaitable[None]],
        tunnel: Callable[[Line, Channel], Awaitable[None]],
    ) -> None:
        """Answer requests until the connection ends. `raw` takes over what turns out not to be HTTP, `tunnel` what
        comes through a CONNECT."""
        conversation = http.Conversation(self._witness.pool)
        try:
            while True:
                step = conversation.step()
                if isinstance(step, http.Request):
                    after = await self._request(line, channel, conversation, step)
                    if after is not None:
                        channel.give_back(conversation.trailing())
                        await (tunnel(after, channel) if step.method == "CONNECT" else self._frames(after, channel))
                        return
                elif isinstance(step, http.Unparsed):
                    self._unparsed(line, step)
                    await channel.write(http.BAD_REQUEST)
                    await raw(line, channel)
                    return
                elif step is http.Wanted.CONTINUE:
                    await channel.write(conversation.carry_on())
                elif step is http.Wanted.NOTHING or conversation.over:
                    return
                else:
                    data = await channel.read()
                    if not data:
                        return
                    conversation.receive(data)
        finally:
            self._unfinished(line, conversation)

    def _unfinished(self, line: Line, conversation: http.Conversation) -> None:
        """A request that was cut off says as much as a whole one."""
        rest = conversation.unfinished()
        if isinstance(rest, http.Request):
            meant, moment = self._meant(line, rest), self._witness.now(line.peer)
            self._witness.request(line.peer, moment, self._url(line, rest, meant), rest, None)
            self._look_now(line, rest, meant, moment)
        elif rest is not None:
            self._unparsed(line, rest)

    def _unparsed(self, line: Line, step: http.Unparsed) -> None:
        protocol = "tls" if line.secure else "tcp"
        self._witness.data(line.peer, self._witness.now(line.peer), step.data, step.size, protocol)
        self._witness.look(line.peer, line.hosts, "data", step.data)
        if step.size > len(step.data):
            self._witness.lost(f"{step.size - len(step.data)} bytes after a broken request were not looked at", 1)

    # One request --------------------------------------------------------------------------------------------

    async def _request(
        self, line: Line, channel: Channel, conversation: http.Conversation, request: http.Request
    ) -> Line | None:
        """Answer one request; returns the line that goes on where this one stops being HTTP."""
        moment = self._witness.now(line.peer)
        meant = self._meant(line, request)
        url = self._url(line, request, meant)
        try:
            reply = await self._reply(line, request, meant)
        except asyncio.CancelledError:
            self._witness.request(line.peer, moment, url, request, None)
            self._look_now(line, request, meant, moment)
            raise
        self._witness.request(line.peer, moment, url, request, reply)
        await self._look(line, request, meant, moment)
        if request.method == "CONNECT":
            host, port = http.host_of(request.target)
            await channel.write(conversation.switch(200, ()))
            return Line(peer=msgspec.structs.replace(line.peer, port=port), looked_up=host, depth=line.depth + 1)
        key = request.header("sec-websocket-key")
        if request.upgrade == "websocket" and key and reply.answered_by == "empty":
            headers = (("Upgrade", "websocket"), ("Connection", "Upgrade"),
                       ("Sec-WebSocket-Accept", websocket.accept_key(key)))  # fmt: skip
            await channel.write(conversation.switch(101, headers))
            return msgspec.structs.replace(line, looked_up=meant[0])
        await self._send(line, channel, conversation, request, reply, moment, url)
        return None

    def _meant(self, line: Line, request: http.Request) -> tuple[str, ...]:
        header = request.header("host")
        absolute = _ABSOLUTE.match(request.target)
        if absolute:
            header = absolute["authority"]
        elif request.method == "CONNECT":
            header = request.target
        return policy.hosts(line.looked_up, line.sni, header, line.peer.address)

    def _url(self, line: Line, request: http.Request, meant: tuple[str, ...]) -> str:
        """Where the request really went, whatever it says of that itself: what it asks of a proxy by another name is
        the path of an address there."""
        if request.method == "CONNECT":
            return f"connect://{request.target}"
        host = self._policy.shown_host(meant, line.peer.port)
        scheme, usual = ("https", 443) if line.secure else ("http", 80)
        if ":" in host:
            host = f"[{host}]"
        place = host if line.peer.port == usual else f"{host}:{line.peer.port}"
        absolute = _ABSOLUTE.match(request.target)
        if absolute is None:
            return f"{scheme}://{place}{request.target}"
        if absolute["authority"].lower() in (place, f"{host}:{line.peer.port}"):
            return f"{scheme}://{place}{_rooted(absolute['path'])}"
        return f"{scheme}://{place}/{request.target}"

    async def _reply(self, line: Line, request: http.Request, meant: tuple[str, ...]) -> policy.Reply:
        dns = self._name_lookup(line, request)
        if dns is not None:
            return dns
        absolute = _ABSOLUTE.match(request.target)
        target = _rooted(absolute["path"]) if absolute else request.target
        question = policy.Question(request.method, target, request.headers, meant, line.peer.address, line.peer.port)
        try:
            return await self._policy.answer(question)
        except Exception as error:
            self._witness.failed(error, f"answering {request.method} for {meant[0]}", line.peer.process)
            return policy.Reply(502, (("Content-Type", "text/plain"),), b"", "empty")

    def _name_lookup(self, line: Line, request: http.Request) -> policy.Reply | None:
        """DNS over HTTPS, whichever host it is asked of."""
        kind = "application/dns-message"
        query = b""
        if request.method == "POST" and request.header("content-type").lower() == kind:
            query = request.body
        elif request.method == "GET" and "dns=" in request.target:
            text = request.target.partition("dns=")[2].partition("&")[0]
            try:
                query = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            except (binascii.Error, ValueError):
                return None
        if not query:
            return None
        try:
            answer = self._names.answer(query)
        except ValueError:
            return None
        self._witness.name(line.peer, answer)
        return policy.Reply(200, (("Content-Type", kind),), answer.reply, "world")

    async def _look(self, line: Line, request: http.Request, meant: tuple[str, ...], moment: Moment) -> None:
        self._look_at_head(line, request, meant, moment)
        for part in request.parts:
            await self._witness.look_for(line.peer, meant, "body", part, moment)

    def _look_now(self, line: Line, request: http.Request, meant: tuple[str, ...], moment: Moment) -> None:
        self._look_at_head(line, request, meant, moment)
        for part in request.parts:
            self._witness.look(line.peer, meant, "body", part, moment)

    def _look_at_head(self, line: Line, request: http.Request, meant: tuple[str, ...], moment: Moment) -> None:
        url, known = self._url(line, request, meant), self._witness.known
        if url not in known:
            self._witness.look(line.peer, meant, "url", url.encode("latin-1", "replace"), moment)
        lines = "\n".join(f"{name}: {value}" for name, value in request.headers if value not in known)
        self._witness.look(line.peer, meant, "header", lines.encode("latin-1", "replace"), moment)

    # Answering ----------------------------------------------------------------------------------------------

    async def _send(
        self,
        line: Line,
        channel: Channel,
        conversation: http.Conversation,
        request: http.Request,
        reply: policy.Reply,
        moment: Moment,
        url: str,
    ) -> None:
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        bodiless = request.method == "HEAD" or reply.status in (204, 304)
        size = reply.body.stat().st_size if isinstance(reply.body, Path) else len(reply.body)
        headers = [(name, value) for name, value in reply.headers if name.lower() != "date"]
        head = conversation.begin(reply.status, [("Date", date), *headers], size)
        if bodiless:
            await channel.write(head + conversation.end())
        elif isinstance(reply.body, bytes):
            await channel.write(head + conversation.body(reply.body) + conversation.end())
        else:
            await channel.write(head)
            with reply.body.open("rb", buffering=0) as file:
                left = size
                while left and (piece := file.read(min(_PIECE, left))):
                    left -= len(piece)
                    await channel.write(conversation.body(piece))
            await channel.write(conversation.end())
        if reply.artifact and reply.status == 200 and request.method == "GET":
            self._witness.add(
                events.ArtifactServed, line.peer, moment, url=url, digest=reply.artifact, size=size
            )

    async def _frames(self, line: Line, channel: Channel) -> None:
        """A WebSocket: what the package says is recorded in the clear; nothing is said but to pings."""
        frames = websocket.Frames()
        capture, moment = Capture(self._witness.pool, 1024 * 1024, 256 * 1024), self._witness.now(line.peer)
        try:
            while not frames.closed:
                data = await channel.read()
                if not data:
                    break
                said, reply = frames.receive(data)
                if said:
                    capture.add(said)
                    moment = self._witness.now(line.peer)
                    self._witness.data(line.peer, moment, said, len(said), "websocket")
                    self._witness.look(line.peer, line.hosts, "data", said, moment)
                if reply:
                    await channel.write(reply)
        finally:
            await self._witness.look_at_rest(line.peer, line.hosts, capture, moment)
            capture.release()


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"
