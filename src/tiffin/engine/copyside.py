"""The process that works in a container's files for `cp`, and what this one and it say to each other."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from tiffin.container.job import pack_error, unpack_error
from tiffin.container.loop import write_all
from tiffin.container.record import Records
from tiffin.engine.copyends import Running, Stopped, Unrooted
from tiffin.engine.running import state_of
from tiffin.engine.standing import ROOT, directory_of, lock_of
from tiffin.errors import ConflictError, CorruptError, FailedError
from tiffin.linux.files import lock
from tiffin.linux.isolation import Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tiffin.container.record import Record
    from tiffin.engine.copyends import End
    from tiffin.engine.engine import Engine

__all__ = ["Side", "Talk"]


class Talk:
    """The container's side of the conversation: one line at a time to tell, and bytes either way."""

    def __init__(self, report: int, source: int, sink: int) -> None:
        self._report = report
        self.source = source
        self.sink = sink

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message."""
        write_all(self._report, json.dumps(message).encode() + b"\n")


class Side:
    """A process that does `work` at the container's end, for a caller with one thread; a context manager.

    What goes wrong there is raised here: by `hear`, or at the end.
    """

    def __init__(self, engine: Engine, name: str, work: Callable[[End, Talk], None]) -> None:
        self._engine = engine
        self._record = Records(engine.db).need(name)
        self._work = work
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        found = state_of(self._engine, self._record)
        if found.running and not found.pid:
            raise ConflictError(f"the container {self._record.name} is being restarted", code="busy")
        if not found.running:
            self._held.enter_context(_stays_stopped(self._engine, self._record))
        (hears, tells), (takes, gives), (reads, writes) = os.pipe(), os.pipe(), os.pipe()
        self._child = os.fork()
        if self._child == 0:
            for fd in (hears, gives, reads):
                os.close(fd)
            self._run(found.pid if found.running else 0, Talk(tells, takes, writes))
        for fd in (tells, takes, writes):
            os.close(fd)
        self._report = open(hears, "rb")  # noqa: PTH123 - a pipe, closed at the end
        self._gives: int = gives
        self.output: BinaryIO = open(reads, "rb")  # noqa: PTH123 - the same
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._gives)
        self.output.close()
        rest = self._report.read().splitlines()
        self._report.close()
        os.waitpid(self._child, 0)
        self._held.close()
        if error is None or isinstance(error, BrokenPipeError | CorruptError):  # then they ended before us
            for line in rest:
                _raise_from(json.loads(line))

    def hear(self) -> dict[str, Any]:
        """The next message. Raises what went wrong there instead."""
        line = self._report.readline()
        if not line:
            raise FailedError("the process at the container's end is gone", code="copy-failed")
        message: dict[str, Any] = json.loads(line)
        _raise_from(message)
        return message

    def send(self, data: bytes) -> None:
        """Give it bytes."""
        write_all(self._gives, data)

    def _run(self, pid: int, talk: Talk) -> None:
        status = 1
        try:
            self._work(self._end(pid), talk)
            status = 0
        except BrokenPipeError:
            status = 0  # who asked for it has enough
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            failure = FailedError(f"{where}{error.strerror}, in {self._record.name}", code="copy-failed")
            with contextlib.suppress(OSError):
                talk.tell({"error": pack_error(failure)})
        except BaseException as error:  # noqa: BLE001 - whatever it was, who started us must hear of it
            with contextlib.suppress(OSError):
                talk.tell({"error": pack_error(error)})
        finally:
            os._exit(status)

    def _end(self, pid: int) -> End:
        engine = self._engine
        if not pid:
            return Stopped(engine, self._record)
        if engine.rung is Rung.TRACED:
            return Unrooted(directory_of(engine, self._record) / ROOT, engine.owners)
        return Running(pid, engine.owners)


@contextlib.contextmanager
def _stays_stopped(engine: Engine, record: Record) -> Iterator[None]:
    try:
        with lock(lock_of(engine, record), blocking=False):
            yield
    except BlockingIOError:
        raise ConflictError(f"the container {record.name} is being started", code="busy") from None


def _raise_from(message: dict[str, Any]) -> None:
    if "error" in message:
        raise unpack_error(message["error"])
