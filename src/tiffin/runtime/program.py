"""From a command to a running program: found in PATH, checked, executed, or refused with the reason."""

from __future__ import annotations

import errno
import os

from tiffin.runtime.child import NOT_EXECUTABLE, NOT_FOUND
from tiffin.runtime.process import DEFAULT_PATH
from tiffin.runtime.targets import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tiffin.runtime.process import Process

_MOST_INTERPRETERS = 5
_FIRST_LINE = 256


class ExecError(Exception):
    """The program could not be executed; `status` is what a shell would return, 126 or 127."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def execute(process: Process) -> NoReturn:
    """Become the program; raise `ExecError` if it cannot be found or executed."""
    name = process.args[0]
    env = dict(item.partition("=")[::2] for item in process.env)
    if not name:
        message = 'exec: "": no command was given'
        raise ExecError(message, NOT_FOUND)
    denied: OSError | None = None
    for candidate in _candidates(name, env.get("PATH", DEFAULT_PATH)):
        try:
            _refuse_magic(candidate)
            os.execve(candidate, process.args, env)  # noqa: S606 # starting a program is what this is for
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR} or os.path.exists(candidate):
                denied = denied or error
                if error.errno != errno.EACCES:
                    break
    raise _explain(name, denied)


def _candidates(name: str, path: str) -> list[str]:
    """Return the files that the command may mean, as execvp(3) looks for them."""
    if "/" in name:
        return [name]
    return [f"{directory or '.'}/{name}" for directory in path.split(":")]


def _refuse_magic(path: str) -> None:
    """Raise ELOOP if executing the path would go through a magic link, as `#!/proc/self/exe` does.

    That link leads to the interpreter of this very process, a file of the host. Where the container's root
    is the user who owns it, a program could be made of it that later overwrites it.
    """
    root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_MOST_INTERPRETERS):
            absolute = path if path.startswith("/") else f"{os.getcwd()}/{path}"
            line = _first_line(root_fd, absolute)
            if not line.startswith(b"#!"):
                return
            words = line[2:].split(b"\n", 1)[0].split(maxsplit=1)
            if not words:
                return
            path = os.fsdecode(words[0])
    finally:
        os.close(root_fd)


def _first_line(root_fd: int, path: str) -> bytes:
    """Return how the file begins; nothing if it is executable without being readable, or a directory."""
    os.close(resolve(root_fd, path))
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
