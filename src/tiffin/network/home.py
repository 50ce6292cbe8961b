"""Where networks lie without root: one user and one network namespace, which all their bridges share.

A process holds them open and has pasta carry what goes out (see `holder`). It is started by the first
command that needs it, before that enters a user namespace, and stays while anybody has a shared lock on
a file. Was it killed, then the namespaces are found again at those who still
use them, and another takes its place.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from tiffin.errors import FailedError, TiffinError, UnavailableError
from tiffin.linux import files, interpreter
from tiffin.linux.process import Identity
from tiffin.linux.record import NamedTuple
from tiffin.network.leases import NETWORKS
from tiffin.network.segmentleases import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["Inside", "Wanted", "find_or_make", "state_of_home"]


class Wanted(NamedTuple):
    """What a holder is to be: the maps of its user namespace, and the path of pasta, if there is one."""

    uids: Sequence[tuple[int, int, int]]
    gids: Sequence[tuple[int, int, int]]
    pasta: str


class Inside(NamedTuple):
    """A process in the user namespace; descriptors of the network namespace, and of the lock on both."""

    pid: int
    network: int
    hold: int
    notice: str


def state_of_home(run: Path) -> Path:
    """Where all that is known of it lies."""
    return run / "network" / "home"


def find_or_make(run: Path, wanted: Wanted) -> Inside:
    """Return the namespaces, kept alive by a lock that goes with its descriptor."""
    state = state_of_home(run)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    hold = os.open(state / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with files.lock(state / "making"):
            fcntl.flock(hold, fcntl.LOCK_SH)
            pid, fd, notice = _standing(state) or _make(state, wanted)
            _check_maps(pid, wanted)
            return Inside(pid, os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC), hold, notice)
    except BaseException:
        os.close(hold)
        raise


def _standing(state: Path) -> tuple[int, int, str] | None:
    """The process that holds them, the descriptor that it has, and what is to be said of the way out."""
    try:
        wire: dict[str, Any] = json.loads((state / "holder.json").read_bytes())
        owner = Identity(*wire["owner"])
        return (owner.pid, int(wire["fd"]), str(wire["notice"])) if owner.alive else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _make(state: Path, wanted: Wanted) -> tuple[int, int, str]:
    """Start a holder, of namespaces that are still in use, or of new ones."""
    left = _left_behind(state)
    task = json.dumps(
        [str(state), [tuple(line) for line in wanted.uids], [tuple(line) for line in wanted.gids]]
    )
    report, theirs = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    log = os.open(state / "holder.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    given = ((null, 0), (theirs, 1), (log, 2))
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in given]
    words = [*interpreter.command("tiffin.network.holder"), task, wanted.pasta, *map(str, left)]
    try:
        pid = os.posix_spawn(words[0], words, interpreter.environment(), file_actions=actions, setsid=True)
    finally:
        for fd in (theirs, null, log):
            os.close(fd)
    said = b""
    while part := os.read(report, 4096):
        said += part
    os.close(report)
    if said != b"ready":
        os.waitpid(pid, 0)
        raise _failure(said)
    found = _standing(state)
    if found is None:
        raise _failure(b"")
    return found


def _left_behind(state: Path) -> tuple[int, ...]:
    """A process that still has the namespaces, and the descriptor by which it has the network."""
    for place in (state / NETWORKS).glob("*"):
        for lease in members(place):
            if lease.fd >= 0:
                return lease.owner.pid, lease.fd
    return ()


def _check_maps(pid: int, wanted: Wanted) -> None:
    """See that the ids inside are those of this store: containers of both would write the same files."""
    for name, lines in (("uid_map", wanted.uids), ("gid_map", wanted.gids)):
        found = [
            tuple(map(int, line.split())) for line in Path(f"/proc/{pid}/{name}").read_text().splitlines()
        ]
        if sorted(found) != sorted(tuple(line) for line in lines):
            raise UnavailableError(
                "the containers that run on networks have other user ids than new ones would get",
                code="other-ids",
                hint="stop them, and start them again",
                exit_status=125,
            )


def _failure(said: bytes) -> TiffinError:
    text = said.decode("utf-8", "replace") or "it ended without a word"
    return FailedError(
        f"the namespaces for networks cannot be made: {text}",
        code="network-home",
        hint="`tiffin doctor` says what this machine allows; --network default needs no others",
        exit_status=125,
    )
