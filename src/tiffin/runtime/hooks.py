"""Hooks of the runtime spec: programs of this machine that finish a container before its own begins.

They are run when the root filesystem of the container is complete, as root of its user namespace and never
as more, and find it below /proc/PID/root. On standard input they get the container's state.
"""

from __future__ import annotations

import contextlib
import os
import time

from tiffin.linux import namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tiffin.errors import TiffinError
    from tiffin.runtime.model import HookCall

_VERSION = "1.2.0"
_KILL = 9
_NOT_EXECUTED = 127


def run_hooks(calls: tuple[HookCall, ...], pid: int, *, join_users: bool) -> None:
    """Run them one after the other for the container of the process `pid`.

    With `join_users` the container has a user namespace of its own. Raises FailedError if one fails.
    """
    import json
    import shutil
    import tempfile

    bundle = tempfile.mkdtemp(prefix="tiffin-bundle-")
    try:
        os.chmod(bundle, 0o755)  # noqa: S103 - the container's root is somebody else
        config = {"ociVersion": _VERSION, "root": {"path": f"/proc/{pid}/root"}}
        with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        os.chmod(f"{bundle}/config.json", 0o644)
        state = {"ociVersion": _VERSION, "id": f"tiffin-{pid}", "status": "creating", "pid": pid}
        told = json.dumps({**state, "bundle": bundle}).encode()
        for call in calls:
            run_hook(call, told, pid if join_users else 0)
    finally:
        shutil.rmtree(bundle, ignore_errors=True)


def run_hook(call: HookCall, state: bytes, pid: int = 0) -> None:
    """Run one of them, with its state as input; as root of the user namespace of `pid`, if that is given.

    Raises FailedError if it fails.
    """
    reading, writing = os.pipe()
    users = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC) if pid else -1
    try:
        child, pidfd = namespace.clone(0)
        if child == 0:
            os.close(writing)
            _become(call, reading, users)
        os.close(reading)
        reading = -1
        with contextlib.suppress(BrokenPipeError):  # many do not read it
            os.write(writing, state)  # less than a pipe takes at once
        os.close(writing)
        writing = -1
        status = _wait(child, pidfd, call.timeout)
    finally:
        for fd in (reading, writing, users):
            if fd >= 0:
                os.close(fd)
    if status != 0:
        raise _failure(call, status)


def _become(call: HookCall, stdin: int, users: int) -> NoReturn:
    """Be the hook, in the child."""
    try:
        if users >= 0:
            namespace.setns(users, namespace.NEWUSER)
            os.setresgid(0, 0, 0)
            os.setgroups([])
            os.setresuid(0, 0, 0)
        os.dup2(stdin, 0, inheritable=True)
        os.dup2(2, 1, inheritable=True)
        env = dict(entry.partition("=")[::2] for entry in call.env)
        os.chdir("/")
        os.execve(call.path, call.args or (call.path,), env)  # noqa: S606 - it is the aim
    finally:
        os._exit(_NOT_EXECUTED)


def _wait(child: int, pidfd: int, timeout: int) -> int:
    """Return the exit status; what takes too long is killed, and -1 returned."""
    import select

    late = False
    try:
        if timeout:
            deadline = time.monotonic() + timeout
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            while not poll.poll(max(0, int((deadline - time.monotonic()) * 1000))):
                if time.monotonic() >= deadline:
                    namespace.pidfd_send_signal(pidfd, _KILL)
                    late = True
                    break
        _, raw = os.waitpid(child, 0)
    finally:
        os.close(pidfd)
    return -1 if late else os.waitstatus_to_exitcode(raw)


def _failure(call: HookCall, status: int) -> TiffinError:
    from tiffin.errors import FailedError

    how = f"did not end within {call.timeout} s" if status == -1 else f"ended with exit status {status}"
    return FailedError(
        f"the hook {' '.join(call.args) or call.path} {how}",
        code="hook-failed",
        hint="what it said is above; hooks come from the bundle, or from the CDI specification of a device",
        exit_status=125,
    )
