"""The ladder of isolation: from the facts of a host to the rung that a command stands on. Pure.

| rung | user namespace | owners |
|---|---|---|
| root | a new one for each container, whose ids are nobody's on the host | true |
| rootless | one for the command, with the user's subordinate ids | true |
| single-id | one for the command, with the user's id alone | kept beside the files |
| chroot | none | true |
| traced | none | kept beside the files |
"""

from __future__ import annotations

import enum

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux import capability
from tiffin.linux.namespace import IdMap
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.probe import Facts

AUTO = "auto"
_OLDEST_KERNEL = (5, 3)
_EVERY_ID = 4294967295
_FIRST_CONTAINER_ID = 100000
_CONTAINER_IDS = 65536
_NO_UPPER = frozenset(("overlay", "nfs", "fuse", "9p", "cifs", "lustre"))
"""File systems on which overlayfs cannot write, and which map no owners."""
_NEEDED = tuple(
    f"CAP_{name}"
    for name in ("SYS_CHROOT", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "MKNOD")
)
"""What the rung chroot takes, all of which an ordinary container has by default."""


class Rung(enum.Enum):
    """A step of the ladder, the strongest first."""

    ROOT = "root"
    ROOTLESS = "rootless"
    SINGLE_ID = "single-id"
    CHROOT = "chroot"
    TRACED = "traced"
    NONE = "none"

    @property
    def has_walls(self) -> bool:
        """Whether containers have namespaces, and mounts in them."""
        return self not in (Rung.CHROOT, Rung.TRACED)

    @property
    def means(self) -> str:
        """By what containers are kept apart, where they have no walls."""
        return {Rung.CHROOT: "chroot", Rung.TRACED: "tracing"}[self]

    @property
    def owners(self) -> str:
        """How a store keeps owners: as those of the files, or in records; once begun it keeps to that."""
        return {Rung.SINGLE_ID: "recorded", Rung.TRACED: "traced"}.get(self, "true")


_LADDER = tuple(rung for rung in Rung if rung is not Rung.NONE)


class Obstacle(NamedTuple):
    """Why a rung cannot be stood on here, and what would change that."""

    rung: Rung
    reason: str
    remedy: str


class Isolation(NamedTuple):
    """The decision. `enter`: the command has to enter a user namespace with the maps `uids` and `gids` first.

    On the rung root these are the maps that each container gets.
    """

    rung: Rung
    uids: tuple[IdMap, ...] = ()
    gids: tuple[IdMap, ...] = ()
    enter: bool = False
    plain: bool = False
    """Root filesystems are directories as they are: no overlay can be mounted, or written to the store."""
    lent: bool = False
    """On the rung root: containers have this machine's ids, because the kernel maps no owners of layers."""
    obstacles: tuple[Obstacle, ...] = ()
    """What stands in the way of the rungs above, or of all."""


def decide(facts: Facts, wanted: str = AUTO) -> Isolation:
    """Return the rung to stand on: the strongest possible, or the wanted one. The last one is always.

    Raises `UnsupportedError` if the wanted rung is out of reach, with what would help.
    """
    names = [rung.value for rung in _LADDER]
    if wanted not in {AUTO, *names}:
        raise InvalidError(
            f"there is no isolation called {wanted!r}", hint=f"choose one of {', '.join(names)}, auto"
        )
    obstacles: list[Obstacle] = []
    for rung in _LADDER:
        if wanted not in {AUTO, rung.value}:
            continue
        found = _obstacle(rung, facts)
        if found is None:
            return _isolation(rung, facts, tuple(obstacles))
        obstacles.append(Obstacle(rung, *found))
    best = obstacles[-1]
    raise UnsupportedError(
        f"the isolation {wanted} is not possible here: {best.reason}",
        code="no-isolation",
        hint=best.remedy,
        exit_status=125,
    )


