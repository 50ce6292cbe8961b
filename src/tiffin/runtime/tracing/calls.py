"""Which system calls are answered where a process has no root of its own. Pure; runs under `python -IS`.

All that have a path, all that tell of owners, and those by which a process changes who it is.
"""

from __future__ import annotations

from tiffin.linux.bpf import ARCHITECTURES
from tiffin.linux.sysnum import numbers
from tiffin.runtime.emulation import calls
from tiffin.runtime.emulation.calls import Meaning

OPENING = ("open", "openat", "openat2", "creat")
SHOWING = (*calls.SHOWING, "statfs")
ASKING = (*calls.ASKING, "readlink", "readlinkat", "getcwd")
MAKING = ("mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link", "linkat")
REMOVING = ("rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2")
CHANGING = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat", "truncate"),
    *calls.OWNERS,
)
ATTRIBUTES = (
    *("setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr"),
    *("listxattr", "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
PROGRAMS = ("execve", "execveat")
PLACES = ("chdir", "chroot")
SOCKETS = ("bind", "connect")
WATCHES = ("inotify_add_watch",)
CAPABILITIES = ("capget", "capset")

ANSWERED = (
    *(*OPENING, *SHOWING, *ASKING, *MAKING, *REMOVING, *CHANGING, *ATTRIBUTES, *PROGRAMS, *PLACES, *SOCKETS),
    *(*WATCHES, *calls.IDENTITIES, *CAPABILITIES),
)
"""Calls that are answered always."""

PARTLY = {
    **{name: conditions for name, conditions in calls.PARTLY.items() if name != "prctl"},
}
"""Calls that are answered when these arguments have these values."""

PROCESS = ((0, 8), (0, 4), (0, 39))
"""Of prctl, any of these: PR_SET_KEEPCAPS, PR_SET_DUMPABLE, which would shut us out, PR_GET_NO_NEW_PRIVS."""

REFUSED = (
    *("name_to_handle_at", "open_by_handle_at", "mount", "umount2", "pivot_root", "open_tree", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "swapon", "swapoff", "acct", "quotactl"),
    *("uselib", "fanotify_init", "pidfd_getfd"),
)
"""Calls with paths, or by which files come from elsewhere, that nobody needs: refused (EPERM)."""

UNKNOWN = (
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "setxattrat", "getxattrat", "listxattrat"),
    *("removexattrat", "open_tree_attr", "file_getattr", "file_setattr", "statmount", "listmount"),
    *("lookup_dcookie", "quotactl_fd"),
)
"""Calls for which programs know others: as if this kernel had none (ENOSYS)."""


def table(machine: str) -> dict[int, Meaning]:
    """Return what each number of a call means on this machine."""
    known = numbers(machine)
    names = (*ANSWERED, *PARTLY, "prctl", "sendto")
    return {known[name]: Meaning(name, machine) for name in names if name in known}


def architecture(machine: str) -> int:
    """Return the kernel's word for the machine."""
    return ARCHITECTURES[machine]
