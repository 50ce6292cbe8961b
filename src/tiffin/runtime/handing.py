"""How the process that becomes the container's has its calls answered from then on."""

from __future__ import annotations

import os

from tiffin.linux import bpf, terminal

_ENOSYS = 38


def hand_over(program: bytes, socket: int) -> None:
    """Load the filter, and let the other end answer. Raises OSError if that cannot be, or nobody answers."""
    listener = bpf.listen(program)
    terminal.send_fd(socket, listener)
    os.close(listener)
    if not os.read(socket, 1):
        raise OSError(_ENOSYS, "who answers the calls has ended")
    os.close(socket)
