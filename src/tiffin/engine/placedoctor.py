"""What the doctor says of the places that tiffin writes to: the store, and the cgroups that keep limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.doctor import Check
from tiffin.engine.storeplace import check_attributes, check_owners, elsewhere
from tiffin.errors import TiffinError
from tiffin.linux.room import UNKNOWN, in_words, room_of

if TYPE_CHECKING:
    from tiffin.linux.isolation import Rung

__all__ = ["limits", "store", "way_of_owners"]


def store(root: Path, filesystem: str) -> Check:
    """Whether a store can be in `root`; a directory is made there, or above, and goes again."""
    from tempfile import TemporaryDirectory

    place = root
    while not place.exists() and place != place.parent:
        place = place.parent
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


def way_of_owners(root: Path, rung: Rung) -> Check | None:
    """What to say of a store that was begun on a rung with another way of owners; None for all others."""
    try:
        check_owners(root, rung)
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
