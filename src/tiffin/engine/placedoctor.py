"""What the doctor says of the places that tiffin writes to: the store, and the cgroups that keep limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.doctor import Check
from tiffin.engine.storeplace import check_attributes, check_owners, check_programs, elsewhere
from tiffin.errors import TiffinError
from tiffin.linux.room import UNKNOWN, in_words, room_of

if TYPE_CHECKING:
    from tiffin.linux.isolation import Isolation

__all__ = ["hindrance", "limits", "store"]


def store(root: Path, filesystem: str) -> Check:
    """Whether a store can be in `root`; a directory is made there, or above, and goes again."""
    from tempfile import TemporaryDirectory

    place = _there(root)
    try:
        with TemporaryDirectory(prefix=".probe-", dir=place) as folder:
            check_attributes(Path(folder), root)
    except OSError as error:
        return Check("store", False, f"{place} cannot be written: {error.strerror}", elsewhere())
    except TiffinError as error:
        return Check("store", False, error.message, error.hint)
    room = room_of(place)
    left = f", {in_words(room.size)} left" if room.size != UNKNOWN else ""
    return Check("store", True, f"on {filesystem or 'an unknown file system'}{left}")


def _there(root: Path) -> Path:
    while not root.exists() and root != root.parent:
        root = root.parent
    return root


def hindrance(root: Path, isolation: Isolation) -> Check | None:
    """What of the store stands in the way of this rung: its owners, or that nothing runs there; else None."""
    try:
        check_owners(root, isolation.rung)
        if isolation.plain:
            check_programs(_there(root))
    except (TiffinError, OSError) as error:
        told = (error.message, error.hint) if isinstance(error, TiffinError) else (str(error), elsewhere())
        return Check("store", False, *told)
    return None


def limits(version: str) -> Check:
    """Whether a group for a container with limits can be made: one is made, and goes again."""
    from tiffin.oci.runtimespec import Memory, Resources
    from tiffin.runtime.cgroups.manager import make_group

    try:
        make_group(Resources(memory=Memory(limit=1 << 30))).delete()
    except TiffinError as error:
        return Check("cgroups", False, f"no limits (--memory, --cpus): {error.message}", error.hint)
    except OSError as error:
        return Check(
            "cgroups", False, f"no limits (--memory, --cpus): {error}", "mount cgroup2 at /sys/fs/cgroup"
        )
    return Check("cgroups", True, version)
