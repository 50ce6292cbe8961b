"""Foreign text: nothing of it may steer the terminal, and lines survive any cutting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.ui.text import LineSplitter, display_width, fit, sanitise


@pytest.mark.parametrize(
    ("hostile", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2\x1b\\after", "after"),
        ("\x9b31mc1", "c1"),
        ("a\x08b\x07c\x00d\x7f", "abcd"),
        ("cut\x1b[3", "cut"),
        ("cut\x1b", "cut"),
        ("cut\x1b]0;no end", "cut"),
        ("abc\u202edef\u2066", "abcdef"),
        ("tab\tstop", "tab     stop"),
        ("naïve 日本 ✔", "naïve 日本 ✔"),
        ("\x1b(Bcharset \x1b7save", "charset save"),
    ],
)
def test_control_sequences_and_characters_are_gone(hostile, clean):
    assert sanitise(hostile) == clean


@given(st.text())
def test_nothing_sanitised_can_be_a_control(text):
    assert all(c == " " or c.isprintable() or ord(c) > 0x9F for c in sanitise(text))
    assert "\x1b" not in sanitise(text)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(lines, data):
    whole = "".join(line + "\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    splitter = LineSplitter()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += splitter.feed(whole[start:end])
    assert found + splitter.finish() == lines


def test_a_line_without_an_end_comes_when_all_is_over():
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.partial == "tw"
    assert splitter.feed(b"o") == []
    assert splitter.finish() == ["two"]
    assert splitter.finish() == []


def test_a_progress_bar_is_its_last_state_and_crlf_a_plain_line_end():
    splitter = LineSplitter()
    assert splitter.feed(b"\r 10%\r 50%\r100%\nplain\r\n") == ["100%", "plain"]


def test_bytes_that_are_no_utf_8_are_replaced():
    assert LineSplitter().feed(b"a\xffb\n") == ["a\ufffdb"]


def test_an_endless_line_does_not_pile_up():
    splitter = LineSplitter()
    assert sum(len(line) for line in splitter.feed(b"x" * 200_000)) == 200_000


def test_width_counts_wide_and_combining_characters():
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1
    assert display_width("abc") == 3


@given(st.text(st.characters(categories=["L", "N"])), st.integers(1, 40))
def test_what_is_fitted_is_never_wider(text, width):
    assert display_width(fit(text, width)) <= width
    if display_width(text) <= width:
        assert fit(text, width) == text
