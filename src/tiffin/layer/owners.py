"""Who owns the files of a layer: by true ownership, or recorded where there is only one id.

How records are spelled is in `linux.ownerrecord`: an attribute of a file or directory, and one of a
directory for the links and fifos in it.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, Protocol

from tiffin.errors import CorruptError, UnsupportedError
from tiffin.layer.links import owner_of_link, set_owner_of_link
from tiffin.linux.files import getxattr
from tiffin.linux.ownerrecord import CAPABILITY, OWNER, Record, parse, spell

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEVICE: Final = (stat.S_IFCHR, stat.S_IFBLK)
_OURS: Final = {stat.S_IFREG: 0o600, stat.S_IFDIR: 0o700}


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

    def mode(self, host: str, status: os.stat_result) -> int:
        """The permission bits of the entry at `host`, of which `status` is what lstat says."""
        ...

    def set_mode(self, target: int | str, mode: int) -> None:
        """Give the entry, which is no link, these permission bits. Before its attributes."""
        ...

    def set_attribute(self, target: int | str, name: str, value: bytes) -> None:
        """Set an attribute that is part of an image, a file capability among them."""
        ...

    def open_up(self, host: str, *, below: bool = False) -> None:
        """See to it that we may do anything with the entry, and with what is `below` it."""
        ...

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the fifo or device node `mode` (with its type); `FileExistsError` if there is something."""
        ...


class _TrueModes:
    """Modes and attributes are what the file system says."""

    def mode(self, _host: str, status: os.stat_result) -> int:
        """The permission bits as they are."""
        return stat.S_IMODE(status.st_mode)

    def set_mode(self, target: int | str, mode: int) -> None:
        """Set them."""
        os.chmod(target, mode)

    def set_attribute(self, target: int | str, name: str, value: bytes) -> None:
        """Set it."""
        os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))

    def open_up(self, host: str, *, below: bool = False) -> None:
        """We are root over it."""


class TrueOwners(_TrueModes):
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


class NoOwners(_TrueModes):
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


class RecordedOwners(_TrueModes):
    """Owners are recorded: everything belongs to the one id there is."""

    def read(self, host: str, status: os.stat_result) -> tuple[int, int]:
        """The recorded owners; root where nothing is recorded."""
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            return owner_of_link(host)
        record = _record(host)
        return (record.uid, record.gid) if record else (0, 0)

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Record them; only what differs from root needs a record."""
        mode = os.stat(target, follow_symlinks=isinstance(target, int)).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            if isinstance(target, str):
                set_owner_of_link(target, (uid, gid))
            return
        record = _record(target)
        if record is None and uid == gid == 0:
            return
        text = spell((record or Record(0, 0))._replace(uid=uid, gid=gid))
        os.setxattr(target, OWNER, text, follow_symlinks=isinstance(target, int))

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the fifo, or an empty file that stands for the device."""
        if stat.S_IFMT(mode) in _DEVICE:
            _record_node(host, mode, device, (0, 0))
        else:
            os.mknod(host, mode, device)


class RecordedModes(RecordedOwners):
    """The same for an ordinary user, to whom modes apply: what would shut us out is recorded, not set."""

    def mode(self, host: str, status: os.stat_result) -> int:
        """The recorded permission bits; those on disk where none are."""
        if stat.S_IFMT(status.st_mode) in _OURS and (record := _record(host)) is not None and record.mode:
            return stat.S_IMODE(record.mode)
        return stat.S_IMODE(status.st_mode)

    def set_mode(self, target: int | str, mode: int) -> None:
        """Set them, and leave ourselves what we need; record what that hides, and those of devices."""
        kind = stat.S_IFMT(os.stat(target, follow_symlinks=isinstance(target, int)).st_mode)
        ours = mode | _OURS.get(kind, 0)
        os.chmod(target, ours)
        record = _record(target) if kind in _OURS else None
        if kind not in _OURS or (record is None and ours == mode):
            return
        record = record or Record(0, 0)
        hidden = record.device is not None or ours != mode
        told = record._replace(mode=(stat.S_IFMT(record.mode) or kind) | mode if hidden else 0)
        if told != record:
            os.setxattr(target, OWNER, spell(told), follow_symlinks=isinstance(target, int))

    def set_attribute(self, target: int | str, name: str, value: bytes) -> None:
        """Set it; record a file capability, which only root may set."""
        name = CAPABILITY if name == "security.capability" else name
        super().set_attribute(target, name, value)

    def open_up(self, host: str, *, below: bool = False) -> None:
        """Record the modes that shut us out, which containers have set."""
        pending = [host]
        for path in pending:  # it grows
            status = os.lstat(path)
            kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
            if kind in _OURS and mode & _OURS[kind] != _OURS[kind]:
                self.set_mode(path, mode)
            if below and stat.S_ISDIR(status.st_mode):
                pending += [entry.path for entry in os.scandir(path)]

    def make_node(self, host: str, mode: int, device: int) -> None:
        """Make the fifo, or an empty file that stands for the device."""
        super().make_node(host, mode, device)
        self.set_mode(host, stat.S_IMODE(mode))


def recorded_node(host: str, xattrs: Mapping[str, bytes]) -> Record | None:
    """The device node that an empty file with these attributes stands for."""
    text = xattrs.get(OWNER)
    record = _parse(text, host) if text is not None else None
    return record if record is not None and record.device is not None else None


def standing_node(host: str, status: os.stat_result) -> Record | None:
    """The device node that the entry at `host`, of which `status` is what lstat says, stands for, if any."""
    if status.st_size or not stat.S_ISREG(status.st_mode):
        return None
    record = _record(host)
    return record if record is not None and record.device is not None else None


def _record_node(host: str, mode: int, device: int, owner: tuple[int, int]) -> None:
    fd = os.open(host, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.setxattr(fd, OWNER, spell(Record(*owner, mode, device)))
        os.fchmod(fd, stat.S_IMODE(mode))
    finally:
        os.close(fd)


def _record(target: int | str) -> Record | None:
    text = getxattr(target, OWNER, follow=isinstance(target, int))
    return None if text is None else _parse(text, target)


def _parse(text: bytes, target: int | str) -> Record:
    record = parse(text)
    if record is None:
        raise CorruptError(
            f"the attribute {OWNER} of {target} reads {text[:80]!r}, which is no owner",
            code="owner-record",
            hint="remove the attribute, or build the image again",
        )
    return record
