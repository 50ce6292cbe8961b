"""The name that a shared library has for the linker."""

import struct
from pathlib import Path

import pytest
from tests.suites.driver import library

from tiffin.linux.elf import library_name

AMD64, ARM64 = (2, 62), (2, 183)


def test_the_name_of_a_library():
    assert library_name(library("libtin.so.1"), AMD64) == "libtin.so.1"
    assert library_name(library("libtin.so.1", machine=183), ARM64) == "libtin.so.1"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"/* GNU ld script */" + b" " * 100, library("x", machine=183), library("x", kind=2)]
    + [library("libtin.so.1")[:size] for size in (64, 130, 250, 305)],
)
def test_what_is_no_library_of_this_machine(data):
    assert library_name(data, AMD64) is None


def test_libraries_of_this_machine_have_the_names_that_the_linker_knows():
    libraries = sorted(Path("/lib").glob("*-linux-gnu/libc.so.6"))
    for path in libraries:
        machine = (path.read_bytes()[4], struct.unpack_from("<H", path.read_bytes(), 18)[0])
        assert library_name(path.read_bytes(), machine) == "libc.so.6"
