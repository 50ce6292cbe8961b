"""A command at a terminal, typed into as a user would."""

import fcntl
import os
import pty
import re
import select
import subprocess
import termios

PATIENCE = 60


class Terminal:
    """Runs a command with a terminal of its own; `expect` waits for what it shows, `type` types a line."""

    def __init__(self, command, **options) -> None:
        self.fd, theirs = pty.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, b"\x28\0\xc8\0\0\0\0\0")  # 40 rows, 200 columns
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, **options
        )
        os.close(theirs)
        self.shown = ""

    def expect(self, pattern):
        """What was shown up to the end of the first match of `pattern`, which is taken away."""
        while (match := re.search(pattern, self.shown)) is None:
            if not self._read():
                message = f"{pattern!r} was not shown, but {self.shown!r}"
                raise AssertionError(message)
        before, self.shown = self.shown[: match.end()], self.shown[match.end() :]
        return before

    def type(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def finish(self):
        """Read to the end; return the exit status and what was shown since the last `expect`."""
        while self._read():
            pass
        os.close(self.fd)
        return self.process.wait(), self.shown

    def _read(self):
        if not select.select([self.fd], [], [], PATIENCE)[0]:
            self.process.kill()
            message = f"nothing came after {self.shown!r}"
            raise AssertionError(message)
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # everybody has closed the other side
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)
