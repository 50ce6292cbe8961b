"""The name server of a container, in a loop of its own; who is asked for the rest is a server of the test."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest
from tests.network.scripted import machine
from tests.network.test_dnsmessage import query

from tiffin.container.loop import Loop
from tiffin.linux.process import Identity
from tiffin.network import nameserver, upstream
from tiffin.network.dnsmessage import AAAA, PTR
from tiffin.network.leases import DIRECTORY
from tiffin.network.segmentleases import Lease, rename
from tiffin.network.zone import Zone

OWNER = Identity.own()


def lease(address, name, *aliases, owner=OWNER, container="c", address6=""):
    return Lease(address, address6, container, name, (name, *aliases), "", "", owner)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "networks/id" / DIRECTORY).mkdir(parents=True)
    return tmp_path / "networks/id"


@pytest.fixture
def ask(monkeypatch, place):
    """Ask over TCP or by datagram; `ask.upstream` are those who are asked for the rest."""
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    listeners = [socket.socket(type=kind | socket.SOCK_NONBLOCK) for kind in kinds]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    listeners[1].listen()
    monkeypatch.setattr(nameserver, "within", lambda _namespace, _work: tuple(listeners))
    loop, own = Loop(), Zone("web", place)
    server = nameserver.NameServer(loop, -1, [own], ())
    monkeypatch.setattr(server, "servers", lambda: tuple(ask.upstream))

    def ask(message, *, stream=False):
        kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
        with socket.socket(type=kind | socket.SOCK_NONBLOCK) as client:
            client.connect_ex(listeners[stream].getsockname())
            heard = []
            loop.watch(client.fileno(), lambda: heard.append(client.recv(65536)))
            while True:
                try:
                    client.send(len(message).to_bytes(2, "big") + message if stream else message)
                    break
                except OSError:
                    continue
            while not heard or (stream and len(b"".join(heard)) < 2 + int.from_bytes(heard[0][:2], "big")):
                loop.turn()
            loop.forget(client.fileno())
            return b"".join(heard)[2 if stream else 0 :]

    ask.upstream, ask.server = [], server
    yield ask
    server.close()
    loop.close()


def addresses(message, size=4):
    count = struct.unpack_from(">H", message, 6)[0]
    return [message[len(message) - size * (place + 1) - 12 * place :][:size] for place in range(count)]


def text(message):
    return sorted(socket.inet_ntoa(found) for found in addresses(message))


def code(message):
    return message[3] & 15


@pytest.mark.parametrize("stream", [False, True])
def test_containers_are_found_by_name_alias_and_network(ask, place, stream):
    lease("172.18.0.2", "one", "db", "0123456789ab").write(place / DIRECTORY)
    lease("172.18.0.3", "two", "db", address6="fd00::3").write(place / DIRECTORY)
    assert text(ask(query("ONE"), stream=stream)) == ["172.18.0.2"]
    assert text(ask(query("one.web"), stream=stream)) == ["172.18.0.2"]
    assert text(ask(query("0123456789ab"), stream=stream)) == ["172.18.0.2"]
    assert text(ask(query("db"), stream=stream)) == ["172.18.0.2", "172.18.0.3"]
    assert code(ask(query("one", AAAA), stream=stream)) == 0  # it is known, and has none
    assert addresses(ask(query("two", AAAA), stream=stream), 16) == [
        socket.inet_pton(socket.AF_INET6, "fd00::3")
    ]
    assert b"\x03two\x03web\x00" in ask(query("3.0.18.172.in-addr.arpa", PTR), stream=stream)
    assert code(ask(query("three"), stream=stream)) == 2


def test_several_with_one_alias_take_turns(ask, place):
    for number in (2, 3):
        lease(f"172.18.0.{number}", f"n{number}", "db").write(place / DIRECTORY)
    assert {ask(query("db"))[-1] for _ in range(2)} == {2, 3}


def test_containers_come_go_die_and_are_renamed(ask, place, tmp_path):
    assert code(ask(query("one"))) == 2
    lease("172.18.0.2", "one", container="c1").write(place / DIRECTORY)
    assert text(ask(query("one"))) == ["172.18.0.2"]
    rename(tmp_path, "c1", "one", "Uno")
    assert text(ask(query("uno"))) == ["172.18.0.2"]
    assert code(ask(query("one"))) == 2
    (place / DIRECTORY / "172.18.0.2").unlink()
    assert code(ask(query("uno"))) == 2
    lease("172.18.0.3", "dead", owner=OWNER._replace(started=1)).write(place / DIRECTORY)
    (place / DIRECTORY / "172.18.0.4").write_text("damaged")
    assert code(ask(query("dead"))) == 2


class Upstream(threading.Thread):
    """Answers one query by datagram and one over TCP, and tells what it was asked."""

    def __init__(self, monkeypatch, *, cut=False, wrong=False) -> None:
        super().__init__(daemon=True)
        self.stream = socket.create_server(("127.0.0.1", 0))
        self.datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self.datagrams.bind(self.stream.getsockname())
        monkeypatch.setattr(upstream, "PORT", self.stream.getsockname()[1])
        self.cut, self.wrong, self.asked = cut, wrong, []
        self.start()

    def run(self):
        data, client = self.datagrams.recvfrom(4096)
        self.asked.append(data)
        if self.wrong:
            self.datagrams.sendto(bytes(2) + data[2:], client)  # of another query
            self.datagrams.sendto(data[:12] + b"\x03bad" + data[16:], client)
        flags = b"\x83\x80" if self.cut else b"\x81\x80"
        self.datagrams.sendto(data[:2] + flags + data[4:] + b"rest", client)
        if self.cut:
            connection, _ = self.stream.accept()
            with connection:
                data = connection.recv(4096)
                self.asked.append(data)
                answer = data[2:4] + b"\x81\x80" + data[6:] + b"x" * 2000
                connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def close(self):
        self.join()
        self.stream.close()
        self.datagrams.close()


def test_the_rest_is_asked_of_others_with_a_number_of_its_own(ask, monkeypatch):
    upstream = Upstream(monkeypatch, wrong=True)
    ask.upstream = ["127.0.0.1"]
    message = ask(query("example.org"))
    upstream.close()
    assert message == query("example.org")[:2] + b"\x81\x80" + query("example.org")[4:] + b"rest"
    assert upstream.asked[0][2:] == query("example.org")[2:]


def test_what_does_not_fit_is_asked_for_again_over_tcp(ask, monkeypatch):
    upstream = Upstream(monkeypatch, cut=True)
    ask.upstream = ["127.0.0.1"]
    assert ask(query("long.example.org"))[2] & 2  # cut short, and the caller sees it
    assert len(ask(query("long.example.org"), stream=True)) > 2000
    upstream.close()


def test_who_does_not_answer_is_left_for_the_next(ask, monkeypatch):
    with socket.socket(type=socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    monkeypatch.setattr(upstream, "PORT", port)
    ask.upstream = ["127.0.0.1"]
    assert code(ask(query("example.org"))) == 2
    assert code(ask(query("example.org"), stream=True)) == 2


def test_a_container_without_a_way_out_asks_nobody(ask):
    ask.upstream, ask.server.forwards = ["127.0.0.1"], False
    assert code(ask(query("secret.example.org"))) == 2
    assert not ask.server.pending


def test_the_hosts_servers_are_those_it_has_now(monkeypatch, tmp_path, ask):
    conf = tmp_path / "resolv.conf"
    monkeypatch.setattr(nameserver, "_RESOLV", str(conf))
    servers = nameserver.NameServer.servers
    assert servers(ask.server) == ()
    conf.write_text("# none\nnameserver 10.0.0.1\nsearch x\nnameserver fd00::1\n")
    assert servers(ask.server) == ("10.0.0.1", "fd00::1")
    conf.write_text("nameserver 10.0.0.2\n")
    os.utime(conf, ns=(1, 1))
    assert servers(ask.server) == ("10.0.0.2",)


@pytest.mark.live
def test_the_container_keeps_port_53_for_itself(tmp_path):
    found = machine(
        tmp_path,
        """
