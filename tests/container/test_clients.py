"""Clients of a container that read in time, too late, or not at all."""

import os

import pytest

from tiffin.container import control
from tiffin.container.clients import Clients
from tiffin.container.loop import Loop

MOST = 1000
FULL = 1 << 16
"""What a pipe holds."""


class Life:
    """A container as its clients see it."""

    def __init__(self) -> None:
        self.paused = False
        self.ended = False

    def input(self, *, wanted):
        del wanted

    def end_input(self):
        self.ended = True

    def pause(self, *, wanted):
        self.paused = wanted


class Caller:
    """The other end of a client."""

    def __init__(self, clients, **wanted) -> None:
        self.connection, theirs = control.pair()
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        clients.add(theirs, wanted, (out, err))

    def read(self, count=1 << 20):
        return os.read(self.out, count)

    def hear(self):
        return self.connection.receive()

    def close(self):
        self.connection.close()
        os.close(self.out)
        os.close(self.err)


@pytest.fixture
def loop():
    with_loop = Loop()
    yield with_loop
    with_loop.close()


@pytest.fixture
def life():
    return Life()


@pytest.fixture
def killed():
    return []


@pytest.fixture
def notes():
    return []


@pytest.fixture
def clients(loop, life, killed, notes):
    made = Clients(
        loop, lambda number, last: killed.append((number, last)), notes.append, most=MOST, patience=0.01
    )
    made.begin(life)
    yield made
    made.end({"exit": 0})


@pytest.fixture
def caller(clients):
    made = []

    def new(**wanted):
        made.append(Caller(clients, **wanted))
        assert made[-1].hear() == ({"attached": True}, [])
        return made[-1]

    yield new
    for each in made:
        each.close()


def test_each_gets_everything_and_the_end(clients, caller):
    callers = [caller(), caller()]
    clients.write("stdout", b"one\n")
    clients.write("stderr", b"two\n")
    clients.end({"exit": 3})
    for each in callers:
        assert each.read() == b"one\n"
        assert each.read() == b""
        assert os.read(each.err, 10) == b"two\n"
        assert each.hear() == ({"exit": 3, "rest": []}, [])
        assert each.hear() is None


def test_the_container_waits_for_one_that_catches_up(clients, caller, loop, life):
    one = caller()
    clients.write("stdout", b"x" * FULL)
    assert not life.paused
    clients.write("stdout", b"y" * (MOST + 1))
    assert life.paused
    assert one.read() == b"x" * FULL
    while life.paused:
        loop.turn()
    assert one.read() == b"y" * (MOST + 1)


def test_who_does_not_is_sent_away_and_the_others_go_on(clients, caller, loop, life):
    slow, good = caller(stdin=True), caller()
    clients.write("stdout", b"x" * FULL)
    assert good.read() == b"x" * FULL
    clients.write("stdout", b"y" * (MOST + 1))
    assert life.paused
    assert good.read() == b"y" * (MOST + 1)
    while life.paused:
        loop.turn()
    assert slow.hear() == ({"slow": True}, [])
    assert slow.hear() is None
    assert life.ended
    clients.write("stdout", b"z")
    assert good.read() == b"z"


def test_the_one_that_it_was_started_for_is_waited_for(clients, caller, loop, life):
    owner = caller(owner=True)
    clients.write("stdout", b"x" * (FULL + MOST + 1))
    over = []
    loop.later(0.05, lambda: over.append(True))
    while not over:
        loop.turn()
    assert life.paused
    assert owner.read() == b"x" * FULL


def test_what_was_not_read_at_the_end_is_handed_over(clients, caller):
    one = caller()
    clients.write("stdout", b"x" * FULL + b"y" * MOST * 5)
    clients.end({"exit": 0})
    message, files = one.hear()
    assert message["rest"] == ["stdout"]
    assert one.read() == b"x" * FULL
    assert os.read(files[0], 1 << 20) == b"y" * MOST * 5
    os.close(files[0])


def test_who_comes_and_who_leaves_by_the_keys_is_noted(caller, loop, notes):
    one = caller()
    one.connection.send({"left": True})
    loop.turn()
    assert notes == ["attach", "detach"]


def test_signals_the_end_of_input_and_a_client_that_died(clients, caller, loop, life, killed):
    one = caller(stdin=True)
    one.connection.send({"signal": 2, "last": True})
    loop.turn()
    assert killed == [(2, True)]
    assert not life.ended
    one.connection.send({"eof": True})
    loop.turn()
    assert life.ended
    one.connection.close()
    loop.turn()
    clients.write("stdout", b"nobody hears it")
    two = caller()
    os.close(two.out)
    clients.write("stdout", b"nobody reads it")
    clients.write("stderr", b"but this")
    assert os.read(two.err, 100) == b"but this"
    two.out = os.dup(two.err)
