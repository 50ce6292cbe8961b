"""A container's output as Docker keeps it: a JSON line for each line, with stream and time.

The writer is the supervisor; readers open the file by themselves, and follow it across a rotation.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
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

    from tiffin.container.journald import JournalWriter

    Stream = Literal["stdout", "stderr"]
    # The driver, the bytes of a file and how many there are, and the fields that a journal gets.
    Log = tuple[str, int, int, tuple[tuple[str, str], ...]]

__all__ = ["FILE", "Entry", "Limit", "Lines", "LogWriter", "follow", "read", "stamp", "writer_of"]


FILE = "log.json"
LONGEST = 16 << 10
"""A longer line is kept in parts, of which only the last ends with a newline; as Docker does."""

_PLAIN = bytes(number for number in range(32, 127) if number not in b'"\\') + b"\n"
"""What JSON writes as it is, and the newline, which is at the end of a line and nowhere else."""
_GAP = 2
_RECHECK = 1.0


class Entry(NamedTuple):
    """A line, with its newline if it had one; `time` is RFC 3339 with nanoseconds, in UTC."""

    text: str
    stream: Stream
    time: str


class Limit(NamedTuple):
    """How much is kept: so many files of so many bytes at most; 0 bytes for no limit."""

    size: int = 50 << 20
    files: int = 2


DEFAULT = Limit()


class Lines:
    """Cuts what comes into lines; the beginning of a line waits for its end, in each stream."""

    def __init__(self) -> None:
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def cut(self, stream: Stream, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, and parts of one that is long."""
        *whole, rest = (self._partial[stream] + data).split(b"\n")
        if max(map(len, whole), default=0) < LONGEST:  # nearly always, and in a flood it counts
            lines = [line + b"\n" for line in whole]
        else:
            lines = []
            for line in whole:
                lines += [*_parts(line), line[len(line) - len(line) % LONGEST :] + b"\n"]
        lines += _parts(rest)
        self._partial[stream] = rest[len(rest) - len(rest) % LONGEST :]
        return lines

    def rest(self) -> Iterator[tuple[Stream, bytes]]:
        """Return the beginnings of lines that have no end."""
        for stream, rest in self._partial.items():
            if rest:
                yield stream, rest


class LogWriter:
    """Appends to the log in `directory`; when a file is full the next one begins, and the oldest goes."""

    def __init__(
        self, directory: Path, limit: Limit = DEFAULT, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._directory = directory
        self._limit = limit
        self._clock = clock
        self._lines = Lines()
        self._open()

    def write(self, stream: Stream, data: bytes) -> None:
        """Keep what the container wrote."""
        self._append(_entries(self._lines.cut(stream, data), stream, stamp(self._clock())))

    def close(self) -> None:
        """Keep the beginnings of lines, too, and close."""
        now = stamp(self._clock())
        self._append([_encode(rest, stream, now) for stream, rest in self._lines.rest()])
        os.close(self._fd)

    def _append(self, entries: list[bytes]) -> None:
        """Write the entries, in as few pieces as the limit allows."""
        if self._size + sum(map(len, entries)) <= self._limit.size or not self._limit.size:
            self._put(entries)
            return
        waiting: list[bytes] = []
        size = self._size
        for entry in entries:
            if size and self._limit.size and size + len(entry) > self._limit.size:
                self._put(waiting)
                self._rotate()
                waiting, size = [], 0
            waiting.append(entry)
            size += len(entry)
        self._put(waiting)

    def _put(self, entries: list[bytes]) -> None:
        data = b"".join(entries)
        if data:
            files.write_all(self._fd, data)
            self._size += len(data)

    def _rotate(self) -> None:
        """Each file gets the name of the one before it; readers know them by their inodes."""
        os.close(self._fd)
        current = self._directory / FILE
        if self._limit.files == 1:
            current.unlink(missing_ok=True)
        else:
            for number in range(self._limit.files - 1, 1, -1):
                with contextlib.suppress(FileNotFoundError):
                    _kept(self._directory, number - 1).replace(_kept(self._directory, number))
            current.replace(_kept(self._directory, 1))
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._directory / FILE, flags, 0o600)
        self._size = os.fstat(self._fd).st_size


def writer_of(log: Log, directory: Path) -> LogWriter | JournalWriter | None:
    """Return who keeps the output of the container of `directory`, if anybody does."""
    driver, size, count, fields = log
    if driver == "none":
        return None
    if driver == "journald":
        from tiffin.container.journald import JournalWriter

        return JournalWriter(dict(fields))
    return LogWriter(directory, Limit(size, count))


