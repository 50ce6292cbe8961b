"""Take the bridge away a moment after its last container: in a process of its own, which then ends.

Deleting a bridge and its rules makes the kernel wait for all its processors, for a tenth of a second
that no container should end later for; and who starts one after the other finds the bridge still there.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tiffin.linux import files
from tiffin.network import bridge

_SECONDS = 2.0


def main() -> None:
    """Wait, and take away; where somebody waits already, leave it to that one."""
    state, nft = Path(sys.argv[1]), sys.argv[2]
    try:
        with files.lock(state / "linger", blocking=False):
            time.sleep(_SECONDS)
            bridge.tidy(state, nft)
    except BlockingIOError:
        return


def segments() -> None:
    """The same for the bridges of networks that users have made."""
    from tiffin.network import segment

    home = segment.Home(Path(sys.argv[1]), sys.argv[2])
    try:
        with files.lock(home.state / "linger-networks", blocking=False):
            time.sleep(_SECONDS)
            segment.sweep(home)
    except BlockingIOError:
        return
