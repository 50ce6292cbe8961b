"""Progress: plain lines as BuildKit writes them, JSON lines, quiet, and the live terminal."""

import json
import re
import threading
from io import StringIO
from pathlib import Path

import pytest

from tiffin.errors import InvalidError, Where
from tiffin.events import (
    Notice,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    StepUnreached,
    StepWhy,
    TerminalLent,
)
from tiffin.ui.failed import KEPT, RULE
from tiffin.ui.live import LiveReporter
from tiffin.ui.plain import PlainReporter
from tiffin.ui.progress import JsonReporter, QuietReporter, open_reporter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def plain(*script):
    """The plain output of events; a number in the script is time that passes."""
    stream, clock = StringIO(), Clock()
    with PlainReporter(stream, clock=clock) as reporter:
        for item in script:
            if isinstance(item, float):
                clock.now += item
            else:
                reporter.emit(item)
    return stream.getvalue()


def test_plain_numbers_steps_and_times_their_output():
    assert plain(
        StepStarted("a", "FROM finca-base", "build 1/2"),
        StepDone("a", "cached"),
        StepStarted("b", "RUN pip install", "build 2/2"),
        0.312,
        StepLog("b", b"Collecting numpy\n"),
        1.0,
        StepLog("b", b"Done\n"),
        StepDone("b", "done", 1.345),
    ) == (
        "#1 [build 1/2] FROM finca-base\n#1 CACHED\n"
        "\n#2 [build 2/2] RUN pip install\n#2 0.312 Collecting numpy\n#2 1.312 Done\n#2 DONE 1.3s\n"
    )


def test_plain_joins_lines_that_come_in_pieces_and_keeps_streams_apart():
    text = plain(
        StepStarted("a", "RUN x"),
        StepLog("a", b"out h"),
        StepLog("a", b"err\n", 2),
        StepLog("a", b"alf\nlast"),
        StepDone("a", "done", 0.0),
    )
    assert text == "#1 RUN x\n#1 0.000 err\n#1 0.000 out half\n#1 0.000 last\n#1 DONE 0.0s\n"


def test_plain_shows_one_step_at_a_time():
    text = plain(
        StepStarted("a", "RUN a"),
        StepStarted("b", "RUN b"),
        StepLog("a", b"a1\n"),
        StepLog("b", b"b1\n"),
        StepLog("a", b"a2\n"),
        StepDone("b", "done", 0.1),
        StepDone("a", "done", 0.2),
    )
    assert text == (
        "#1 RUN a\n#1 0.000 a1\n#1 0.000 a2\n#1 DONE 0.2s\n\n#2 RUN b\n#2 0.000 b1\n#2 DONE 0.1s\n"
    )


def test_plain_gives_a_waiting_step_its_turn_and_names_a_step_taken_up_again():
    text = plain(
        StepStarted("a", "RUN a"),
        StepLog("a", b"a1\n"),
        StepStarted("b", "RUN b"),
        StepLog("b", b"b1\n"),
        2.0,
        StepLog("b", b"b2\n"),
        2.0,
        StepLog("a", b"a2\n"),
        StepDone("a", "done", 4.0),
        StepDone("b", "done", 4.0),
    )
    assert text.splitlines() == [
        "#1 RUN a",
        "#1 0.000 a1",
        "#1 ...",
        "",
        "#2 RUN b",
        "#2 0.000 b1",
        "#2 2.000 b2",
        "#2 ...",
        "",
        "#1 RUN a",
        "#1 4.000 a2",
        "#1 DONE 4.0s",
        "",
        "#2 RUN b",
        "#2 DONE 4.0s",
    ]


def test_plain_says_why_a_step_failed_and_what_was_canceled():
    text = plain(
        StepStarted("a", "RUN false"),
        StepDone("a", "failed", 0.1, "exit code 1"),
        StepStarted("b", "RUN true"),
        StepDone("b", "canceled"),
    )
    assert "#1 ERROR: exit code 1\n" in text
    assert "#2 CANCELED\n" in text


