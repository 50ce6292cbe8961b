"""The answer to who is at the other end of a socket: servers such as PostgreSQL and D-Bus go by it."""

from __future__ import annotations

import _socket
import os

from tiffin.linux.libc import syscall
from tiffin.linux.namespace import pidfd_open
from tiffin.runtime.emulation.credentials import ROOT
from tiffin.runtime.emulation.site import descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer, Site

_PIDFD_GETFD = 438  # the same number on every architecture
_PEERCRED = 17
_SIZE = 12
_STATUS = 2048


def ask(site: Site, call: Call, _meaning: Meaning) -> Answer:
    """Tell whom the other process takes itself for now; of one that has ended the kernel tells."""
    callers = site.callers
    try:
        peer = _peer(site, call)
        who = callers.who(peer) if peer else ROOT
        if (who.user.effective, who.group.effective) == (0, 0):
            return None
        number = int(_field(peer, b"NSpid").split()[-1])
        room = int.from_bytes(callers.memory.read(call.pid, call.args[4], 4), "little")
        ids = number, who.user.effective, who.group.effective
        data = b"".join(each.to_bytes(4, "little") for each in ids)[:room]
        callers.tell(call, call.args[3], data)
        callers.tell(call, call.args[4], len(data).to_bytes(4, "little"))
    except (OSError, ValueError):
        return None  # the kernel knows less, but something
    return 0


def _peer(site: Site, call: Call) -> int:
    """The process at the other end, 0 if there is none."""
    pidfd = pidfd_open(int(_field(call.pid, b"Tgid")))
    try:
        fd = syscall("taking a socket", _PIDFD_GETFD, pidfd, descriptor(call.args[0]), 0)
    finally:
        os.close(pidfd)
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
    try:
        if not site.callers.listener.is_waiting(call):
            return 0
        found: bytes = socket.getsockopt(_socket.SOL_SOCKET, _PEERCRED, _SIZE)
        return int.from_bytes(found[:4], "little")
    finally:
        socket.close()


def _field(pid: int, name: bytes) -> bytes:
    fd = os.open(b"%d/status" % pid, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, _STATUS)
    finally:
        os.close(fd)
    return text.partition(b"\n%s:\t" % name)[2].partition(b"\n")[0]
