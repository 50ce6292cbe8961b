"""Handlers of binfmt_misc as the kernel shows them, and 32-bit programs."""

import os
import platform
import struct
from pathlib import Path

import pytest

from tiffin.linux import binfmt
from tiffin.linux.binfmt import Handler, parse_handler, read_handlers, runs_natively

# As /proc/sys/fs/binfmt_misc/qemu-aarch64 reads where Debian's qemu-user-static is installed.
ARM64 = """\
enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POCF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


def elf(machine, kind=2):
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", kind, machine, 1)


def test_a_handler_is_read():
    handler = parse_handler("qemu-aarch64", ARM64)
    assert handler.interpreter == "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
    assert handler.fixed
    assert not parse_handler("q", ARM64.replace("POCF", "OC")).fixed
    assert parse_handler("q", ARM64.replace("flags: POCF", "flags: ")).flags == ""


def test_what_a_handler_takes():
    handler = parse_handler("qemu-aarch64", ARM64)
    assert handler.takes(elf(183))
    assert handler.takes(elf(183, kind=3))  # the mask lets shared objects through
    assert not handler.takes(elf(62))
    assert not handler.takes(elf(183)[:19])
    assert not handler.takes(b"")
    assert Handler("h", "/i", "", 1, b"ELF", b"").takes(elf(183))
    assert not Handler("h", "/i", "", 2, b"ELF", b"").takes(elf(183))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ARM64.replace("enabled", "disabled"),
        "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n",
        ARM64.replace("magic 7f45", "magic xyz"),
        ARM64.replace("offset 0", "offset x"),
        ARM64.replace("interpreter /usr", "other /usr"),
    ],
)
def test_what_is_no_handler(text):
    assert parse_handler("x", text) is None


def test_all_handlers_of_a_directory(tmp_path):
    assert read_handlers(str(tmp_path)) is None  # it is not mounted
    for name, text in {
        "status": "enabled\n",
        "register": "",
        "qemu-aarch64": ARM64,
        "off": "disabled\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert [handler.name for handler in read_handlers(str(tmp_path))] == ["qemu-aarch64"]


def test_those_of_this_system_are_seen_without_mounting_anything():
    before = Path("/proc/self/mounts").read_text()
    found = read_handlers()
    assert Path("/proc/self/mounts").read_text() == before
    if os.path.exists(f"{binfmt.DIRECTORY}/status"):
        assert found is not None
    assert found is None or all(handler.magic for handler in found)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="what runs is known for this machine")
def test_32_bit_programs():
    assert runs_natively("386")  # no machine of ours has a kernel without it
    handlers = read_handlers() or ()
    arm = b"\x7fELF\x01\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", 2, 40, 1)
    assert runs_natively("arm") == any(handler.takes(arm) for handler in handlers)
