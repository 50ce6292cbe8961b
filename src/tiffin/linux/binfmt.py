"""What programs of other machines the kernel runs here: by itself, or by handing them to an interpreter.

binfmt_misc shows each registered interpreter as a file (Documentation/admin-guide/binfmt-misc.rst). Since
Linux 6.7 a user namespace may have an instance of its own; we read that of the system.
"""

from __future__ import annotations

import errno
import os
import struct

from tiffin.linux.namespace import is_first
from tiffin.linux.record import NamedTuple

DIRECTORY = "/proc/sys/fs/binfmt_misc"
_LARGEST = 65536  # bytes of a description; the kernel makes no larger one
# The system call exit(0) of 32-bit programs: (e_machine, e_flags, code).
_EXIT = {
    "386": (3, 0, bytes.fromhex("b801000000 31db cd80")),
    "arm": (40, 0x05000000, bytes.fromhex("0170a0e3 0000a0e3 000000ef")),
}
_ADDRESS = 0x10000


class Handler(NamedTuple):
    """An interpreter for programs that begin with `magic` at `offset`, where `mask` has bits.

    With the flag `F` the kernel opened it when it was registered: it works in every root filesystem.
    Without it, it has to exist at its path where the program is started.
    """

    name: str
    interpreter: str
    flags: str
    offset: int
    magic: bytes
    mask: bytes

    @property
    def fixed(self) -> bool:
        """Whether it works in every root filesystem."""
        return "F" in self.flags

    def takes(self, header: bytes) -> bool:
        """Whether it is for a program that begins so."""
        part = header[self.offset : self.offset + len(self.magic)]
        mask = self.mask or b"\xff" * len(self.magic)
        return len(part) == len(self.magic) and all(
            not (have ^ want) & care for have, want, care in zip(part, self.magic, mask, strict=False)
        )


def parse_handler(name: str, text: str) -> Handler | None:
    """Return the handler that a file of binfmt_misc describes; None if it is off, or goes by file names."""
    first, *rest = text.splitlines() or [""]
    fields = {key.rstrip(":"): value for key, _, value in (line.partition(" ") for line in rest)}
    try:
        magic, mask = (bytes.fromhex(fields.get(key, "")) for key in ("magic", "mask"))
        offset = int(fields.get("offset", "0"))
    except ValueError:
        return None
    if first != "enabled" or not magic or not fields.get("interpreter"):
        return None
    return Handler(name, fields["interpreter"], fields.get("flags", ""), offset, magic, mask)


def read_handlers(directory: str = DIRECTORY) -> tuple[Handler, ...] | None:
    """Return the handlers of this system; None if they cannot be seen."""
    if os.path.exists(f"{directory}/status"):
        return _read(directory)
    # In another namespace than the first, mounting makes an empty instance.
    if directory != DIRECTORY or not is_first():
        return None
    from tiffin.linux.mount import Filesystem

    try:
        filesystem = Filesystem("binfmt_misc")
    except OSError:
        return None
    try:
        fd = filesystem.mount()  # attached nowhere: nobody else sees it
    except OSError:
        return None
    finally:
        filesystem.close()
    try:
        return _read(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def runs_natively(architecture: str) -> bool:
    """Whether the kernel runs 32-bit programs of `architecture` (`386` or `arm`): found by running one."""
    machine, flags, code = _EXIT[architecture]
    fd = os.memfd_create("tiffin-probe")
    try:
        os.write(fd, _program(machine, flags, code))
        pid = os.posix_spawn(f"/proc/self/fd/{fd}", ["probe"], {})
    except OSError as error:
        return error.errno != errno.ENOEXEC  # anything else says nothing about the program
    finally:
        os.close(fd)
    return os.waitpid(pid, 0)[1] == 0


def _program(machine: int, flags: int, code: bytes) -> bytes:
    """A file that the kernel loads as it is, header included, and starts behind the header (elf(5))."""
    sizes = struct.calcsize("<16sHHIIIIIHHHHHH"), struct.calcsize("<8I")
    start, length = sum(sizes), sum(sizes) + len(code)
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    entry = _ADDRESS + start
    header = (ident, 2, machine, 1, entry, sizes[0], 0, flags, sizes[0], sizes[1], 1, 0, 0, 0)
    segment = (1, 0, _ADDRESS, _ADDRESS, length, length, 5, 0x1000)
    return struct.pack("<16sHHIIIIIHHHHHH", *header) + struct.pack("<8I", *segment) + code


def _read(directory: str) -> tuple[Handler, ...]:
    found = []
    for name in sorted(os.listdir(directory)):
        if name in ("register", "status"):
            continue
        try:
            with open(f"{directory}/{name}", encoding="utf-8", errors="surrogateescape") as file:
                handler = parse_handler(name, file.read(_LARGEST))
        except OSError:
            continue  # it was just unregistered
        if handler is not None:
            found.append(handler)
    return tuple(found)
