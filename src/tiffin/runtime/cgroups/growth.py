"""A group for processes that run already, or more controllers for the one that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.runtime.cgroups.limits import Writes
from tiffin.runtime.cgroups.manager import (
    Group,
    Kernel,
    choose,
    make_written,
    new_group,
    none_mounted,
    own_hierarchies,
)
from tiffin.runtime.cgroups.v1 import V1
from tiffin.runtime.cgroups.v2 import V2

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.runtime.cgroups.hierarchy import Hierarchies

__all__ = ["grown"]


def grown(
    group: Group | None,
    writes: Writes,
    parent: str = "",
    *,
    found: Hierarchies | None = None,
    kernel: Kernel | None = None,
) -> Group:
    """Return a group with the controllers that these limits need; the limits are not written yet.

    What `group` has is kept, and it stays in the hierarchies that it is in. Raises UnsupportedError that
    names the missing controller, and why; nothing is changed then.
    """
    if group is None:
        return make_written(writes, parent, bare=True, found=found, kernel=kernel)
    lacking = Writes(
        tuple(write for write in writes.v1 if write.controller not in group.directories),
        tuple(write for write in writes.v2 if write.controller not in group.directories),
    )
    found, kernel = found or own_hierarchies(), kernel or Kernel()
    if group.parted:
        if not lacking.v1:
            return group
        old = V1(dict(found.v1), kernel)
        choose([old], lacking)
        more = new_group(old, lacking, parent, bare=True).directories
    elif not lacking.v2:
        return group
    elif found.v2 is None:
        raise none_mounted()
    else:
        new = V2(found.v2, kernel)
        choose([new], lacking)
        needed = list(dict.fromkeys(write.controller for write in lacking.v2))
        directory = _only(group)
        new.extend(directory, needed)
        more = dict.fromkeys(needed, directory)
    return Group({**group.directories, **more}, kernel, parted=group.parted)


def _only(group: Group) -> Path:
    """The directory of a group of version 2."""
    (directory,) = set(group.directories.values())
    return directory
