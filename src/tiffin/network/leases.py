"""Which addresses of the bridge are taken: one file each, named after the address.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["leases", "state_directory"]

DIRECTORY = "leases"


def state_directory(run: Path) -> Path:
    """Where the leases of the network namespace we are in lie: the bridge is one for each namespace."""
    return run / "network" / str(os.stat("/proc/self/ns/net").st_ino)  # noqa: PTH116 - no object for one number


def leases(state: Path) -> list[Path]:
    """Every lease; none where there never was a container."""
    try:
        return [path for path in (state / DIRECTORY).iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
