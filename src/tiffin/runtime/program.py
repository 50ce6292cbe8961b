"""From a command to a running program: found in PATH, checked, executed, or refused with the reason."""

from __future__ import annotations

import ctypes
import errno
import os

from tiffin.linux.libc import syscall
from tiffin.runtime.child import NOT_EXECUTABLE, NOT_FOUND
from tiffin.runtime.process import DEFAULT_PATH
from tiffin.runtime.targets import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tiffin.runtime.process import Process

_MOST_INTERPRETERS = 5
_FIRST_LINE = 256
_FACCESSAT2 = 439
_AT_EACCESS = 0x200
_AT_EMPTY_PATH = 0x1000


class ExecError(Exception):
    """The program could not be executed; `status` is what a shell would return, 126 or 127."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def overwritable(interpreter: int) -> bool:
    """Tell whether root of this user namespace may write to the program that runs this code, given as O_PATH.

    Root of a container on the rung root may not: the owner is not mapped. On the others it may if the
    interpreter belongs to the user, as one in a home directory does.
    """
    empty = ctypes.create_string_buffer(b"")
    flags = _AT_EACCESS | _AT_EMPTY_PATH
    try:
        syscall("checking", _FACCESSAT2, interpreter, ctypes.addressof(empty), os.W_OK, flags)
    except OSError as error:
        return error.errno == errno.ENOSYS  # before Linux 5.8 nobody tells: then it may be
    return True


def execute(process: Process, *, pinned: bool) -> NoReturn:
    """Become the program; raise `ExecError` if it cannot be found or executed.

    With `pinned` the files that were checked are the very ones that are executed, whatever other processes
    do to their names meanwhile. The price: older kernels show the program by a number in `ps`.
    """
    name = process.args[0]
    env = dict(item.partition("=")[::2] for item in process.env)
    if not name:
        message = 'exec: "": no command was given'
        raise ExecError(message, NOT_FOUND)
    denied: OSError | None = None
    for candidate in _candidates(name, env.get("PATH", DEFAULT_PATH)):
        try:
            fd, args = _open_program(candidate, process.args)
            if pinned:
                _execute_open(fd, args, env)
            os.execve(candidate, process.args, env)  # noqa: S606 # it is the aim
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR} or os.path.exists(candidate):
                denied = denied or error
                if error.errno != errno.EACCES:
                    break
    raise _explain(name, denied)


def _execute_open(fd: int, args: tuple[str, ...], env: dict[str, str]) -> None:
    """Become the program that is open; return only if it has to be executed by its name.

    Some kernels execute nothing by its descriptor alone (Debian's 5.10). There the link of /proc leads to
    the same file; and where there is no such /proc, no name leads to what the pinning is there for.
    """
    try:
        os.execve(fd, args, env)  # noqa: S606 # it is the aim
    except FileNotFoundError:
        place = f"/proc/self/fd/{fd}"
        if os.path.exists(place):
            os.execve(place, args, env)  # noqa: S606 # the same


def need_command(process: Process) -> None:
    """Raise `ExecError` if there is no such command at all."""
    env = dict(item.partition("=")[::2] for item in process.env)
    name = process.args[0]
    if not any(os.path.exists(candidate) for candidate in _candidates(name, env.get("PATH", DEFAULT_PATH))):
        raise _explain(name, None)


def _candidates(name: str, path: str) -> list[str]:
    """Return the files that the command may mean, as execvp(3) looks for them."""
    if "/" in name:
        return [name]
    return [f"{directory or '.'}/{name}" for directory in path.split(":")]


def _open_program(path: str, args: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """Return the binary that the path leads to, by way of scripts, as O_PATH, and its arguments.

    A magic link on the way is refused (ELOOP), as in `#!/proc/self/exe`: it leads to the interpreter of this
    very process, a file of the host, and a process that runs from that could overwrite it.
    """
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_MOST_INTERPRETERS):
            absolute = path if path.startswith("/") else f"{os.getcwd()}/{path}"
            fd = resolve(root_fd, absolute)
            line = _first_line(root_fd, absolute)
            words = line[2:].split(b"\n", 1)[0].split(maxsplit=1) if line.startswith(b"#!") else []
            if not words:
                return fd, args
            os.close(fd)
            if not os.access(absolute, os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            args = (*(os.fsdecode(word.strip()) for word in words), path, *args[1:])
            path = args[0]
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    finally:
        os.close(root_fd)


def _first_line(root_fd: int, path: str) -> bytes:
    """Return how the file begins; nothing if it is executable without being readable, or a directory."""
    try:
        fd = resolve(root_fd, path, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        return b""
    try:
        return os.read(fd, _FIRST_LINE)
    except IsADirectoryError:
        return b""
    finally:
        os.close(fd)


def _explain(name: str, error: OSError | None) -> ExecError:
    if error is None:
        where = "no such file in the container" if "/" in name else "not found in the container's PATH"
        return ExecError(f'exec: "{name}": {where}', NOT_FOUND)
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return ExecError(f'exec: "{name}": the interpreter that it names does not exist', NOT_FOUND)
    if error.errno == errno.ENOEXEC:
        reason = "not a program for this machine (exec format error)"
    elif error.errno == errno.ELOOP:
        reason = "it leads round in a circle, or to the runtime itself by way of /proc"
    else:
        reason = os.strerror(error.errno or 0).lower()
    return ExecError(f'exec: "{name}": {reason}', NOT_EXECUTABLE)
