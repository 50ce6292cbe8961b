"""Hold the namespaces of a user's networks open while they are in use, and have pasta connect them.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from pathlib import Path

from tiffin.errors import TiffinError
from tiffin.linux import files, prctl
from tiffin.linux.namespace import NEWNET, NEWUSER, IdMap, enter_user_namespace, setns, unshare
from tiffin.linux.netns import loopback_up
from tiffin.linux.process import Identity
from tiffin.network import pasta

__all__ = ["main"]

_SECONDS = 3.0


def main() -> None:
    """`argv`: the state directory and maps as JSON, pasta's path or nothing, who has namespaces."""
    place, uids, gids = json.loads(sys.argv[1])
    state, program, left = Path(place), sys.argv[2], sys.argv[3:]
    try:
        if left:
            network = _join(*map(int, left))
        else:
            enter_user_namespace(
                [IdMap(*line) for line in uids], [IdMap(*line) for line in gids], mounts=False
            )
            network = _new_network()
        # Whoever is this user may open what we hold; entering a user namespace has taken that away.
        prctl.set_dumpable(True)
        loopback_up(network)
        notice = _connect(program, network)
        wire = {"owner": Identity.own(), "fd": network, "notice": notice}
        files.atomic_write(state / "holder.json", json.dumps(wire).encode(), sync=False)
    except (OSError, TiffinError) as error:
        os.write(1, str(error).encode())
        sys.exit(1)
    os.write(1, b"ready")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 1)
    _hold(state)


def _join(pid: int, fd: int) -> int:
    network = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    setns(user, NEWUSER)
    os.close(user)
    return network


def _new_network() -> int:
    """A new network namespace, in which no thread of ours stays: pasta asks the network outside."""
    made: list[int] = []

    def body() -> None:
        unshare(NEWNET)
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if not made:
        raise OSError(1, "a network namespace could not be made")
    return made[0]


def _connect(program: str, network: int) -> str:
    """Have pasta connect it; return what the user should know if there is no way out."""
    if not program:
        return "pasta is not installed"
    command = pasta.arguments(program, pasta.Wishes())
    try:
        pasta.start(command, network, None)
    except TiffinError as error:
        return error.message
    return ""


def _hold(state: Path) -> None:
    """Wait until nobody has used it for a while."""
    with (state / "users").open("rb") as users:
        while True:
            fcntl.flock(users, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            time.sleep(_SECONDS)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            (state / "holder.json").unlink(missing_ok=True)
            return