# One step fails while another runs; the third stops with an error of its own, because it is stopped.
FAILING = (
    StepStarted("a", "[1/5] RUN long"),
    StepStarted("b", "[2/5] RUN short"),
    StepLog("a", b"a goes on\n"),
    StepLog("b", b"b says no\n"),
    StepDone("b", "failed", 0.1),
    StepDone("a", "canceled", 0.2),
    StepUnreached("c", "[3/5] RUN never"),
    StepUnreached("d", "[4/5] COPY a b"),
)
REPORT = f"{RULE}\n > [2/5] RUN short:\n{{}}b says no\n{RULE}\n"
LEFT = "not reached: 2 steps: [3/5] RUN never, [4/5] COPY a b\n"


def test_plain_closes_with_the_step_that_failed_and_its_output_alone():
    text = plain(*FAILING)
    assert text.endswith("#2 ERROR\n" + LEFT + REPORT.format("0.000 "))
    assert "#1 CANCELED\n" in text
    assert text.count("a goes on") == 1
    assert "CACHED" not in text


def test_plain_closes_with_the_end_of_much_output():
    output = "".join(f"line {n}\n" for n in range(1000)).encode()
    text = plain(StepStarted("a", "RUN x"), StepLog("a", output), StepDone("a", "failed"))
    closing = text.rpartition(f"{RULE}\n > RUN x:\n")[2].splitlines()
    assert closing == [*(f"0.000 line {n}" for n in range(1000 - KEPT, 1000)), RULE]


def test_plain_says_nothing_of_the_kind_after_a_build_that_is_whole():
    assert RULE not in plain(StepStarted("a", "RUN x"), StepLog("a", b"out\n"), StepDone("a", "done"))


def test_quiet_says_the_same_and_no_more():
    stream = StringIO()
    with QuietReporter(stream) as reporter:
        for event in FAILING:
            reporter.emit(event)
    assert stream.getvalue() == LEFT + REPORT.format("")


def test_many_steps_that_were_not_reached_are_counted():
    stream = StringIO()
    with QuietReporter(stream) as reporter:
        for number in range(9):
            reporter.emit(StepUnreached(str(number), f"RUN {number}", "stage"))
    assert stream.getvalue() == "not reached: 9 steps: [stage] RUN 0 and those after it\n"


def test_live_closes_with_the_step_that_failed_and_its_output_alone():
    reporter, stream = live(*FAILING)
    reporter.__exit__(None, None, None)
    shown = [line.rstrip() for line in Screen(stream.getvalue()).shown]
    assert [line.split()[-1] for line in shown[:2]] == ["FAILED", "CANCELED"]
    assert shown[2:] == [LEFT.rstrip(), " > [2/5] RUN short:", "   │ b says no"]


def test_before_the_terminal_is_lent_what_failed_is_shown_and_not_again():
    for text in (
        plain(*FAILING, TerminalLent("a shell")),
        "".join(shown_by_quiet(*FAILING, TerminalLent("a shell"))),
    ):
        assert text.endswith(f"b says no\n{RULE}\na shell\n")
        assert text.count(" > [2/5] RUN short:") == 1


def shown_by_quiet(*script):
    stream = StringIO()
    with QuietReporter(stream) as reporter:
        for event in script:
            reporter.emit(event)
    return stream.getvalue()


def test_live_draws_nothing_more_when_the_terminal_is_lent():
    reporter, stream = live(*FAILING, TerminalLent("a shell"))
    shown = [line.rstrip() for line in Screen(stream.getvalue()).shown]
    assert shown[-3:] == [" > [2/5] RUN short:", "   │ b says no", "a shell"]
    before = len(stream.getvalue())
    reporter.tick()
    assert len(stream.getvalue()) == before


def test_rawjson_tells_that_the_terminal_is_lent():
    stream = StringIO()
    JsonReporter(stream, now=lambda: 1.0).emit(TerminalLent("a shell"))
    assert json.loads(stream.getvalue()) == {"event": "terminal-lent", "time": 1.0, "message": "a shell"}


def test_rawjson_tells_what_was_not_reached():
    stream = StringIO()
    JsonReporter(stream, now=lambda: 1.0).emit(StepUnreached("s", "RUN x", "build"))
    event = {"event": "unreached", "time": 1.0, "step": "s", "name": "RUN x", "group": "build"}
    assert json.loads(stream.getvalue()) == event


