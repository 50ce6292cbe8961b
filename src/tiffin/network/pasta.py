"""A network without root: pasta carries the container's packets as ordinary sockets of the user.

pasta runs as a child of ours, is killed when we die, and gives the container the host's own
addresses. Ports are published by our own forwarder, in this mode as in every other.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from tiffin.errors import UnavailableError
from tiffin.linux import capability, prctl
from tiffin.linux.namespace import NEWUSER, setns
from tiffin.linux.record import NamedTuple
from tiffin.network.plan import NAMESERVER

__all__ = ["Pasta", "Wishes", "arguments", "start"]

_PATIENCE = 10.0
_NOISE = "Failed to send"  # some builds complain about a missing system log for every line


class Pasta(NamedTuple):
    """A running pasta."""

    pid: int

    def stop(self) -> None:
        """End it and wait for it."""
        try:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            return


class Wishes(NamedTuple):
    """What the container's network is to offer beside the way out."""

    forward_dns: bool = False
    map_gateway: bool = False
    """The gateway's address means this host, its loopback too: only when it was asked for."""


def arguments(program: str, wishes: Wishes) -> list[str]:
    """Return pasta's command line; the network namespace is its standard input, its output our sign (pure).

    Older versions give up the right to look into a process with more capabilities before they open
    /proc/PID/ns/net, newer ones close what they inherit above 2: standard input passes both. The
    number of the process is written, to standard output here, when the network is ready.
    """
    return [
        program,
        "--foreground",
        "--quiet",
        "--config-net",
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none"),
        *("--ns-ifname", "eth0"),
        *(() if wishes.map_gateway else ("--no-map-gw",)),
        *(("--dns-forward", NAMESERVER) if wishes.forward_dns else ()),
        "--netns-only",
        "--no-netns-quit",
        *("--netns", "/proc/self/fd/0"),
        *("--pid", "/proc/self/fd/1"),
    ]


def start(command: list[str], namespace: int, user: int | None) -> Pasta:
    """Start pasta for the network namespace of the descriptor and return when its network is ready.

    `user` is the user namespace to which the network belongs, where that is not our own: pasta
    becomes root of it, and with that nobody in particular outside. Called by a process of one
    thread, which is the parent that pasta dies with.
    """
    sign = os.memfd_create("pasta-ready", os.MFD_CLOEXEC)
    output = os.memfd_create("pasta-output", os.MFD_CLOEXEC)
    try:
        pid = _spawn(command, namespace, user, (sign, output))
        end = time.monotonic() + _PATIENCE
        while not os.fstat(sign).st_size:
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise _failure(output)
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise _failure(output, f"no answer within {_PATIENCE:.0f} s")
            time.sleep(0.002)
        return Pasta(pid)
    finally:
        os.close(output)
        os.close(sign)


def _spawn(command: list[str], namespace: int, user: int | None, outputs: tuple[int, int]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        for number, descriptor in enumerate((namespace, *outputs)):
            os.dup2(descriptor, number)
        if user is not None:
            setns(user, NEWUSER)
            _take_root()
        prctl.set_death_signal(signal.SIGKILL)  # last: a change of user takes it back
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
        # What Python ignores is inherited; pasta takes an ignored SIGPIPE for an error.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setsid()  # the terminal's Ctrl-C is for the container, not for its network
        os.execve(command[0], command, {})  # noqa: S606 - an exec in our own fork: there is no shell to avoid
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _take_root() -> None:
    """Become root of the user namespace; where it has one id, that, with the rights of a root."""
    uid, gid = map(_first, ("uid", "gid"))
    with contextlib.suppress(PermissionError):  # where one id is mapped the kernel denies it
        os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if uid:
        own = capability.effective()
        capability.set_capabilities(own, own, own)
        capability.set_ambient(own)


def _first(kind: str) -> int:
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to load
        numbers = [int(line.split()[0]) for line in file]
    return 0 if 0 in numbers else numbers[0]


def _failure(output: int, what: str = "") -> UnavailableError:
    lines = os.pread(output, 8192, 0).decode("utf-8", "replace").splitlines()
    said = [line.strip() for line in lines if line.strip() and not line.startswith(_NOISE)]
    return UnavailableError(
        f"pasta cannot connect the container: {what or '; '.join(said) or 'it ended without a word'}",
        code="pasta-failed",
        hint="use --network host, or --network loopback for published ports only",
    )
