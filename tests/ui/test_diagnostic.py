from io import StringIO

from tiffin.errors import InvalidError, NotFoundError, Where
from tiffin.events import Notice
from tiffin.ui.diagnostic import colours, notice, render


def test_an_error_is_one_line_that_says_what_and_one_that_says_what_to_do():
    error = NotFoundError("there is no image named fnca", hint="did you mean finca?")
    assert render(error) == ["error: there is no image named fnca", "hint: did you mean finca?"]


def test_without_a_hint_there_is_no_hint_line():
    assert render(NotFoundError("gone")) == ["error: gone"]


def test_a_place_is_named_and_shown_with_a_caret_under_the_fault():
    where = Where("Dockerfile", 7, 1, 4, "RNU pip install")
    error = InvalidError("RNU is no instruction", hint="did you mean RUN?", where=where)
    assert render(error) == [
        "error: Dockerfile:7: RNU is no instruction",
        " 7 | RNU pip install",
        "   | ^^^",
        "hint: did you mean RUN?",
    ]


def test_the_caret_stands_right_behind_tabs_and_wide_characters():
    lines = render(InvalidError("x", where=Where("D", 12, 5, 8, "\t日本 bad")))
    assert lines[1].index("bad") + 2 == lines[2].index("^")  # two wide characters take two columns more
    assert lines[2].count("^") == 3


def test_a_caret_past_the_end_of_the_line_is_one_caret():
    lines = render(InvalidError("x", where=Where("D", 1, 10, 10, "short")))
    assert lines[2] == "   |      ^"


def test_a_long_line_is_cut_around_the_fault():
    text = "a" * 300 + "BAD" + "b" * 300
    lines = render(InvalidError("x", where=Where("D", 1, 301, 304, text)))
    assert "BAD" in lines[1]
    assert len(lines[1]) < 120
    start = lines[1].index("BAD")
    assert lines[2][start : start + 3] == "^^^"


def test_a_hostile_dockerfile_cannot_steer_the_terminal():
    where = Where("Dock\x1b[2Jerfile", 1, 1, 2, "\x1b]0;x\x07RUN")
    assert all("\x1b" not in line for line in render(InvalidError("a\x1b[1mb", where=where, hint="\x1b[2J")))


def test_colour_is_for_terminals_and_only_if_nobody_minds():
    class Terminal(StringIO):
        def isatty(self):
            return True

    assert colours(Terminal(), {"TERM": "xterm"})
    assert not colours(StringIO(), {"TERM": "xterm"})
    assert not colours(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"})
    assert not colours(Terminal(), {"TERM": "dumb"})
    assert "\x1b[" in render(NotFoundError("x"), colour=True)[0]


def test_a_notice_is_one_line():
    assert notice(Notice("two\nlines", where=Where("D", 3))) == "warning: D:3: two lines"
    assert notice(Notice("so", "info", rule="Big")) == "info: Big: so"
