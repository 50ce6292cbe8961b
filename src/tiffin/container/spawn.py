"""Start a container's supervisor as a process of its own, and hear from it whether the container began."""

from __future__ import annotations

import fcntl
import json
import os

from tiffin.container.job import Job, pack, unpack_error
from tiffin.errors import FailedError
from tiffin.linux.process import Identity, started
from tiffin.runtime import interpreter

__all__ = ["spawn"]

_SOURCE, _REPORT, _HOME, _HOLD = 3, 4, 5, 6
_MODULE = "tiffin.container.supervisor"


def spawn(job: Job) -> tuple[str, ...]:
    """Start the container of `job` detached; return what the user should know when its program has begun.

    Raises what kept it from beginning, with the exit status 125, 126 or 127.
    """
    network = job.network
    lent = [] if network.home < 0 else [(network.home, _HOME), (network.hold, _HOLD)]
    if lent:
        job = job._replace(network=network._replace(home=_HOME, hold=_HOLD))
    source, report, report_write = _descriptors(pack(job))
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    errors = os.open(
        f"{job.directory}/supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    actions = [
        (os.POSIX_SPAWN_DUP2, fd, number)
        for fd, number in (
            (null, 0),
            (null, 1),
            (errors, 2),
            (source, _SOURCE),
            (report_write, _REPORT),
            *lent,
        )
    ]
    arguments = [*interpreter.command(_MODULE), str(_SOURCE), str(_REPORT)]
    try:
        pid = os.posix_spawn(
            arguments[0], arguments, interpreter.environment(), file_actions=actions, setsid=True
        )
    finally:
        for fd in (source, report_write, null, errors):
            os.close(fd)
    who = Identity(pid, started(pid) or 0)
    data = b""
    while part := os.read(report, 65536):
        data += part
    os.close(report)
    message = json.loads(data) if data else {}
    if "started" in message:
        return tuple(message["notices"])
    os.waitpid(who.pid, 0)
    if "error" in message:
        raise unpack_error(message["error"])
    raise FailedError(
        "the container's supervisor ended before the container began",
        code="supervisor-failed",
        exit_status=125,
    )


def _descriptors(data: bytes) -> tuple[int, int, int]:
    """The job as a file, and a pipe for the report; all above the numbers that they will get."""
    source = os.memfd_create("job", os.MFD_CLOEXEC)
    os.write(source, data)
    os.lseek(source, 0, os.SEEK_SET)
    moved = []
    for fd in (source, *os.pipe()):
        moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HOLD + 1))
        os.close(fd)
    return moved[0], moved[1], moved[2]
