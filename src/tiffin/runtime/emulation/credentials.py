"""Who a process takes itself for, where the kernel has one user, and the rules by which that changes. Pure.

The rules are credentials(7) and the pages of the calls. A process is privileged when its effective user is
root, and the container has the capability.
"""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

NOBODY = 0xFFFFFFFF
"""In a call: leave this one as it is."""


class Ids(NamedTuple):
    """The ids of a user, or those of a group."""

    real: int = 0
    effective: int = 0
    saved: int = 0
    files: int = 0
    """The one that new files get: the id of the file system."""


class Credentials(NamedTuple):
    """A user, a group, and further groups."""

    user: Ids = Ids()
    group: Ids = Ids()
    groups: tuple[int, ...] = ()
    keeps: bool = False
    """It has been root and keeps root's capabilities (PR_SET_KEEPCAPS), until it executes a program."""

    def is_in(self, gid: int) -> bool:
        """Tell whether the group is one of the process's."""
        return gid == self.group.files or gid in self.groups


ROOT = Credentials()


def whole(uid: int, gid: int, groups: tuple[int, ...] = ()) -> Credentials:
    """Return the credentials of who is this user and nothing else."""
    return Credentials(Ids(uid, uid, uid, uid), Ids(gid, gid, gid, gid), groups)


def set_id(ids: Ids, new: int, *, privileged: bool) -> Ids | None:
    """Return the ids after setuid(2) or setgid(2), None if that may not be."""
    if privileged:
        return Ids(new, new, new, new)
    if new not in (ids.real, ids.saved):
        return None
    return ids._replace(effective=new, files=new)


def set_two(ids: Ids, real: int, effective: int, *, privileged: bool) -> Ids | None:
    """Return the ids after setreuid(2) or setregid(2), None if that may not be."""
    if not privileged:
        if real not in (NOBODY, ids.real, ids.effective):
            return None
        if effective not in (NOBODY, ids.real, ids.effective, ids.saved):
            return None
    saved = real != NOBODY or (effective not in (NOBODY, ids.real))
    new_effective = ids.effective if effective == NOBODY else effective
    return Ids(
        ids.real if real == NOBODY else real,
        new_effective,
        new_effective if saved else ids.saved,
        new_effective,
    )


def set_three(ids: Ids, new: tuple[int, int, int], *, privileged: bool) -> Ids | None:
    """Return the ids after setresuid(2) or setresgid(2), None if that may not be."""
    old = ids[:3]
    if not privileged and any(each not in (NOBODY, *old) for each in new):
        return None
    real, effective, saved = (
        before if each == NOBODY else each for before, each in zip(old, new, strict=True)
    )
    return Ids(real, effective, saved, effective)


def set_files(ids: Ids, new: int, *, privileged: bool) -> Ids:
    """Return the ids after setfsuid(2) or setfsgid(2), which never fail."""
    return ids._replace(files=new) if privileged or new in ids else ids


def execute(who: Credentials, mode: int, owner: tuple[int, int]) -> Credentials:
    """Return who the process is after it has executed a file with this mode and owner."""
    user = owner[0] if mode & 0o4000 else who.user.effective
    # Without the right of the group to execute, the bit is the mark of mandatory locks.
    group = owner[1] if mode & 0o2010 == 0o2010 else who.group.effective
    return Credentials(
        Ids(who.user.real, user, user, user), Ids(who.group.real, group, group, group), who.groups
    )


def may_access(
    who: tuple[int, int], groups: tuple[int, ...], owner: tuple[int, int], mode: int, wanted: int
) -> bool:
    """Tell whether the user and group may have what is `wanted` (4 to read, 2 to write, 1 to execute)."""
    if who[0] == 0:
        return True
    if who[0] == owner[0]:
        mode >>= 6
    elif owner[1] == who[1] or owner[1] in groups:
        mode >>= 3
    return not wanted & ~mode & 7


def may_give(who: Credentials, owner: tuple[int, int], new: tuple[int, int]) -> bool:
    """Tell whether somebody without privileges may change the owners of a file so (chown(2))."""
    if who.user.files != owner[0] or new[0] not in (NOBODY, owner[0]):
        return False
    return new[1] in (NOBODY, owner[1]) or who.is_in(new[1])
