"""The process of a detached container, started by `spawn.py`: it supervises, and removes what is to go.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from tiffin.container import control
from tiffin.container.job import pack_error, unpack
from tiffin.container.removal import leave, put_away
from tiffin.container.supervisor import supervise
from tiffin.linux.namespace import close_from
from tiffin.store.journal import append

__all__ = ["main"]


def main() -> None:
    """Run it to its end: `argv` names the descriptors of its job, its report, a client."""
    source, report = int(sys.argv[1]), int(sys.argv[2])
    clients = [int(text) for text in sys.argv[3:]]
    with open(source, "rb") as file:
        job = unpack(file.read())
    ours = [fd for fd in (report, job.network.home, job.network.hold, *clients) if fd >= 0]
    close_from(max(ours) + 1)  # what our caller's caller had open is not ours to keep open for days
    for fd in ours:
        os.set_inheritable(fd, False)

    told = False

    def tell(message: dict[str, object]) -> None:
        nonlocal told
        told = True
        with contextlib.suppress(BrokenPipeError):  # who started us was interrupted; the container goes on
            os.write(report, json.dumps(message).encode())
        os.close(report)

    try:
        supervise(
            job,
            lambda supervisor: tell({"started": True, "notices": supervisor.notices}),
            client=control.inherited(clients[0]) if clients else None,
        )
    except Exception as error:
        if told:  # nobody listens any more: what went wrong is for supervisor.log
            raise
        tell({"error": pack_error(error)})
        sys.exit(1)
    for directory in map(Path, job.remove):
        if directory == Path(job.directory):
            put_away(directory)
            job.note("destroy")
        elif leave(directory, job.identity):
            put_away(directory)
            append(job.journal, "volume", "destroy", directory.name, {"driver": "local"})
