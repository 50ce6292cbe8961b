"""A command at a terminal, typed into as a user would."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

PATIENCE = 60


class Terminal:
    """Runs a command with a terminal of its own, which controls it.

    `expect` waits for what it shows, `type` types a line; `before` and `after` are the modes of the terminal.
    """

    def __init__(self, command, **options) -> None:
        self.fd, theirs = pty.openpty()
        self.resize(40, 200)
        self.before = self.after = termios.tcgetattr(self.fd)
        command = ["setsid", "--ctty", *command]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, **options)
        os.close(theirs)
        self.shown = ""

    def expect(self, pattern):
        """What was shown up to the end of the first match of `pattern`, which is taken away."""
        end = time.monotonic() + PATIENCE
        while (match := re.search(pattern, self.shown)) is None:
            if not self._read(end):
                message = f"{pattern!r} was not shown, but {self.shown!r}"
                raise AssertionError(message)
        before, self.shown = self.shown[: match.end()], self.shown[match.end() :]
        return before

    def resize(self, rows, columns):
        """As a user does with the window."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def raw(self):
        """Whether every key goes to who reads as it is."""
        return not termios.tcgetattr(self.fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def type(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def finish(self):
        """Read to the end; return the exit status and what was shown since the last `expect`."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        status = self.process.wait()
        self.after = termios.tcgetattr(self.fd)
        os.close(self.fd)
        return status, self.shown

    def _read(self, end):
        if not select.select([self.fd], [], [], max(end - time.monotonic(), 0))[0] or time.monotonic() > end:
            self.process.kill()
            message = f"nothing came after {self.shown[-2000:]!r}"
            raise AssertionError(message)
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # everybody has closed the other side
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)