from tiffin.container.loop import Loop
from tiffin.network.nameserver import NameServer
from tiffin.network.zone import Zone

pid = guest(user=True)
namespace = os.open(f"/proc/{pid}/ns/net", 0)
netns.loopback_up(namespace)
loop = Loop()
server = NameServer(loop, namespace, [Zone("web", RUN)], ("127.0.0.1",))
server.forwards = False
query = bytes.fromhex("000701000001000000000000036f6e650000010001")
def ask():
    own = socket.socket(type=socket.SOCK_DGRAM)
    own.bind(("0.0.0.0", 53))
    socket.create_server(("", 53))
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.11", 53))
        client.send(query)
        answers = [client.recv(512).hex()]
    with socket.create_connection(("127.0.0.11", 53), 10) as client:
        client.sendall(bytes([0, len(query)]) + query)
        answers.append(client.recv(512)[2:].hex())
    return answers
seen = []
thread = threading.Thread(target=lambda: seen.append(within(namespace, ask)))
thread.start()
def look():
    if thread.is_alive():
        loop.later(0.02, look)
look()
while thread.is_alive():
    loop.turn()
server.close()
left = within(namespace, lambda: run([find("nft"), "list", "tables"])[1]) if find("nft") else ""
os.kill(pid, 9)
print(json.dumps([*seen[0], left]))
""",
    )
    assert found == ["000781820001000000000000036f6e650000010001"] * 2 + [""]
