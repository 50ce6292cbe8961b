"""A blob that arrives by several connections, or by one where that is better."""

import io
import threading

import pytest

from tiffin.content.verify import VerifyingReader
from tiffin.engine import arriving
from tiffin.engine.arriving import Arrival
from tiffin.errors import CorruptError, UnavailableError
from tiffin.oci.descriptor import Descriptor
from tiffin.store import partials
from tiffin.store.home import Home
from tiffin.store.partials import Partials

PIECE = 64 << 10
DATA = b"".join(n.to_bytes(4, "little") for n in range(5 * PIECE // 4)) + b"end"
BLOB = Descriptor.of(DATA, "application/octet-stream")


class Remote:
    """A registry that remembers what it was asked for; `before` is called for each question and each read."""

    def __init__(self, data=DATA, parts=True) -> None:
        self.data = data
        self.parts = parts
        self.asked = []
        self.gate = lambda _kind: None

    def open_at(self, _descriptor, start):
        self.asked.append((start, None))
        return io.BufferedReader(Slow(self.data[start:], lambda: self.gate("first")), 1 << 14)

    def open_piece(self, _descriptor, start, stop):
        self.gate("piece")
        if not self.parts:
            return None
        self.asked.append((start, stop))
        return io.BufferedReader(Slow(self.data[start:stop], lambda: None), 1 << 14)


class Slow(io.RawIOBase):
    def __init__(self, data, before) -> None:
        self._data, self._before = memoryview(data), before

    def readable(self):
        return True

    def readinto(self, buffer):
        self._before()
        part = self._data[: len(buffer)]
        buffer[: len(part)] = part
        self._data = self._data[len(part) :]
        return len(part)


class Clock:
    """Time that passes by itself: each look is a second, so that the first connection always seems slow."""

    def __init__(self, step=10.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self):  # noqa: ANN204
        self.now += self.step
        return self.now


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(partials, "PIECE", PIECE)
    monkeypatch.setattr(arriving, "_CHUNK", 16 << 10)
    monkeypatch.setattr(arriving, "_TOLD", 1)
    return Partials(Home(tmp_path / "home", tmp_path / "run").create())


def receive(store, remote, clock=lambda: 0.0, told=lambda _count: None):
    with (
        store.claim(BLOB, lambda _count: None) as partial,
        Arrival(remote, BLOB, partial, told, clock) as arrival,
        arrival.stream() as stream,
    ):
        return VerifyingReader(stream, BLOB, owns=False).read()


def test_a_fast_connection_stays_alone(store):
    remote = Remote()
    assert receive(store, remote) == DATA
    assert remote.asked == [(0, None)]


def test_a_slow_one_gets_help_and_each_byte_is_asked_for_once(store):
    remote = Remote()
    helped = threading.Event()

    def gate(kind):
        if kind == "piece":
            helped.set()
        elif len(remote.asked) == 1 and gate.reads:
            helped.wait(30)
        gate.reads += kind == "first"

    gate.reads = 0
    remote.gate = gate
    assert receive(store, remote, Clock()) == DATA
    pieces = [one for one in remote.asked if one[1] is not None]
    assert remote.asked[0] == (0, None)
    assert pieces
    assert all(stop - start <= PIECE for start, stop in pieces)
    assert len({start for start, _ in pieces}) == len(pieces)
    assert all(start >= PIECE for start, _ in pieces)


def test_a_registry_without_parts_is_asked_for_none_again(store):
    remote = Remote(parts=False)
    assert receive(store, remote, Clock()) == DATA
    assert [one for one in remote.asked if one[1] is not None] == []


def test_a_helper_that_fails_leaves_its_piece_to_the_first(store):
    remote = Remote()

    def gate(kind):
        if kind == "piece":
            raise UnavailableError("no more connections", code="rate-limit")

    remote.gate = gate
    assert receive(store, remote, Clock()) == DATA


def test_what_is_here_is_not_asked_for_again(store):
    with store.claim(BLOB, lambda _count: None) as partial:
        partial.write(0, DATA[:1000], partial.turn)
        partial.write(1, DATA[PIECE : 2 * PIECE], partial.turn)
    remote = Remote()
    assert receive(store, remote) == DATA
    assert [start for start, _ in remote.asked] == [1000, 2 * PIECE]


def test_what_is_all_here_asks_for_nothing(store):
    with store.claim(BLOB, lambda _count: None) as partial:
        for piece in range(partial.pieces):
            partial.write(piece, DATA[piece * PIECE : partial.stop(piece)], partial.turn)
    remote = Remote()
    assert receive(store, remote) == DATA
    assert remote.asked == []


def test_a_failure_comes_out_where_the_blob_is_read_and_what_came_stays(store):
    remote = Remote()

    def gate(_kind):
        gate.reads += 1
        if gate.reads > 8:
            raise UnavailableError("cut for good", code="cut-off")

    gate.reads = 0
    remote.gate = gate
    with pytest.raises(UnavailableError, match="cut for good"):
        receive(store, remote)
    with store.claim(BLOB, lambda _count: None) as partial:
        assert 0 < partial.kept < len(DATA)


def test_content_that_ends_too_early_is_an_error(store):
    with pytest.raises(CorruptError, match="ends after"):
        receive(store, Remote(DATA[:-5]))


def test_other_content_is_found_out(store):
    with pytest.raises(CorruptError, match="does not match its digest"):
        receive(store, Remote(DATA[:-1] + b"!"))


def test_who_listens_may_end_it(store):
    class Enough(Exception):  # noqa: N818
        pass

    def told(count):
        if count > PIECE:
            raise Enough

    with pytest.raises(Enough):
        receive(store, Remote(), told=told)


def test_how_far_it_is_is_told_to_the_end(store):
    heard = []
    receive(store, Remote(), told=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == len(DATA)


def test_the_number_of_connections_is_bounded(store, monkeypatch):
    room = threading.BoundedSemaphore(1)
    monkeypatch.setattr(arriving, "_ROOM", room)
    remote = Remote()
    assert receive(store, remote, Clock()) == DATA
    assert remote.asked == [(0, None)]  # the first has all the room that there is
