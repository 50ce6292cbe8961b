"""Who answers the calls of processes that have no root of their own: threads of the one that launched them.

That is an ancestor of theirs, as hardened kernels want it of who looks into others. What may wait for
somebody else is answered by a thread of its own. They end with the last process whose calls they hear, and
whatever goes wrong with one call, the next is answered.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time

from tiffin.linux import notify, prctl, terminal
from tiffin.linux.record import NamedTuple
from tiffin.runtime.emulation import identity
from tiffin.runtime.emulation.calls import IDENTITIES
from tiffin.runtime.emulation.credentials import whole
from tiffin.runtime.emulation.records import Records
from tiffin.runtime.emulation.site import Gift, Site
from tiffin.runtime.tracing import acting, attributes, calls, changing, opening, programs, rights, showing
from tiffin.runtime.tracing.caller import Tracees
from tiffin.runtime.tracing.site import Done, Ground, LaterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.process import Process

    Handler = Callable[..., Answer | Done]
else:
    import _signal as signal

_TAKING_UP = 2
"""How many threads take up calls."""
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class Trace(NamedTuple):
    """How calls are answered: the filter, the root, where owners are kept, and what root of it may."""

    program: bytes
    root: str
    journal: str = ""
    layers: tuple[str, ...] = ()
    capabilities: int = 0
    no_new_privs: bool = True


def _owning(handler: Callable[[Site, Call, Meaning], Answer]) -> Handler:
    """Let it be asked as ours are."""
    return lambda ground, call, meaning: handler(ground.site, call, meaning)


_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(calls.OPENING, opening.answer),
    **dict.fromkeys(("stat", "lstat", "fstat", "newfstatat", "statx"), showing.show),
    **dict.fromkeys(("access", "faccessat", "faccessat2"), showing.access),
    **dict.fromkeys(("readlink", "readlinkat"), showing.read_link),
    "getcwd": showing.working_directory,
    "statfs": showing.file_system,
    **dict.fromkeys(calls.MAKING, changing.make),
    **dict.fromkeys(("rmdir", "unlink", "unlinkat"), changing.remove),
    **dict.fromkeys(("rename", "renameat", "renameat2"), changing.rename),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "fchmodat2"), changing.change_mode),
    **dict.fromkeys(("chown", "fchown", "lchown", "fchownat"), changing.change_owner),
    **dict.fromkeys(("utime", "utimes", "futimesat", "utimensat"), changing.change_times),
    "truncate": changing.truncate,
    **dict.fromkeys(calls.ATTRIBUTES, attributes.answer),
    **dict.fromkeys(calls.PROGRAMS, programs.execute),
    "chdir": acting.change_directory,
    "chroot": acting.change_root,
    **dict.fromkeys((*calls.SOCKETS, "sendto"), acting.address),
    "inotify_add_watch": acting.watch,
    "getsockopt": acting.peer,
    "prctl": acting.attribute,
    "capget": rights.tell,
    "capset": rights.change,
    **dict.fromkeys(("getuid", "geteuid", "getgid", "getegid"), _owning(identity.ask)),
    **dict.fromkeys(("getresuid", "getresgid"), _owning(identity.ask_three)),
    **dict.fromkeys([name for name in IDENTITIES if name.startswith("set")], _owning(identity.change)),
    "getgroups": _owning(identity.ask_groups),
    "setgroups": _owning(identity.change_groups),
    **dict.fromkeys(("setrlimit", "prlimit64"), _owning(identity.limit)),
}


def serve(process: Process, pid: int, socket: int) -> None:
    """Answer, in a thread, the calls of the process, which hands its filter over by the socket."""
    prctl.set_dumpable(False)  # whose calls are answered has our user, and is not to look into us

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        fd = terminal.receive_fd(socket)
        if fd is None:
            os.close(socket)  # the container could not begin
            return
        try:
            answerer = _Answerer(Trace(*process.trace), process, pid, fd)
            threading.Thread(target=answerer.run, name="answers", daemon=True).start()
            os.write(socket, b"1")
            os.close(socket)
        except BaseException:
            os.close(fd)
            raise
        answerer.run()

    threading.Thread(target=run, name="answers", daemon=True).start()


class _Answerer:
    def __init__(self, trace: Trace, process: Process, pid: int, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._threads = _TAKING_UP
        self._listener = notify.Listener(fd)
        self._first = pid
        root = os.fsencode(os.path.realpath(trace.root))
        callers = Tracees(self._listener, root)
        if process.groups:
            callers.become(pid, whole(0, 0, process.groups))
        layers = [os.open(path, _DIRECTORY) for path in trace.layers]
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        journal = os.open(trace.journal, flags, 0o600) if trace.journal else -1
        records = Records(journal, layers, root=callers.root, proc=b"/proc/", since=time.time_ns())
        callers.records = records
        site = Site(callers, records, trace.capabilities, trace.no_new_privs)
        self._ground = Ground(site, callers, os.stat("/proc").st_dev, {})
        # Until its program begins, the first process is the runtime, and has every right.
        self._starting: Ground | None = self._ground._replace(site=site._replace(capabilities=-1))
        machine = os.uname().machine
        self._table = calls.table(machine)
        self._architecture = calls.architecture(machine)

    def run(self) -> None:
        """Answer until nobody is left. Of two threads that do so one takes up a call while the other answers.

        For a call that nobody has taken up yet is ended by a signal. Whatever ends them, the last lets go of
        the calls: nobody waits for ever for who is not there.
        """
        try:
            self._take_up()
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                os.close(self._fd)

    def _take_up(self) -> None:
        listener, prepared = notify.Listener(self._fd), self._ground.prepared
        while (call := listener.receive()) is not None:
            meaning = self._table.get(call.number)
            if meaning is None or call.architecture != self._architecture:
                self._listener.proceed(call)
            elif call.pid in prepared and call.args[: len(prepared[call.pid])] == prepared[call.pid]:
                del prepared[call.pid]
                self._listener.proceed(call)
            else:
                self._answer(call, meaning)

    def _answer(self, call: Call, meaning: Meaning) -> None:
        ground = self._ground
        if self._starting is not None and call.pid == self._first:
            ground = self._starting
            if meaning.name.startswith("execve"):
                self._starting = None
        handler = _HANDLERS[meaning.name]
        try:
            self._finish(call, handler(ground, call, meaning))
        except LaterError:
            later = threading.Thread(target=self._later, args=(handler, ground, call, meaning), daemon=True)
            with self._lock:
                self._threads += 1
            try:
                later.start()
            except RuntimeError:  # there can be no more of them
                self._end()
                self._refuse(call, errno.EAGAIN)
        except OSError as error:
            self._refuse(call, error.errno or errno.ENOSYS)
        except Exception:  # noqa: BLE001 # one call that nobody understands must not be the last
            self._refuse(call, errno.ENOSYS)

    def _later(self, handler: Handler, ground: Ground, call: Call, meaning: Meaning) -> None:
        try:
            self._finish(call, handler(ground, call, meaning, may_wait=True))
        except OSError as error:
            self._refuse(call, error.errno or errno.ENOSYS)
        except Exception:  # noqa: BLE001 # as above
            self._refuse(call, errno.ENOSYS)
        finally:
            self._end()

    def _refuse(self, call: Call, code: int) -> None:
        with contextlib.suppress(OSError):
            self._listener.fail(call, code)

    def _finish(self, call: Call, answer: Answer | Done) -> None:
        if isinstance(answer, Done):
            return
        if isinstance(answer, Gift):
            answer.give(self._listener, call)
        elif answer is None:
            self._listener.proceed(call)
        else:
            self._listener.result(call, answer)
