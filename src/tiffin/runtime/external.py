"""Start a container by another OCI runtime, crun, runc or runsc: create, start, kill, delete, exec.

The life of it: `launch` builds a bundle and lets the runtime create the container, whose first process
becomes a child of ours when the runtime has ended; then it is connected, and started. A keeper waits beside
us: when the container has ended, or we have, in whatever way, it has the runtime delete the container.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import time

from tiffin.linux import capability, namespace, prctl
from tiffin.linux.record import NamedTuple
from tiffin.linux.remove import remove_tree
from tiffin.runtime import stage
from tiffin.runtime.child import NOT_EXECUTABLE, NOT_FOUND, OUR_FAILURE, Child, Failure, command_failure
from tiffin.runtime.console import Console
from tiffin.runtime.launch import give_streams
from tiffin.runtime.process import RLIMITS, limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tiffin.errors import TiffinError
    from tiffin.runtime.child import Streams
    from tiffin.runtime.model import Plan
    from tiffin.runtime.process import Process

_TRIES, _MOMENT = 200, 0.005
_MISSING = re.compile(
    r"executable file .*not found|no such file or directory|not found in \$PATH", re.IGNORECASE
)
_REFUSED = re.compile(r"permission denied|exec format error|is a directory", re.IGNORECASE)
_EXECUTING = re.compile(r"exec|executable", re.IGNORECASE)
_JOIN = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1" || exit 125; shift; n=$((n-1)); done; exec "$@"'
_KEEP = 'read -r nothing; exec "$@"'
_SHELL = "/bin/sh"


class Runtime(NamedTuple):
    """A runtime and the container that it has: the program, what it is always told, where its files are.

    `config` is the spec as JSON, which only the start needs. `place` is a directory of the container's own.
    """

    program: str
    options: tuple[str, ...]
    identity: str
    place: str
    config: bytes = b""

    def command(self, *words: str) -> list[str]:
        """Return the whole command of a verb."""
        log = ("--log", f"{self.place}/log", "--log-format", "json")
        return [self.program, *self.options, "--root", f"{self.place}/state", *log, *words]


class ExternalChild(Child):
    """The first process of a container that the runtime made; its signals go by way of that."""

    def __init__(self, runtime: Runtime, pid: int, keeper: Keeper) -> None:
        super().__init__(pid, namespace.pidfd_open(pid))
        self._runtime = runtime
        self._keeper = keeper
        self.strays: set[int] = set()
        """Further processes that the runtime left to us, which are about to end."""

    def wait(self) -> int:
        """Return the exit status as for any other, when the container is deleted too."""
        if self.status is None:
            self._reap_strays()
            super().wait()
            self._reap_strays()
            self._keeper.release()
        assert self.status is not None
        return self.status

    def _reap_strays(self) -> None:
        for pid in (*self.strays,):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self.strays.discard(pid)

    def kill(self, number: int) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if self.pidfd >= 0:
            _spawn(self._runtime.command("kill", self._runtime.identity, str(number)))


class Keeper:
    """A small process that has the container deleted when `release` is called, or this process is gone."""

    def __init__(self, runtime: Runtime) -> None:
        self._place = runtime.place
        waiting, self._hold = os.pipe()
        command = runtime.command("delete", "--force", runtime.identity)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, waiting, 0), *((os.POSIX_SPAWN_DUP2, null, fd) for fd in (1, 2))]
        arguments = [_SHELL, "-c", _KEEP, "tiffin-keeper", *command]
        try:
            self._pid = os.posix_spawn(_SHELL, arguments, os.environ, file_actions=actions, setsid=True)
        finally:
            os.close(waiting)
            os.close(null)

    def release(self) -> None:
        """Have the container deleted, and its directory with what is mounted there."""
        os.close(self._hold)
        os.waitpid(self._pid, 0)
        clear(self._place)


def launch(
    runtime: Runtime, plan: Plan, streams: Streams, attach_network: Callable[[int], object]
) -> ExternalChild:
    """Start the container and return when the runtime says that its program runs.

    Failures are those of `launch.launch`; nothing is left then.
    """
    prctl.set_subreaper()
    keeper: Keeper | None = None
    child: ExternalChild | None = None
    try:
        clear(runtime.place)
        os.makedirs(os.path.dirname(runtime.place), mode=0o711, exist_ok=True)
        os.mkdir(runtime.place)
        os.chmod(runtime.place, 0o711)  # noqa: S103 - the container's root has to pass, and may not look
        stage.build(runtime.place, plan, json.loads(runtime.config))
        give_streams(streams, plan.process.uid, plan.uid_maps)
        keeper = Keeper(runtime)
        before = _children()
        with Console(runtime.place, wanted=plan.process.terminal) as console:
            words = (
                "create",
                "--bundle",
                runtime.place,
                "--pid-file",
                f"{runtime.place}/pid",
                *console.words,
            )
            _call(runtime, (*words, runtime.identity), streams, plan.process.cgroups)
            child = ExternalChild(runtime, _read_pid(f"{runtime.place}/pid"), keeper)
            child.console = console.receive(streams.terminal)
        child.strays = _children() - before - {child.pid}
        limit(plan.process._replace(rlimits=(), oom_score=None), child.pid)
        attach_network(child.pid)
        _call(runtime, ("start", runtime.identity))
    except BaseException as error:
        if child is not None:
            child.end()
        elif keeper is not None:
            keeper.release()
        if isinstance(error, OSError):
            raise failure(f"{error.strerror or error}: {error.filename or runtime.program}") from error
        raise
    return child


def join(runtime: Runtime, process: Process, streams: Streams) -> Child:
    """Start a further process in the container; return when the runtime says that it runs."""
    prctl.set_subreaper()
    name = f"{runtime.place}/exec-{os.getpid()}"
    request = os.memfd_create("process", os.MFD_CLOEXEC)
    document = process_document(process)
    if streams.terminal is not None:  # it runs at once, before we could set the size
        document["consoleSize"] = dict(zip(("height", "width"), streams.terminal, strict=True))
    os.write(request, json.dumps(document).encode())
    try:
        with Console(name, wanted=process.terminal) as console:
            words = (
                "exec",
                "--detach",
                "--process",
                f"/proc/{os.getpid()}/fd/{request}",
                "--pid-file",
                f"{name}.pid",
            )
            _call(runtime, (*words, *console.words, runtime.identity), streams, process.cgroups)
            pid = _read_pid(f"{name}.pid")
            child = Child(pid, namespace.pidfd_open(pid))
            child.console = console.receive(streams.terminal)
    finally:
        os.close(request)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{name}.pid")
    return child


def reap() -> None:
    """Reap, at the end of a process that has called `join`, what the runtime left to it besides the child.

    The first process of a container cannot end before every other one of its pid namespace has been reaped.
    """
    for _ in range(_TRIES):
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(_MOMENT)
        except ChildProcessError:
            return


def _children() -> set[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return set(map(int, file.read().split()))
    except FileNotFoundError:
        return set()  # this kernel does not tell


def process_document(process: Process) -> dict[str, Any]:
    """Return a process in the words of the runtime spec. Pure."""
    sets = ("bounding", "permitted", "inheritable", "ambient")
    names = {kind: capability.names(getattr(process, kind)) for kind in sets}
    limits = [
        {"type": RLIMITS[kind], "soft": _whole(soft), "hard": _whole(hard)}
        for kind, soft, hard in process.rlimits
    ]
    return {
        "terminal": process.terminal,
        "user": {
            "uid": process.uid,
            "gid": process.gid,
            "umask": process.umask,
            "additionalGids": list(process.groups),
        },
        "args": list(process.args),
        "env": list(process.env),
        "cwd": process.cwd,
        "capabilities": {**names, "effective": names["permitted"]},
        "rlimits": limits,
        "noNewPrivileges": process.no_new_privs,
        **({} if process.oom_score is None else {"oomScoreAdj": process.oom_score}),
    }


def _whole(number: int) -> int:
    return number if number >= 0 else (1 << 64) - 1


def clear(place: str) -> None:
    """Remove the directory of a container that is gone; what is still mounted in it is only unmounted.

    A check or an `exec` that the end overtook may still put its files there: that is waited for, a moment.
    """
    for _ in range(_TRIES):
        try:
            return _clear(place)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise
        time.sleep(_MOMENT)
    return None  # the next start of the container clears it


def _clear(place: str) -> None:
    from pathlib import Path

    from tiffin.linux.mount import unmount

    if not os.path.isdir(place):
        return
    for name in os.listdir(place):
        if name == stage.ROOTFS or name.startswith("mount-"):
            with contextlib.suppress(OSError):  # mounted in a namespace that is gone
                while True:
                    unmount(f"{place}/{name}")
    remove_tree(Path(place))


def _call(
    runtime: Runtime, words: Sequence[str], streams: Streams | None = None, groups: Sequence[str] = ()
) -> None:
    """Let the runtime do something. Raises the `TiffinError` that says what it complained about.

    A process that it makes gets the streams, and begins in the cgroups whose files `groups` are.
    """
    log = f"{runtime.place}/log"
    seen = os.path.getsize(log) if os.path.exists(log) else 0
    command = runtime.command(*words)
    if groups:
        command = [_SHELL, "-c", _JOIN, "tiffin-join", str(len(groups)), *groups, *command]
    status = _spawn(command, streams)
    if status:
        raise failure(complaint(log, seen) or f"{runtime.program} ended with status {status}")


def _spawn(command: list[str], streams: Streams | None = None) -> int:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    given = (null, null, null)
    if streams is not None and streams.terminal is None:
        given = (streams.stdin, streams.stdout, streams.stderr)
    # First out of the way of the numbers 0 to 2, then to their places.
    high = [os.dup(fd) for fd in given]
    if streams is not None and _is_null(high[0]):
        os.close(high[0])
        high[0] = _nothing()
    actions: list[Any] = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)]
    try:
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    finally:
        for fd in (null, *high):
            os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _is_null(fd: int) -> bool:
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)


def _nothing() -> int:
    """Return what reads as /dev/null does: that is the host's, and crun would give it to the container."""
    read, write = os.pipe()
    os.close(write)
    return read


def complaint(log: str, seen: int) -> str:
    """Return the last error that the runtime has logged since."""
    message = ""
    with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as file:
        file.seek(seen)
        for line in file:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("level") in {"error", "fatal"}:
                    message = str(entry.get("msg", ""))
    return message


def failure(message: str) -> TiffinError:
    """Return the error for what a runtime said: of a command that is missing, or cannot be run, or other."""
    status = OUR_FAILURE
    if _EXECUTING.search(message) and _MISSING.search(message):
        status = NOT_FOUND
    elif _EXECUTING.search(message) and _REFUSED.search(message):
        status = NOT_EXECUTABLE
    return command_failure(Failure(message, "let the runtime do it", 0, status))


def _read_pid(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())
