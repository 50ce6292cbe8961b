"""The keys to leave by: Docker's syntax, and what passes while they are looked for."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tiffin.container.detachkeys import DetachKeys, parse_keys
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\0\x1b\x1c\x1d\x1e\x1f"),
        ("DEL,Z,ctrl-z", b"\x7fZ\x1a"),
    ],
)
def test_what_a_terminal_sends_for_them(text, keys):
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-", "ctrl-1", "ctrl-P", "ctrl-ab", "a,,b", "é", "alt-x"])
def test_what_is_no_key(text):
    with pytest.raises(InvalidError, match="invalid detach keys"):
        parse_keys(text)


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        ([b"ab", b"c\x10", b"\x11rest"], [b"ab", b"c", b""]),
        ([b"\x10", b"\x10", b"\x11"], [b"", b"\x10", b""]),
        ([b"\x10x\x10\x11"], [b"\x10x"]),
    ],
)
def test_what_may_be_their_beginning_waits(typed, passed):
    keys = DetachKeys(b"\x10\x11")
    assert [keys.feed(data) for data in typed] == passed
    assert keys.found


def test_nothing_is_found_where_there_are_no_keys():
    keys = DetachKeys(b"")
    assert keys.feed(b"abc") == b"abc"
    assert not keys.found


letters = some.text("ab", max_size=12).map(str.encode)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text("ab", min_size=1, max_size=4).map(str.encode), some.lists(letters, max_size=5))
def test_what_is_typed_passes_up_to_the_keys(keys, parts):
    found = DetachKeys(keys)
    passed = b"".join(map(found.feed, parts))
    typed = b"".join(parts)
    before, there, _ = typed.partition(keys)
    assert found.found == bool(there)
    if there:
        assert passed == before
    else:
        assert typed.startswith(passed)
        assert keys.startswith(typed[len(passed) :])
