"""A real guest's network: every address is the gateway's, and nothing passes unseen or by another way."""

from __future__ import annotations

import os

import pytest

from sandbox import events
from tests.integration.native_rig import Make, making

pytestmark = pytest.mark.native

start = pytest.fixture(making)


def test_every_address_is_the_gateway_s(start: Make) -> None:
    guest = start()
    addresses = [("192.0.2.1", 80), ("198.51.100.77", 443), ("10.0.0.1", 22), ("203.0.113.9", 65535)]
    if os.path.exists("/proc/net/if_inet6"):
        addresses += [("2001:db8::7", 443), ("::ffff:192.0.2.5", 8443)]
    outcome = guest.python(
        f"""
        import socket
        for address, port in {addresses!r}:
            s = socket.create_connection((address, port), 5)
            s.sendall(f"{{address}}".encode())
            assert s.recv(100) == f"hello {{address}}".encode()[:26], address
            assert s.getpeername()[:2] == (address, port)
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    seen = [(peer.address, peer.port) for peer in guest.internet.connections]
    assert seen == [(address.removeprefix("::ffff:"), port) for address, port in addresses]
    assert {peer.process for peer in guest.internet.connections} == {1}


def test_datagrams_are_answered_from_where_they_were_sent(start: Make) -> None:
    guest = start()
    addresses = ["192.168.1.1", "203.0.113.5"]
    if os.path.exists("/proc/net/if_inet6"):
        addresses.append("2001:db8::53")
    outcome = guest.python(
        f"""
        import socket
        for address in {addresses!r}:
            for way in ("sendto", "connect", "sendmsg"):
                s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(5)
                if way == "sendto":
                    s.sendto(b"ask", (address, 53))
                elif way == "sendmsg":
                    s.sendmsg([b"ask"], [], 0, (address, 53))
                else:
                    s.connect((address, 53)); s.send(b"ask")
                data, source = s.recvfrom(100)
                assert (data, source[:2]) == (b"re:ask", (address, 53)), (way, data, source)
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert [peer.address for peer, _ in guest.internet.datagrams] == [one for one in addresses for _ in range(3)]
    assert {peer.process for peer, _ in guest.internet.datagrams} == {1}, "each is known to be this process's"


def test_a_package_s_own_server_is_its_own(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import socket, threading
        server = socket.create_server(("127.0.0.1", 8080))
        threading.Thread(target=lambda: server.accept()[0].sendall(b"own"), daemon=True).start()
        assert socket.create_connection(("127.0.0.1", 8080), 5).recv(10) == b"own"
        try: socket.socket().bind(("0.0.0.0", 443))
        except PermissionError: pass
        s = socket.create_connection(("192.0.2.1", 443), 5)  # a bind that failed takes no port away
        s.sendall(b"x"); assert s.recv(10) == b"hello x"
        try: socket.create_connection(("127.0.0.1", 9), 5)
        except ConnectionRefusedError: print("refused")
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert [peer.address for peer in guest.internet.connections] == ["192.0.2.1"]
    assert next((event.address, event.port) for event in guest.events(events.PortBound)) == ("127.0.0.1", 8080)
    assert guest.printed() == "refused\n"


def test_a_large_answer_arrives_whole_and_a_large_upload_is_taken(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import socket, time
        s = socket.create_connection(("192.0.2.1", 80), 5)
        s.sendall(b"big30000000")
        s.shutdown(socket.SHUT_WR)
        time.sleep(0.3)  # a slow reader
        size = 0
        while data := s.recv(1 << 16):
            size += len(data)
        assert size == 30_000_000, size
        s = socket.create_connection(("192.0.2.2", 80), 5)
        s.sendall(b"wait")
        time.sleep(0.1)
        for _ in range(100): s.sendall(b"wait" + bytes(99_996))
        s.shutdown(socket.SHUT_WR)
        while s.recv(1 << 16): pass
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert not guest.losses()
    assert sorted(guest.internet.sent.values()) == [11, 10_000_004]


def test_unusual_sockets_and_namespaces_are_refused_and_told(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import ctypes, errno, os, socket
        def refused(make):
            try: make()
            except OSError as error: return errno.errorcode[error.errno]
            return "no"
        libc = ctypes.CDLL(None, use_errno=True)
        def call(number, *args):
            if libc.syscall(number, *args) == -1: raise OSError(ctypes.get_errno(), "")
        print(refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)))
        print(refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)))
        print(refused(lambda: socket.socket(40, socket.SOCK_STREAM)))
        print(refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)))
        print(refused(lambda: call(425, 8, 0)))                 # io_uring_setup
        print(refused(lambda: call({"x86_64": 272}.get(os.uname().machine, 97), 0x10000000)))  # unshare
        """
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert guest.printed().split() == ["EPERM", "EPERM", "EAFNOSUPPORT", "EAFNOSUPPORT", "ENOSYS", "EPERM"]
    sockets = [(event.family, event.kind, event.denied) for event in guest.events(events.SocketCreated)]
    assert ("inet", "raw", False) in sockets
    assert ("vsock", "stream", True) in sockets
    assert ("packet", "raw", True) in sockets
    assert [event.denied for event in guest.calls("io_uring_setup")] == [True]
    assert [event.denied for event in guest.calls("unshare")] == [True]


def test_a_socket_that_drops_what_comes_does_not_stop_the_warden(start: Make) -> None:
    guest = start()
    outcome = guest.python(
        """
        import socket
        for _ in range(10):
            s = socket.socket()
            s.setsockopt(socket.IPPROTO_IP, 21, 255)  # IP_MINTTL: nothing that comes is taken
            try: s.connect(("192.0.2.1", 80))
            except TimeoutError: print("late")
        """,
        seconds=10,
    )
    assert outcome.status == "exited"
    assert outcome.seconds < 5
    assert guest.printed() == "late\n" * 10
    assert len([event for event in guest.events(events.ConnectionOpened) if event.address == "192.0.2.1"]) == 10


def test_five_thousand_connections(start: Make) -> None:
    guest = start(open_files=5200)
    outcome = guest.python(
        """
        import resource, socket
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        held = []
        for number in range(5000):
            s = socket.socket()
            s.settimeout(5)
            s.connect((f"198.51.{number // 250}.{number % 250 + 1}", 80))
            held.append(s)
        for s in held[:100]:
            s.sendall(b"x")
            assert s.recv(10) == b"hello x"
        print(len(held))
        """,
        seconds=60,
    )
    assert outcome.code == 0, guest.printed("stderr")
    assert guest.printed() == "5000\n"
    lost = sum(event.count for event in guest.events(events.SensorLost))
    assert len(guest.internet.connections) + lost == 5000, "each was served or is told of"
    assert len(guest.internet.connections) >= 1000
