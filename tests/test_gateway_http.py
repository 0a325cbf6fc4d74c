"""Requests come out of bytes, however they are cut; what is not HTTP comes out as it was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.gateway import http
from sandbox.gateway.capture import Pool
from sandbox.gateway.chunks import Framing
from sandbox.gateway.http import Conversation, Request, Unparsed, Wanted, host_of


def conversation(*data: bytes) -> Conversation:
    made = Conversation(Pool(64 * 1024 * 1024))
    for piece in data:
        made.receive(piece)
    return made


def request(made: Conversation) -> Request:
    step = made.step()
    assert isinstance(step, Request)
    return step


def answer(made: Conversation, body: bytes = b"ok", status: int = 200) -> bytes:
    return made.begin(status, (("Content-Type", "text/plain"),), len(body)) + made.body(body) + made.end()


def test_a_request_and_its_answer() -> None:
    made = conversation(b"GET /a?b=c HTTP/1.1\r\nHost: one.test\r\nX-Odd: \xe9\r\n\r\n")
    got = request(made)
    assert (got.method, got.target, got.header("host")) == ("GET", "/a?b=c", "one.test")
    assert got.headers == (("Host", "one.test"), ("X-Odd", "\xe9"))
    head, _, body = answer(made).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 2" in head
    assert body == b"ok"
    assert made.step() is Wanted.MORE


def test_keep_alive_and_pipelining() -> None:
    one = b"POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"
    made = conversation(one + one.replace(b"/1", b"/2"))
    assert request(made).target == "/1"
    answer(made)
    second = request(made)
    assert (second.target, second.body, second.body_size, second.parts) == ("/2", b"abc", 3, (b"abc",))
    answer(made)
    assert made.unfinished() is None
    assert not made.over


def test_chunked_bodies() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = request(conversation(head, b"3\r\nabc\r\n", b"4\r\ndefg\r\n0\r\n\r\n"))
    assert got.body == b"abcdefg"


CHUNKED = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_what_chunks_carry_beside_their_data() -> None:
    sent = CHUNKED + b"1;n=se\r\na\r\n1;n=cret\r\nb\r\n0\r\nX-T: trailer\r\n\r\n"
    for pieces in ([sent], [sent[place : place + 1] for place in range(len(sent))]):
        made = conversation()
        for piece in pieces:
            made.receive(piece)
            step = made.step()
        assert isinstance(step, Request)
        assert (step.body, step.header("x-t")) == (b"ab", "trailer")
        assert [value for name, value in step.headers if name == http.CHUNK_EXTENSION] == ["n=se; n=cret", "secret"]
        answer(made)
    assert made.step() is Wanted.MORE


def test_a_line_of_a_chunked_body_that_was_cut_off() -> None:
    made = conversation(CHUNKED + b"1;n=secret")
    assert made.step() is Wanted.MORE
    rest = made.unfinished()
    assert isinstance(rest, Request) and rest.headers[-1][1] == "secret"


def test_extensions_without_end_are_bounded_and_said() -> None:
    got = request(conversation(CHUNKED + (b"1;" + b"x" * 1000 + b"\r\na\r\n") * 200 + b"0\r\n\r\n"))
    assert got.skipped == 200_000 - 64 * 1024
    assert sum(len(value) for _, value in got.headers) < 200_000


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"1;", b"a\r\n", b"-2\r\n", b"0\r\n", b"ff;x=\n"])))
def test_framing_takes_any_bytes(pieces: list[bytes]) -> None:
    framing = Framing()
    for piece in pieces:
        framing.add(piece)
    framing.extensions()


def test_an_interim_answer_is_wanted_once() -> None:
    made = conversation(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert made.step() is Wanted.CONTINUE
    assert made.carry_on().startswith(b"HTTP/1.1 100 Continue")
    assert made.step() is Wanted.MORE
    made.receive(b"hi")
    assert request(made).body == b"hi"


def test_http_1_0_closes() -> None:
    made = conversation(b"GET / HTTP/1.0\r\n\r\n")
    request(made)
    assert b"Connection: close" in answer(made)
    assert made.over


def test_head_has_no_body() -> None:
    made = conversation(b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    request(made)
    assert b"Content-Length: 77" in made.begin(200, (), 77) + made.end()
    assert made.step() is Wanted.MORE


def test_framing_is_ours_alone() -> None:
    made = conversation(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    request(made)
    headers = (("Transfer-Encoding", "chunked"), ("Content-Length", "9"), ("X", "a\r\nY: b"))
    data = made.begin(200, headers, 1) + made.body(b"x") + made.end()
    assert data.count(b"Content-Length") == 1
    assert b"chunked" not in data
    assert b"\r\nY" not in data


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nbroken header\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: x\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n",
])  # fmt: skip
def test_what_is_not_http(data: bytes) -> None:
    assert conversation(data[:7], data[7:]).step() == Unparsed(data, len(data))


def test_a_head_without_end_is_given_up() -> None:
    made = conversation(b"GET / HTTP/1.1\r\n", b"X: " + b"y" * http.LONGEST_HEAD)
    step = made.step()
    assert isinstance(step, Unparsed)


def test_cut_off_requests_are_told() -> None:
    made = conversation(b"POST /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nsecret")
    assert made.step() is Wanted.MORE
    rest = made.unfinished()
    assert isinstance(rest, Request)
    assert (rest.body, rest.whole) == (b"secret", False)
    made = conversation(b"POST /up HTT")
    assert made.step() is Wanted.MORE
    assert made.unfinished() == Unparsed(b"POST /up HTT", 12)
    assert made.unfinished() is None


def test_large_bodies_keep_both_ends() -> None:
    size = 8 * 1024 * 1024
    made = conversation(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(8):
        made.receive(b"x" * (size // 8 - 1) + b"e")
        made.step() if _ < 7 else None
    got = request(made)
    assert got.body_size == size
    assert len(got.body) == 64 * 1024
    assert got.skipped == size - sum(len(part) for part in got.parts) > 0
    assert got.parts[1].endswith(b"e")


def test_changes_of_protocol() -> None:
    made = conversation(b"CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n\x16\x03")
    assert request(made).method == "CONNECT"
    assert made.switch(200, ()).startswith(b"HTTP/1.1 200 ")
    assert made.trailing() == b"\x16\x03"
    made = conversation(b"GET /s HTTP/1.1\r\nHost: b.test\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
    assert request(made).upgrade == "websocket"
    assert made.switch(101, (("Upgrade", "websocket"),)).startswith(b"HTTP/1.1 101 ")


def test_an_upgrade_can_be_declined() -> None:
    made = conversation(b"GET / HTTP/1.1\r\nHost: b.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    request(made)
    answer(made)
    assert made.step() is Wanted.MORE


@pytest.mark.parametrize(("header", "name", "port"), [
    ("One.Test", "one.test", 0), ("one.test:8080", "one.test", 8080), ("[2001:db8::1]:443", "2001:db8::1", 443),
    ("[2001:db8::1", "2001:db8::1", 0), ("user:pass@one.test:1", "one.test", 1), ("one.test:99999", "one.test", 0),
    ("one.test:²", "one.test", 0), ("", "", 0),
])  # fmt: skip
def test_hosts(header: str, name: str, port: int) -> None:
    assert host_of(header) == (name, port)


@given(st.text(max_size=50))
def test_any_host(header: str) -> None:
    host_of(header)


PIECES = [b"GET / HTTP/1.1\r\n", b"Host: a.test\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
          b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n",
          b"Connection: upgrade\r\n", b"CONNECT a.test:1 HTTP/1.1\r\n", b"\x00", b"HEAD / HTTP/1.0\r\n"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=12))
def test_any_bytes(pieces: list[bytes]) -> None:
    made = Conversation(Pool(1000))
    for piece in filter(None, pieces):
        made.receive(piece)
        for _ in range(50):
            step = made.step()
            if isinstance(step, Request):
                if step.method == "CONNECT":
                    made.switch(200, ())
                    made.trailing()
                    return
                made.begin(200, (), 0)
                made.end()
            elif step is Wanted.CONTINUE:
                made.carry_on()
            elif isinstance(step, Unparsed) or step is Wanted.NOTHING:
                return
            elif step is Wanted.MORE:
                break
        else:
            raise AssertionError("it does not end")
    made.unfinished()
