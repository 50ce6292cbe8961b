"""One life of a container: it is launched, connected and listened to, and then all of that is taken back.

A container that is started again has another life. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os

from tiffin.container.loop import Output
from tiffin.linux.namespace import NEWNS, NEWPID
from tiffin.linux.prctl import set_subreaper
from tiffin.network.attach import Attachment, attach, write_hosts
from tiffin.runtime import model
from tiffin.runtime.child import Child, Streams
from tiffin.runtime.launch import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tiffin.container.job import Job
    from tiffin.container.logs import Stream
    from tiffin.container.loop import Loop
    from tiffin.container.networks import Networks
    from tiffin.network.listen import Listener
    from tiffin.network.ports import Forwarder
    from tiffin.runtime.cgroups.limits import Writes
    from tiffin.runtime.cgroups.manager import Group
    from tiffin.runtime.cgroups.stats import Usage
    from tiffin.runtime.leftovers import Leftovers
    from tiffin.runtime.model import Plan
    from tiffin.runtime.orphans import Orphans

    Tees = tuple[int | None, int | None]

__all__ = ["Life"]

_SYS_PTRACE = 19
_UNPUBLISHED = ("none", "container")


class Life:
    """Begin it, and `end` it when the process has ended; `keep` gets what the container writes.

    `tees`, where there are any, get a copy of its output. What `begin` raises is what `launch` raises, and
    ConflictError for a port that is taken; nothing is left then.
    """

    def __init__(self, job: Job, loop: Loop, keep: Callable[[Stream, bytes], None]) -> None:
        self.job = job
        self.notices: tuple[str, ...] = ()
        self.attachment = Attachment()
        self.stdin = -1
        self.child: Child | None = None
        self.plan = model.unpack(job.plan)
        if job.init:
            self.plan = _with_init(self.plan)
        self.usage: Usage | None = None
        """What it used, if it had limits, and has ended."""
        self.networks: Networks | None = None
        """Of one that is on networks which users have made."""
        self._forwarder: Forwarder | None = None
        self._shortcut: socket.socket | None = None
        self._group: Group | None = None
        self._loop = loop
        self._keep_bytes = keep
        self._listeners: list[Listener] = []
        self._outputs: list[Output] = []
        self._rest: Leftovers | Orphans | None = None
        self._undo = contextlib.ExitStack()

    @property
    def ports(self) -> tuple[tuple[object, ...], ...]:
        """The ports that are published, the real ones."""
        return tuple(tuple(listener.port) for listener in self._listeners)

    @property
    def root(self) -> str:
        """Its root directory, where it has no namespace of its own; else nothing."""
        return getattr(self.plan.steps[0], "path", "") if not self.plan.namespaces & NEWNS else ""

    def begin(self, tees: Tees = (None, None)) -> Child:
        """Return when the container's program has begun."""
        try:
            if self.job.network.ports and self.job.network.mode not in _UNPUBLISHED:
                self._listen()
            if self.job.limits or self.job.cgroup_parent:
                self._limit()
            elif not self.plan.namespaces & NEWPID:
                self._gather()
            child = self._launch(tees)
            self._publish()
        except BaseException:
            self.abandon()
            raise
        return child

    def of_networks(self) -> Networks:
        """Its networks, to join another or leave one; the published ports follow by `retarget`."""
        if self.networks is None:
            from tiffin.container.networks import Networks  # few are on networks

            self.networks = Networks(self.job, self._loop, self.attachment)
            self._undo.callback(self.networks.close)
        return self.networks

    def retarget(self) -> None:
        """Let published ports lead to the address that the container has now."""
        if self._forwarder is not None:
            self._forwarder.retarget(self.attachment.address)
            if self.job.network.mode == "networks":
                self._shorten()

    def end(self) -> int:
        """Take everything back, once the process has ended or is about to; return its exit code."""
        child = self.child
        assert child is not None
        code = child.wait()
        self._end_rest()
        for output in self._outputs:
            output.drain()
        if self._group is not None:
            self.usage = self._group.usage()
        self._close()
        return code

    def abandon(self) -> None:
        """Kill it, if it has begun, and take everything back."""
        if self.child is not None:
            self.child.end()
        self._end_rest()
        for output in self._outputs:
            output.close()
        self._close()

    def input(self, *, wanted: bool) -> int | None:
        """Return its terminal, or, if it is wanted, the pipe of its standard input; None for neither."""
        console = None if self.child is None else self.child.console
        return console if console is not None else self.stdin if wanted and self.stdin >= 0 else None

    def end_input(self) -> None:
        """Let its standard input end, if it is for one user and no terminal."""
        if self.job.input_once and self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def pause(self, *, wanted: bool) -> None:
        """Leave what it writes in its pipes, so that it has to wait, or go on."""
        for output in self._outputs:
            output.pause(wanted=wanted)

    def _limit(self) -> None:
        from tiffin.runtime.cgroups.limits import Write, Writes  # most containers have no limits
        from tiffin.runtime.cgroups.manager import make_written

        one, two = (tuple(Write(*write) for write in writes) for writes in self.job.limits or ((), ()))
        self._group = make_written(Writes(one, two), self.job.cgroup_parent)
        self._undo.callback(self._group.delete)
        process = self.plan.process._replace(cgroups=self._group.joins)
        self.plan = self.plan._replace(process=process)
        if self._group.parted:
            from tiffin.runtime.rare_steps import show_hierarchies

            self.plan = self.plan._replace(late=show_hierarchies(self.plan.late, self._group.directories))

    def grow(self, writes: Writes) -> tuple[str, ...]:
        """Have a group with the controllers of these limits; return its files that take pids."""
        from tiffin.runtime.cgroups.growth import grown  # few are limited while they run

        group = grown(self._group, writes, self.job.cgroup_parent)
        if group is not self._group:
            self._undo.callback(group.delete)
            self._group = group
            self.plan = self.plan._replace(process=self.plan.process._replace(cgroups=group.joins))
        return group.joins

    def _gather(self) -> None:
        """Put a container that shares the processes of others into a group, by which its own are known."""
        from tiffin.errors import TiffinError
        from tiffin.runtime.cgroups.limits import Writes
        from tiffin.runtime.cgroups.manager import make_written

        with contextlib.suppress(OSError, TiffinError):  # where there can be none, there are other ways
            self._group = make_written(Writes())
            self._undo.callback(self._group.delete)
            self.plan = self.plan._replace(process=self.plan.process._replace(cgroups=self._group.joins))

    def _end_rest(self) -> None:
        if self._rest is not None:
            self._rest.end()
            self._rest = None

    def _launch(self, tees: Tees) -> Child:
        if self.root:
            set_subreaper()  # whoever it leaves comes to us
        if self.job.terminal is not None:
            self.child = self._run(Streams(terminal=self.job.terminal))
            console = self.child.console
            assert console is not None
            self._keep("stdout", os.dup(console), tees[0])
            return self.child
        with contextlib.ExitStack() as theirs:
            stdin = self._stdin(theirs)
            out, err = self._pipe(theirs), self._pipe(theirs)
            self.child = self._run(Streams(stdin, out[1], err[1]))
        self._keep("stdout", out[0], tees[0])
        self._keep("stderr", err[0], tees[1])
        return self.child

    def _run(self, streams: Streams) -> Child:
        if not self.job.external:
            return launch(self.plan, streams, self._attach)
        from tiffin.runtime import external  # few containers have another runtime

        return external.launch(external.Runtime(*self.job.external), self.plan, streams, self._attach)

    def _stdin(self, theirs: contextlib.ExitStack) -> int:
        if not self.job.interactive:
            stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        else:
            stdin, self.stdin = os.pipe()
        theirs.callback(os.close, stdin)
        return stdin

    def _pipe(self, theirs: contextlib.ExitStack) -> tuple[int, int]:
        ours, their = os.pipe()
        theirs.callback(os.close, their)
        return ours, their

    def _keep(self, stream: Stream, fd: int, tee: int | None) -> None:
        self._outputs.append(Output(self._loop, fd, lambda data: self._keep_bytes(stream, data), tee))

    def _attach(self, pid: int) -> None:
        if self.root:
            from tiffin.runtime.orphans import Orphans  # of one rung only

            self._rest = Orphans(self.root, traced=bool(self.plan.process.trace))
        elif not self.plan.namespaces & NEWPID:
            from tiffin.runtime.leftovers import Leftovers

            self._rest = Leftovers(pid, self.plan.process.cgroups)
        self.attachment = attach(self.job.network, pid)
        self._undo.callback(self.attachment.close)
        self.notices += self.attachment.notices
        if self.job.network.endpoints:
            self.of_networks()
        hosts = self.job.hosts
        if hosts is not None:
            write_hosts(hosts.path, hosts.name, hosts.extra, self.attachment)

    def _listen(self) -> None:
        from tiffin.network.listen import close_all, listen  # most containers publish nothing

        self._listeners = listen(self.job.network.ports)
        self._undo.callback(close_all, self._listeners)

    def _publish(self) -> None:
        if self._listeners:
            from tiffin.network.ports import Forwarder

            forwarder = Forwarder(self._listeners, self.attachment.namespace, self.attachment.address)
            self._undo.callback(forwarder.close)
            forwarder.start()
            self._forwarder = forwarder
            if self.job.network.mode in ("bridge", "networks"):
                self._undo.callback(self._lengthen)
                self._shorten()

    def _shorten(self) -> None:
        """Let the kernel carry what it can, in the place of what it carries now."""
        self._lengthen()
        ports = [listener.port for listener in self._listeners]
        if self.job.network.mode == "networks":
            from tiffin.network.seating import shorten

            self._shortcut = shorten(self.attachment, self.job.network, ports)
        else:
            from tiffin.network import shortcut

            self._shortcut = shortcut.take(self.job.network, ports, self.attachment.address)

    def _lengthen(self) -> None:
        if self._shortcut is not None:
            self._shortcut.close()
            self._shortcut = None

    def _close(self) -> None:
        self._undo.close()
        if self.child is not None and self.child.console is not None:
            os.close(self.child.console)
            self.child.console = None
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1


def _with_init(plan: Plan) -> Plan:
    """The plan with an init before the program; what it needs is loaded now, before there is a child."""
    from tiffin.linux.namespace import NEWUSER  # few containers have an init
    from tiffin.runtime import reaper  # noqa: F401 - the child finds it loaded

    has_it = plan.process.bounding >> _SYS_PTRACE & 1 and not plan.process.trace  # which has no rights at all
    if not plan.namespaces & NEWUSER and has_it:
        from tiffin.errors import UnsupportedError

        raise UnsupportedError(
            "--init and the capability SYS_PTRACE exclude each other where a container has no user namespace",
            code="init-traceable",
            hint="leave one of them out",
            exit_status=125,
        )
    return plan._replace(process=plan.process._replace(init=True))
