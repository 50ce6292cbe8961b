"""Copies that other threads make: what they give back, in which order, and how much of it is held."""

import pytest

from tiffin.snapshot import copies


@pytest.mark.parametrize("most", [0, 1000, 1 << 20])
@pytest.mark.parametrize("number", [10, 1000])
def test_results_come_in_order_or_not_at_all(monkeypatch, most, number):
    monkeypatch.setattr(copies, "_HELD", most)
    later, found = copies.Copies(), []
    expected = [b"%06d" % count for count in range(number)]
    for content in expected:
        later.add(bytes.lower, content, then=found.append)
    later.drain()
    later.abandon()
    kept = [content for content in found if content is not None]
    assert len(found) == number
    assert all(got in (None, content) for got, content in zip(found, expected, strict=True))
    if number * 6 <= most:
        assert kept == expected
    assert bool(kept) == bool(most)


def test_what_is_no_content_is_always_passed_on(monkeypatch):
    monkeypatch.setattr(copies, "_HELD", 0)
    later, found = copies.Copies(), []
    for count in range(200):
        later.add(int, count, then=found.append)
    later.drain()
    later.abandon()
    assert found == list(range(200))
