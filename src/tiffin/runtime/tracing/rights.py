"""Answers to the calls by which processes ask for their capabilities, and change them.

Root has those of its container, as far as it can tell; that it gives some up changes nothing.
"""

from __future__ import annotations

import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.site import Ground

_HEADER = struct.Struct("=Ii")
_SETS = struct.Struct("=3I")
_WORDS = {0x20071026: 2, 0x20080522: 2}
"""How many words of 32 bits each set has, by the version of the structure."""
_WORD = 0xFFFFFFFF
_ALL = -1


def tell(ground: Ground, call: Call, _meaning: Meaning) -> Answer:
    """Tell of a process what it has."""
    version, pid = _HEADER.unpack(ground.callers.memory.read(call.pid, call.args[0], _HEADER.size))
    words = _WORDS.get(version)
    if words is None or not call.args[1] or ground.site.capabilities == _ALL:
        return None  # the kernel tells which version it has
    held = _held(ground, pid or call.pid)
    told = [_SETS.pack(held >> 32 * at & _WORD, held >> 32 * at & _WORD, 0) for at in range(words)]
    ground.callers.tell(call, call.args[1], b"".join(told))
    return 0


def change(ground: Ground, call: Call, _meaning: Meaning) -> Answer:
    """Let a process take what it has."""
    version, _ = _HEADER.unpack(ground.callers.memory.read(call.pid, call.args[0], _HEADER.size))
    words = _WORDS.get(version)
    if words is None or ground.site.capabilities == _ALL:
        return None
    data = ground.callers.memory.read(call.pid, call.args[1], words * _SETS.size)
    wanted = [_SETS.unpack_from(data, at * _SETS.size) for at in range(words)]
    asked = sum((effective | permitted) << 32 * at for at, (effective, permitted, _) in enumerate(wanted))
    if asked & ~_held(ground, call.pid):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return 0


def _held(ground: Ground, pid: int) -> int:
    who = ground.callers.who(pid)
    return ground.site.capabilities if who.user.effective == 0 or who.keeps else 0
