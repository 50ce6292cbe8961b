from __future__ import annotations

import json
import os
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.container.journald import JournalWriter
from tiffin.container.logs import FILE, LONGEST, Entry, Limit, LogWriter, follow, read, stamp


def writer(directory, **more):
    return LogWriter(directory, clock=lambda: 1_769_863_496_000_000_007, **more)


def texts(directory):
    return [(entry.stream, entry.text) for entry in read(directory)]


def test_a_time_is_written_as_docker_writes_it():
    assert stamp(1_769_863_496_000_000_007) == "2026-01-31T12:44:56.000000007Z"


def test_a_line_is_a_document_of_docker(tmp_path):
    log = writer(tmp_path)
    log.write("stdout", 'caf\u00e9 "x"\n'.encode())
    log.close()
    document = json.loads((tmp_path / FILE).read_text())
    assert document == {
        "log": 'caf\u00e9 "x"\n',
        "stream": "stdout",
        "time": "2026-01-31T12:44:56.000000007Z",
    }


def test_the_beginning_of_a_line_waits_for_its_end_in_each_stream(tmp_path):
    log = writer(tmp_path)
    log.write("stdout", b"one ")
    log.write("stderr", b"err\npart")
    assert texts(tmp_path) == [("stderr", "err\n")]
    log.write("stdout", b"line\n\nnext")
    assert texts(tmp_path) == [("stderr", "err\n"), ("stdout", "one line\n"), ("stdout", "\n")]
    log.close()
    assert texts(tmp_path)[3:] == [("stdout", "next"), ("stderr", "part")]


def test_a_long_line_is_kept_in_parts(tmp_path):
    log = writer(tmp_path)
    log.write("stdout", b"x" * (LONGEST + 10))
    assert texts(tmp_path) == [("stdout", "x" * LONGEST)]
    log.write("stdout", b"y\n")
    log.close()
    assert texts(tmp_path)[1:] == [("stdout", "x" * 10 + "y\n")]


def test_bytes_that_are_no_text_are_kept_as_replacements(tmp_path):
    log = writer(tmp_path)
    log.write("stdout", b"a\xffb\n")
    log.close()
    assert texts(tmp_path) == [("stdout", "a\ufffdb\n")]


def test_when_it_is_full_the_older_half_is_given_up(tmp_path):
    log = writer(tmp_path, limit=Limit(1000, 2))
    for number in range(100):
        log.write("stdout", b"line %d\n" % number)
    log.close()
    kept = [text for _, text in texts(tmp_path)]
    assert kept[-1] == "line 99\n"
    assert kept == [f"line {number}\n" for number in range(100 - len(kept), 100)]
    assert 10 <= len(kept) < 40
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    (tmp_path / FILE).write_text('{"log":"whole\\n","stream":"stdout","time":"t"}\n{"log":"cut')
    assert list(read(tmp_path)) == [Entry("whole\n", "stdout", "t")]


def test_a_restarted_writer_goes_on(tmp_path):
    for text in (b"first\n", b"second\n"):
        log = writer(tmp_path)
        log.write("stdout", text)
        log.close()
    assert texts(tmp_path) == [("stdout", "first\n"), ("stdout", "second\n")]


@given(
    st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\n")), max_size=4)
)
def test_what_is_written_by_hand_is_what_json_would_write(tmp_path_factory, lines):
    directory = tmp_path_factory.mktemp("log")
    log = writer(directory)
    log.write("stderr", "".join(f"{line}\n" for line in lines).encode())
    log.close()
    time = stamp(1_769_863_496_000_000_007)
    documents = [{"log": f"{line}\n", "stream": "stderr", "time": time} for line in lines]
    wanted = [json.dumps(document, ensure_ascii=False, separators=(",", ":")) for document in documents]
    assert (directory / FILE).read_bytes().splitlines() == [text.encode() for text in wanted]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_all_that_was_written_is_there(tmp_path_factory, chunks):
    directory = tmp_path_factory.mktemp("log")
    log = writer(directory)
    for chunk in chunks:
        log.write("stdout", chunk)
    log.close()
    assert "".join(text for _, text in texts(directory)).count("\n") == b"".join(chunks).count(b"\n")
    if all(byte < 128 for byte in b"".join(chunks)):
        assert "".join(text for _, text in texts(directory)).encode() == b"".join(chunks)


