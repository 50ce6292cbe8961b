"""A container's output as Docker keeps it: a JSON line for each line, with stream and time.

The writer is the supervisor; readers open the file by themselves, and follow it across a rotation.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import json
import os
import select
import time

from tiffin.linux import files
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Literal

    Stream = Literal["stdout", "stderr"]

__all__ = ["FILE", "Entry", "LogWriter", "follow", "read", "stamp"]


FILE = "log.json"
LONGEST = 16 << 10
"""A longer line is kept in parts, of which only the last ends with a newline; as Docker does."""

_MAX_SIZE = 100 << 20
_KEPT = "log.json.1"
_RECHECK = 1.0


class Entry(NamedTuple):
    """A line, with its newline if it had one; `time` is RFC 3339 with nanoseconds, in UTC."""

    text: str
    stream: Stream
    time: str


class LogWriter:
    """Appends to the log in `directory`; when it is full the older half is given up."""

    def __init__(
        self, directory: Path, *, max_size: int = _MAX_SIZE, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._directory = directory
        self._half = max_size // 2
        self._clock = clock
        self._open()
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def write(self, stream: Stream, data: bytes) -> None:
        """Keep what the container wrote; the beginning of a line waits for its end."""
        now = stamp(self._clock())
        lines = []
        *whole, rest = (self._partial[stream] + data).split(b"\n")
        for line in whole:
            lines += [*_parts(line), line[len(line) - len(line) % LONGEST :] + b"\n"]
        lines += _parts(rest)
        self._partial[stream] = rest[len(rest) - len(rest) % LONGEST :]
        self._append(b"".join(_encode(line, stream, now) for line in lines))

    def close(self) -> None:
        """Keep the beginnings of lines, too, and close."""
        now = stamp(self._clock())
        for stream, rest in self._partial.items():
            if rest:
                self._append(_encode(rest, stream, now))
        os.close(self._fd)

    def _append(self, data: bytes) -> None:
        if not data:
            return
        if self._size and self._size + len(data) > self._half:
            (self._directory / FILE).replace(self._directory / _KEPT)
            os.close(self._fd)
            self._open()
        files.write_all(self._fd, data)
        self._size += len(data)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._directory / FILE, flags, 0o600)
        self._size = os.fstat(self._fd).st_size


def stamp(nanoseconds: int) -> str:
    """Return the time as Docker writes it: 2026-01-31T12:34:56.123456789Z."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def read(directory: Path) -> Iterator[Entry]:
    """Every entry there is now, oldest first."""
    for name in (_KEPT, FILE):
        try:
            with (directory / name).open("rb") as log:
                for line in log:
                    if entry := _decode(line):
                        yield entry
        except FileNotFoundError:
            continue


def follow(directory: Path, alive: int | None) -> Iterator[Entry]:
    """Every entry, and then those that come, until the process of the pidfd `alive` has ended.

    Without `alive`, as for a container that does not run, only what is there.
    """
    from tiffin.linux.inotify import Watch  # the writer, which most of us are, does not watch

    with Watch(directory) as watch:
        lines = _Tail(directory)
        poll = select.poll()
        poll.register(watch.fileno(), select.POLLIN)
        if alive is not None:
            poll.register(alive, select.POLLIN)
        ended = alive is None
        try:
            while True:
                yield from lines.more()
                if ended:
                    yield from lines.more()
                    return
                ready = {fd for fd, _ in poll.poll(_RECHECK * 1000)}
                ended = alive in ready
                if watch.fileno() in ready:
                    watch.drain()
        finally:
            lines.close()


class _Tail:
    """The lines of the log as they come, from the rotated file on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rest = b""
        try:
            self._fd: int | None = os.open(directory / _KEPT, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._fd = self._newest()

    def more(self) -> Iterator[Entry]:
        while True:
            if self._fd is None:
                self._fd = self._newest()
                if self._fd is None:
                    return
            while data := os.read(self._fd, 1 << 18):
                *whole, self._rest = (self._rest + data).split(b"\n")
                for line in whole:
                    if entry := _decode(line):
                        yield entry
            if self._current():
                return
            # The file was rotated away. What was written to it before that has been read by now,
            # unless it came between the last read and the look at the name: so read once more.
            if data := os.read(self._fd, 1 << 18):
                self._rest += data
                continue
            self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _newest(self) -> int | None:
        try:
            return os.open(self._directory / FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def _current(self) -> bool:
        try:
            return self._fd is not None and os.path.samestat(
                os.fstat(self._fd), (self._directory / FILE).stat()
            )
        except FileNotFoundError:
            return False


def _parts(line: bytes) -> list[bytes]:
    return [line[start : start + LONGEST] for start in range(0, len(line) - LONGEST + 1, LONGEST)]


def _encode(line: bytes, stream: Stream, now: str) -> bytes:
    text = json.dumps(line.decode("utf-8", "replace"), ensure_ascii=False)
    return f'{{"log":{text},"stream":"{stream}","time":"{now}"}}\n'.encode()


def _decode(line: bytes) -> Entry | None:
    try:
        wire = json.loads(line)
        return Entry(wire["log"], wire["stream"], wire["time"])
    except (ValueError, KeyError, TypeError):
        return None  # cut off when the machine stopped
