from __future__ import annotations

import contextlib
import socket

import pytest

from tiffin.errors import ConflictError, InvalidError
from tiffin.network.listen import close_all, listen
from tiffin.network.publish import Published, parse


@contextlib.contextmanager
def taken(address="127.0.0.1", kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield holder.getsockname()[1]


@contextlib.contextmanager
def listening(text):
    listeners = listen(parse(text))
    try:
        yield listeners
    finally:
        close_all(listeners)


def test_a_random_port_is_the_same_on_ipv4_and_ipv6():
    with listening("80") as [listener]:
        assert listener.port.host > 0
        assert {bound.getsockname()[1] for bound in listener.sockets} == {listener.port.host}
        families = [bound.family for bound in listener.sockets]
        assert families in ([socket.AF_INET, socket.AF_INET6], [socket.AF_INET])


def test_a_port_that_is_taken_is_named_with_one_that_is_free():
    with taken() as port, pytest.raises(ConflictError) as caught:
        listen(parse(f"127.0.0.1:{port}:8000"))
    assert caught.value.message == f"port {port} is already in use on this machine at 127.0.0.1"
    assert caught.value.exit_status == 125
    free = int(caught.value.hint.split()[1])
    assert caught.value.hint == f"port {free} is free: -p 127.0.0.1:{free}:8000"
    with listening(f"127.0.0.1:{free}:8000"):
        pass


def test_a_conflict_on_one_port_leaves_none_bound():
    with taken() as port:
        with listening("127.0.0.1:0:1") as [first]:
            free = first.port.host
        with pytest.raises(ConflictError):
            listen([Published(1, free, "127.0.0.1"), Published(2, port, "127.0.0.1")])
        with listening(f"127.0.0.1:{free}:1"):
            pass


def test_a_taken_udp_port():
    with (
        taken(kind=socket.SOCK_DGRAM) as port,
        pytest.raises(ConflictError, match=f"port {port}/udp is already in use"),
    ):
        listen(parse(f"127.0.0.1:{port}:53/udp"))


def test_the_first_free_port_of_a_range_is_taken():
    with taken() as port:
        choices = (port, min(port + 20, 65535))
        [listener] = listen([Published(80, 0, "127.0.0.1", "tcp", choices)])
        close_all([listener])
        assert port < listener.port.host <= port + 20
        with pytest.raises(ConflictError, match=f"all ports from {port} to {port}"):
            listen([Published(80, 0, "127.0.0.1", "tcp", (port, port))])


def test_an_address_of_another_machine():
    with pytest.raises(InvalidError, match=r"198\.51\.100\.7 is not an address of this machine"):
        listen([Published(80, 0, "198.51.100.7")])


def test_a_port_is_free_again_although_old_connections_linger():
    with listening("127.0.0.1:0:1") as [listener]:
        port = listener.port.host
        client = socket.create_connection(("127.0.0.1", port))
        listener.sockets[0].setblocking(True)
        accepted, _ = listener.sockets[0].accept()
        accepted.close()  # we close first: the port is left in TIME_WAIT
        client.close()
    with listening(f"127.0.0.1:{port}:1") as [again]:
        assert again.port.host == port
