"""The entry of the process that runs one step: it attaches the step's network, and puts it under its limits.

Runs under `python -IS`.
"""

from __future__ import annotations

import marshal
import os
from typing import TYPE_CHECKING

from tiffin.network.attach import attach, write_hosts
from tiffin.network.plan import NetworkPlan
from tiffin.runtime.step_process import serve

if TYPE_CHECKING:
    from tiffin.network.attach import Attachment


def _attach(pid: int, packed: bytes) -> Attachment:
    plan, hosts, joins, door = marshal.loads(packed)  # noqa: S302  # our own parent wrote it
    for path in joins:
        with open(path, "w", encoding="ascii") as file:  # pathlib is slow to load
            file.write(str(pid))
    attachment = attach(NetworkPlan.from_wire(plan), pid)
    try:
        if door is not None:
            _open_door(attachment.namespace, *door)
        if hosts is not None:
            path, name, extra = hosts
            write_hosts(path, name, extra, attachment)
    except BaseException:
        attachment.close()
        raise
    return attachment


def _open_door(namespace: int, socket_fd: int, port: int) -> None:
    """Listen on the loopback of the step's network, and give the socket to the build, which answers there."""
    import socket

    from tiffin.linux.netns import loopback_up, within
    from tiffin.linux.terminal import send_fd

    loopback_up(namespace)
    with within(namespace, lambda: socket.create_server(("127.0.0.1", port), backlog=256)) as listener:
        send_fd(socket_fd, listener.fileno())
    os.close(socket_fd)


def main() -> None:
    """Run the plan that the parent sends."""
    serve(_attach)
