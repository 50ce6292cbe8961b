from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import select
import socket
import struct
import threading

import pytest

from tiffin.linux import netlink, netns
from tiffin.network.listen import listen
from tiffin.network.ports import Forwarder
from tiffin.network.publish import parse

pytestmark = pytest.mark.live
PATIENCE = 20


def _loopback_up(namespace):
    with netns.within(namespace, netlink.Netlink) as inside:
        inside.set_up(inside.link("lo").number)


@contextlib.contextmanager
def _forwarding(namespace, text):
    forwarder = Forwarder(listeners := listen(parse(text)), namespace)
    forwarder.start()
    try:
        yield listeners[0].port.host
    finally:
        forwarder.close()


@pytest.fixture
def container(fresh_namespace):
    """The network namespace of a container that has nothing but its loopback."""
    with fresh_namespace() as namespace:
        _loopback_up(namespace)
        yield namespace


@contextlib.contextmanager
def _server(namespace, handle):
    """Runs `handle(connection)` for each connection to port 8000 inside."""
    listener = netns.within(namespace, lambda: socket.create_server(("0.0.0.0", 8000), backlog=4096))
    threads = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE)
                thread = threading.Thread(target=_handled, args=(handle, connection))
                threads.append(thread)
                thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()
        for thread in threads:
            thread.join()


def _handled(handle, connection):
    with connection, contextlib.suppress(ConnectionError):
        handle(connection)


def _read_all(connection):
    data = bytearray()
    while chunk := connection.recv(1 << 16):
        data += chunk
    return bytes(data)


def _connect(port, address="127.0.0.1"):
    return socket.create_connection((address, port), PATIENCE)


def test_each_end_may_close_its_half(container):
    def reverse(connection):
        connection.sendall(_read_all(connection)[::-1])

    with (
        _server(container, reverse),
        _forwarding(container, "127.0.0.1::8000") as port,
        _connect(port) as client,
    ):
        client.sendall(b"prediction")
        client.shutdown(socket.SHUT_WR)
        assert _read_all(client) == b"noitciderp"


def test_the_server_may_speak_first_and_close_first(container):
    def greet(connection):
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        assert _read_all(connection) == b"thanks"

    with (
        _server(container, greet),
        _forwarding(container, "127.0.0.1::8000") as port,
        _connect(port) as client,
    ):
        assert _read_all(client) == b"hello"
        client.sendall(b"thanks")


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 131072, 50_000_001])
def test_every_byte_arrives_in_both_directions(container, size):
    data = (os.urandom(1 << 16) * (size // (1 << 16) + 1))[:size]

    def echo_when_read(connection):
        connection.sendall(hashlib.sha256(_read_all(connection)).digest())
        connection.sendall(data)

    with (
        _server(container, echo_when_read),
        _forwarding(container, "127.0.0.1::8000") as port,
        _connect(port) as client,
    ):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = _read_all(client)
    assert answer[:32] == hashlib.sha256(data).digest()
    assert answer[32:] == data


def test_a_slow_reader_stops_the_sender_and_not_the_others(container):
    sent = []
    held = threading.Event()

    def flood(connection):
        if connection.recv(1) == b"q":
            connection.sendall(b"quick")
            return
        connection.settimeout(2)
        try:
            while sum(sent) < 200_000_000:
                sent.append(connection.send(bytes(1 << 16)))
        except TimeoutError:
            held.set()
        connection.settimeout(PATIENCE)

    with (
        _server(container, flood),
        _forwarding(container, "127.0.0.1::8000") as port,
        _connect(port) as slow,
        _connect(port) as quick,
    ):
        slow.sendall(b"s")
        quick.sendall(b"q")
        assert _read_all(quick) == b"quick"
        assert held.wait(PATIENCE), "nothing held the sender back"
        assert len(_read_all(slow)) == sum(sent)


def test_two_thousand_connections_at_once(container):
    number = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5 * number:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    inside = netns.within(container, lambda: socket.create_server(("0.0.0.0", 8000), backlog=4096))
    stop = threading.Event()

    def echo():
        with select.epoll() as epoll:
            epoll.register(inside, select.EPOLLIN)
            held = {}
            while not stop.is_set():
                for found, _ in epoll.poll(0.2):
                    if found == inside.fileno():
                        connection, _ = inside.accept()
                        held[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                        continue
                    with contextlib.suppress(ConnectionResetError):
                        if data := held[found].recv(100):
                            held[found].send(data)
                            continue
                    held.pop(found).close()
            for connection in held.values():
                connection.close()

    server = threading.Thread(target=echo)
    server.start()
    clients = []
    try:
        with _forwarding(container, "127.0.0.1::8000") as port:
            clients = [_connect(port) for _ in range(number)]
            for turn in range(2):
                for place, client in enumerate(clients):
                    client.send(struct.pack("!II", turn, place))
                for place, client in enumerate(clients):
                    assert client.recv(8) == struct.pack("!II", turn, place)
    finally:
        for client in clients:
            client.close()
        stop.set()
        server.join()
        inside.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nobody_listening_inside_breaks_the_connection(container):
    with _forwarding(container, "127.0.0.1::8000") as port:
        # The break may come so soon that connecting itself tells of it.
        with pytest.raises(ConnectionResetError), _connect(port) as client:
            client.recv(1)
        with _server(container, lambda connection: connection.sendall(b"up")), _connect(port) as again:
            assert _read_all(again) == b"up"


def test_a_reset_is_passed_on(container):
    def reset(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with (
        _server(container, reset),
        _forwarding(container, "127.0.0.1::8000") as port,
        _connect(port) as client,
    ):
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_ipv6_clients_reach_it_too(container):
    with (
        _server(container, lambda connection: connection.sendall(b"six")),
        _forwarding(container, "[::1]::8000") as port,
        _connect(port, "::1") as client,
    ):
        assert _read_all(client) == b"six"


def test_datagrams_go_there_and_back_for_each_client(container):
    inside = netns.within(container, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    inside.settimeout(PATIENCE)
    inside.bind(("127.0.0.1", 5353))

    def answer():
        for _ in range(4):
            data, client = inside.recvfrom(65536)
            inside.sendto(data.upper(), client)

    server = threading.Thread(target=answer)
    server.start()
    with inside, _forwarding(container, "127.0.0.1::5353/udp") as port:
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for turn in range(2):
            for place, client in enumerate(clients):
                client.settimeout(PATIENCE)
                client.sendto(f"q{turn}{place}".encode(), ("127.0.0.1", port))
            for place, client in enumerate(clients):
                assert client.recvfrom(100) == (f"Q{turn}{place}".encode(), ("127.0.0.1", port))
        for client in clients:
            client.close()
        server.join()


def test_close_frees_the_port_and_ends_connections(container):
    def hold(connection):
        _read_all(connection)

    with _server(container, hold):
        with _forwarding(container, "127.0.0.1::8000") as port:
            client = _connect(port)
            client.sendall(b"x")
        with client, pytest.raises(ConnectionResetError):
            client.recv(1)
        with _forwarding(container, f"127.0.0.1:{port}:8000") as again:
            assert again == port
