"""Recorded owners as they are spelled, and read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.linux.ownerrecord import Links, Record, entries, entry, parse, parse_links, spell, spell_links

IDS = st.integers(0, 2**32 - 2)
MODES = st.integers(0, 0o7777).flatmap(lambda mode: st.sampled_from([0o100000 | mode, 0o040000 | mode]))
NODES = st.tuples(st.integers(0, 0o177777), st.integers(0, 2**32))
OWNERS = st.tuples(IDS, IDS)
NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name)


@given(IDS, IDS, st.none() | NODES | st.tuples(MODES))
def test_a_record_is_read_as_it_was_written(uid, gid, node):
    record = Record(uid, gid, *node) if node else Record(uid, gid)
    assert parse(spell(record)) == record


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1",
        b"1:2:3",
        b"a:b",
        b"-1:0",
        b"4294967295:0",
        b"0:4294967295",
        b"1:2:9:3",
        b"1:2:3:x",
        b"0:0:10666",
        b"0:0:020666",
    ],
)
def test_what_is_no_owner(text):
    assert parse(text) is None


@given(OWNERS, st.dictionaries(NAMES, OWNERS, max_size=6))
def test_owners_of_links_are_read_as_they_were_written(others, named):
    links = Links(others, named)
    found = parse_links(spell_links(links))
    assert found is not None
    assert found.others == others
    for name in [*named, b"another name that is not there"]:
        assert found.owner(name) == links.owner(name)


@pytest.mark.parametrize("text", [b"", b"1", b"x:y/a", b"1:2/a//", b"1:2/a//-1:0/b", b"1:2:3/a"])
def test_what_names_no_owners(text):
    assert parse_links(text) is None


def test_links_of_most_are_not_named():
    assert spell_links(Links((7, 8), {b"a": (7, 8), b"b": (0, 0)})) == b"7:8//0:0/b"
    assert spell_links(Links()) == b"0:0"


@given(st.lists(st.tuples(st.tuples(st.integers(1, 9), st.integers(0, 2**63)), OWNERS)), st.integers(0, 23))
def test_the_last_entry_counts_and_a_torn_one_does_not(written, torn):
    data = b"".join(entry(*each) for each in written)
    assert entries(data + bytes(torn)) == dict(written)