def test_quiet_does_not_speak_of_lint():
    stream = StringIO()
    with QuietReporter(stream) as reporter:
        reporter.emit(Notice("found", rule="UndefinedVar"))
        reporter.emit(Notice("careful"))
    assert stream.getvalue() == "warning: careful\n"


def test_plain_loses_nothing_when_it_ends_in_the_middle():
    text = plain(StepStarted("a", "RUN a"), StepStarted("b", "RUN b"), StepLog("b", b"b1\nb2"))
    assert "#2 0.000 b1\n" in text
    assert "#2 0.000 b2\n" in text


def test_plain_reports_a_transfer_now_and_then_and_when_it_is_whole():
    steps = [event for done in range(1, 100) for event in (StepProgress("a", done * 10**6, 10**8), 0.1)]
    text = plain(
        StepStarted("a", "pull"), *steps, StepProgress("a", 10**8, 10**8), StepDone("a", "done", 9.9)
    )
    lines = [line for line in text.splitlines() if "MB / 100MB" in line]
    assert 1 <= len(lines) <= 3
    assert lines[-1].startswith("#1 100MB / 100MB")


def test_plain_keeps_bytes_of_a_pipe_but_not_of_a_terminal():
    event = [StepStarted("a", "x"), StepLog("a", b"\x1b[31mred\n")]
    assert "\x1b[31mred" in plain(*event)
    stream = Terminal()
    with PlainReporter(stream) as reporter:
        for one in event:
            reporter.emit(one)
    assert "\x1b" not in stream.getvalue()


