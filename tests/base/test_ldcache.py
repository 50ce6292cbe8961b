import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tiffin.base.ldcache import encode_cache, install_cache, library_name
from tiffin.base.tree import Tree

AMD64, ARM64 = (2, 62), (2, 183)


def library(soname, machine=62, kind=3):
    """The least shared library with a name: a header, two segments, a dynamic section, strings."""
    strings = b"\0" + soname.encode() + b"\0"
    dynamic = struct.pack("<qQqQqQ", 5, 0x1000 + 300, 14, 1, 0, 0)
    header = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header += struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0x1000, 0, 1024, 1024, 4096)
    section = struct.pack("<IIQQQQQQ", 2, 4, 200, 0x1000 + 200, 0, len(dynamic), len(dynamic), 8)
    data = (header + load + section).ljust(200, b"\0") + dynamic
    return (data.ljust(300, b"\0") + strings).ljust(1024, b"\0")


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


def test_directories_come_from_the_configuration_in_its_order(new_layer):
    tree = Tree(new_layer())
    tree.make_directory("usr/lib")
    tree.link("lib", "usr/lib")
    tree.write("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n")
    tree.write("etc/ld.so.conf.d/10-local.conf", b"# first\n/usr/local/lib\n")
    tree.write("etc/ld.so.conf.d/ignored", b"/opt/lib\n")
    tree.write("usr/local/lib/libtin.so.1", library("libtin.so.1"))
    tree.write("usr/lib/libtin.so.1.5", library("libtin.so.1"))
    tree.link("usr/lib/libtin.so.1", "libtin.so.1.5")
    tree.write("usr/lib/libtwo.so.2", library("libtwo.so.2"))
    tree.write("opt/lib/libopt.so.1", library("libopt.so.1"))
    assert install_cache(tree, "amd64") == 2
    cache = tree.read("etc/ld.so.cache")
    assert b"/usr/local/lib/libtin.so.1\0" in cache
    assert b"/lib/libtwo.so.2\0" in cache
    assert b"libopt" not in cache


def test_an_unknown_architecture_has_no_cache(new_layer):
    tree = Tree(new_layer())
    assert install_cache(tree, "sparc") == 0
    assert tree.paths() == []


@pytest.mark.live
def test_ldconfig_reads_what_is_written(tmp_path):
    if not (ldconfig := shutil.which("ldconfig", path="/sbin:/usr/sbin")):
        pytest.skip("this machine has no ldconfig")
    names = {f"libt{n}.so.{v}": f"/lib/libt{n}.so.{v}" for n in ("a", "9", "10") for v in (2, 10)}
    (tmp_path / "cache").write_bytes(encode_cache(names, 0x0303))
    argv = [ldconfig, "-p", "-C", str(tmp_path / "cache")]
    output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    listed = [line.split()[0] for line in output.splitlines()[1:] if "=>" in line]
    # The linker compares numbers by value, and searches from the greatest.
    assert listed == [f"libt{n}.so.{v}" for n in ("10", "9", "a") for v in (10, 2)]
