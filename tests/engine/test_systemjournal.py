"""Output read from a journal by a journalctl that is made up: what it is asked, and what its answers mean."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tiffin.engine import systemjournal
from tiffin.errors import DeniedError, FailedError, UnsupportedError

RECORD = SimpleNamespace(id="c" * 64, name="serving")
FAKE = """#!{python}
import json, pathlib, sys, time
place = pathlib.Path(__file__).parent
with (place / "asked").open("a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
if "--follow" in sys.argv:
    sys.stdout.write((place / "followed").read_text()); sys.stdout.flush()
    time.sleep(1000)
answer = place / ("later" if any(word.startswith("--after") for word in sys.argv) else "answer")
if answer.exists() and "--sync" not in sys.argv:
    sys.stdout.write(answer.read_text())
if (place / "error").exists():
    sys.exit((place / "error").read_text())
"""


def document(message, priority="6", number=1, **more):
    told = {"MESSAGE": message, "PRIORITY": priority, "__CURSOR": f"c{number}"}
    return json.dumps({**told, "__REALTIME_TIMESTAMP": str(1_769_863_496_000_000 + number), **more}) + "\n"


@pytest.fixture
def journal(tmp_path):
    program = tmp_path / "journalctl"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    return tmp_path


def environ(journal):
    return {"PATH": str(journal)}


def asked(journal):
    return [json.loads(line) for line in (journal / "asked").read_text().splitlines()]


def test_entries_are_lines_with_their_stream_and_time(journal):
    answer = [
        document("plain"),
        document([255, 10, 98], "3", 2),
        document("part", number=3, CONTAINER_PARTIAL_MESSAGE="true"),
        document(None, number=4),
    ]
    (journal / "answer").write_text("".join(answer))
    found = list(systemjournal.read(RECORD, environ(journal), tail=7, since=12_500_000_000))
    assert [(entry.text, entry.stream) for entry in found] == [
        ("plain\n", "stdout"), ("\udcff\nb\n", "stderr"), ("part", "stdout"), ("\n", "stdout"),
    ]  # fmt: skip
    assert found[0].time == "2026-01-31T12:44:56.000001000Z"
    (words,) = asked(journal)
    assert words == [
        "--output=json", "--all", "--no-pager", "--lines=7", "--since=@12", f"CONTAINER_ID_FULL={'c' * 64}",
    ]  # fmt: skip


def test_following_ends_with_the_container_and_misses_nothing(journal):
    (journal / "followed").write_text(document("first") + document("second", number=2))
    (journal / "later").write_text(document("last", number=3))
    container = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    alive = os.pidfd_open(container.pid)
    lines = systemjournal.follow(RECORD, environ(journal), alive)
    assert [next(lines).text, next(lines).text] == ["first\n", "second\n"]
    container.communicate(b"\n")
    assert [entry.text for entry in lines] == ["last\n"]
    os.close(alive)
    followed, synced, rest = asked(journal)
    assert followed[-2:] == ["--lines=all", "--follow"]
    assert synced == ["--sync"]
    assert rest[-1] == "--after-cursor=c2"


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (
            "No journal files were opened due to insufficient permissions.",
            DeniedError,
            "may not be read by you",
        ),
        ("Failed to open: it is broken", FailedError, "it is broken"),
    ],
)
def test_a_journal_that_cannot_be_read(journal, told, kind, says):
    (journal / "error").write_text(told)
    with pytest.raises(kind, match=says):
        list(systemjournal.read(RECORD, environ(journal)))


def test_a_machine_without_journalctl(tmp_path):
    with pytest.raises(UnsupportedError, match="there is no journalctl") as caught:
        list(systemjournal.read(RECORD, environ(tmp_path)))
    assert "json-file" in caught.value.hint