def _isolation(rung: Rung, facts: Facts, obstacles: tuple[Obstacle, ...]) -> Isolation:
    plain = facts.store_filesystem in _NO_UPPER or bool(facts.overlay)
    if rung is Rung.ROOT and facts.idmap:
        own = _same(facts.uid_map), _same(facts.gid_map)
        return Isolation(rung, *own, plain=plain, lent=True, obstacles=obstacles)
    if rung is Rung.ROOT:
        ids = (_free_range(facts),)
        return Isolation(rung, ids, ids, obstacles=obstacles)
    if not rung.has_walls:
        return Isolation(rung, facts.uid_map, facts.gid_map, plain=True, obstacles=obstacles)
    if rung is Rung.ROOTLESS and _is_root_of_namespace(facts):
        return Isolation(rung, facts.uid_map, facts.gid_map, plain=plain, obstacles=obstacles)
    if rung is Rung.ROOTLESS:
        if lends_own_ids(facts):
            uids, gids = _same(facts.uid_map), _same(facts.gid_map)
        else:
            uids, gids = _stack(facts.euid, facts.subuids), _stack(facts.egid, facts.subgids)
        return Isolation(rung, uids, gids, enter=True, plain=plain, obstacles=obstacles)
    single = (IdMap(0, facts.euid, 1),), (IdMap(0, facts.egid, 1),)
    return Isolation(rung, *single, enter=True, plain=plain, obstacles=obstacles)


def _free_range(facts: Facts) -> IdMap:
    """Return ids that no user of the host has: whoever has them could act on the container's processes.

    Owners on disk do not depend on it, so it may be another one next time.
    """
    start = _FIRST_CONTAINER_ID
    for taken in sorted(facts.taken_ids, key=lambda line: line.outside):
        if start < taken.outside + taken.size and taken.outside < start + _CONTAINER_IDS:
            start = taken.outside + taken.size
    return IdMap(0, start, _CONTAINER_IDS)


def map_remedy(facts: Facts) -> str:
    """Return what would let newuidmap and newgidmap do their work, where they are installed."""
    if "set-user-ID" in facts.map_refusal:
        return "chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap (as root), or install their package again"
    if "no_new_privs" in facts.map_refusal:
        return "start tiffin without it: allowPrivilegeEscalation in Kubernetes, NoNewPrivileges in systemd"
    return "have it mounted without nosuid"


def lend_ids(facts: Facts) -> str:
    """Return root's command that gives the account subordinate ids which nobody has yet."""
    free = _free_range(facts)
    ids = f"{free.outside}-{free.outside + free.size - 1}"
    return f"usermod --add-subuids {ids} --add-subgids {ids} {facts.user or 'USER'}"


def _stack(own: int, ranges: tuple[IdMap, ...]) -> tuple[IdMap, ...]:
    """Return a map in which root is the user, and the subordinate ids follow from 1 on."""
    lines = [IdMap(0, own, 1)]
    for entry in ranges:
        lines.append(IdMap(sum(line.size for line in lines), entry.outside, entry.size))
    return tuple(lines)


def _same(own: tuple[IdMap, ...]) -> tuple[IdMap, ...]:
    """Return the map by which the ids of this process stay what they are, in a namespace within its own.

    Root has a line of its own: by one line with every id programs tell that they are in the first namespace,
    and pasta, for one, does not go on as root there.
    """
    parts = []
    for line in own:
        first = 1 if line.inside == 0 and line.size > 1 else line.size
        parts.append(IdMap(line.inside, line.inside, first))
        if first < line.size:
            parts.append(IdMap(line.inside + first, line.inside + first, line.size - first))
    return tuple(parts)


def lends_own_ids(facts: Facts) -> bool:
    """Tell whether the process is root of a container, say, and may lend all its ids to a user namespace."""
    needed = ("CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP")
    ids = sum(line.size for line in facts.uid_map)
    has = all(facts.capabilities >> capability.NAMES.index(name) & 1 for name in needed)
    return facts.euid == 0 and has and ids > 1


def _is_root_of_namespace(facts: Facts) -> bool:
    """Tell whether the command is already root of a user namespace with more ids than one."""
    ids = sum(line.size for line in facts.uid_map)
    return facts.euid == 0 and _may_mount(facts) and not _is_initial(facts) and ids > 1


def _may_mount(facts: Facts) -> bool:
    return bool(facts.capabilities >> capability.SYS_ADMIN & 1)


