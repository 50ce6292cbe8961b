"""Who owns the files of a layer: by true ownership, or recorded where there is only one id.

An attribute of the file, `user.tiffin.owner`, holds what the file system cannot:
`uid:gid`, or `uid:gid:mode:device` for an empty file that stands for a device node.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tiffin.errors import CorruptError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER: Final = "user.tiffin.owner"
_ABSENT: Final = (errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM)
_DEVICE: Final = (stat.S_IFCHR, stat.S_IFBLK)


class Owners(Protocol):
    """How owners, and device nodes, are set and read in the directories of layers.

    A `target` is an open file, or a path whose last link is not followed.
    """

    def read(self, host: str, status: os.stat_result) -> tuple[int, int]:
        """The user and group that own the entry at `host`, of which `status` is what lstat says."""
        ...

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Make `uid` and `gid` own the entry. Clears set-id bits and capabilities: do it first."""
        ...

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the fifo or device node `mode` (with its type); `FileExistsError` if there is something."""
        ...


class TrueOwners:
    """Owners are what the file system says: root, or a user namespace with subordinate ids."""

    def read(self, _host: str, status: os.stat_result) -> tuple[int, int]:
        """The owners as they are."""
        return status.st_uid, status.st_gid

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Change them; `UnsupportedError` for an id that this user namespace does not map."""
        try:
            os.chown(target, uid, gid, follow_symlinks=isinstance(target, int))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise UnsupportedError(
                f"a file belongs to {uid}:{gid}, and this user namespace has no such id",
                code="owner-not-mapped",
                hint="give your account more subordinate ids in /etc/subuid and /etc/subgid (usual: 65536)",
            ) from error

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the node; where the kernel forbids devices, an empty file that stands for it."""
        try:
            os.mknod(host, mode, device)
        except PermissionError:
            if stat.S_IFMT(mode) not in _DEVICE:
                raise
            _record_node(host, mode, device, (0, 0))


class NoOwners:
    """Owners do not matter: everything stays ours, and counts as root's. For files that are only read."""

    def read(self, _host: str, _status: os.stat_result) -> tuple[int, int]:
        """Root."""
        return 0, 0

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Leave it as it is."""

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the fifo; `UnsupportedError` for a device, which is no file to be read."""
        if stat.S_IFMT(mode) in _DEVICE:
            raise UnsupportedError(
                f"it has a device node: {os.path.basename(host)}",
                code="device-node",
                hint="leave device nodes out of the archive",
            )
        os.mknod(host, mode, device)


class RecordedOwners:
    """Owners are recorded: everything belongs to the one id there is. Links and fifos stay 0:0."""

    def read(self, host: str, status: os.stat_result) -> tuple[int, int]:
        """The recorded owners; root where nothing is recorded."""
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            return 0, 0
        record = _record(host)
        return (record.uid, record.gid) if record else (0, 0)

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Record them; only what differs from root needs a record."""
        mode = os.stat(target, follow_symlinks=isinstance(target, int)).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return
        record = _record(target)
        if record is None and uid == gid == 0:
            return
        text = f"{uid}:{gid}"
        if record is not None and record.device is not None:
            text = f"{text}:{record.mode:o}:{record.device}"
        os.setxattr(target, OWNER, text.encode(), follow_symlinks=isinstance(target, int))

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the fifo, or an empty file that stands for the device."""
        if stat.S_IFMT(mode) in _DEVICE:
            _record_node(host, mode, device, (0, 0))
        else:
            os.mknod(host, mode, device)


class Record(NamedTuple):
    """What `user.tiffin.owner` says; `mode` (octal, type included) and `device` only of a device node."""

    uid: int
    gid: int
    mode: int = 0
    device: int | None = None


def recorded_node(host: str, xattrs: Mapping[str, bytes]) -> Record | None:
    """The device node that an empty file with these attributes stands for."""
    text = xattrs.get(OWNER)
    record = _parse(text, host) if text is not None else None
    return record if record is not None and record.device is not None else None


def _record_node(host: str, mode: int, device: int, owner: tuple[int, int]) -> None:
    fd = os.open(host, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.setxattr(fd, OWNER, f"{owner[0]}:{owner[1]}:{mode:o}:{device}".encode())
        os.fchmod(fd, stat.S_IMODE(mode))
    finally:
        os.close(fd)


def _record(target: int | str) -> Record | None:
    try:
        text = os.getxattr(target, OWNER, follow_symlinks=isinstance(target, int))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    return _parse(text, target)


def _parse(text: bytes, target: int | str) -> Record:
    parts = text.split(b":")
    try:
        if len(parts) == 2:
            record = Record(int(parts[0]), int(parts[1]))
        else:
            uid, gid, mode, device = parts
            record = Record(int(uid), int(gid), int(mode, 8), int(device))
    except ValueError:
        record = None
    if record is None or not (0 <= record.uid < 2**32 - 1 and 0 <= record.gid < 2**32 - 1):
        raise CorruptError(
            f"the attribute {OWNER} of {target} reads {text[:80]!r}, which is no owner",
            code="owner-record",
            hint="remove the attribute, or build the image again",
        )
    return record
