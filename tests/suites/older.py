"""Run a command as an older kernel has it: calls that came after that version do not exist (ENOSYS).

    python -m tests.suites.older VERSION COMMAND...

That is what programs meet there first, at no price. What else an older kernel does otherwise, such as
refusing overlays in user namespaces, takes the kernel itself: see tools/older-kernels.
"""

import errno
import os
import sys

from tiffin.linux import bpf, prctl
from tiffin.linux.capability import SYS_ADMIN, effective
from tiffin.linux.sysnum import numbers

SINCE = {
    (5, 6): ("openat2", "pidfd_getfd"),
    (5, 8): ("faccessat2",),
    (5, 9): ("close_range",),
    (5, 10): ("process_madvise",),
    (5, 11): ("epoll_pwait2",),
    (5, 12): ("mount_setattr",),
    (5, 13): ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"),
    (5, 14): ("quotactl_fd", "memfd_secret"),
    (5, 15): ("process_mrelease",),
    (5, 16): ("futex_waitv",),
    (6, 5): ("cachestat",),
    (6, 6): ("fchmodat2",),
    (6, 8): ("statmount", "listmount"),
    (6, 15): ("open_tree_attr",),
}


def program(version):
    """The filter that leaves out what is newer."""
    known = numbers(os.uname().machine)
    missing = [known[name] for since, names in SINCE.items() if since > version for name in names]
    parts = [bpf.instruction(bpf.LOAD_WORD, bpf.NUMBER_AT)]
    for number in missing:
        parts.append(bpf.instruction(bpf.JUMP_EQUAL, number, 0, 1))
        parts.append(bpf.instruction(bpf.RETURN, bpf.ERRNO | errno.ENOSYS))
    return b"".join((*parts, bpf.instruction(bpf.RETURN, bpf.ALLOW)))


def age(version):
    """Take from this process, and all that it starts, what is newer."""
    if not effective() >> SYS_ADMIN & 1:
        prctl.set_no_new_privs()
    bpf.install((program(version),))


if __name__ == "__main__":
    age(tuple(map(int, sys.argv[1].split("."))))
    os.execvp(sys.argv[2], sys.argv[2:])
