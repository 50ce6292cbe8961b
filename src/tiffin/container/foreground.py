"""A container with the terminal it was started from: its streams here, and the signals that are meant for it.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal

from tiffin.container.loop import Input
from tiffin.linux import terminal
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.container.supervisor import Supervisor

__all__ = ["Foreground", "following_size", "forwarding", "screen", "size_of_terminal"]

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
)
_PATIENCE = 3
"""So many requests to end it, and the container is killed."""


class Foreground(NamedTuple):
    """Standard streams by number, -1 for what is not attached; `say` shows the user a line."""

    say: Callable[[str], None]
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2

    def run(self, supervisor: Supervisor, started: Callable[[Supervisor], None]) -> int:
        """Start the container of the supervisor, be its terminal, and return its exit code."""
        job = supervisor.job
        # What arrives while it starts is not lost, and does not end us with the container half made.
        early: list[int] = []

        def kill(number: int) -> None:
            if supervisor.child is None:
                early.append(number)
            else:
                supervisor.kill(number)

        with forwarding(kill, self.say), contextlib.ExitStack() as end:
            out, err = (None if fd < 0 else fd for fd in (self.stdout, self.stderr))
            supervisor.start((out, err))
            child = supervisor.child
            assert child is not None
            for number in early:
                supervisor.kill(number)
            started(supervisor)
            if child.console is not None:
                end.enter_context(following_size(child.console, screen()))
                if job.interactive and self.stdin >= 0:
                    if os.isatty(self.stdin):
                        end.enter_context(terminal.RawMode(self.stdin))
                    copier = Input(supervisor.loop, self.stdin, child.console, close_sink=False)
                    end.callback(copier.close)
            elif supervisor.life.stdin >= 0 and self.stdin >= 0:
                life = supervisor.life
                copier = Input(supervisor.loop, self.stdin, os.dup(life.stdin), ended=life.end_input)
                end.callback(copier.close)
            return supervisor.wait()


@contextlib.contextmanager
def forwarding(kill: Callable[[int], None], say: Callable[[str], None]) -> Iterator[None]:
    """Within the block signals for this process go to `kill`; with the third that asks to end, SIGKILL."""
    asked = 0

    def handle(number: int, _frame: object) -> None:
        nonlocal asked
        kill(number)
        if number in (signal.SIGINT, signal.SIGTERM):
            asked += 1
            if asked == _PATIENCE - 1:
                say("the container does not end; once more, and it is killed")
            elif asked >= _PATIENCE:
                kill(signal.SIGKILL)

    saved = {number: signal.signal(number, handle) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def following_size(console: int, fd: int) -> Iterator[None]:
    """Within the block the console has the size of the terminal `fd`, also when that changes."""

    def follow(*_: object) -> None:
        size = size_of_terminal(fd)
        if size is not None:
            with contextlib.suppress(OSError):
                terminal.set_size(console, *size)

    follow()
    saved = signal.signal(signal.SIGWINCH, follow)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, saved)


def screen() -> int:
    """The terminal that the user looks at."""
    return 1 if os.isatty(1) else 0


def size_of_terminal(fd: int) -> tuple[int, int] | None:
    """Rows and columns of the terminal, None where there is none or it does not know."""
    try:
        rows, columns = terminal.get_size(fd)
    except OSError:
        return None
    return (rows, columns) if rows and columns else None
