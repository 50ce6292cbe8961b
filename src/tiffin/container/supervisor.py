"""One container from start to end: it lives, once or again and again, and how it ended is written down.

A detached container has this as a small process of its own (`detached.py`); a foreground `run` does the
same in its own process, with a terminal. When the process that supervises dies, the kernel kills the
container.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from functools import partial
from pathlib import Path

from tiffin.container import control, state
from tiffin.container.job import pack_error
from tiffin.container.life import Life
from tiffin.container.logs import writer_of
from tiffin.container.loop import Loop
from tiffin.linux.files import atomic_write
from tiffin.linux.process import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tiffin.container.clients import Clients
    from tiffin.container.foreground import Foreground
    from tiffin.container.health import Health
    from tiffin.container.job import Job
    from tiffin.container.journald import JournalWriter
    from tiffin.container.life import Tees
    from tiffin.container.logs import LogWriter, Stream
    from tiffin.container.pausing import Holding
    from tiffin.container.probe import Prober
    from tiffin.container.restart import Tally
    from tiffin.runtime.child import Child

__all__ = ["Supervisor", "supervise"]

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


class Supervisor:
    """The container of `job`. `start` it, then `wait` for its end; what was acquired goes in any case."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loop = Loop()
        self.directory = Path(job.directory)
        self.life = Life(job, self.loop, self._keep)
        self._log: LogWriter | JournalWriter | None = None
        self._waiting: dict[control.Connection, bool] = {}
        self._undo = contextlib.ExitStack()
        self._ended = False
        self._last = False
        self._delay = 0
        self._prober: Prober | None = None
        self._clients: Clients | None = None
        self.holding: Holding | None = None
        self._state = state.State()

    @property
    def child(self) -> Child | None:
        """The container's first process, if it has one."""
        return self.life.child

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know."""
        return self.life.notices

    def start(self, tees: Tees = (None, None), client: control.Connection | None = None) -> None:
        """Return when the container's program has begun; `tees` and the client get a copy of its output.

        Raises what `Life.begin` raises; nothing is left then.
        """
        if self.job.lent:
            from tiffin.container.lending import give_back  # of one rung only

            self._undo.callback(give_back, self.directory)
        self._log = writer_of(self.job.log, self.directory)
        if self._log is not None:
            self._undo.callback(self._log.close)
        if client is not None:
            self._answer(client)  # before the container can write anything
        try:
            self.life.begin(tees)
            self._serve()
            self._began()
        except BaseException:
            self.life.abandon()
            self._undo.close()
            self.loop.close()
            raise

    def wait(self) -> int:
        """Run until the container has ended, and is not to be started again; return its exit code."""
        while True:
            code = self._until_end()
            again = self._again(code)
            if again is None or not self._pause(code, again):
                break
            try:
                self.life = Life(self.job, self.loop, self._keep)
                self.life.begin()
                self._began()
            except Exception as error:  # noqa: BLE001 - it is written down, for there is nobody to tell
                self.life.abandon()
                wire = pack_error(error)
                self._state = self._state._replace(error=str(wire["message"]))
                code = int(wire["exit_status"] or code)
                break
        self._finish(code)
        return code

    @property
    def standing(self) -> state.State:
        """How the container stands, or how it ended."""
        return self._state

    def kill(self, number: int, *, last: bool = False, wake: bool = True) -> None:
        """Send the container's first process a signal; with `last` it is not started again.

        One that is paused is let go, unless the signal need not `wake` it.
        """
        self._last |= last
        if self.child is not None:
            self.child.kill(number)
            self.job.note("kill", signal=str(int(number)))
        if self.holding is not None:
            self.holding.signalled(number, wake=last or wake)

    def _keep(self, stream: Stream, data: bytes) -> None:
        if self._log is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop the container
                self._log.write(stream, data)
        if self._clients is not None:
            self._clients.write(stream, data)

    def _serve(self) -> None:
        directory = Path(self.job.control)
        listener = control.listen(directory)
        self._undo.callback(control.discard, directory)
        self._undo.callback(listener.close)
        self.loop.watch(listener.fileno(), lambda: self._greet(control.accept(listener)))

    def _began(self) -> None:
        child = self.child
        assert child is not None
        self._ended = False
        self.loop.watch(child.pidfd, self._on_end)
        self._state = state.State(
            status="running",
            pid=child.pid,
            supervisor=Identity.own(),
            started=time.time_ns(),
            address=self.life.attachment.address,
            ports=self.life.ports,
            restarts=self._state.restarts,
            boot=state.boot(),
            cgroups=self.life.plan.process.cgroups,
        )
        if self.job.health:
            from tiffin.container.execute import entry
            from tiffin.container.health import Check  # most containers have no check
            from tiffin.container.probe import Prober

            check, begun = Check(*self.job.health), self._state.started
            way = entry(child.pid, self._state.cgroups, self.job.external, self.life.root)
            self._prober = Prober(self.loop, check, self.life.plan.process, way, begun, self._judged)
            self._state = self._state._replace(health=tuple(self._prober.health))
        state.write(self.directory, self._state)
        self.job.note_networks("connect")
        self.job.note("start")
        if self._clients is not None:
            self._clients.begin(self.life)
        if self.job.pidfile:
            atomic_write(Path(self.job.pidfile), f"{child.pid}\n".encode(), sync=False)

    def _judged(self, health: Health) -> None:
        if health.status != self._state.health[0]:
            self.job.note(f"health_status: {health.status}")
        self._state = self._state._replace(health=tuple(health))
        with contextlib.suppress(OSError):  # on a disk that is full the next result may be told
            state.write(self.directory, self._state)

    def _on_end(self) -> None:
        self._ended = True

    def _until_end(self) -> int:
        while not self._ended:
            self.loop.turn()
        child = self.child
        assert child is not None
        self.loop.forget(child.pidfd)
        if self._prober is not None:
            self._prober.close()
            self._prober = None
        code = self.life.end()
        if self.holding is not None:
            self.holding.close()
            self.holding = None
        if self.life.usage is not None and self.life.usage.killed:
            self.job.note("oom")
        lasted = (time.time_ns() - self._state.started) // 1_000_000_000
        self.job.note("die", exitCode=str(code), execDuration=str(lasted))
        self.job.note_networks("disconnect")
        return code

    def _again(self, code: int) -> Tally | None:
        """What the policy says after this end."""
        if self._last or not self.job.restart:
            return None
        from tiffin.container.restart import Tally, after_end, parse_policy  # few are started again

        tally = Tally(self._state.restarts, self._delay)
        lasted = time.time_ns() - self._state.started
        return after_end(parse_policy(self.job.restart), tally, code, lasted)

    def _pause(self, code: int, tally: Tally) -> bool:
        """Wait before the next start; False if a user ended it meanwhile."""
        self._delay = tally.delay
        self._state = self._over("restarting", code)._replace(restarts=tally.restarts)
        with contextlib.suppress(OSError):
            state.write(self.directory, self._state)
        self._tell(code, last=False)
        over: list[bool] = []
        timer = self.loop.later(tally.delay / 1e9, lambda: over.append(True))
        while not over and not self._last:
            self.loop.turn()
        timer.cancel()
        return not self._last

    def _greet(self, connection: control.Connection | None) -> None:
        if connection is not None:
            self.loop.watch(connection.fileno(), partial(self._answer, connection))

    def _answer(self, connection: control.Connection) -> None:
        received = connection.receive()
        if received is None:
            self.loop.forget(connection.fileno())
            self._waiting.pop(connection, None)
            if self.holding is not None:
                self.holding.gone(connection)
            connection.close()
            return
        message, descriptors = received
        if message.get("verb") == "signal":
            wake = bool(message.get("wake", True))
            self._on_signal(int(message["number"]), last=bool(message.get("last")), wake=wake)
            connection.send({"ok": True})
        elif message.get("verb") == "wait":
            self._waiting[connection] = not message.get("next")
        elif message.get("verb") in ("pause", "unpause"):
            connection.send(self._hold(connection, message))
        elif message.get("verb") == "limit":
            from tiffin.container import limiting  # few are limited while they run

            connection.send(limiting.answer(self, message))
        elif message.get("verb") == "change":
            self._change(message)
            connection.send({"ok": True})
        elif message.get("verb") == "exec":
            from tiffin.container import execute  # most containers are never entered

            self.loop.forget(connection.fileno())
            execute.answer(self, connection, descriptors, str(message.get("command", "")))
        elif message.get("verb") == "network":
            connection.send(self._network(message))
        elif message.get("verb") == "attach":
            self._attach(connection, message, descriptors)
            return
        for fd in descriptors:
            os.close(fd)

    def _on_signal(self, number: int, *, last: bool, wake: bool) -> None:
        if last and not self._state.stopped:
            self._state = self._state._replace(stopped=True)
            with contextlib.suppress(OSError):
                state.write(self.directory, self._state)
        self.kill(number, last=last, wake=wake)

    def _network(self, message: dict[str, Any]) -> dict[str, object]:
        """Join a network or leave one, as `joining.change` says; it stays so in the container's next life."""
        from tiffin.container import joining  # few do so while they run

        try:
            self.job = joining.change(
                self.life, self.job, message, alive=not self._ended and self._state.pid > 0
            )
        except Exception as error:  # noqa: BLE001 - the container goes on, and the caller must hear of it
            return {"error": pack_error(error)}
        self._state = self._state._replace(address=self.life.attachment.address)
        with contextlib.suppress(OSError):
            state.write(self.directory, self._state)
        return {"ok": True}

    def _change(self, message: dict[str, Any]) -> None:
        """Take what a user has changed of the container: from now on, or with its next life."""
        about = {**dict(self.job.about), "name": message.get("name", dict(self.job.about).get("name", ""))}
        self.job = self.job._replace(
            about=tuple(about.items()),
            restart=message.get("restart", self.job.restart),
            limits=message.get("limits", self.job.limits),
        )
        self._last |= self._state.status == "restarting" and not self.job.restart

    def _hold(self, caller: control.Connection, message: dict[str, Any]) -> dict[str, object]:
        from tiffin.container.pausing import Holding  # few are ever paused

        self.holding = self.holding or Holding(self)
        return self.holding.answer(caller, message)

    def put(self, **changes: Any) -> None:
        """Change how the container stands, and write that down."""
        self._state = self._state._replace(**changes)
        state.write(self.directory, self._state)

    def check_health(self, *, wanted: bool) -> None:
        """Stop to check the container's health, if that is done, or go on."""
        if self._prober is not None and wanted:
            self._prober.resume()
        elif self._prober is not None:
            self._prober.close()

    def probe_by(self, joins: tuple[str, ...]) -> None:
        """Let health checks begin in these groups."""
        if self._prober is not None:
            self._prober.regroup(joins)

    def _attach(self, connection: control.Connection, wanted: dict[str, Any], descriptors: list[int]) -> None:
        """Let it hear the container; one that does not run is told by silence, for who asks has looked."""
        from tiffin.container.clients import DESCRIPTORS, Clients  # most containers are never attached to

        self.loop.forget(connection.fileno())
        if self._state.status in ("created", "running") and len(descriptors) == DESCRIPTORS:
            if self._clients is None:
                self._clients = Clients(self.loop, self._on_clients_signal, self.job.note)
                if self._state.pid:
                    self._clients.begin(self.life)
            self._clients.add(connection, wanted, descriptors)
            return
        connection.close()
        for fd in descriptors:
            os.close(fd)

    def _on_clients_signal(self, number: int, last: bool) -> None:
        self._on_signal(number, last=last, wake=True)

    def _over(self, status: state.Status, code: int) -> state.State:
        usage = self.life.usage
        found = self._state.over(status, code)._replace(finished=time.time_ns())
        return found if usage is None else found._replace(oom=usage.killed > 0, peak=usage.peak or 0)

    def _tell(self, code: int, *, last: bool) -> None:
        """Answer those who wait for this end, and those who are attached: they go with it, as in Docker."""
        for connection, final in [*self._waiting.items()]:
            if last or not final:
                connection.send({"exit": code})
                self.loop.forget(connection.fileno())
                connection.close()
                del self._waiting[connection]
        if self._clients is not None:
            found = self._state
            self._clients.end({"exit": code, "again": not last, "oom": found.oom, "peak": found.peak})

    def _finish(self, code: int) -> None:
        self._undo.close()
        self._state = self._over("exited", code)
        with contextlib.suppress(OSError):  # removed, or on a disk that is full: it is exited all the same
            state.write(self.directory, self._state, sync=self.job.stays)
        self._tell(code, last=True)
        self.loop.close()


def supervise(
    job: Job,
    started: Callable[[Supervisor], None],
    foreground: Foreground | None = None,
    client: control.Connection | None = None,
) -> int:
    """Run the container to its end, here and now, and return its exit code.

    `started` is called when its program has begun; a `client` has asked to be attached from the start.
    Call it from a process with a single thread.
    """
    supervisor = Supervisor(job)
    if foreground is not None:
        return foreground.run(supervisor, started)
    supervisor.start(client=client)
    for number in _FORWARDED:
        signal.signal(number, lambda number, _frame: supervisor.kill(number, last=True))
    started(supervisor)
    return supervisor.wait()
