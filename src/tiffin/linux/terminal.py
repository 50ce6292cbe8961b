"""Terminals: sizes, raw mode, the controlling terminal, and handing one to another process."""

from __future__ import annotations

import _socket
import fcntl
import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_FD_SIZE = 4


def get_size(fd: int) -> tuple[int, int]:
    """Return rows and columns of the terminal; `OSError` if it is none."""
    raw = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
    return int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set the size; the programs in the terminal get SIGWINCH if it changes."""
    size = rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, size)


def make_controlling(fd: int) -> None:
    """Make the terminal the controlling one of this session, which has none yet."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


class RawMode:
    """A `with` block in which the terminal passes every byte on as it comes."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[object] = []

    def __enter__(self) -> None:
        self._saved = list(termios.tcgetattr(self._fd))
        mode = termios.tcgetattr(self._fd)
        mode[0] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)  # what was typed ahead is kept

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type] # what tcgetattr gave
        except termios.error:
            return  # it was hung up: there is nothing to restore


def socket_pair() -> tuple[int, int]:
    """Return two connected sockets over which descriptors can be sent, closed when a program is executed."""
    first, second = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    return first.detach(), second.detach()


def send_fd(socket_fd: int, fd: int) -> None:
    """Send a copy of the descriptor to whoever reads the other end."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(_FD_SIZE, "little"))]
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, socket_fd)
    try:
        connection.sendmsg([b"\0"], rights)
    finally:
        connection.detach()


def receive_fd(socket_fd: int) -> int | None:
    """Return the descriptor that the other end sent, or None if it was closed instead."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, socket_fd)
    try:
        _, rights, _, _ = connection.recvmsg(1, _socket.CMSG_SPACE(_FD_SIZE), _socket.MSG_CMSG_CLOEXEC)
    finally:
        connection.detach()
    for level, kind, data in rights:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fd = int.from_bytes(data[:_FD_SIZE], "little")
            os.set_inheritable(fd, False)
            return fd
    return None