def stamp(nanoseconds: int) -> str:
    """Return the time as Docker writes it: 2026-01-31T12:34:56.123456789Z."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def read(directory: Path, tail: int | None = None) -> Iterator[Entry]:
    """Every entry there is now, oldest first; of them the last `tail` if that is given."""
    lines = _Tail(directory)
    try:
        yield from _last(lines.more(), tail)
    finally:
        lines.close()


def follow(directory: Path, alive: int | None, tail: int | None = None) -> Iterator[Entry]:
    """Every entry, or the last `tail`, and then those that come, until the process of the pidfd `alive` ends.

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
            yield from _last(lines.more(), tail)
            while True:
                yield from _last(lines.more(), None)
                if ended:
                    yield from _last(lines.more(), None)
                    return
                ready = {fd for fd, _ in poll.poll(_RECHECK * 1000)}
                ended = alive in ready
                if watch.fileno() in ready:
                    watch.drain()
        finally:
            lines.close()


def _last(lines: Iterator[bytes], tail: int | None) -> Iterator[Entry]:
    if tail is not None:
        from collections import deque

        lines = iter(deque(lines, tail))
    for line in lines:
        if entry := _decode(line):
            yield entry


class _Tail:
    """The lines of the log as they come, from the oldest file on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rest = b""
        self._files = _open_all(directory)

    def more(self) -> Iterator[bytes]:
        """The lines that are there now, and were not told yet."""
        while True:
            if not self._files:
                self._files = _open_all(self._directory)
                if not self._files:
                    return
            yield from self._lines()
            if len(self._files) == 1:
                if self._current():
                    return
                # The file was rotated away. What was written to it before that has been read by now,
                # unless it came between the last read and the look at the name: so read once more.
                yield from self._lines()
                newer = self._newer()
                if not newer:
                    return  # at this moment it is being rotated away
                self._files += newer
            os.close(self._files.pop(0))
            self._rest = b""

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop())

    def _lines(self) -> Iterator[bytes]:
        while data := os.read(self._files[0], 1 << 18):
            *whole, self._rest = (self._rest + data).split(b"\n")
            yield from whole

    def _current(self) -> bool:
        try:
            newest = (self._directory / FILE).stat()
        except FileNotFoundError:
            return True  # it is being rotated at this moment, or removed
        return os.path.samestat(os.fstat(self._files[0]), newest)

    def _newer(self) -> list[int]:
        """The files that came after ours; all there are, if ours has gone meanwhile."""
        own = os.fstat(self._files[0])
        found = _open_all(self._directory)
        for place, fd in enumerate(found):
            if os.path.samestat(os.fstat(fd), own):
                for older in found[: place + 1]:
                    os.close(older)
                return found[place + 1 :]
        return found


def _open_all(directory: Path) -> list[int]:
    """Open the files of the log, the oldest first.

    They are opened from the newest on, so that one which gets the next name meanwhile is not missed.
    """
    found: list[int] = []
    seen: set[int] = set()
    number = missing = 0
    while missing < _GAP:
        try:
            fd = os.open(_kept(directory, number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            missing += 1
        else:
            inode = os.fstat(fd).st_ino
            if inode in seen:
                os.close(fd)
            else:
                seen.add(inode)
                found.insert(0, fd)
        number += 1
    return found


def _kept(directory: Path, number: int) -> Path:
    return directory / (f"{FILE}.{number}" if number else FILE)


def _parts(line: bytes) -> list[bytes]:
    return [line[start : start + LONGEST] for start in range(0, len(line) - LONGEST + 1, LONGEST)]


def _entries(lines: list[bytes], stream: Stream, now: str) -> list[bytes]:
    """Return the lines encoded; where no character asks for care, by hand, which is ten times as fast."""
    if b"".join(lines).translate(None, _PLAIN):
        return [_encode(line, stream, now) for line in lines]
    part = f'","stream":"{stream}","time":"{now}"}}\n'.encode()
    whole = b"\\n" + part
    return [
        b'{"log":"%b%b' % ((line[:-1], whole) if line.endswith(b"\n") else (line, part)) for line in lines
    ]


def _encode(line: bytes, stream: Stream, now: str) -> bytes:
    text = json.dumps(line.decode("utf-8", "replace"), ensure_ascii=False)
    return f'{{"log":{text},"stream":"{stream}","time":"{now}"}}\n'.encode()


def _decode(line: bytes) -> Entry | None:
    try:
        wire = json.loads(line)
        return Entry(wire["log"], wire["stream"], wire["time"])
    except (ValueError, KeyError, TypeError):
        return None  # cut off when the machine stopped
