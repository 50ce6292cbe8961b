"""What files of /proc tell a process of itself."""

from tiffin.runtime.emulation.credentials import whole
from tiffin.runtime.tracing.contents import command_line, status


def test_the_status_tells_whom_it_takes_itself_for():
    text = b"Name:\tcat\nUid:\t1000\t1000\t1000\t1000\nGid:\t5\t5\t5\t5\nGroups:\t5 \nVmPeak:\t1 kB\n"
    told = status(text, whole(7, 8, (9, 10)))
    assert told == b"Name:\tcat\nUid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t9 10 \nVmPeak:\t1 kB\n"


def test_the_command_line_is_without_the_loaders_words():
    assert command_line(b"sh\0--argv0\0sh\0/bin/sh\0-c\0x\0", known=True) == b"sh\0-c\0x\0"
    assert command_line(b"sh\0--argv0\0sh\0/bin/sh\0", known=False) == b"sh\0--argv0\0sh\0/bin/sh\0"
    assert command_line(b"sh\0-c\0x\0", known=True) == b"sh\0-c\0x\0"
