"""What a program is, by how its file begins."""

import errno
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.runtime.tracing.heads import Elf, Script, kind_of

MACHINE = "x86_64"
LOADER = b"/lib64/ld-linux-x86-64.so.2\0"


def elf(*segments, width=2, order=1, kind=3, machine=62, size=56, table=64, count=None):
    """The head of a program with segments of these kinds, offsets and lengths."""
    head = b"\x7fELF" + bytes((width, order, 1)) + bytes(9)
    head += struct.pack("<HHIQQQIHHH", kind, machine, 1, 0, table, 0, 0, 64, size, count or len(segments))
    head += bytes(6)
    for segment, offset, length in segments:
        head += struct.pack("<IIQQQQQQ", segment, 4, offset, 0, 0, length, length, 1)
    return head


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"#!/bin/sh\necho", Script(b"/bin/sh")),
        (b"#! /bin/sh -e x \n", Script(b"/bin/sh", b"-e x")),
        (b"#!\t/usr/bin/env\tpython3\n", Script(b"/usr/bin/env", b"python3")),
        (b"#!/bin/sh", Script(b"/bin/sh")),
        (b"#!/bin/sh " + b"a" * 300, Script(b"/bin/sh", b"a" * 245)),
        (b"#!/bin/sh\0-x\n", Script(b"/bin/sh")),
        (elf((1, 0, 10), (3, 500, len(LOADER))), Elf(500, len(LOADER))),
        (elf((3, 500, 20), kind=2), Elf(500, 20)),
        (elf((1, 0, 10)), Elf()),
        (elf(kind=2), Elf()),
    ],
)
def test_what_begins_so(head, kind):
    assert kind_of(head, MACHINE) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"echo hello\n",
        b"#!\n",
        b"#!   \n/bin/sh",
        b"#!/" + b"a" * 300,
        b"\x7fELF",
        elf(width=1),
        elf(order=2),
        elf(kind=1),
        elf(machine=183),
        elf((3, 500, 20), size=40),
        elf((3, 500, 20), table=10_000),
        elf((3, 500, 1)),
        elf((3, 500, 5000)),
    ],
)
def test_what_is_no_program_here(head):
    with pytest.raises(OSError) as caught:
        kind_of(head, MACHINE)
    assert caught.value.errno == errno.ENOEXEC


def test_other_machines_have_other_programs():
    assert kind_of(elf(machine=183), "aarch64") == Elf()


@given(st.binary(max_size=300), st.sampled_from([b"", b"#!", b"\x7fELF", elf((3, 80, 9))[:70]]))
def test_any_bytes_are_a_program_or_none(data, begin):
    with suppress(OSError):
        kind = kind_of(begin + data, MACHINE)
        assert isinstance(kind, Elf) or kind.interpreter