def test_events_from_many_threads_are_all_shown_whole():
    stream = StringIO()
    with PlainReporter(stream) as reporter:

        def work(name):
            reporter.emit(StepStarted(name, f"RUN {name}"))
            for count in range(50):
                reporter.emit(StepLog(name, f"{name} line {count}\n".encode()))
            reporter.emit(StepDone(name, "done", 0.1))

        threads = [threading.Thread(target=work, args=(f"s{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = stream.getvalue().splitlines()
    for name in (f"s{n}" for n in range(6)):
        said = [line.split(" ", 2)[2] for line in lines if re.match(rf"#\d+ [\d.]+ {name} line", line)]
        assert said == [f"{name} line {count}" for count in range(50)]
    assert sum("DONE" in line for line in lines) == 6


def test_a_notice_is_shown_at_once():
    assert plain(Notice("old base", where=Where("Dockerfile", 3))) == "warning: Dockerfile:3: old base\n"


def test_rawjson_is_an_object_a_line_with_the_fields_that_are_documented():
    stream = StringIO()
    with JsonReporter(stream, now=lambda: 12.3456) as reporter:
        reporter.emit(StepStarted("s", "RUN x", "build 1/2"))
        reporter.emit(StepLog("s", b"\xc3\xa9t\xc3\xa9 \xff\n", 2))
        reporter.emit(StepProgress("s", 1, 2))
        reporter.emit(StepDone("s", "done", 1.5, "ok"))
        reporter.emit(StepWhy("s", "miss", ("ARG A 1 → 2",)))
        reporter.emit(Notice("careful", where=Where("D", 3)))
        reporter.emit(Notice("found", rule="UndefinedVar"))
        reporter.say("not for programs")
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "started", "time": 12.346, "step": "s", "name": "RUN x", "group": "build 1/2"},
        {"event": "log", "time": 12.346, "step": "s", "stream": 2, "data": "été \ufffd\n"},
        {"event": "progress", "time": 12.346, "step": "s", "done": 1, "total": 2, "unit": "B"},
        {"event": "done", "time": 12.346, "step": "s", "status": "done", "seconds": 1.5, "detail": "ok"},
        {
            "event": "why",
            "time": 12.346,
            "step": "s",
            "verdict": "miss",
            "reasons": ["ARG A 1 → 2"],
            "seconds": 0.0,
            "age": None,
        },
        {"event": "notice", "time": 12.346, "level": "warning", "message": "careful", "file": "D", "line": 3},
        {"event": "notice", "time": 12.346, "level": "warning", "message": "found", "rule": "UndefinedVar"},
    ]


WHY = (
    StepStarted("a", "[1/3] COPY a /"),
    StepWhy("a", "hit", (), 65.0, 7200.0),
    StepDone("a", "cached"),
    StepStarted("b", "[2/3] COPY b /"),
    StepWhy("b", "hit", (), 3.0),
    StepDone("b", "cached"),
    StepStarted("c", "[3/3] RUN x"),
    StepWhy("c", "miss", ("ARG A 1 → 2", "COPY \x1b[2J / before it gave another result")),
    StepDone("c", "done", 1.0),
)


def test_plain_says_why_a_step_hits_or_misses():
    assert plain(*WHY) == (
        "#1 [1/3] COPY a /\n#1 HIT: made 2 hours ago, saves about a minute\n#1 CACHED\n"
        "\n#2 [2/3] COPY b /\n#2 HIT: made on another machine, saves 3 seconds\n#2 CACHED\n"
        "\n#3 [3/3] RUN x\n#3 MISS: ARG A 1 → 2\n#3 MISS: COPY  / before it gave another result\n"
        "#3 DONE 1.0s\n"
    )


def test_live_says_at_once_why_a_step_misses():
    _, stream = live(*WHY[-3:-1])
    assert "[3/3] RUN x: MISS: ARG A 1 → 2" in Screen(stream.getvalue()).shown


def test_quiet_says_nothing_of_why():
    stream = StringIO()
    with QuietReporter(stream) as reporter:
        for event in WHY:
            reporter.emit(event)
    assert stream.getvalue() == ""


def test_quiet_shows_only_the_output_of_what_failed():
    stream = StringIO()
    with QuietReporter(stream) as reporter:
        for event in (
            StepStarted("a", "RUN good"),
            StepLog("a", b"fine\n"),
            StepDone("a", "done"),
            StepStarted("b", "RUN bad", "2/2"),
            StepLog("b", b"no such file\nbye"),
            StepDone("b", "failed"),
        ):
            reporter.emit(event)
        reporter.say("built")
    assert stream.getvalue() == f"{RULE}\n > [2/2] RUN bad:\nno such file\nbye\n{RULE}\n"


def test_auto_is_live_on_a_terminal_and_plain_elsewhere():
    assert isinstance(open_reporter("auto", StringIO(), {"TERM": "xterm"}), PlainReporter)
    assert isinstance(open_reporter("auto", Terminal(), {"TERM": "dumb"}), PlainReporter)
    assert isinstance(open_reporter("auto", Terminal(), {"TERM": "xterm"}), LiveReporter)
    with pytest.raises(InvalidError, match="needs a terminal"):
        open_reporter("tty", StringIO(), {"TERM": "xterm"})


class Screen:
    """What a terminal shows of a stream: enough of one for the sequences that the live display uses."""

    def __init__(self, text) -> None:
        self.lines, self.row = [""], 0
        for part in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", text):
            if part == "\n":
                self.row += 1
                self.lines += [""] if self.row == len(self.lines) else []
            elif up := re.fullmatch(r"\x1b\[(\d+)A", part):
                self.row -= int(up[1])
                assert self.row >= 0
            elif part == "\x1b[J":
                del self.lines[self.row + 1 :]
                self.lines[self.row] = ""
            elif part[0] not in "\x1b\r":
                self.lines[self.row] += part

    @property
    def shown(self):
        return [line.rstrip() for line in self.lines if line.strip()]


def live(*script):
    stream, clock = Terminal(), Clock()
    reporter = LiveReporter(stream, colour=False, clock=clock, ticking=False)
    for item in script:
        if isinstance(item, float):
            clock.now += item
            reporter.tick()
        else:
            reporter.emit(item)
    return reporter, stream


def test_live_shows_running_steps_with_time_and_last_output():
    _, stream = live(
        StepStarted("a", "RUN pip install", "build 2/4"),
        StepLog("a", b"Collecting numpy\nDownloading\x1b[2J evil\npart"),
        12.5,
    )
    shown = Screen(stream.getvalue()).shown
    assert shown[0] == "12.5s  0 done, 1 running"
    assert "[build 2/4] RUN pip install" in shown[1]
    assert shown[1].endswith("12.5s")
    assert [line.strip("│ ") for line in shown[2:]] == ["Collecting numpy", "Downloading evil", "part"]
    assert "\x1b[2J" not in stream.getvalue()


def test_live_leaves_finished_steps_on_the_screen_once():
    reporter, stream = live(
        StepStarted("a", "FROM base", "1/2"),
        1.0,
        StepDone("a", "cached"),
        StepStarted("b", "RUN x", "2/2"),
        1.0,
        StepDone("b", "done", 1.04),
    )
    reporter.__exit__(None, None, None)
    shown = Screen(stream.getvalue()).shown
    assert len(shown) == 2
    assert "FROM base" in shown[0]
    assert shown[0].endswith("CACHED")
    assert shown[1].endswith("1.0s")
    assert stream.getvalue().endswith("\x1b[?25h")


def test_live_shows_the_whole_output_of_a_failed_step():
    output = "".join(f"line {n}\n" for n in range(200)).encode()
    reporter, stream = live(
        StepStarted("a", "RUN x"), StepLog("a", output), StepDone("a", "failed", 1.0, "exit code 3")
    )
    reporter.__exit__(None, None, None)
    shown = Screen(stream.getvalue()).shown
    assert shown[0].endswith("FAILED")
    assert shown[1] == " > RUN x:"
    assert [line.strip("│ ") for line in shown[2:]] == [*(f"line {n}" for n in range(200)), "exit code 3"]


def test_live_never_draws_more_lines_than_the_screen_has():
    steps = [StepStarted(f"s{n}", f"RUN {n}") for n in range(100)]
    logs = [StepLog(f"s{n}", b"x\n" * 9) for n in range(100)]
    _, stream = live(*steps, *logs, 1.0)
    assert len(Screen(stream.getvalue()).shown) <= 24


def test_live_marks_what_was_interrupted_and_gives_the_cursor_back():
    reporter, stream = live(StepStarted("a", "RUN sleep"), 1.0)
    assert "\x1b[?25l" in stream.getvalue()
    reporter.__exit__(KeyboardInterrupt, None, None)
    assert Screen(stream.getvalue()).shown[-1].endswith("CANCELED")
    assert stream.getvalue().endswith("\x1b[?25h")


def test_live_starts_no_thread_before_the_first_step():
    before = threading.active_count()
    reporter = LiveReporter(Terminal(), colour=False)
    with reporter:
        reporter.emit(Notice("opening"))
        assert threading.active_count() == before
        reporter.emit(StepStarted("a", "x"))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_live_without_colour_has_none():
    _, stream = live(StepStarted("a", "x"), 1.0, StepDone("a", "done", 1.0))
    assert not re.search(r"\x1b\[\d*m", stream.getvalue())


def test_rawjson_closes_with_the_error():
    stream = StringIO()
    error = InvalidError("no", code="bad", hint="do", where=Where("D", 3))
    JsonReporter(stream, now=lambda: 1.0).__exit__(InvalidError, error, None)
    expected = {
        "event": "error",
        "time": 1.0,
        "message": "no",
        "code": "bad",
        "hint": "do",
        "file": "D",
        "line": 3,
    }
    assert json.loads(stream.getvalue()) == expected


def test_the_page_has_every_event_of_rawjson_with_its_fields():
    text = (Path(__file__).parents[2] / "docs" / "build-progress.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text.partition("## The events")[2], re.MULTILINE)
    documented = {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}
    stream = StringIO()
    reporter = JsonReporter(stream)
    for event in (
        StepStarted("s", "n", "g"),
        StepLog("s", b"x"),
        StepProgress("s", 1),
        StepDone("s", "done"),
        StepUnreached("s", "n", "g"),
        StepWhy("s", "miss", ("r",)),
        Notice("m", where=Where("D", 3), rule="R"),
    ):
        reporter.emit(event)
    reporter.__exit__(InvalidError, InvalidError("m", where=Where("D", 3)), None)
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {each["event"]: each.keys() - {"event", "time"} for each in written} == documented
