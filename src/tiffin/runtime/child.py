"""A process that was started in a container, and the handshake by which it was."""

from __future__ import annotations

import marshal
import os

from tiffin.linux import libc, namespace
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.errors import TiffinError
    from tiffin.runtime.process import Process

OUR_FAILURE = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
_SIGKILL = 9
_SIGNALED = 128
_ANSWERED_SINCE = (5, 9)
"""Before, nobody could be given a descriptor for a call that waits."""


class Streams(NamedTuple):
    """What the process gets: three file descriptors, or a terminal with these rows and columns."""

    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    terminal: tuple[int, int] | None = None


class Failure(NamedTuple):
    """Why there was no program: the error, at which step, and the exit status that says so."""

    text: str
    step: str
    errno: int
    status: int


class Child:
    """A process of a container, started by this process: its pid, its pidfd, its terminal if it has one."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console: int | None = None
        self.traced = False
        self.status: int | None = None

    def wait(self) -> int:
        """Return the exit status, 128 + n after signal n, once the process has ended."""
        if self.status is None:
            self._await_end()
            _, raw = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(raw)
            self.status = code if code >= 0 else _SIGNALED - code
            os.close(self.pidfd)
            self.pidfd = -1
        return self.status

    def _await_end(self) -> None:
        """Wait until it has ended: where a thread of ours holds it at times, it only seems to have."""
        if self.traced:
            import select  # one rung needs it

            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            poll.poll()

    def kill(self, number: int) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if self.pidfd >= 0:
            try:
                namespace.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                return

    def end(self) -> None:
        """Kill the process, and with it its pid namespace, and forget its terminal."""
        self.kill(_SIGKILL)
        self.wait()
        if self.console is not None:
            os.close(self.console)
            self.console = None


class Handshake:
    """The pipes between a launcher and its child.

    The launcher writes one byte for each thing that the child waits for. The child writes a failure, or
    nothing: its end of the report closes when the program begins. Either sees when the other has ended.
    """

    def __init__(
        self,
        *,
        terminal: bool,
        hooks: bool = False,
        owners: bool = False,
        view: bool = False,
        trace: bool = False,
    ) -> None:
        self._childs_control, self._control = os.pipe()
        self._report, self._childs_report = os.pipe()
        self._console = self._childs_console = -1
        self._ready, self._childs_ready = os.pipe() if hooks else (-1, -1)
        self._terminal: tuple[int, int] | None = None
        self.interpreter = os.open("/proc/self/exe", os.O_PATH | os.O_CLOEXEC)
        """The program that runs this code, for the child to find out who may write to it."""
        self._owners = self._childs_owners = self._view = self._childs_view = -1
        self._trace = self._childs_trace = -1
        if terminal or owners or view or trace:
            from tiffin.linux import terminal as tty

            if terminal:
                self._console, self._childs_console = tty.socket_pair()
            if owners:
                from tiffin.runtime.emulation import notifier as _notifier  # noqa: F401 - for the child, too

                self._owners, self._childs_owners = tty.socket_pair()
            if view:
                self._view, self._childs_view = tty.socket_pair()
            if trace:
                from tiffin.runtime import handing as _handing  # noqa: F401 - as above

                self._trace, self._childs_trace = tty.socket_pair()

    def take_launchers_side(self) -> None:
        """Close what the child holds."""
        theirs = (self._childs_control, self._childs_report, self._childs_console, self._childs_ready)
        for fd in (*theirs, self._childs_owners, self._childs_view, self._childs_trace):
            if fd >= 0:
                os.close(fd)
        self._childs_control = self._childs_report = self._childs_console = self._childs_ready = -1
        self._childs_owners = self._childs_view = self._childs_trace = -1

    def take_childs_side(self) -> None:
        """Close what the launcher holds."""
        ours = (self._control, self._report, self._console, self._ready)
        for fd in (*ours, self._owners, self._view, self._trace):
            if fd >= 0:
                os.close(fd)
        self._control = self._report = self._console = self._ready = self._owners = self._view = -1
        self._trace = -1

    def answer_calls(self, process: Process, pid: int) -> None:
        """Start what keeps the owners of files for the child, if anything is to."""
        if self._owners >= 0:
            from tiffin.runtime.emulation import notifier  # one rung needs it

            notifier.start(process, pid, self._owners)
            os.close(self._owners)
            self._owners = -1

    def take_owners(self) -> int:
        """Return, in the child, the socket at whose other end that waits; it is the caller's now."""
        fd, self._childs_owners = self._childs_owners, -1
        return fd

    def show_proc(self, root: str) -> None:
        """Start to answer, in the launcher, what the child asks of /proc, if it has none."""
        if self._view >= 0:
            from tiffin.runtime import procview  # one rung needs it

            procview.serve(self._view, root)
            self._view = -1

    def answer_all(self, process: Process, pid: int) -> None:
        """Start to answer, in the launcher, all calls of the child that have paths, if that is its way."""
        if self._trace >= 0:
            from tiffin.runtime.tracing import answerer  # one rung needs it

            answerer.serve(process, pid, self._trace)
            self._trace = -1

    def take_trace(self) -> int:
        """Return, in the child, the socket at whose other end who answers waits; it is the caller's now."""
        fd, self._childs_trace = self._childs_trace, -1
        return fd

    def ask_for_proc(self, program: bytes) -> None:
        """Have, in the child, the launcher answer from now on, where an outer filter allows that."""
        from tiffin.linux import bpf, terminal  # both are loaded

        if libc.kernel() < _ANSWERED_SINCE:
            return  # what stands in for /proc has to do
        try:
            listener = bpf.listen(program)
        except OSError:
            return
        terminal.send_fd(self._childs_view, listener)
        os.close(listener)

    def close(self) -> None:
        """Close what is left."""
        self.take_launchers_side()
        self.take_childs_side()
        os.close(self.interpreter)

    def release(self) -> None:
        """Let the child go on; whether it is still there, `outcome` tells."""
        try:
            os.write(self._control, b"1")
        except BrokenPipeError:
            return

    def await_ready(self) -> bool:
        """Wait until the child's root filesystem is complete; False if there will be none."""
        return os.read(self._ready, 1) != b""

    def tell(self) -> None:
        """Tell, in the child, that something is done that the launcher waits for by `await_ready`."""
        os.write(self._childs_ready, b"1")

    def tell_ready(self) -> bool:
        """Tell, in the child, that it is, and wait for the launcher's word as `wait_for_launcher` does."""
        os.write(self._childs_ready, b"1")
        return self.wait_for_launcher()

    def receive_console(self, size: tuple[int, int] | None) -> int | None:
        """Return the launcher's side of the terminal that the child opened, with its size set."""
        from tiffin.linux import terminal

        fd = terminal.receive_fd(self._console)
        if fd is not None:
            if size is not None:
                terminal.set_size(fd, *size)
            os.write(self._console, b"1")
        return fd

    def outcome(self) -> Failure | None:
        """Wait until the program has begun, or return why it has not."""
        data = b""
        while part := os.read(self._report, 4096):
            data += part
        return Failure(*marshal.loads(data)) if data else None  # noqa: S302 - our own child wrote it

    def expect_program(self) -> None:
        """Wait until the program has begun; raise the `TiffinError` that says why it has not."""
        failure = self.outcome()
        if failure:
            raise command_failure(failure)

    def wait_for_launcher(self) -> bool:
        """Wait, in the child, for the launcher's word; False if it has ended or given up."""
        return os.read(self._childs_control, 1) != b""

    def prepare_console(self) -> None:
        """Make the terminal of `open_console` now, before the root directory is another one."""
        self._terminal = os.openpty()

    def open_console(self, process: Process) -> bool:
        """Make a new terminal the standard streams of the child; False if the launcher has ended.

        It belongs to the user of the process, who may open it again by its name, where there are users.
        """
        from tiffin.linux import terminal

        main, secondary = self._terminal or os.openpty()
        terminal.send_fd(self._childs_console, main)
        if not os.read(self._childs_console, 1):
            return False
        terminal.make_controlling(secondary)
        if not process.trace:
            os.fchown(secondary, 0 if process.owners else process.uid, -1)
        for number in (0, 1, 2):
            os.dup2(secondary, number, inheritable=True)
        return True

    def report(self, failure: Failure) -> None:
        """Tell the launcher, from the child, why there will be no program."""
        os.write(self._childs_report, marshal.dumps(tuple(failure)))


def command_failure(failure: Failure) -> TiffinError:
    """Return the error for what the child reported."""
    from tiffin.errors import FailedError, NotFoundError

    if failure.status == NOT_FOUND:
        hint = "check the spelling, and that the program is in the image"
        return NotFoundError(failure.text, code="command-not-found", hint=hint, exit_status=NOT_FOUND)
    if failure.status == NOT_EXECUTABLE:
        hint = "check that it is a program, that its mode is executable, and its architecture"
        return FailedError(failure.text, code="command-not-executable", hint=hint, exit_status=NOT_EXECUTABLE)
    message = f"the container could not be started: to {failure.step}: {failure.text}"
    return FailedError(message, code="start-failed", exit_status=OUR_FAILURE)


def start_failure(error: OSError) -> TiffinError:
    """Return the error for a call that failed in the launcher."""
    from tiffin.errors import FailedError

    path = f": {os.fsdecode(error.filename)}" if error.filename else ""
    message = f"the container could not be started: {error.strerror or error}{path}"
    return FailedError(message, code="start-failed", exit_status=OUR_FAILURE)
