"""What this host allows, as facts. Cheap ones are read; `tried` ones are found by trying, in a child."""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import capability, libc, mount
from tiffin.linux.namespace import IdMap
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x794C7630: "overlay",
    0x6969: "nfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x65735546: "fuse",
    0x01021997: "9p",
    0xFF534D42: "cifs",
    0x0BD00BD0: "lustre",
    0x63677270: "cgroup2",
}
_CGROUPS = "/sys/fs/cgroup"
_HAS_CALLS = (5, 3)
_LETS_USERS_OVERLAY = (5, 11)
_MAPS_LAYERS = (5, 19)
_CALLS = {
    "pidfd_send_signal": 424,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "pidfd_open": 434,
}
"""What nobody can do without; of the same number on every architecture."""
_INITIAL = (IdMap(0, 0, 4294967295),)


class Facts(NamedTuple):
    """What is known. A reason is why something does not work, empty if it works, None if it was not tried."""

    euid: int
    egid: int
    user: str
    capabilities: int
    kernel: tuple[int, int]
    machine: str
    memory: int
    uid_map: tuple[IdMap, ...]
    gid_map: tuple[IdMap, ...]
    subuids: tuple[IdMap, ...] = ()
    """The user's subordinate ids: `outside` and `size` of each range."""
    subgids: tuple[IdMap, ...] = ()
    taken_ids: tuple[IdMap, ...] = ()
    """Ranges that the system gave to any user, of uids or gids."""
    map_tools: bool = False
    """Whether newuidmap and newgidmap are installed."""
    map_refusal: str = ""
    """Why they would be given no rights here, if they would not."""
    max_user_namespaces: int = -1
    """-1 if the kernel does not say."""
    whole_proc: bool = True
    """Whether nothing of /proc is hidden: else the kernel lets a user namespace have no fresh one."""
    userns_restriction: str = ""
    """A setting of the system by which ordinary users get no useful user namespace."""
    old: bool = False
    """Whether the kernel is of an age at which only trying tells what can be mounted."""
    missing_calls: tuple[str, ...] = ()
    """System calls that this kernel does not have, of those that nothing can stand in for."""
    seccomp: bool = True
    cgroups: str = ""
    store_filesystem: str = ""
    user_namespaces: str | None = None
    overlay: str | None = None
    idmap: str | None = None


def examine(store: Path, *, tries: bool = False) -> Facts:
    """Return the facts of this process and host; `store` is where layers are to lie."""
    user = _user_name(os.geteuid())
    facts = Facts(
        euid=os.geteuid(),
        egid=os.getegid(),
        user=user,
        capabilities=capability.effective(),
        kernel=libc.kernel(),
        machine=os.uname().machine,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        uid_map=parse_maps(_read("/proc/self/uid_map")),
        gid_map=parse_maps(_read("/proc/self/gid_map")),
        subuids=parse_subordinate(_read("/etc/subuid"), user, str(os.geteuid())),
        subgids=parse_subordinate(_read("/etc/subgid"), user, str(os.geteuid())),
        taken_ids=(*_all_ranges("/etc/subuid"), *_all_ranges("/etc/subgid")),
        map_tools=bool(_tool("newuidmap") and _tool("newgidmap")),
        map_refusal=_refusal("newuidmap") or _refusal("newgidmap"),
        max_user_namespaces=int(_read("/proc/sys/user/max_user_namespaces") or -1),
        whole_proc=_shows_whole_proc(),
        userns_restriction=_restriction(),
        missing_calls=_missing_calls(),
        seccomp="Seccomp:" in _read("/proc/self/status"),
        cgroups=_cgroups(),
        store_filesystem=_filesystem(os.fspath(store)),
    )
    facts = facts._replace(old=_is_old(facts))
    if (tries or facts.old) and not facts.missing_calls:
        from tiffin.linux import attempts  # few machines have to be tried

        return attempts.try_all(facts, store) if tries else attempts.try_once(facts, store)
    if not facts.capabilities >> capability.SYS_ADMIN & 1 and (facts.euid == 0 or _is_contained(facts)):
        # No setting tells whether a container's filter of system calls lets a user namespace be made.
        from tiffin.linux.attempts import attempt, enter

        return facts._replace(user_namespaces=attempt(lambda: enter(facts)))
    return facts


