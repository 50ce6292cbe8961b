"""The process of a container: who it is, and what it may do."""

from __future__ import annotations

import errno
import os

from tiffin.linux import bpf, capability, prctl
from tiffin.linux.namespace import close_on_exec_from
from tiffin.linux.record import NamedTuple
from tiffin.runtime.targets import ensure, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any

    from tiffin.errors import TiffinError
else:
    import _signal as signal  # what `signal` wraps in enums that take longer to make than a container

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RLIMITS = tuple(
    f"RLIMIT_{name}"
    for name in (
        *("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS"),
        *("SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"),
    )
)
"""The limits of a process, by their numbers."""

_LAST_SIGNAL = 64
_NO_DIRECTORY = {
    errno.ENOTDIR: "it is not a directory",
    errno.ELOOP: "it leads round in a circle, or out of the container by way of /proc",
}


class Process(NamedTuple):
    """What is executed in the container, and as whom. Capabilities are bits; `env` holds `NAME=value`."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    bounding: int = 0
    permitted: int = 0
    inheritable: int = 0
    ambient: int = 0
    no_new_privs: bool = True
    seccomp: tuple[bytes, ...] = ()
    rlimits: tuple[tuple[int, int, int], ...] = ()
    oom_score: int | None = None
    terminal: bool = False
    death_signal: int = 0
    init: bool = False
    cgroups: tuple[str, ...] = ()
    """The files that take its pid, so that its limits hold for it."""
    gate: tuple[Any, ...] = ()
    """What it waits for before its program begins, as `gate.Gate`."""
    preserved: int = 0
    """So many descriptors from 3 on pass to the program."""
    keyring: bool = True
    """Whether it gets a session keyring of its own."""
    owners: tuple[Any, ...] = ()
    """How owners are kept where there is one id, as `emulation.notifier.Emulation`; `uid` may be any then."""
    view: tuple[Any, ...] = ()
    """A filter, and the root directory, of one that has no /proc: its launcher answers what it asks there."""
    trace: tuple[Any, ...] = ()
    """How all calls with paths are answered where it has no root of its own, as `tracing.answerer.Trace`."""


def limit(process: Process, pid: int) -> None:
    """Set the limits of the process, from outside: its own user namespace has no say in raising them."""
    for path in process.cgroups:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(pid))
    if process.rlimits:
        import resource

        for kind, soft, hard in process.rlimits:
            try:
                resource.prlimit(pid, kind, (soft, hard))
            except PermissionError:
                raise _too_high(resource.prlimit(pid, kind)[1]) from None


def set_oom_score(process: Process, pid: int) -> None:
    """Set how soon the process is killed when memory runs out, from outside for the same reason."""
    if process.oom_score is not None:
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(process.oom_score))


def _too_high(most: int) -> TiffinError:
    from tiffin.errors import UnsupportedError

    return UnsupportedError(
        f"a limit of a process cannot be set above {most}, which is this account's own",
        code="limit-too-high",
        hint="ask for less, or have the account's limit raised (ulimit -H, limits.conf)",
        exit_status=125,
    )


def become(process: Process) -> None:
    """Take the identity of the process; then `confine` it, and `execute` its program."""
    if process.keyring:
        _leave_keyring()
    os.umask(process.umask)
    entered = _enter_directory(process.cwd, make=True)
    capability.limit_bounding_set(process.bounding)
    _change_user(process)
    if not entered:
        _enter_directory(process.cwd, make=False)
    _reset_signals()
    if process.death_signal:
        prctl.set_death_signal(process.death_signal)


def _leave_keyring() -> None:
    """Get an empty session keyring, where the kernel has such a thing and an outer filter allows it."""
    try:
        prctl.join_new_keyring()
    except OSError:
        return


def _enter_directory(path: str, *, make: bool) -> bool:
    """Change into the working directory; a directory that root may not enter is left to the user to try.

    Until its program begins this process holds directories of the host, and so may whoever called it: a path
    such as /proc/self/fd/7 would lead to them, and from there out of the container (CVE-2024-21626).
    """
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = ensure(root_fd, path, directory=True) if make else resolve(root_fd, path)
        os.fchdir(fd)
        os.close(fd)
    except PermissionError:
        if not make:
            raise
        return False
    except OSError as error:
        reason = _NO_DIRECTORY.get(error.errno or 0)
        raise OSError(error.errno, reason) if reason else error from None
    finally:
        os.close(root_fd)
    return True


def _change_user(process: Process) -> None:
    if process.ambient:
        prctl.set_keep_capabilities(True)
    try:
        if not process.owners:
            os.setgroups(process.groups)
    except PermissionError:
        # Where only one id is mapped the kernel denies the call, and the groups are those of the caller.
        if process.groups and process.groups != (process.gid,):
            raise
    if not process.no_new_privs:
        # Without no_new_privs only SYS_ADMIN may load a filter, and it goes with the next lines.
        bpf.install(process.seccomp)
    os.setresgid(process.gid, process.gid, process.gid)
    os.setresuid(process.uid, process.uid, process.uid)
    permitted = process.permitted if process.uid == 0 else process.ambient
    capability.set_capabilities(permitted, permitted, process.inheritable | process.ambient)
    if process.ambient:
        capability.set_ambient(process.ambient)


def _reset_signals() -> None:
    """Give every signal its default effect; the interpreter ignores SIGPIPE, and a caller may have more."""
    for number in range(1, _LAST_SIGNAL + 1):
        try:
            if signal.getsignal(number) not in {signal.SIG_DFL, None}:
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    prctl.reset_library_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def confine(process: Process) -> None:
    """Load the filter of system calls and let nothing but stdin, stdout and stderr through."""
    close_on_exec_from(3 + process.preserved)
    if process.no_new_privs:
        prctl.set_no_new_privs()
        bpf.install(process.seccomp)
