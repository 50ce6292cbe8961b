"""What `--userns` asks for, and the ids that come of it."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.engine import userns
from tiffin.engine.shifted import Swapped, sweep
from tiffin.engine.userns import Users, accounts, check, exchanged, kept, parse, place
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.isolation import Isolation, Rung
from tiffin.linux.namespace import IdMap, host_id
from tiffin.runtime.model import UserMap
from tiffin.runtime.spec import Place

PAIRS = st.tuples(st.integers(0, 9), st.integers(0, 9))
IDS = (IdMap(0, 1000, 1), IdMap(1, 100000, 65536))


def words(text):
    return (("userns", text),)


def engine(rung=Rung.ROOTLESS, ids=IDS):
    footing = SimpleNamespace(isolation=Isolation(rung, ids, ids), taken_ids=(IdMap(0, 1 << 20, 100),))
    return SimpleNamespace(rung=rung, footing=footing)


def here(ids=IDS):
    return Place("x86_64", (6, 1), 1 << 30, UserMap(), ids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Users()),
        ("private", Users()),
        ("host", Users("host")),
        ("nomap", Users("nomap")),
        ("auto", Users("auto")),
        ("auto:size=4096", Users("auto", size=4096)),
        ("keep-id", Users("keep-id")),
        ("keep-id:uid=200,gid=300", Users("keep-id", 200, 300)),
        ("keep-id:gid=5", Users("keep-id", None, 5)),
    ],
)
def test_modes(text, expected):
    assert parse(words(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "me",
            "host:uid=1",
            "auto:uid=1",
            "auto:size=0",
            "auto:size=99999999",
            "keep-id:",
            "keep-id:size=5",
        ),
        *(
            "keep-id:size=5",
            "keep-id:uid=x",
            "keep-id:uid=4294967295",
            "keep-id:uid=1;gid=2",
            "container:a",
            "auto:size=٣",
        ),
    ],
)
def test_what_is_no_mode(text):
    with pytest.raises(InvalidError, match="--userns"):
        parse(words(text))


@pytest.mark.parametrize(
    ("rung", "text"),
    [(Rung.ROOT, "keep-id"), (Rung.ROOTLESS, "auto"), (Rung.ROOTLESS, "nomap"), (Rung.SINGLE_ID, "auto")],
)
def test_modes_that_a_rung_does_not_have(rung, text):
    with pytest.raises(UnsupportedError, match="--userns") as error:
        check(rung, words(text))
    assert error.value.exit_status == 125


def test_modes_that_every_rung_has():
    for rung in (Rung.ROOT, Rung.ROOTLESS, Rung.SINGLE_ID):
        for text in ("", "private", "host"):
            check(rung, words(text))


def test_the_account_is_itself_or_who_was_asked_for():
    assert kept(engine(), words("keep-id")) == (1000, 1000)
    assert kept(engine(), words("keep-id:uid=7")) == (7, 1000)
    assert kept(engine(), words("keep-id:uid=0,gid=0")) is None
    assert kept(engine(Rung.ROOT), words("keep-id")) is None
    assert kept(engine(), words("host")) is None


@given(own=st.integers(1, 70000), count=st.integers(1, 66000))
def test_the_account_and_root_change_places_and_nobody_else(own, count):
    ids = (IdMap(0, 1000, 1), *([IdMap(1, 100000, count - 1)] if count > 1 else []))
    record = SimpleNamespace(security=words(f"keep-id:uid={own},gid={own}"))
    users = place(engine(ids=ids), record, here(ids)).users
    assert host_id(users.uids, own) == 0
    assert host_id(users.uids, 0) == (own if own < count else None)
    for other in {1, own - 1, own + 1, count - 1} - {0, own}:
        assert host_id(users.uids, other) == (other if 0 < other < count else None)
    assert sum(line.size for line in users.uids) == count
    outside = sorted((line.outside, line.outside + line.size) for line in users.uids)
    assert all(first[1] <= second[0] for first, second in pairwise(outside))


@given(
    own=st.tuples(st.integers(0, 9), st.integers(0, 9)), who=st.tuples(st.integers(0, 9), st.integers(0, 9))
)
def test_owners_on_disk_change_places_back(own, who):
    swapped = Swapped(own)
    assert swapped.counterparts(*swapped.counterparts(*who)) == who


def test_who_is_beyond_the_ids_changes_places_with_nobody():
    assert exchanged(engine(), words("keep-id:uid=70000,gid=5")) == (0, 5)
    assert exchanged(engine(ids=(IdMap(0, 1000, 1),)), words("keep-id")) is None


def test_a_range_of_ids_that_nobody_has(monkeypatch):
    others = [SimpleNamespace(first_id=(1 << 20) + 100, security=words("auto:size=50"))]
    monkeypatch.setattr(userns, "_automatic", lambda _engine: others)
    first = userns.reserve(engine(Rung.ROOT, (IdMap(0, 100000, 65536),)), words("auto:size=10"))
    assert first == (1 << 20) + 150
    record = SimpleNamespace(security=words("auto:size=10"), first_id=first)
    assert place(engine(Rung.ROOT), record, here()).users.uids == (IdMap(0, first, 10),)


def test_the_ids_of_the_machine():
    record = SimpleNamespace(security=words("host"))
    found = place(engine(Rung.ROOT), record, here()._replace(users=UserMap(IDS, IDS)))
    assert found.users == UserMap()
    assert found.ids == (IdMap(0, 0, 4294967295),)
    assert place(engine(), record, here()) == here()


def test_the_account_gets_a_name(monkeypatch):
    monkeypatch.setattr(userns, "_name_of", lambda _uid: "ada")
    assert accounts((7, 8), "/home/ada", b"root:x:0:0::/:", b"") == (
        b"root:x:0:0::/:\nada:x:7:8::/home/ada:/bin/sh\n",
        b"ada:x:8:\n",
    )
    known = (b"nb:x:7:8::/home/nb:/bin/sh\n", b"ada:x:100:\n")
    assert accounts((7, 8), "/", *known) == known


def test_copies_go_with_their_layers(tmp_path):
    home = SimpleNamespace(root=tmp_path, layers=tmp_path / "layers", locks=tmp_path / "locks")
    for path in ("layers/aa", "locks", "shifted/7-7/aa", "shifted/7-7/bb", "shifted/8-8/.aa.5"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "shifted/8-8/aa").touch()
    (tmp_path / "shifted/8-8/cc").touch()
    sweep(SimpleNamespace(home=home))
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("shifted/*/*")) == [
        "shifted/7-7/aa",
        "shifted/8-8/aa",
    ]
