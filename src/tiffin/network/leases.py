"""Which addresses of the bridge are taken: one file each, named after the address.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from tiffin.linux.process import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DIRECTORY", "NETWORKS", "deserted", "leases", "state_directory"]

DIRECTORY = "leases"
NETWORKS = "networks"
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


def deserted(state: Path) -> bool:
    """Tell whether a lease has an owner who is dead, or can make nothing of it."""
    return any(not _lives(path) for path in leases(state))


def _lives(path: Path) -> bool:
    try:
        owner: list[int] = json.loads(path.read_bytes())["owner"]
        return Identity(*owner).alive
    except FileNotFoundError:
        return True  # it has just been given back
    except (OSError, ValueError, TypeError, KeyError):
        return False
