"""A shell in the place of a step that failed: `--debug-shell`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from tiffin.container.foreground import following_size
from tiffin.container.loop import Input, Loop, Output
from tiffin.errors import TiffinError
from tiffin.events import Notice, TerminalLent
from tiffin.linux.terminal import RawMode

if TYPE_CHECKING:
    from tiffin.build.ops.scene import Scene
    from tiffin.events import Emit
    from tiffin.runtime.step_process import TerminalStep

_NOTHING_RUN = (126, 127)


def open_shell(scene: Scene, command: tuple[str, ...], emit: Emit) -> None:
    """Let the user at the terminal look around where the step failed, until the shell ends.

    If there is no such shell, that is said, and the build ends with the step's failure all the same.
    """
    wanted = command or (scene.shell,)
    emit(
        TerminalLent(
            f"{scene.error.message}; this is {' '.join(wanted)} where it was left. "
            "What you change is thrown away, and `exit` ends the build."
        )
    )
    try:
        step = scene.open(wanted)
    except TiffinError as error:
        hint = "; name another shell: --debug-shell=COMMAND" if error.exit_status in _NOTHING_RUN else ""
        emit(Notice(f"there is no shell where the step failed: {error.message}{hint}"))
        return
    _converse(step)


def _converse(step: TerminalStep) -> None:
    """Be the terminal of the shell until it ends; its exit status is nobody's business."""
    stdin = sys.stdin.fileno()
    shown = next(fd for fd in (2, 1) if os.isatty(fd))
    loop = Loop()
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True

    with contextlib.ExitStack() as undo:
        undo.callback(step.close)
        undo.callback(loop.close)
        output = Output(loop, os.dup(step.console), lambda _data: None, shown)
        loop.watch(step.presence, end)
        undo.enter_context(following_size(step.console, stdin))
        undo.enter_context(RawMode(stdin))
        typed = Input(loop, stdin, step.console, close_sink=False)
        undo.callback(typed.close)
        while not ended and not typed.closed:  # a terminal that is hung up closes it: so are we
            loop.turn()
        output.close() if typed.closed else output.drain()
    step.process.wait()
