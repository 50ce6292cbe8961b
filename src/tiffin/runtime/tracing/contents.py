"""What files of /proc tell a process of itself, where the kernel would tell of the outside: written anew."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.credentials import Credentials
    from tiffin.runtime.tracing.site import Ground

_MOST = 1 << 24
_MAPS = (b"maps", b"smaps", b"numa_maps")
_LOADERS_OWN = b"--argv0"


def of(ground: Ground, _call: Call, pid: int, name: bytes) -> int | None:
    """Return an open file with it; None where the kernel's own words will do."""
    if name == b"status":
        data = status(_read(pid, name), ground.callers.who(pid))
    elif name == b"cmdline":
        data = command_line(_read(pid, name), known=bool(ground.callers.program(pid)))
    elif name in _MAPS:
        data = _read(pid, name).replace(b" " + ground.callers.root + b"/", b" /")
    else:
        return None
    fd = os.memfd_create("proc", os.MFD_CLOEXEC)
    os.write(fd, data)
    made = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    os.close(fd)
    return made


def status(text: bytes, who: Credentials) -> bytes:
    """Return the lines of a process's status, with whom it takes itself for."""
    user, group = ("\t".join(map(str, ids)).encode() for ids in (who.user, who.group))
    groups = " ".join(map(str, who.groups)).encode()
    told = {b"Uid": user, b"Gid": group, b"Groups": groups + b" "}
    lines = []
    for line in text.split(b"\n"):
        name, colon, _ = line.partition(b":\t")
        lines.append(name + colon + told[name] if name in told else line)
    return b"\n".join(lines)


def command_line(text: bytes, *, known: bool) -> bytes:
    """Return the arguments of a process without those for its loader."""
    words = text.split(b"\0")
    if known and len(words) > 3 and words[1] == _LOADERS_OWN:
        return b"\0".join((words[2], *words[4:]))
    return text


def _read(pid: int, name: bytes) -> bytes:
    with open(b"/proc/%d/%s" % (pid, name), "rb", buffering=0) as file:
        data = b""
        while len(data) < _MOST and (part := file.read(1 << 16)):
            data += part
    return data
