"""A container for one command, started by a process of its own: how a caller with threads runs a plan.

`start` executes a bare interpreter that launches the plan, waits for its end and exits with its status. When
that process is killed, the kernel kills the container with it; when the caller is, the process ends orderly.
The caller is the thread that calls `start`: it has to wait for the end. The room that also has a network
brings an entry module of its own, whose `main` calls `serve` with the function that attaches it.
"""

from __future__ import annotations

import marshal
import os
import sys

from tiffin.linux import prctl
from tiffin.linux.namespace import NEWPID
from tiffin.linux.record import NamedTuple
from tiffin.runtime.child import OUR_FAILURE, Streams
from tiffin.runtime.launch import launch
from tiffin.runtime.model import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import subprocess
    from collections.abc import Callable

    from tiffin.errors import TiffinError
    from tiffin.runtime.child import Child
    from tiffin.runtime.model import Plan
else:
    import _signal as signal

ENTRY = "tiffin.runtime.step_process"


class StepProcess:
    """A running step: `wait` returns its exit status or raises why it could not begin."""

    def __init__(self, process: subprocess.Popen[bytes], report: int, *, orderly: bool = False) -> None:
        self._process = process
        self._orderly = orderly
        self._report = report

    @property
    def pid(self) -> int:
        """The process that waits for the container, on this side of its namespaces."""
        return self._process.pid

    def wait(self) -> int:
        """Wait for the end. Raises a `TiffinError` with exit status 125, 126 or 127 if nothing was run."""
        data = b""
        if self._report >= 0:
            while part := os.read(self._report, 65536):
                data += part
            os.close(self._report)
            self._report = -1
        status = self._process.wait()
        if data:
            raise _unpack_failure(data)
        return status if status >= 0 else 128 - status

    def terminate(self) -> None:
        """End the container, take its network down, and then what started it: orderly."""
        self._process.terminate()

    def kill(self) -> None:
        """End the container and what started it, at once; what has no pid namespace, by who started it."""
        if self._orderly:
            self._process.terminate()
        else:
            self._process.kill()


class TerminalStep(NamedTuple):
    """A step with a terminal: `console` is our side of it; `presence` becomes readable at its end."""

    process: StepProcess
    console: int
    presence: int

    def close(self) -> None:
        """Let go of the terminal: who still runs in it is hung up."""
        os.close(self.console)
        os.close(self.presence)


def start_in_terminal(
    plan: Plan, *, entry: str = ENTRY, extra: bytes = b"", fds: tuple[int, ...] = ()
) -> TerminalStep:
    """Start the plan, whose process has a terminal, of a size that the caller sets. Raises as `wait` does."""
    from tiffin.linux import terminal

    ours, theirs = terminal.socket_pair()
    try:
        process = start(plan, stdin=theirs, stdout=2, stderr=2, entry=entry, extra=extra, fds=fds)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    console = terminal.receive_fd(ours)
    if console is None:
        os.close(ours)
        process.wait()
        message = "the process that was to run the container was killed"
        raise OSError(0, message)
    return TerminalStep(process, console, ours)


def start(  # noqa: PLR0913  # what a process is started with
    plan: Plan,
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    entry: str = ENTRY,
    extra: bytes = b"",
    fds: tuple[int, ...] = (),
) -> StepProcess:
    """Start the plan; `extra` is what the entry module's attach function is given besides the pid.

    `fds` are descriptors that the entry module has too, by the same numbers; the container has not.
    """
    import subprocess

    from tiffin.linux import interpreter

    plan_read, plan_write = os.pipe()
    report_read, report_write = os.pipe()
    try:
        process = subprocess.Popen(
            [*interpreter.command(entry), str(plan_read), str(report_write)],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=interpreter.environment(),
            pass_fds=(plan_read, report_write, *fds),
            start_new_session=True,
        )
    except BaseException:
        os.close(report_read)
        os.close(plan_write)
        raise
    finally:
        os.close(plan_read)
        os.close(report_write)
    with open(plan_write, "wb") as pipe:  # it is a descriptor
        pipe.write(marshal.dumps((pack(plan), extra, os.getpid())))
    return StepProcess(process, report_read, orderly=not plan.namespaces & NEWPID)


def serve(attach: Callable[[int, bytes], object] | None = None) -> None:
    """Be the process: read the plan, launch it, wait, and exit as it did.

    `attach` is called with the pid and the bytes that `start` was given; if it returns something with a
    `close` method, that is called after the end.
    """
    plan_fd, report_fd = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(report_fd, False)
    with open(plan_fd, "rb") as pipe:  # it is a descriptor
        packed, extra, caller = marshal.loads(pipe.read())  # noqa: S302 # our own parent wrote it
    attachments: list[object] = []

    def attach_network(pid: int) -> None:
        if attach is not None:
            attachments.append(attach(pid, extra))

    child: Child | None = None

    def stop(number: int, _frame: object) -> None:
        if child is None:
            raise _StoppedError(number)
        child.kill(signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, stop)
    try:
        prctl.set_death_signal(signal.SIGTERM)
        if os.getppid() != caller:
            raise _StoppedError(signal.SIGTERM)  # noqa: TRY301 - ends as every other failure does
        plan = unpack(packed)
        end_rest = _adopting() if not plan.namespaces & NEWPID else _nothing
        child = launch(plan, Streams(), attach_network)
        if child.console is not None:
            hand_over(child)
        os.close(report_fd)
        status = child.wait()
        end_rest()
    except _StoppedError as error:
        status = 128 + error.number
    except Exception as error:  # noqa: BLE001 # whatever it was, the caller must hear of it
        os.write(report_fd, _pack_failure(error))
        status = OUR_FAILURE
    finally:
        for attachment in attachments:
            getattr(attachment, "close", _nothing)()
    os._exit(status)


def _adopting() -> Callable[[], None]:
    """Take all that the container leaves for our own children; return what ends them."""
    from tiffin.runtime.orphans import end_children  # of one rung only

    prctl.set_subreaper()
    return end_children


def _nothing() -> None:
    """Where there is nothing to be done."""


def hand_over(child: Child) -> None:
    """Send the terminal to the caller: standard input is a socket then. The caller's side is the only one."""
    from tiffin.linux import terminal

    assert child.console is not None
    terminal.send_fd(0, child.console)
    os.close(child.console)
    child.console = None


class _StoppedError(BaseException):
    """A signal asked for the end before the container had begun."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _pack_failure(error: Exception) -> bytes:
    message = getattr(error, "message", f"{type(error).__name__}: {error}")
    details = (getattr(error, "code", ""), getattr(error, "hint", ""), getattr(error, "exit_status", None))
    return marshal.dumps((type(error).__name__, message, *details))


def _unpack_failure(data: bytes) -> TiffinError:
    from tiffin import errors

    kind, message, code, hint, status = marshal.loads(data)  # noqa: S302 # our own child wrote it
    chosen = getattr(errors, kind, errors.FailedError)
    if not (isinstance(chosen, type) and issubclass(chosen, errors.TiffinError)):
        chosen = errors.FailedError
    return chosen(message, code=code, hint=hint, exit_status=status or OUR_FAILURE)


def main() -> None:
    """Run a plan that needs no network from outside."""
    serve()
