"""One call of the engine in a process of its own, so that the caller's is left as it is.

The engine changes the process that it works in: without root it moves into a
user namespace, which a process with threads cannot do and no process can take
back. A library must not do that to a notebook; so every call, on every rung, is
done by `worker` in a child. The child gets the request on standard input and
answers on a pipe, one JSON object a line: events, then an answer or an error.
"""

from __future__ import annotations

import contextvars
import json
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tiffin.errors import FailedError, UnsupportedError
from tiffin.events import Notice
from tiffin.python.wire import unpack_error, unpack_event

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Generator, Iterator

    from tiffin.events import Event

    Progress = Callable[[Event], object]

_SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
_START = (
    "import sys; source = {!r}; source in sys.path or sys.path.append(source); "
    "from tiffin.python.worker import main; main()"
)
_PATIENCE = 10
"""Seconds between the request to a child to end and its death."""


STOP: contextvars.ContextVar[int] = contextvars.ContextVar("tiffin-stop", default=-1)
"""A descriptor: when it can be read, the caller wants no answer any more, and StoppedError is raised."""


class StoppedError(Exception):
    """The call was given up by who made it; the child has ended."""


class Answer(NamedTuple):
    """What a call returned, and what the child wrote on its standard streams meanwhile."""

    value: Any
    stdout: bytes
    stderr: bytes


def call(
    verb: str, arguments: dict[str, Any], *, progress: Progress | None = None, timeout: float | None = None
) -> Answer:
    """Do `verb` of `worker.VERBS` in a child and return its answer.

    Raises the TiffinError that the engine raised, TimeoutError after `timeout` seconds, and what
    `progress` raises; the child has ended by then.
    """
    import tempfile

    show = progress or _log
    deadline = None if timeout is None else time.monotonic() + timeout
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reader, writer = os.pipe()
        try:
            child = _start(writer, out.fileno(), err.fileno())
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        reply = None
        try:
            _ask(child, verb, arguments)
            for line in _lines(reader, deadline):
                message = json.loads(line)
                if "event" in message:
                    show(unpack_event(message["event"]))
                else:
                    reply = message
        except BaseException:
            _end(child)
            raise
        finally:
            os.close(reader)
        status = child.wait()
        out.seek(0)
        err.seek(0)
        return _result(reply, status, out.read(), err.read())


def stream(verb: str, arguments: dict[str, Any]) -> Generator[list[str]]:
    """Do `verb` in a child and give the lines that it writes, as many at a time as there are.

    Raises as `call` does. The child ends with the generator.
    """
    import tempfile

    with tempfile.TemporaryFile() as err:
        reader, writer = os.pipe()
        output, writer_of_output = os.pipe()
        try:
            child = _start(writer, writer_of_output, err.fileno())
        finally:
            os.close(writer)
            os.close(writer_of_output)
        told = bytearray()
        try:
            _ask(child, verb, arguments)
            rest = b""
            for fd, data in _pieces([reader, output]):
                if fd == reader:
                    told += data
                    continue
                *lines, rest = (rest + data).split(b"\n")
                if lines:
                    yield [line.decode("utf-8", "replace") for line in lines]
            if rest:
                yield [rest.decode("utf-8", "replace")]
        except BaseException:
            _end(child)
            raise
        finally:
            os.close(reader)
            os.close(output)
        reply = None
        for message in map(json.loads, told.splitlines()):
            if "event" in message:
                _log(unpack_event(message["event"]))
            else:
                reply = message
        status = child.wait()
        err.seek(0)
        _result(reply, status, b"", err.read())


def _pieces(sources: list[int]) -> Iterator[tuple[int, bytes]]:
    """What comes from the descriptors, until all of them have ended."""
    sources = list(sources)
    while sources:
        poll = select.poll()
        for fd in (*sources, *_stop()):
            poll.register(fd, select.POLLIN)
        for fd in [fd for fd, _ in poll.poll()]:
            if fd not in sources:
                raise StoppedError
            data = os.read(fd, 1 << 16)
            if data:
                yield fd, data
            else:
                sources.remove(fd)


def _stop() -> tuple[int, ...]:
    return (fd,) if (fd := STOP.get()) >= 0 else ()


def _start(writer: int, out: int, err: int) -> subprocess.Popen[bytes]:
    import subprocess

    if not sys.executable:
        raise UnsupportedError(
            "this program does not say which Python it runs on, and tiffin works in a process of its own",
            hint="set sys.executable to a Python in which tiffin is installed",
        )
    # -P: what lies in the current directory is not imported.
    command = [sys.executable, "-P", "-c", _START.format(_SOURCE), str(writer)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, pass_fds=(writer,))


def _ask(child: subprocess.Popen[bytes], verb: str, arguments: dict[str, Any]) -> None:
    """Send the request: not as an argument, which every process of the machine could read."""
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps([verb, arguments]).encode())
        child.stdin.close()
    except BrokenPipeError:
        return  # it has ended already; its status says more


def _lines(reader: int, deadline: float | None) -> Iterator[bytes]:
    poll = select.poll()
    for fd in (reader, *_stop()):
        poll.register(fd, select.POLLIN)
    rest = b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = poll.poll(left)
        if not ready:
            raise TimeoutError("the time that was given is over")
        if any(fd != reader for fd, _ in ready):
            raise StoppedError
        data = os.read(reader, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child whose answer nobody waits for; builds take what they began away when they are asked to."""
    import subprocess

    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _result(reply: dict[str, Any] | None, status: int, stdout: bytes, stderr: bytes) -> Answer:
    if reply is None:
        error = FailedError(
            f"the process that works for this call ended with status {status} before it answered",
            code="worker-failed",
            hint="`output` of this error has what it wrote last",
        )
        error.output = stderr[-2000:].decode("utf-8", "replace")
        raise error
    if "error" in reply:
        raise unpack_error(reply["error"])
    return Answer(reply["answer"], stdout, stderr)


def _log(event: Event) -> None:
    """Tell warnings where a caller shows nothing else: through `logging`, which prints them by default."""
    if isinstance(event, Notice) and event.level == "warning" and not event.rule:
        import logging

        logging.getLogger("tiffin").warning("%s", event.message)