def _is_contained(facts: Facts) -> bool:
    """Tell whether this looks like a container from inside: parts of /proc are hidden, or calls filtered."""
    return not facts.whole_proc or "\nSeccomp:\t2" in _read("/proc/self/status")


def _is_old(facts: Facts) -> bool:
    """Tell it by the version: some of these kernels were taught what newer ones can."""
    root = facts.capabilities >> capability.SYS_ADMIN & 1 and facts.uid_map == _INITIAL
    return facts.kernel < (_MAPS_LAYERS if root else _LETS_USERS_OVERLAY) or mount.lacks_attributes()


def _missing_calls() -> tuple[str, ...]:
    if libc.kernel() >= _HAS_CALLS:
        return ()
    return tuple(name for name, number in _CALLS.items() if not _knows(number))


def _knows(number: int) -> bool:
    """Tell whether the kernel has a system call, which is asked for something impossible."""
    try:
        libc.syscall("asking", number, -1, 0, -1, 0, -1, -1)
    except OSError as error:
        return error.errno != errno.ENOSYS
    return True


def parse_maps(text: str) -> tuple[IdMap, ...]:
    """Return the lines of a uid_map or gid_map file."""
    return tuple(IdMap(*map(int, line.split())) for line in text.splitlines() if line.strip())


def parse_subordinate(text: str, *owners: str) -> tuple[IdMap, ...]:
    """Return the ranges in /etc/subuid or /etc/subgid of a user's name and number, without them all."""
    found = []
    for line in text.splitlines():
        owner, _, numbers = line.strip().partition(":")
        start, _, size = numbers.partition(":")
        if owner and (not owners or owner in owners) and start.isdigit() and size.isdigit() and int(size) > 0:
            found.append(IdMap(0, int(start), int(size)))
    return tuple(found)


def _all_ranges(path: str) -> tuple[IdMap, ...]:
    return parse_subordinate(_read(path))


def _read(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _shows_whole_proc() -> bool:
    """Tell whether /proc has no hidden parts, as that of most containers has. It is seldom parsed for it."""
    try:
        with open("/proc/self/mountinfo", "rb", buffering=0) as file:
            data = file.read()
    except OSError:
        return False
    if data.count(b" /proc/") == data.count(b" /proc/sys/fs/binfmt_misc "):
        return True
    from tiffin.linux.mountinfo import parse_mounts, shows_whole_proc

    return shows_whole_proc(parse_mounts(data))


def _restriction() -> str:
    if _read("/proc/sys/kernel/unprivileged_userns_clone").strip() == "0":
        return "kernel.unprivileged_userns_clone=0"
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").strip() == "1":
        return "kernel.apparmor_restrict_unprivileged_userns=1"
    return ""


def _cgroups() -> str:
    """Return `v2`, `v1`, `hybrid` or nothing."""
    if _filesystem(_CGROUPS) == "cgroup2":
        return "v2"
    if not os.path.exists(f"{_CGROUPS}/memory") and not os.path.exists(f"{_CGROUPS}/pids"):
        return ""
    return "hybrid" if os.path.exists(f"{_CGROUPS}/unified") else "v1"


def _tool(name: str) -> str:
    """Return the path of the program on PATH, or nothing."""
    places = os.environ.get("PATH", os.defpath).split(":")
    return next((path for place in places if os.access(path := f"{place}/{name}", os.X_OK)), "")


def _refusal(name: str) -> str:
    """Return why the program would not get the rights that it has as a file."""
    path = _tool(name)
    if not path or os.geteuid() == 0:
        return ""
    try:
        os.getxattr(path, "security.capability")
    except OSError:
        if not os.stat(path).st_mode & stat.S_ISUID:
            return f"{path} has lost its set-user-ID bit"
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        return f"{path} is on a file system that is mounted nosuid"
    if "NoNewPrivs:\t1" in _read("/proc/self/status"):
        return f"{path} gets no rights here, because no_new_privs is on"
    return ""


def _filesystem(path: str) -> str:
    """Return the kind of file system at the path, or where it will be made."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        magic = mount.filesystem_magic(path)
    except OSError:
        return ""
    return _MAGIC.get(magic, f"{magic:#x}")
