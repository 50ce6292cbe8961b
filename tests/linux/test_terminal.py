"""Terminals, on a real pair."""

import os
import termios

import pytest

from tiffin.linux import terminal


@pytest.fixture
def pair():
    main, secondary = os.openpty()
    yield main, secondary
    os.close(main)
    os.close(secondary)


def test_a_size_that_was_set_is_found_on_the_other_side(pair):
    terminal.set_size(pair[0], 33, 111)
    assert terminal.get_size(pair[1]) == (33, 111)


def test_a_file_has_no_size(tmp_path):
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match="ioctl"):
        terminal.get_size(file.fileno())


def test_raw_mode_passes_every_byte_and_is_undone(pair):
    before = termios.tcgetattr(pair[1])
    with terminal.RawMode(pair[1]):
        os.write(pair[0], b"\x03\r\x04")
        assert os.read(pair[1], 3) == b"\x03\r\x04"
        os.write(pair[1], b"a\n")
        assert os.read(pair[0], 10) == b"a\n"
    assert termios.tcgetattr(pair[1]) == before


def test_a_descriptor_is_sent_over_a_socket(tmp_path):
    first, second = terminal.socket_pair()
    (tmp_path / "file").write_text("hello")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    terminal.send_fd(first, fd)
    os.close(fd)
    received = terminal.receive_fd(second)
    assert received is not None
    assert os.read(received, 5) == b"hello"
    assert not os.get_inheritable(received)
    os.close(received)
    os.close(first)
    assert terminal.receive_fd(second) is None
    os.close(second)
