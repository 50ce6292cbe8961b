"""Events: which are wanted, and that a reader misses none, also when the journal's file changes."""

import json
import os
import threading
import time
from types import SimpleNamespace

import pytest

from tiffin.engine.events import Event, events, matches, parse
from tiffin.store import journal

CONTAINER = Event(
    5, "container", "start", "0abc", {"name": "serving", "image": "shop/web:1", "tier": "front"}
)
PULL = Event(6, "image", "pull", "sha256:12", {"name": "localhost:5000/web:1"})
HEALTH = Event(7, "container", "health_status: healthy", "0abc", {"name": "serving", "image": "web"})
VOLUME = Event(8, "volume", "create", "data", {"driver": "local"})


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, [CONTAINER, PULL, HEALTH, VOLUME]),
        ({"type": ["volume"]}, [VOLUME]),
        ({"type": ["volume", "image"]}, [PULL, VOLUME]),
        ({"event": ["start"]}, [CONTAINER]),
        ({"event": ["health_status"]}, [HEALTH]),
        ({"event": ["health_status: healthy"]}, [HEALTH]),
        ({"event": ["health_status: unhealthy"]}, []),
        ({"container": ["serving"]}, [CONTAINER, HEALTH]),
        ({"container": ["0a"]}, [CONTAINER, HEALTH]),
        ({"container": ["data"]}, []),
        ({"volume": ["data"]}, [VOLUME]),
        ({"network": ["data"]}, []),
        ({"image": ["shop/web"]}, [CONTAINER]),
        ({"image": ["shop/web:1"]}, [CONTAINER]),
        ({"image": ["shop/web:2"]}, []),
        ({"image": ["localhost:5000/web"]}, [PULL]),
        ({"image": ["sha256:12"]}, [PULL]),
        ({"image": ["localhost"]}, []),
        ({"label": ["tier"]}, [CONTAINER]),
        ({"label": ["tier=front"]}, [CONTAINER]),
        ({"label": ["tier=back"]}, []),
        ({"label": ["tier", "none"]}, []),
        ({"scope": ["local"], "event": ["start", "create"]}, [CONTAINER, VOLUME]),
        ({"scope": ["swarm"]}, []),
    ],
)
def test_filters(filters, wanted):
    assert [event for event in (CONTAINER, PULL, HEALTH, VOLUME) if matches(event, filters)] == wanted


@pytest.mark.parametrize("line", [b"{", b"[]", b"3", b'{"time": 1}', b'{"time":"x","type":"a","action":"b"}'])
def test_what_is_no_event_is_none(line):
    assert parse(line) is None


@pytest.fixture
def engine(tmp_path):
    return SimpleNamespace(home=SimpleNamespace(journal=tmp_path / "events"))


def tell(engine, identity, kind="container"):
    journal.append(engine.home.journal, kind, "start", identity, {})


def ids(found):
    return [event.id for event in found]


def test_what_was_between_two_moments(engine):
    assert list(events(engine, {}, until=time.time())) == []
    tell(engine, "a")
    middle = time.time()
    tell(engine, "b")
    with (engine.home.journal / journal.CURRENT).open("ab") as file:
        file.write(b'\n{"cut off')
    tell(engine, "c", "image")
    assert ids(events(engine, {}, until=time.time())) == ["a", "b", "c"]
    assert ids(events(engine, {}, since=middle, until=time.time())) == ["b", "c"]
    assert ids(events(engine, {}, until=middle)) == ["a"]
    assert ids(events(engine, {"type": ["image"]}, since=0, until=time.time())) == ["c"]


def test_a_follower_is_woken_and_reads_across_a_change_of_files(engine, monkeypatch):
    tell(engine, "before")
    monkeypatch.setattr(journal, "_LARGEST", 2000)
    following = events(engine, {}, since=0)
    assert next(following).id == "before"
    count = 300  # some twenty changes of the file
    late = os.open(engine.home.journal / journal.CURRENT, os.O_WRONLY | os.O_APPEND)

    def write():
        for number in range(count):
            tell(engine, str(number))
            if number == 25:  # by one who opened the file before it became the old one
                wire = {"time": time.time_ns(), "type": "x", "action": "y", "id": "late", "about": {}}
                os.write(late, b"\n" + json.dumps(wire).encode() + b"\n")
            while len(seen) < number:  # a reader so slow that it misses two changes would lose events
                time.sleep(0.0005)

    seen = []
    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(seen) < count + 1:
            seen.append(next(following).id)
    finally:
        thread.join()
        os.close(late)
        following.close()
    assert sorted(seen) == sorted([*map(str, range(count)), "late"])


def test_an_end_that_is_still_to_come_is_waited_for(engine):
    begun = time.time()
    tell(engine, "a")
    assert ids(events(engine, {}, since=begun - 1, until=begun + 0.3)) == ["a"]
    assert time.time() >= begun + 0.3
