"""What those who answer know, and what they answer with."""

from __future__ import annotations

import os

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from tiffin.linux.notify import Call, Listener
    from tiffin.runtime.emulation.caller import Callers
    from tiffin.runtime.emulation.credentials import Credentials
    from tiffin.runtime.emulation.records import Records

CHOWN, SETGID, SETUID, MKNOD, SETFCAP = 0, 6, 7, 27, 31
"""Capabilities of which something depends here."""

_FD_BITS = 32


class Gift(NamedTuple):
    """An answer that is an open file, which the caller gets; a new one has the `name` it was made by."""

    fd: int
    cloexec: bool
    directory: int = -1
    name: bytes = b""

    def give(self, listener: Listener, call: Call) -> None:
        """Hand the file over, and close it. Raises OSError if the caller has gone, or may have no more."""
        try:
            listener.give(call, self.fd, cloexec=self.cloexec)
        except OSError:
            self.take_back()  # the kernel finds that there may be no more before it makes anything
            raise
        finally:
            self.close()

    def take_back(self) -> None:
        """Remove the file again, of which the caller hears nothing, unless its name is another's by now."""
        if self.directory < 0:
            return
        try:
            there = os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
            if os.path.samestat(there, os.fstat(self.fd)):
                os.unlink(self.name, dir_fd=self.directory)
        except OSError:
            return

    def close(self) -> None:
        """Close what is ours of it."""
        os.close(self.fd)
        if self.directory >= 0:
            os.close(self.directory)


if TYPE_CHECKING:
    Answer: TypeAlias = int | Gift | None
    """What the call returns; None leaves it to the kernel. An OSError is raised for a failure."""


class Site(NamedTuple):
    """The container whose calls are answered, with the capabilities that its root has, as bits."""

    callers: Callers
    records: Records
    capabilities: int
    no_new_privs: bool

    def may(self, who: Credentials, capability: int) -> bool:
        """Tell whether the process is privileged in this."""
        return (who.user.effective == 0 or who.keeps) and bool(self.capabilities >> capability & 1)


def descriptor(value: int) -> int:
    """Return the signed number of a descriptor that is in a register."""
    value &= (1 << _FD_BITS) - 1
    return value - (1 << _FD_BITS) if value >> (_FD_BITS - 1) else value
