"""One connection of a client: heads and bodies read within bounds of size and time, answers written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tiffin.build.relay.message import LARGEST_HEAD, Head, head_of_answer, parse_head
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from typing import BinaryIO

_HEAD_SECONDS: Final = 20.0
_IDLE_SECONDS: Final = 90.0
_SEND_SECONDS: Final = 300.0
_BLOCK: Final = 1 << 14


class Wire:
    """The side of the relay of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.began = False
        self._data = b""

    def head(self) -> Head | None:
        """The next request, None if there is none. Raises what `parse_head` does, or OSError."""
        self.began = False
        self.socket.settimeout(_IDLE_SECONDS)
        if not self._data and not self._more():
            return None
        end = time.monotonic() + _HEAD_SECONDS
        while (at := self._data.find(b"\r\n\r\n")) < 0:
            if len(self._data) > LARGEST_HEAD:
                raise InvalidError("the head of the request is too long")
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            if not self._more():
                return None
        data, self._data = self._data[:at], self._data[at + 4 :]
        return parse_head(data)

    def body(self, head: Head, limit: int) -> bytes:
        """The body of the request. Raises InvalidError beyond `limit` bytes, OSError if it is cut off."""
        if head.length > limit:
            raise InvalidError(f"the body of the request is longer than {limit} bytes")
        if head.field("expect").lower() == "100-continue" and head.length:
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        end = time.monotonic() + _SEND_SECONDS
        while len(self._data) < head.length:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            if not self._more():
                raise ConnectionResetError
        body, self._data = self._data[: head.length], self._data[head.length :]
        return body

    def rest(self) -> bytes:
        """What has come and was not asked for: the first bytes of a tunnel."""
        data, self._data = self._data, b""
        return data

    def send(self, data: bytes) -> None:
        """Write all of `data`."""
        self.began = True
        self.socket.settimeout(_SEND_SECONDS)
        self.socket.sendall(data)

    def answer(self, status: int, reason: str, fields: Iterable[tuple[str, str]], body: bytes) -> None:
        """Write a whole answer; `body` may be empty."""
        length = ("Content-Length", str(len(body)))
        self.send(head_of_answer(status, reason, [*fields, length]) + body)

    def stream(self, blocks: Iterable[bytes], *, chunked: bool) -> None:
        """Write a body as it comes."""
        for data in blocks:
            self.send(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        if chunked:
            self.send(b"0\r\n\r\n")

    def file(self, file: BinaryIO, start: int, end: int) -> None:
        """Write a part of a file."""
        self.socket.settimeout(_SEND_SECONDS)
        if end > start:
            self.socket.sendfile(file, start, end - start)

    def _more(self) -> bool:
        data = self.socket.recv(_BLOCK)
        self._data += data
        return bool(data)