def test_following_sees_every_line_across_rotations_and_ends_with_the_writer(tmp_path):
    """The writer is held back now and then, so that a reader that keeps up loses nothing."""
    alive, end = os.pipe()
    log = writer(tmp_path, limit=Limit(10_000, 2))
    seen: list[str] = []
    turn = threading.Semaphore(0)

    def read_on():
        for entry in follow(tmp_path, alive):
            seen.append(entry.text)
            if entry.text.endswith("0\n"):
                turn.release()

    reader = threading.Thread(target=read_on)
    reader.start()
    for number in range(1, 1001):
        log.write("stdout", b"%d\n" % number)
        if number % 10 == 0:
            assert turn.acquire(timeout=20)
    log.close()
    os.close(end)
    reader.join(20)
    os.close(alive)
    assert seen == [f"{number}\n" for number in range(1, 1001)]


def test_following_what_has_ended_shows_it_and_ends(tmp_path):
    log = writer(tmp_path)
    log.write("stderr", b"last words")
    log.close()
    assert [(entry.stream, entry.text) for entry in follow(tmp_path, None)] == [("stderr", "last words")]


def test_following_before_the_first_line(tmp_path):
    assert list(follow(tmp_path, None)) == []


@pytest.mark.parametrize("files", [1, 3, 5])
def test_as_many_files_are_kept_as_was_asked_for_and_none_is_larger(tmp_path, files):
    log = writer(tmp_path, limit=Limit(1000, files))
    log.write("stdout", b"".join(b"line %d\n" % number for number in range(200)))
    for number in range(200, 300):
        log.write("stdout", b"line %d\n" % number)
    log.close()
    kept = [text for _, text in texts(tmp_path)]
    assert kept == [f"line {number}\n" for number in range(300 - len(kept), 300)]
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == files
    assert max(sizes) <= 1000


def test_without_a_limit_there_is_one_file(tmp_path):
    log = writer(tmp_path, limit=Limit(0, 1))
    log.write("stdout", b"x\n" * 1000)
    log.close()
    assert len(texts(tmp_path)) == 1000


@pytest.mark.parametrize(("tail", "numbers"), [(0, []), (3, [27, 28, 29]), (1000, range(30))])
def test_the_last_lines_across_files(tmp_path, tail, numbers):
    log = writer(tmp_path, limit=Limit(500, 20))
    for number in range(30):
        log.write("stdout", b"%d\n" % number)
    log.close()
    assert [entry.text for entry in read(tmp_path, tail)] == [f"{number}\n" for number in numbers]
    assert [entry.text for entry in follow(tmp_path, None, tail)] == [f"{number}\n" for number in numbers]


def test_a_reader_goes_on_where_it_was_after_several_rotations(tmp_path):
    log = writer(tmp_path, limit=Limit(200, 9))
    log.write("stdout", b"1\n")
    reader = read(tmp_path)
    seen = [next(reader).text]
    for number in range(2, 12):
        log.write("stdout", b"%d\n" % number)
    log.close()
    assert seen + [entry.text for entry in reader] == [f"{number}\n" for number in range(1, 12)]


def test_the_journal_gets_lines_with_fields(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        log = JournalWriter({"CONTAINER_NAME": "web", "CONTAINER_TAG": "a\nb"}, str(path))
        log.write("stdout", b"one\ntw")
        log.write("stderr", b"bad\n")
        log.close()
        tag = b"CONTAINER_NAME=web\nCONTAINER_TAG\n\x03\0\0\0\0\0\0\0a\nb\n"
        received = [journal.recv(1 << 16) for _ in range(3)]
    assert received == [
        b"MESSAGE=one\nPRIORITY=6\n" + tag,
        b"MESSAGE=bad\nPRIORITY=3\n" + tag,
        b"MESSAGE=tw\nPRIORITY=6\n" + tag + b"CONTAINER_PARTIAL_MESSAGE=true\n",
    ]
