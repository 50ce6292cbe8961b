"""Who a process is: a number may be used again, a number with its start time is not.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os

from tiffin.linux.record import NamedTuple

__all__ = ["Identity", "started"]


class Identity(NamedTuple):
    """A process for ever: `started` is the kernel's start time in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def own(cls) -> Identity:
        """This process."""
        return cls(os.getpid(), started(os.getpid()) or 0)

    @property
    def alive(self) -> bool:
        """Tell whether this very process still runs; a zombie does not."""
        return self.pid > 0 and started(self.pid) == self.started


def started(pid: int) -> int | None:
    """Return when the process started, or None when it has ended, even if nobody has waited for it."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    # The name, in brackets, may hold anything, brackets and spaces too: fields count from the last one.
    state, *fields = text[text.rindex(b")") + 2 :].split()
    return None if state in (b"Z", b"X") else int(fields[18])
