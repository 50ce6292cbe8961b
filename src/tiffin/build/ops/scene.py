"""A failed step as it was left: its files, its mounts, its secrets and its network, for a shell to look into.

The workspace of the step and all that it was lent are held until `close`; what is written meanwhile goes
with them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.linux.remove import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from tiffin.build.graph import Run
    from tiffin.errors import FailedError
    from tiffin.runtime.step_process import TerminalStep

HISTORY = "/dev/.tiffin/history"
_SHELL = "/bin/sh"


class Scene:
    """A step that failed with `error`; `shell` is the one that it was run by, or the usual one."""

    def __init__(
        self, op: Run, error: FailedError, start: Callable[[tuple[str, ...]], TerminalStep], held: ExitStack
    ) -> None:
        self.error = error
        self.shell = shell_of(op.arguments)
        self._start = start
        self._held = held

    def open(self, command: tuple[str, ...]) -> TerminalStep:
        """Start `command` in the step's place, with a terminal. Raises a TiffinError if that cannot be."""
        return self._start(command)

    def close(self) -> None:
        """Let go of everything, and remove what is left of the step."""
        self._held.close()


def shell_of(arguments: tuple[str, ...]) -> str:
    """Return the shell that these are the arguments of, as in `/bin/bash -o pipefail -c …`."""
    return arguments[0] if "-c" in arguments[1:-1] else _SHELL


def history_of(arguments: tuple[str, ...]) -> bytes:
    """Return what the shell shall remember as typed: the command of the step."""
    from shlex import join

    text = arguments[-1] if "-c" in arguments[1:-1] else join(arguments)
    return f"{' '.join(text.split())}\n".encode("utf-8", "surrogateescape")


def refresh(work: Path) -> None:
    """Make overlays of a workspace mountable again: volatile ones take a new work directory only.

    What was written into them stays.
    """
    for place in (work, *(entry for entry in work.iterdir() if entry.name.startswith("mount-"))):
        used = place / "work"
        if (place / "upper").is_dir() and used.is_dir():
            remove_tree(used)
            os.mkdir(used)
