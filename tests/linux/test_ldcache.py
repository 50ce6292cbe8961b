"""The linker's cache, as it reads it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.linux.ldcache import Entry, decode, encode

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(st.lists(st.builds(Entry, NAMES, NAMES, st.sampled_from([0x0303, 0x0003])), unique=True))
def test_what_is_written_can_be_read(entries):
    assert sorted(decode(encode(entries))) == sorted(entries)
    assert decode(b"ld.so-1.7.0 and its entries" + encode(entries)) == decode(encode(entries))


def test_of_equal_names_the_first_stays_the_first():
    entries = [Entry("libcuda.so.1", path, 0x0303) for path in ("/z", "/a", "/m")]
    assert decode(encode(entries)) == entries


@pytest.mark.parametrize("cut", [0, 10, 30, 60, 80])
def test_what_is_no_cache_or_the_beginning_of_one(cut):
    data = encode([Entry("libz.so.1", "/lib/libz.so.1", 0x0303)])
    with pytest.raises(ValueError, match=r"."):
        decode(data[:cut])


def test_the_cache_of_this_machine_is_understood():
    path = Path("/etc/ld.so.cache")
    if not path.exists():
        pytest.skip("this machine has none")
    names = {entry.name for entry in decode(path.read_bytes())}
    assert {"libc.so.6"} <= names


@pytest.mark.live
def test_ldconfig_reads_what_is_written(tmp_path):
    if not (ldconfig := shutil.which("ldconfig", path="/sbin:/usr/sbin")):
        pytest.skip("this machine has no ldconfig")
    names = {f"libt{n}.so.{v}": f"/lib/libt{n}.so.{v}" for n in ("a", "9", "10") for v in (2, 10)}
    (tmp_path / "cache").write_bytes(encode(Entry(name, path, 0x0303) for name, path in names.items()))
    argv = [ldconfig, "-p", "-C", str(tmp_path / "cache")]
    output = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    listed = [line.split()[0] for line in output.splitlines()[1:] if "=>" in line]
    # The linker compares numbers by value, and searches from the greatest.
    assert listed == [f"libt{n}.so.{v}" for n in ("10", "9", "a") for v in (10, 2)]
