"""Whether the store can lie where it is to lie: who may write there, attributes of files, one way of owners.

Looked at when a store is begun, or cannot be; the doctor asks the same before.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tiffin.errors import ConflictError, UnavailableError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.linux.ownerrecord import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.errors import TiffinError

__all__ = ["MARK", "check_attributes", "check_owners", "check_programs", "elsewhere", "refused"]

MARK = "owners"
"""The file of the store that says how it keeps them."""

_NONE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)


def refused(root: Path, error: OSError) -> TiffinError | None:
    """What to tell of a store whose directories cannot be made; None if the place is not to blame."""
    if error.errno not in _REFUSED:
        return None
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(root)
    return UnavailableError(
        f"the store cannot be made in {root}: {path}: {(error.strerror or '').lower()}",
        code=errno.errorcode[error.errno].lower(),
        hint=elsewhere(),
    )


def check_attributes(directory: Path, root: Path) -> None:
    """Raise UnsupportedError if the directory, of the store `root`, keeps no attributes.

    Without them images come out wrong: owners are recorded there, and that a directory was replaced.
    """
    try:
        os.setxattr(directory, OWNER, b"0:0")
        os.removexattr(directory, OWNER)
    except OSError as error:
        if error.errno not in _NONE:
            raise
        raise UnsupportedError(
            f"the store cannot be in {root}: files keep no attributes there, in which owners and replaced "
            "directories are noted",
            code="no-attributes",
            hint=f"{elsewhere()} (NFS has attributes from version 4.2 on, tmpfs since Linux 6.6)",
        ) from error


def check_owners(root: Path, rung: Rung) -> None:
    """Raise ConflictError if the store was made on a rung with another way of owners: it would be misread."""
    try:
        found = (root / MARK).read_text().strip()
    except FileNotFoundError:
        return
    if found == rung.owners:
        return
    rungs = [each.value for each in Rung if each.owners == found != "true"]
    back = f"go on with it by TIFFIN_ISOLATION={rungs[0]}" if rungs else "go back to a rung that does"
    raise ConflictError(
        f"the store {root} was made with {found} owners, and the rung {rung.value} keeps {rung.owners} ones",
        code="other-owners",
        hint=f"{back}, or set TIFFIN_HOME to another directory for a new store",
    )


def check_programs(root: Path) -> None:
    """Raise UnsupportedError if no program may run in `root`, where root filesystems are copied to.

    A layer of an overlay is not asked how its disk is mounted.
    """
    if _refuses_programs(root):
        raise UnsupportedError(
            f"root filesystems are copied here, and in {root} no program may run: its disk is mounted noexec",
            code="noexec",
            hint=elsewhere(),
            exit_status=125,
        )


def _refuses_programs(place: Path | str) -> bool:
    return bool(os.statvfs(place).f_flag & os.ST_NOEXEC)


def elsewhere() -> str:
    """The remedy: another place, and one that this account may write to, if there is one."""
    usual = ("/var/tmp", "/tmp")  # noqa: S108 # a proposal
    places = [place for place in usual if os.access(place, os.W_OK) and not _refuses_programs(place)]
    such = f", such as {places[0]}/tiffin-{os.geteuid()}" if places else ""
    return f"set TIFFIN_HOME to a directory of yours on a local disk{such}"
