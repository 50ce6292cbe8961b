"""Which addresses of the bridge are taken: one file each, named after the address.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["leases", "state_directory"]

DIRECTORY = "leases"
_SO_NETNS_COOKIE = 71


def state_directory(run: Path) -> Path:
    """Where the leases of the network namespace we are in lie: the bridge is one for each namespace.

    It is named after the namespace's cookie, which no other gets before the machine starts anew; its inode
    number is soon used again. Kernels before 5.14 have no cookies.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            cookie = asking.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
        return run / "network" / f"n{int.from_bytes(cookie, sys.byteorder)}"
    except OSError:
        return run / "network" / str(os.stat("/proc/self/ns/net").st_ino)  # noqa: PTH116 - no object for it


def leases(state: Path) -> list[Path]:
    """Every lease; none where there never was a container."""
    try:
        return [path for path in (state / DIRECTORY).iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
