"""Work inside another network namespace, and the one thing that all of them need: a loopback that is up.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading

from tiffin.linux import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

__all__ = ["ignore_routers", "join", "loopback_up", "within"]

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_LOOPBACK = struct.pack("16sh22x", b"lo", _IFF_UP)  # struct ifreq of netdevice(7)

_setns = libc.function("setns", ctypes.c_int, ctypes.c_int)


def join(namespace: int) -> None:
    """Move the calling thread, and it alone, into the network namespace of the file descriptor.

    There is no way back where the old namespace belongs to a user namespace in which we have
    no rights, as without root: give such work to a thread that ends, or that stays there.
    """
    libc.check(_setns(namespace, _CLONE_NEWNET), "setns to a network namespace")


def within(namespace: int, work: Callable[[], Result]) -> Result:
    """Return what `work` returns when it runs inside the network namespace of the file descriptor."""
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            join(namespace)
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the calling thread
            failure.append(error)

    thread = threading.Thread(target=body, name="network-namespace")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def ignore_routers(device: str) -> None:
    """Learn no IPv6 routes by the device, in the network namespace of the calling thread.

    Whoever may send raw packets could offer itself as the way out otherwise, to the host too.
    """
    with contextlib.suppress(OSError):  # there is no IPv6
        descriptor = os.open(f"/proc/sys/net/ipv6/conf/{device}/accept_ra", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"0")
        finally:
            os.close(descriptor)


def loopback_up(namespace: int) -> None:
    """Bring the loopback interface of the network namespace up, if it is not."""
    within(namespace, _loopback_up)


def _loopback_up() -> None:
    # Any socket will do to ask by; one of this family needs nothing of the network.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SIOCSIFFLAGS, _LOOPBACK)
