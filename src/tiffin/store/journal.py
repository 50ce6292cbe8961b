"""The journal of a store: what happened, a line for each event, written by whoever did it.

Any number of processes write at once, and may be killed while they do. Each event is one write to a file
that is open for appending, which the kernel does as a whole; it begins and ends a line of its own, so that
one which a kill or a full disk has cut off spoils no other. When the file is large it becomes the old one, in
the place of the one before; a reader holds what it has open and loses nothing. Nothing is synced: what a
crash of the machine takes is news, and no state.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CURRENT", "PREVIOUS", "append"]

CURRENT, PREVIOUS = "journal", "journal.1"
_LARGEST = 4 << 20
_LONGEST = 1 << 16
_KEPT = ("name", "image")


def append(directory: Path | str, kind: str, action: str, identity: str, about: Mapping[str, str]) -> None:
    """Write an event: a `kind` of thing, what happened to it, its id, and more about it by name.

    What cannot be written is lost without a word: nobody's work fails for the news of it.
    """
    event = {"time": time.time_ns(), "type": kind, "action": action, "id": identity, "about": dict(about)}
    line = json.dumps(event)
    if len(line) > _LONGEST:  # labels may be of any length
        event["about"] = {name: about[name][:1024] for name in _KEPT if name in about}
        line = json.dumps(event)
    with contextlib.suppress(OSError):
        fd = _open(f"{directory}/{CURRENT}")
        try:
            os.write(fd, f"\n{line}\n".encode())
            if os.fstat(fd).st_size > _LARGEST:
                _rotate(str(directory), fd)
        finally:
            os.close(fd)


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        return os.open(path, flags, 0o600)


def _rotate(directory: str, fd: int) -> None:
    """Make the file the old one, unless another process is about to, or has done it."""
    import fcntl  # once in some ten thousand events

    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(f"{directory}/{CURRENT}")):
            os.rename(f"{directory}/{CURRENT}", f"{directory}/{PREVIOUS}")
    finally:
        os.close(held)
