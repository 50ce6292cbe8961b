"""What this host allows, as facts. Cheap ones are read; `tried` ones are found by trying, in a child."""

from __future__ import annotations

import os
import stat

from tiffin.linux import capability, mount, namespace
from tiffin.linux.namespace import IdMap
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
    seccomp: bool = True
    cgroups: str = ""
    store_filesystem: str = ""
    user_namespaces: str | None = None
    overlay: str | None = None
    idmap: str | None = None


def examine(store: Path, *, tries: bool = False) -> Facts:
    """Return the facts of this process and host; `store` is where layers are to lie."""
    release = os.uname().release.split(".")
    user = _user_name(os.geteuid())
    facts = Facts(
        euid=os.geteuid(),
        egid=os.getegid(),
        user=user,
        capabilities=capability.effective(),
        kernel=(int(release[0]), int("".join(c for c in release[1] if c.isdigit()) or 0)),
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
        seccomp="Seccomp:" in _read("/proc/self/status"),
        cgroups=_cgroups(),
        store_filesystem=_filesystem(os.fspath(store)),
    )
    if tries:
        return _try(facts, store)
    if not facts.capabilities >> capability.SYS_ADMIN & 1 and (facts.euid == 0 or _is_contained(facts)):
        # No setting tells whether a container's filter of system calls lets a user namespace be made.
        return facts._replace(user_namespaces=attempt(lambda: _enter(facts)))
    return facts


def _is_contained(facts: Facts) -> bool:
    """Tell whether this looks like a container from inside: parts of /proc are hidden, or calls filtered."""
    return not facts.whole_proc or "\nSeccomp:\t2" in _read("/proc/self/status")


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


def _try(facts: Facts, store: Path) -> Facts:
    """Return the facts with what only trying can tell."""
    import shutil
    import tempfile

    place = store
    while not place.exists() and place != place.parent:
        place = place.parent
    privileged = facts.capabilities >> capability.SYS_ADMIN & 1
    initial = facts.uid_map == (IdMap(0, 0, 4294967295),)
    user_namespaces = attempt(lambda: _enter(facts))
    if user_namespaces:
        return facts._replace(user_namespaces=user_namespaces, overlay=user_namespaces, idmap=user_namespaces)
    try:
        folder = tempfile.mkdtemp(prefix=".probe-", dir=place)
    except OSError as error:
        reason = f"{place} cannot be written: {error.strerror}"
        return facts._replace(user_namespaces="", overlay=reason, idmap=reason)
    try:
        for name in ("lower", "upper", "work"):
            os.mkdir(os.path.join(folder, name))  # the child below takes strings too
        overlay = attempt(lambda: _enter_and_overlay(facts, folder))
        idmap = _try_idmap(folder) if privileged and initial else "only root of the host may map owners"
    finally:
        # The kernel makes a directory without any permission in a work directory.
        shutil.rmtree(folder, ignore_errors=True)
    return facts._replace(user_namespaces="", overlay=overlay, idmap=idmap)


def attempt(act: Callable[[], None]) -> str:
    """Return why the act fails, or nothing if it works; it is done in a child, which then ends."""
    answer, tell = os.pipe()
    child = os.fork()
    if child == 0:
        message = ""
        try:
            act()
        except BaseException as error:  # noqa: BLE001 # any failure is the answer
            message = str(getattr(error, "strerror", "")) or str(error) or type(error).__name__
        try:
            os.write(tell, message.encode())
        finally:
            os._exit(0)
    os.close(tell)
    said = b""
    while part := os.read(answer, 4096):
        said += part
    os.close(answer)
    os.waitpid(child, 0)
    return said.decode(errors="replace")


def _enter(facts: Facts) -> None:
    """Be root in a user namespace, and mount something there: some systems allow only the former."""
    uid, gid = IdMap(0, facts.euid, 1), IdMap(0, facts.egid, 1)
    namespace.enter_user_namespace((uid,), (gid,))
    filesystem = mount.Filesystem("tmpfs")
    mount.move_mount_to(
        filesystem.mount(), "/"
    )  # that is where policies of the system look, such as AppArmor's


def _enter_and_overlay(facts: Facts, folder: str) -> None:
    _enter(facts)
    overlay = mount.Filesystem("overlay")
    overlay.set_flag("userxattr")
    overlay.set_string("lowerdir", f"{folder}/lower")
    overlay.set_string("upperdir", f"{folder}/upper")
    overlay.set_string("workdir", f"{folder}/work")
    os.close(overlay.mount())
    import shutil

    # The kernel leaves this without permissions; only its owner in here may remove what is inside.
    shutil.rmtree(f"{folder}/work", ignore_errors=True)


def _try_idmap(folder: str) -> str:
    """Return why the owners below the folder cannot be mapped, or nothing if they can."""

    def act() -> None:
        asleep, awake = os.pipe()
        pid, _ = namespace.clone(namespace.NEWUSER)
        if pid == 0:
            os.close(awake)
            os.read(asleep, 1)  # until the parent ends
            os._exit(0)
        maps = (IdMap(0, 100000, 65536),)
        namespace.write_maps(pid, maps, maps)
        users = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        mount.mount_setattr(mount.open_tree(folder), mount.ATTR_IDMAP, userns_fd=users, what=folder)

    return attempt(act)
