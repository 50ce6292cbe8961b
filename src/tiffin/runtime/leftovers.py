"""End what a container without a pid namespace of its own leaves: the kernel ends it where there is one.

Its processes are known by their mount namespace, which none of them can leave without rights over it, and by
its cgroup if it has one. Nobody else is in either: the namespace is held open, so that its number is not used
again. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from tiffin.linux.namespace import pidfd_open, pidfd_send_signal
from tiffin.runtime import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Leftovers"]

_TRIES = 500
_PAUSE = 0.01


class Leftovers:
    """The container whose first process is `first`, in the cgroups of these files that take pids."""

    def __init__(self, first: int, joins: Sequence[str] = ()) -> None:
        self._space = os.open(f"/proc/{first}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._joins = tuple(joins)

    def end(self) -> None:
        """Kill until none is left: a process that is about to die may have made another one."""
        try:
            for _ in range(_TRIES):
                found = self._living()
                if not found:
                    return
                for pid in found:
                    self._kill(pid)
                time.sleep(_PAUSE)
        finally:
            os.close(self._space)

    def _living(self) -> list[int]:
        inside = self._inside()
        numbers = {*inside, *(int(name) for name in os.listdir("/proc") if name.isdigit())}
        found = [pid for pid in sorted(numbers) if self._is_ours(pid, inside)]
        return [pid for pid in found if members.state_of(pid) is not None]

    def _inside(self) -> list[int]:
        try:
            return members.joined(self._joins)
        except OSError:
            return []  # the group is gone, and so are they

    def _is_ours(self, pid: int, inside: Sequence[int]) -> bool:
        """Whether it belongs to the container; a process that has ended has no namespaces."""
        if pid in (0, os.getpid()):
            return False
        if pid in inside:
            return True
        try:
            return os.path.samestat(os.stat(f"/proc/{pid}/ns/mnt"), os.fstat(self._space))
        except OSError:
            return False

    def _kill(self, pid: int) -> None:
        """Send SIGKILL, if the number still means a process of the container."""
        with contextlib.suppress(OSError):
            process = pidfd_open(pid)
            try:
                if self._is_ours(pid, self._inside()):
                    pidfd_send_signal(process, signal.SIGKILL)
            finally:
                os.close(process)
