"""`-v …:U`: what is mounted is given to the container's user, with all that is in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiffin.engine.standing import say
from tiffin.errors import FailedError, InvalidError
from tiffin.linux.isolation import Rung
from tiffin.runtime.targets import resolve

if TYPE_CHECKING:
    from tiffin.container.record import MountRecord
    from tiffin.engine.engine import Engine
    from tiffin.layer.owners import Owners

__all__ = ["give"]

# The machine would not start again, or nobody log in, if these belonged to somebody else.
_SPARED = (
    *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc"),
    *("/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp"),  # noqa: S108
)
_ONE_ID = "U has no effect: without subordinate ids a container has one user, and all files are that user's"


def give(engine: Engine, mount: MountRecord, uid: int, gid: int) -> None:
    """Make the user own the mount's source and all below it, but not what is mounted there."""
    place = os.path.realpath(mount.source)
    if mount.kind == "bind" and place in _SPARED:
        raise InvalidError(
            f"{mount.source} cannot be given to the container's user: this machine needs it as it is",
            code="not-to-be-given",
            hint="leave U out, or mount a folder that is the container's alone",
            exit_status=125,
        )
    if engine.rung is Rung.SINGLE_ID and not engine.footing.records:
        say(engine, _ONE_ID)
        return
    try:
        _give(place, engine.owners, uid, gid)
    except OSError as error:
        raise FailedError(
            f"{error.filename or place} cannot be given to the user {uid}:{gid}: {error.strerror}",
            code="not-given",
            hint="only root, or an account for its own files, can give them away; leave U out",
            exit_status=125,
        ) from error


def _give(place: str, owners: Owners, uid: int, gid: int) -> None:
    """Change owners by descriptors: a container that has the folder too cannot lead us elsewhere by links."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    above, name = os.path.split(place)
    try:
        top = resolve(root, above, links=False)
    finally:
        os.close(root)
    try:
        status = os.stat(name, dir_fd=top, follow_symlinks=False)
        device = status.st_dev
        _change(top, name, device, owners, (uid, gid))
        if not stat.S_ISDIR(status.st_mode):
            return
        for _, folders, names, fd in os.fwalk(name, dir_fd=top, follow_symlinks=False):
            for each in [*names, *folders]:
                if not _change(fd, each, device, owners, (uid, gid)) and each in folders:
                    folders.remove(each)
    finally:
        os.close(top)


def _change(fd: int, name: str, device: int, owners: Owners, new: tuple[int, int]) -> bool:
    """Change the owner of what is on the device; return whether it is."""
    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if status.st_dev != device:
        return False
    host = f"/proc/self/fd/{fd}/{name}"
    if owners.read(host, status) != new:
        owners.change(host, *new)
    return True