def _is_initial(facts: Facts) -> bool:
    return facts.uid_map == (IdMap(0, 0, _EVERY_ID),)


def _obstacle(rung: Rung, facts: Facts) -> tuple[str, str] | None:
    """Return why the rung is out of reach, with the remedy, or None if it is not."""
    needed = "" if rung.has_walls else "pidfd"  # without walls nothing is mounted
    missing = [name for name in facts.missing_calls if name.startswith(needed)]
    if missing and rung is not Rung.TRACED:
        found, wanted = (".".join(map(str, version)) for version in (facts.kernel, _OLDEST_KERNEL))
        return f"the kernel is {found}, which has no {', '.join(missing)}", f"use Linux {wanted} or newer"
    match rung:
        case Rung.ROOT:
            return _against_root(facts)
        case Rung.ROOTLESS:
            return _against_rootless(facts)
        case Rung.SINGLE_ID:
            return _against_user_namespaces(facts)
        case Rung.CHROOT:
            return _against_chroot(facts)
        case Rung.TRACED | Rung.NONE:
            return None


def _against_root(facts: Facts) -> tuple[str, str] | None:
    if facts.euid != 0:
        return "the user is not root", "run tiffin as root"
    if not _may_mount(facts):
        remedy = "give the surrounding container the capability SYS_ADMIN"
        return "root has no capability SYS_ADMIN here", remedy
    if not _is_initial(facts):
        return "root of a user namespace is not root of the host", "run tiffin outside of the user namespace"
    if facts.max_user_namespaces == 0:
        return "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=10000"
    if (facts.idmap and not facts.old) or facts.store_filesystem in _NO_UPPER:
        remedy = "put the store on a file system with idmapped mounts, such as ext4, xfs, btrfs (TIFFIN_HOME)"
        why = f": {facts.idmap}" if facts.idmap else ""
        return f"owners on {facts.store_filesystem} cannot be mapped{why}", remedy
    return None


def _against_user_namespaces(facts: Facts) -> tuple[str, str] | None:
    if facts.max_user_namespaces == 0:
        return "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=10000 (as root)"
    if facts.user_namespaces:
        reason = f"a user namespace cannot be used: {facts.user_namespaces}"
    elif facts.user_namespaces is None and facts.userns_restriction and not _may_mount(facts):
        reason = facts.userns_restriction
    else:
        return None
    if facts.userns_restriction:
        setting, _, value = facts.userns_restriction.partition("=")
        return reason, f"sysctl -w {setting}={1 - int(value)} (as root)"
    return reason, "allow user namespaces: in a container, by a seccomp profile and capabilities for unshare"


def _against_chroot(facts: Facts) -> tuple[str, str] | None:
    if facts.euid != 0:
        return "the user is not root", "run tiffin as root"
    missing = [name for name in _NEEDED if not facts.capabilities >> capability.NAMES.index(name) & 1]
    if missing:
        names = ", ".join(name.removeprefix("CAP_") for name in missing)
        plural = len(missing) > 1
        reason = f"root has no {'capabilities' if plural else 'capability'} {names} here"
        return (
            reason,
            f"give the surrounding container the {'capabilities' if plural else 'capability'} {names}",
        )
    return None


def _against_rootless(facts: Facts) -> tuple[str, str] | None:
    if _is_root_of_namespace(facts):
        return None
    if found := _against_user_namespaces(facts):
        return found
    if lends_own_ids(facts):
        return None
    if not facts.user:
        return (
            f"the user {facts.euid} has no name in /etc/passwd, by which newuidmap finds ids",
            "give it one",
        )
    if not facts.subuids or not facts.subgids:
        missing = "/etc/subuid" if not facts.subuids else "/etc/subgid"
        return f"{missing} has no entry for {facts.user}", f"{lend_ids(facts)} (as root)"
    if not facts.map_tools and facts.euid != 0:
        return "newuidmap and newgidmap are not installed", "install the package uidmap (shadow-utils)"
    if facts.map_refusal and facts.euid != 0:
        return facts.map_refusal, map_remedy(facts)
    return None
