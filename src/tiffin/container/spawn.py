"""Start a container's supervisor as a process of its own, and hear from it whether the container began."""

from __future__ import annotations

import fcntl
import json
import os

from tiffin.container.job import Job, pack, unpack_error
from tiffin.errors import FailedError
from tiffin.linux import interpreter
from tiffin.linux.process import Identity, started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.container.control import Connection

__all__ = ["spawn"]

_SOURCE, _REPORT, _HOME, _HOLD, _CLIENT = 3, 4, 5, 6, 7
_MODULE = "tiffin.container.detached"


def spawn(job: Job, client: Connection | None = None) -> tuple[tuple[str, ...], Identity]:
    """Start the container of `job` detached; return when its program has begun.

    The result is what the user should know, and who supervises it. A `client` is attached from the start:
    its message waits in the other end. Raises what kept it from beginning, with the exit status 125, 126 or
    127.
    """
    network = job.network
    lent = [] if network.home < 0 else [(network.home, _HOME), (network.hold, _HOLD)]
    if lent:
        job = job._replace(network=network._replace(home=_HOME, hold=_HOLD))
    source, report, report_write, *clients = _descriptors(pack(job), client)
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
            *((fd, _CLIENT) for fd in clients),
        )
    ]
    given = (_SOURCE, _REPORT, *(_CLIENT for _ in clients))
    arguments = [*interpreter.command(_MODULE), *map(str, given)]
    try:
        pid = os.posix_spawn(
            arguments[0], arguments, interpreter.environment(), file_actions=actions, setsid=True
        )
    finally:
        for fd in (source, report_write, null, errors, *clients):
            os.close(fd)
    who = Identity(pid, started(pid) or 0)
    data = b""
    while part := os.read(report, 65536):
        data += part
    os.close(report)
    message = json.loads(data) if data else {}
    if "started" in message:
        return tuple(message["notices"]), who
    os.waitpid(who.pid, 0)
    if "error" in message:
        raise unpack_error(message["error"])
    raise FailedError(
        "the container's supervisor ended before the container began",
        code="supervisor-failed",
        exit_status=125,
    )


def _descriptors(data: bytes, client: Connection | None) -> list[int]:
    """The job as a file, a pipe for the report, and the client; all above the numbers that they will get."""
    source = os.memfd_create("job", os.MFD_CLOEXEC)
    os.write(source, data)
    os.lseek(source, 0, os.SEEK_SET)
    low = [source, *os.pipe()]
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _CLIENT + 1) for fd in low]
    for fd in low:
        os.close(fd)
    if client is not None:
        moved.append(fcntl.fcntl(client.fileno(), fcntl.F_DUPFD_CLOEXEC, _CLIENT + 1))
    return moved
