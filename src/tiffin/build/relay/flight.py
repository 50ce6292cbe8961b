"""One download that any number of readers follow while it grows.

It runs in a thread of its own, as fast as the server gives, into a file. A transfer that breaks off is taken
up again. Bytes whose digest is known beforehand are held back at the end until it was looked at, so that no
reader ever sees the end of a file that is not what the index says.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING, Final

from tiffin.build.canceled import Canceled
from tiffin.errors import CorruptError, TiffinError, UnavailableError
from tiffin.linux.files import write_all
from tiffin.linux.room import check_reserve, room_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.build.relay.upstream import Answer, Upstream, Wanted

_HELD_BACK: Final = 1 << 16
_BLOCK: Final = 1 << 18
_ATTEMPTS: Final = 5
_RESERVE: Final = 256 << 20
_CHECKED: Final = 32 << 20


class Flight:
    """A download of `url` into the file `part`; `sha256` is what it has to be, or empty."""

    def __init__(self, upstream: Upstream, wanted: Wanted, part: Path, sha256: str) -> None:
        self._upstream = upstream
        self._wanted = wanted
        self.part = part
        self._expected = sha256
        self._state = hashlib.sha256()
        self._grown = threading.Condition()
        self._holders = 1  # the download itself, and its readers
        self.total: int | None = None
        self.have = 0
        self.done = False
        self.failure: TiffinError | OSError | None = None
        self.sha256 = ""
        self._fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._resume = 0

    def begin(self) -> Answer:
        """Ask for the file; what came of it in an earlier build is not asked for again."""
        if self._expected and (size := os.fstat(self._fd).st_size):
            self._resume = size
            answer = self._upstream.request(self._ranged(size))
            if answer.status == 206 and _begin_of(answer) == size:
                self._take_over(size)
                self.total = _total_of(answer)
                return answer
            if answer.status == 200:
                self._measure(answer)
                return answer
            answer.close()
        answer = self._upstream.request(self._wanted)
        self._measure(answer)
        return answer

    def _measure(self, answer: Answer) -> None:
        if answer.status == 200:
            os.ftruncate(self._fd, 0)
            self.total = answer.length

    def _take_over(self, size: int) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        while self.have < size and (data := os.read(self._fd, _BLOCK)):
            self._state.update(data)
            self.have += len(data)

    def has_room(self) -> bool:
        """Whether the disk takes the file, as far as its length is known, and is not nearly full then."""
        return room_of(self.part.parent).size >= (self.total or 0) - self.have + _RESERVE

    def run(self, answer: Answer, closed: threading.Event) -> None:
        """Download to the end, or until nobody reads any more; never raises, `failure` tells."""
        try:
            self._pour(answer, closed)
            if self.total is not None and self.have != self.total:
                raise UnavailableError("the server sent more than it said")  # noqa: TRY301
            self.sha256 = self._state.hexdigest()
            if self._expected and self.sha256 != self._expected:
                self.part.unlink(missing_ok=True)
                raise CorruptError(  # noqa: TRY301
                    f"{self._wanted.url} is not what the index says: its digest is sha256:{self.sha256}"
                )
        except (TiffinError, OSError) as error:
            self._end(error)
        except Canceled:
            self._end(UnavailableError("the build has ended"))
        except BaseException:
            self._end(UnavailableError("the relay has failed"))
            raise

    def finish(self) -> None:
        """Let readers see the end: the file is what it should be."""
        self._end(None)

    def _end(self, failure: TiffinError | OSError | None) -> None:
        with self._grown:
            self.done, self.failure = True, failure
            self._grown.notify_all()

    def _pour(self, answer: Answer, closed: threading.Event) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:
                    answer = self._again(answer)
                self._drink(answer, closed)
                if self.total is None or self.have >= self.total:
                    return
                raise UnavailableError("the content ended too early")  # noqa: TRY301
            except UnavailableError:
                if attempt == _ATTEMPTS - 1 or not self.have:
                    raise
            if closed.wait(0.2 * 2**attempt):
                raise Canceled

    def _again(self, last: Answer) -> Answer:
        """Ask for the rest; only of a file that is the same for sure."""
        etag = last.fields.get("ETag", "")
        same = {"If-Range": etag} if etag and not etag.startswith("W/") else {}
        if not same and not self._expected:
            raise UnavailableError("the transfer broke off, and the server does not say how to go on")
        answer = self._upstream.request(self._ranged(self.have, same))
        if answer.status != 206 or _begin_of(answer) != self.have:
            answer.close()
            raise UnavailableError("the transfer broke off, and the server does not give the rest")
        return answer

    def _ranged(self, start: int, more: dict[str, str] | None = None) -> Wanted:
        fields = {**self._wanted.fields, "Range": f"bytes={start}-", **(more or {})}
        return self._wanted._replace(fields=fields)

    def _drink(self, answer: Answer, closed: threading.Event) -> None:
        checked = self.have
        try:
            while data := answer.some():
                if closed.is_set() or self._holders < 2:
                    raise Canceled
                os.lseek(self._fd, self.have, os.SEEK_SET)
                write_all(self._fd, data)
                self._state.update(data)
                with self._grown:
                    self.have += len(data)
                    self._grown.notify_all()
                if self.have - checked > _CHECKED:
                    checked = self.have
                    check_reserve(self.part.parent, _RESERVE // 2)
        finally:
            answer.close()

    def blocks(self, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from `start` on to `end` as they come. Raises what ended the download, before its end."""
        while True:
            with self._grown:
                while not self.done and self._free() <= start:
                    self._grown.wait()
                if self.failure is not None and (self._expected or start >= self.have):
                    raise self.failure
                limit = self.have if self.done else self._free()
            limit = limit if end is None else min(limit, end)
            while start < limit:
                data = os.pread(self._fd, min(_BLOCK, limit - start), start)
                if not data:
                    raise UnavailableError("the file was cut short meanwhile")
                start += len(data)
                yield data
            if (end is not None and start >= end) or (self.done and start >= self.have):
                return

    def _free(self) -> int:
        return self.have - _HELD_BACK if self._expected else self.have

    def join(self) -> bool:
        """Count a reader, who calls `leave` in the end; False if it is too late for that."""
        with self._grown:
            if not self._holders or self.failure is not None:
                return False
            self._holders += 1
            return True

    def leave(self) -> None:
        """Count a reader, or the download itself, no more; the last one closes the file."""
        with self._grown:
            self._holders -= 1
            if self._holders:
                return
        useful = self._expected and os.fstat(self._fd).st_size
        os.close(self._fd)
        if not useful:
            self.part.unlink(missing_ok=True)


def _begin_of(answer: Answer) -> int:
    text = answer.fields.get("Content-Range", "")
    first = text.removeprefix("bytes ").partition("-")[0]
    return int(first) if text.startswith("bytes ") and first.isdecimal() else -1


def _total_of(answer: Answer) -> int | None:
    text = answer.fields.get("Content-Range", "").rpartition("/")[2]
    return int(text) if text.isdecimal() else None
